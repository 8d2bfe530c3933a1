"""crawler status: the hub at one moment."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from crawler.cli import common

if TYPE_CHECKING:
    from crawler.items import Stats

WATCH = 1.0           # s between looks of --watch


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "status", parents=[common.options()], help="queues, rates, leases, hosts, and why it is idle",
        description="The hub at one moment: its queues, workers, hosts and counters, and why it is idle if it is.",
    )  # fmt: skip
    common.hub_option(parser)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--json", action="store_true", help="everything, for a script")
    group.add_argument("--watch", action="store_true", help="again each second, until Ctrl-C")
    parser.set_defaults(run=run_status)


def run_status(args: argparse.Namespace) -> int:
    import msgspec

    config = common.load(args)
    delay = config.settings.frontier.delay
    with common.connect(config) as hub:
        stats = hub.stats()
        if args.json:
            print(msgspec.json.encode(stats).decode())
            return common.OK
        if not args.watch:
            show(stats, delay)
            return common.OK
        from crawler.cli.view import Live

        with Live(delay) as live:
            while True:
                live.show(hub.stats())
                time.sleep(WATCH)


def show(stats: Stats, delay: float) -> None:
    from rich.console import Console

    from crawler.cli.view import render

    console = Console(highlight=False)
    if not any(queue.accepted for queue in stats.queues):
        console.print(f"nothing was ever put here; the queues are {', '.join(queue.name for queue in stats.queues)}")
    else:
        rates = {queue.name: queue.done / stats.uptime if stats.uptime else 0.0 for queue in stats.queues}
        console.print(render(stats, rates, delay))
    for worker in stats.workers:
        if "@" in worker.name:
            console.print(f"worker {worker.name} holds {worker.leased}, seen {worker.seen:.0f} s ago", markup=False)
    if stats.is_drained and any(queue.accepted for queue in stats.queues):
        console.print("drained: nothing is left to do")
