"""crawler check: draw the pipeline, or say why it cannot work."""

from __future__ import annotations

import argparse

from crawler.cli import common


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "check",
        parents=[common.options()],
        help="draw the pipeline and check its stages and options",
        description="Draw the pipeline the configuration means, load every stage and check its options. Nothing is started.",
        epilog="Exit code 0: it can run. 2: it cannot, with the reason on stderr.",
    )
    common.short_forms(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from crawler.pipeline import build, check, draw
    from crawler.stage import LocalShared
    from crawler.web.frontier import Frontier

    config = common.load(args)
    pipeline = build(config)
    check(pipeline, config.origin)
    Frontier(config.settings.frontier, LocalShared())   # refuses patterns that are none
    print(draw(pipeline))
    return common.OK
