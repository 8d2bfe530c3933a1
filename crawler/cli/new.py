"""crawler new: write the first version of something for you to go on from."""

from __future__ import annotations

import argparse
from pathlib import Path

from crawler.cli import common, printing


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "new",
        description="Write a file to start from: a configuration or a stage.",
    )  # fmt: skip
    kinds = parser.add_subparsers(title="what", metavar="WHAT", required=True)
    stage = kinds.add_parser(
        "stage",
        parents=[common.options()],
        help="a stage and its test",
        description="Write NAME.py with a stage that works and test_NAME.py with a test that passes, and show the table that "
        "puts it into the pipeline. Files that are there already are left alone.",
    )
    stage.add_argument("name", metavar="NAME", help="a Python identifier in lower case, for example price")
    stage.add_argument("--dir", metavar="DIR", type=Path, default=Path(), help="where to write (default: here)")
    stage.set_defaults(run=run_stage)
    config = kinds.add_parser(
        "config",
        parents=[common.options()],
        help="a configuration with every setting as a comment",
        description="Write crawler.toml, or FILE, with every setting, its default and what it does. All of them are comments: "
        "remove the # before those you change. An existing file is left unchanged.",
    )
    config.add_argument("file", metavar="FILE", type=Path, nargs="?", default=Path("crawler.toml"))
    config.add_argument("--dir", metavar="DIR", type=Path, default=Path(), help="where to write (default: here)")
    config.set_defaults(run=run_config)


def say(args: argparse.Namespace, line: str) -> None:
    """Print a line without passwords: a typed file name may be a URL."""
    from crawler.wording.secrets import masked

    printing.say(masked(line, args.typed))


def run_config(args: argparse.Namespace) -> int:
    from crawler.pipeline.scaffold import write_config

    path = args.dir / args.file
    write_config(path)
    used = "" if path == Path("crawler.toml") else f" -c {path}"
    say(args, f"wrote {path}; remove the # before what you change, then check it with: crawler check{used}")
    return common.OK


def run_stage(args: argparse.Namespace) -> int:
    from importlib.util import find_spec

    from crawler.pipeline.scaffold import module_of, table, write_stage

    code, test = write_stage(args.name, args.dir)
    needs = "" if find_spec("pytest") else " (after: pip install pytest)"
    say(args, f"wrote {code} and {test}; try it with: python -m pytest {test}{needs}")
    module = module_of(args.name, args.dir)
    file = Path("crawler.toml") if module else args.dir / "crawler.toml"  # modules are also looked for in its directory
    used = "" if module else f" -c {file}"
    say(args, f"To run it between parse and store, add this to {file}, then check it with: crawler check{used}")
    printing.say("", *table(args.name, module).splitlines())
    return common.OK
