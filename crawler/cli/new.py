"""crawler new: write the first version of something for you to go on from."""

from __future__ import annotations

import argparse
from pathlib import Path

from crawler.cli import common


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "new", help="write a stage of your own and its test", description="Write the first version of something."
    )
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
    stage.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from crawler.scaffold import table, write_stage

    code, test = write_stage(args.name, args.dir)
    print(f"wrote {code} and {test}; try it with: python -m pytest {test}")
    print("To have it between parse and store, put this into crawler.toml and look at it with: crawler check")
    print()
    print(table(args.name), end="")
    return common.OK
