"""crawler check: draw the pipeline, or say why it cannot work."""

from __future__ import annotations

import argparse
from contextlib import suppress

from crawler.cli import common
from crawler.cli.printing import say
from crawler.errors import UsageError


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "check",
        parents=[common.options()],
        description="Draw the configured pipeline, load every stage, and check its options and its output. "
        "Nothing is started or changed.",
        epilog="Exit code 0: it can run. 2: it cannot, with all reasons on stderr.",
    )
    common.short_forms(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from crawler.pipeline.build import build, draw
    from crawler.pipeline.hooks import found
    from crawler.run.verify import verify

    config = common.load(args)
    try:
        verify(config)
    finally:
        with suppress(UsageError):  # if the pipeline cannot be drawn, only the mistakes are shown
            say(*draw(build(config)).split("\n"), flush=True)
        say(
            *(
                f"hook {each.name}: {each.target}{each.package and f', of {each.package},'} is told of every task"
                for each in found()
            )
        )
    return common.OK
