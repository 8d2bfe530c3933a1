"""crawler status: the hub at one moment."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.cli import common, streams
from crawler.cli.printing import console, data, say
from crawler.cli.reach import reach
from crawler.errors import HubLost, HubUnreachable
from crawler.wording.counting import agree

if TYPE_CHECKING:
    from crawler.broker.contract import Broker
    from crawler.config.load import Config
    from crawler.items import Stats
    from crawler.run.explain.idle import Explain

PRINT = 5.0  # s between lines of --watch if standard output is not a terminal
WATCH = 1.0  # s between looks of --watch

LOST = "the hub does not answer; the numbers are the last it gave, and it is asked again"
COUNTERS = 20  # counters of one stage that are shown; --json has all


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "status", parents=[common.options()],
        description="The hub at one moment: its queues, workers, hosts and counters, and why it is idle if it is.",
    )  # fmt: skip
    common.hub_option(parser)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--json", action="store_true", help="everything, for a script")
    group.add_argument("--watch", action="store_true", help="until Ctrl-C or the end of the crawl: a live view, or without a "
                       "terminal a line when something has changed, each 5 s at most")  # fmt: skip
    parser.set_defaults(run=run_status)


def run_status(args: argparse.Namespace) -> int:
    import msgspec

    config = common.load(args)
    if args.watch:
        return watch(args, config)
    with reach(args, config) as broker:
        stats = broker.stats()
        crawl = of_crawl(broker, Path(config.settings.data), stats)
        reason = reason_of(broker, config, stats, common.hints(args, config))
    if args.json:
        data(msgspec.json.encode(stats).decode())
    else:
        for line in crawl:
            say(line)
        show(stats, reason, common.hints(args, config))
    return common.OK


def watch(args: argparse.Namespace, config: Config) -> int:
    """Show the state each second, from the hub or the store, whichever is there. The store is opened only briefly each time.

    Ends when no hub runs and nothing is left to do. A hub may be given new tasks at any time, and an interrupted crawl may go on.
    """
    from crawler.cli.view import Live, is_drawable
    from crawler.hub.client import HubClient

    streams.refuse_closed_output("nobody would see what is watched")
    is_over = is_quiet = False
    stats: Stats | None = None
    is_live = is_drawable(sys.stdout)
    hint = common.hints(args, config)
    reason = ""

    def explain(stats: Stats) -> str:
        return reason or drained(stats, hint)

    with Live(explain, "", stderr=False) if is_live else Printed(explain) as view:
        while not is_over:
            if is_quiet:
                time.sleep(WATCH if is_live else PRINT)
            try:
                with reach(args, config, is_quiet=is_quiet) as broker:
                    stats = broker.stats()
                    reason = reason_of(broker, config, stats, hint)
                    view.show(stats)
                    is_over = stats.is_drained and not isinstance(broker, HubClient)
            except (HubUnreachable, HubLost):
                if stats is None:
                    raise
                reason = LOST
                view.show(stats)
            is_quiet = True
    if is_live and stats is not None:  # the live view is erased at its end
        show(stats, reason, hint)
    return common.OK


def reason_of(broker: Broker, config: Config, stats: Stats, hint: common.Hint) -> str:
    """Explain why the crawl is idle; without a hub it rests, whatever its hosts and queues would allow."""
    from crawler.hub.client import HubClient
    from crawler.run import obeyed
    from crawler.run.explain.idle import at_rest, explainer
    from crawler.run.resume import definition

    if isinstance(broker, HubClient):
        return explainer(config, hint, is_by_hand=obeyed.is_by_hand(broker))(stats)
    return at_rest(stats, hint, is_of_run=definition.read(broker, Path(config.settings.data)) is not None)


class Printed:
    """A view that prints one line with the time for each update that changes something: for a file or another program."""

    def __init__(self, explain: Explain) -> None:
        from crawler.cli.view import Rates

        self._explain = explain
        self._rates = Rates(over=2 * PRINT)
        self._last = ""

    def __enter__(self) -> Printed:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, stats: Stats) -> None:
        from crawler.cli.view import line

        said = line(stats, self._rates.of(stats), self._explain(stats)) or "no task was ever put here"
        if said != self._last:
            self._last = said
            say(f"{time.strftime('%H:%M:%S')} {said}", flush=True)


def of_crawl(broker: Broker, data: Path, stats: Stats) -> list[str]:
    """Describe a crawl begun by `crawler run`: its seeds, and where its rows are."""
    from crawler.cli.view import SHORT
    from crawler.run.report.outputs import ROWS, described, rows_by_output
    from crawler.run.resume import definition

    crawl = definition.read(broker, data)
    if crawl is None:
        return []
    notes = {note.name: note.value for note in broker.notes(ROWS)}
    rows = described(rows_by_output(crawl.outputs, notes, stats.counters, crawl.directory))
    is_shown = stats.uptime > SHORT  # while a crawl runs, the view shows them
    return [f"crawl from {crawl.began_from()}", *([rows] if rows and not is_shown else [])]


def drained(stats: Stats, hint: common.Hint) -> str:
    """Say that nothing is left to do; "" if something is, if a limit holds the rest back, or if there never was a task."""
    if not stats.is_drained or not any(queue.accepted for queue in stats.queues) or any(queue.spent for queue in stats.queues):
        return ""
    dead = sum(queue.dead for queue in stats.queues)
    retry = f"{dead:,} dead: '{hint('dead retry --all')}' tries {agree(dead, 'it', 'them')} again"
    return f"drained: {retry if dead else 'nothing is left to do'}"


def show(stats: Stats, reason: str, hint: common.Hint) -> None:
    """Print the state, the reason why the crawl is idle, and the tasks that no stage reads."""
    from crawler.cli.view import SHORT, render
    from crawler.run.explain.endless import endless
    from crawler.run.report.stranded import described, stranded
    from crawler.run.report.totals import own_counters

    if not any(queue.accepted for queue in stats.queues):
        say(f"no task was ever put here; the queues are {', '.join(queue.name for queue in stats.queues)}")
    else:
        is_hub = stats.uptime > SHORT  # a store opened only to be read has no rates
        rates = {queue.name: queue.rate for queue in stats.queues if queue.rate} if is_hub else {}
        out = console()
        out.print(render(stats, rates, reason, is_wrapped=out.is_terminal), crop=False)
    for worker in stats.workers:
        if "@" in worker.name:
            gone = "not connected: others get what it holds when its lease ends"
            seen = f"seen {worker.seen:.0f} s ago" if worker.is_heard else gone
            say(f"worker {worker.name} holds {worker.leased}, {seen}")
    if (more := stats.workers_total - len(stats.workers)) > 0:
        say(f"and {more:,} more workers")
    for stage, counters in own_counters(stats.counters).items():
        shown = ", ".join(f"{name} {n:,}" for name, n in sorted(counters.items(), key=lambda each: -each[1])[:COUNTERS])
        say(f"{stage} counted {shown}")
    for line in endless(stats.hosts, set()):
        say(line)
    if said := drained(stats, hint):
        say(said)
    for name, n in stranded(stats.queues).items():
        say(described(name, n, hint, is_hub=stats.uptime > SHORT))
