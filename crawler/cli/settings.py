"""crawler settings: each value in force and where it came from."""

from __future__ import annotations

import argparse
import json

from crawler.cli import common


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "settings",
        parents=[common.options()],
        help="show each setting's value and where it came from",
        description="Show each setting's value, the options of every stage included, and where it came from: default, the "
        "configuration file, a variable of the environment, or -s. Passwords, tokens, cookies and keys are not shown.",
        epilog="One setting has three spellings: delay under [frontier] in the file, CRAWLER_FRONTIER__DELAY, "
        "and -s frontier.delay=0. The last wins.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object: name -> {value, origin}")
    common.short_forms(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from crawler.config import shown
    from crawler.pipeline import build, check, values

    config = common.load(args)
    pipeline = build(config)
    in_force = values(pipeline, check(pipeline, config.origin), config.settings)
    rows = [(name, shown(name, value), config.origin(name)) for name, value in in_force.items()]
    if args.json:
        print(json.dumps({name: {"value": value, "origin": origin} for name, value, origin in rows}, ensure_ascii=False, indent=2))
        return common.OK
    texts = [(name, json.dumps(value, ensure_ascii=False), origin) for name, value, origin in rows]
    wide = [max(len(text) for text in column) for column in zip(*texts, strict=True)]
    for name, value, origin in texts:
        print(f"{name:<{wide[0]}}  {value:<{min(wide[1], 40)}}  {origin}")
    return common.OK
