"""crawler run: a whole crawl on this machine, from the seeds to the end."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.cli import common, seeds
from crawler.cli.stage import output_options, preload, store_settings
from crawler.counting import counted
from crawler.errors import HubError, StorageError

if TYPE_CHECKING:
    from crawler.broker.sqlite import SqliteBroker
    from crawler.cli.forking import Forks
    from crawler.cli.view import View
    from crawler.config import Config
    from crawler.crawl import Beginning, Crawl
    from crawler.hub.client import HubClient
    from crawler.items import QueueStats, Stats
    from crawler.process import Bell
    from crawler.run.debug import DebugCrawl
    from crawler.run.resume import Plan
    from crawler.run.seeds import Taken

QUICK = 0.01          # s between questions whether it is over, when it may soon be
LOOK = 0.1            # s between them otherwise; a process that ends is seen at once


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "run", parents=[common.options()],
        description="Start a hub and the stages that a crawl needs as processes on this machine, crawl from the given URLs until "
        "nothing is left, and print a summary. An interrupted crawl is resumed; after a finished one a new one begins.",
        epilog="Ctrl-C stops in order (what is in hand is finished or given back), a second one at once.",
    )  # fmt: skip
    parser.add_argument("urls", metavar="URL", nargs="*", help="where to begin; - reads them from standard input, one a line")
    parser.add_argument("--seeds", metavar="FILE", action="append", default=[],
                        help="the same from a file, one a line; # begins a comment; may be repeated; - is standard input")
    output_options(parser)
    common.short_forms(parser)
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--fresh", action="store_true",
        help="start over even if the last crawl was interrupted; without URLs, from its seeds",
    )
    ways.add_argument("--change", action="store_true", help="resume an interrupted crawl with these changed URLs and settings")
    parser.add_argument("--debug", action="store_true", help="run in one process, where breakpoint(), print and profilers work")
    parser.set_defaults(run=run, debug=False)


def run(args: argparse.Namespace) -> int:
    args.set = [*args.set, *store_settings(args)]
    config = common.load(args)
    return crawl(args, config, lambda: seeds.read(args.urls, args.seeds))


def crawl(args: argparse.Namespace, config: Config, read: Callable[[], list[str]]) -> int:
    """Crawl as these settings say, with a view and a report.

    read: returns the seeds. It is called after a copy of this process has begun to import what the hub needs, because looking at
    URLs needs imports of its own.
    """
    from crawler.cli import hub, main
    from crawler.cli.forking import Forks
    from crawler.process import Bell

    stop = Bell()
    forks = Forks(main)                       # first: the rest is imported for the copies too
    try:
        if is_debug(args):
            has_rows = config.settings.stages.get("store", {}).get("output") == "-"
            with redirect_stdout(sys.stderr) if has_rows else nullcontext():
                return _crawl(args, config, read(), stop, forks)
        forks.prepare("hub", hub.preload)
        with redirect_stdout(sys.stderr):     # keeps prints of imported stages out of the rows on standard output
            return _crawl(args, config, read(), stop, forks)
    finally:
        forks.close()


def is_debug(args: argparse.Namespace) -> bool:
    return bool(getattr(args, "debug", False))      # the demo's arguments lack the option


def _crawl(args: argparse.Namespace, config: Config, texts: list[str], stop: Bell, forks: Forks) -> int:
    from crawler import crawl as crawling
    from crawler.broker.base import Politeness
    from crawler.cli import debug
    from crawler.cli.ends import End, conclude
    from crawler.cli.hub import make_directory
    from crawler.cli.view import make_view
    from crawler.hub.client import HubClient
    from crawler.hub.key import authkey
    from crawler.plugins import find
    from crawler.run import definition, resume
    from crawler.run.command import Command
    from crawler.run.workers import Workers
    from crawler.supervisor import ChildFailed

    first = config

    def load(remembered: Mapping[str, Any], file: Path | None = None) -> Config:
        args.config = file or args.config
        return common.load(args, remembered) if remembered or file is not None else first

    plan = resume.plan(
        load, texts, Command(args.typed),
        is_fresh=args.fresh, is_change=getattr(args, "change", False),
    )  # fmt: skip
    config, pipeline = plan.config, plan.pipeline
    for name in plan.stages:
        find(pipeline.stages[name].use).preload(plan.options[name])
    read = [pipeline.stages[name].input for name in plan.stages]
    data = Path(config.settings.data)
    make_directory(data)
    politeness = Politeness(config.settings.frontier.per_host, config.settings.frontier.delay)
    queues = list(pipeline.queues.values())
    hint = common.hints(args, config)
    told: list[str] = []
    beginning = crawling.begin(data, queues, plan.queues_read, args.fresh, politeness, partial(correct, plan, hint, told))
    address = config.settings.hub.address or crawling.socket_address(data)
    key = authkey(data, config.settings.hub.authkey_file, os.environ, create=True)
    running: list[Crawl | DebugCrawl] = []
    interrupted = common.stop_on_signals(stop.ring, lambda: end_at_once(running, hint))
    end = End()
    view = make_view(config, hint, quiet=args.quiet, is_live=not is_debug(args))
    args.heard = view.on_line is not None     # for the options passed on to child processes
    settled = seeds.settle(plan.texts, config, view.say)
    by_text = dict(zip(plan.texts, settled, strict=True))
    note = definition.encode(definition.settled(plan.definition, by_text), data) if plan.definition is not None else None
    for line in [opening(beginning, plan, data), *plan.said, *told]:
        view.say(line)
    workers = Workers(pipeline, plan.stages, config.settings.frontier.delay, debug.unsaid if is_debug(args) else view.say)
    hub: Any = HubClient(address, key, patience=0.5, tls=common.client_tls(config, address))
    hub_arguments = ["hub", "--address", address, *common.forward(args)]
    own = debug.crawl_here(config, pipeline, plan.stages) if is_debug(args) else None
    if own is not None:
        hub = own.hub
        view.say(debug.SAID)
    try:
        with own or crawling.Crawl(hub, address, hub_arguments, view.on_line, forks) as here:
            running.append(here)
            one_each = [*common.forward(args), "--hub", address, "--processes", "1"]

            def start_stages() -> None:
                preload()
                workers.start(here, one_each)

            here.start_hub(start_stages)      # all of them before there is a thread here
            with view:
                if note is not None:
                    here.insist(lambda: hub.note([note]))
                end.taken = here.insist(lambda: put_seeds(config, hub, settled))
                for line in warnings(plan, end.taken, [by_text[text] for text in plan.added], here.insist(hub.stats), hint):
                    view.say(f"warning: {line}")
                # Imported here: not needed earlier, and this process is idle while the stages start.
                from crawler.run.ending import ending
                from crawler.run.idle import disk_trouble

                try:
                    is_over = follow(here, read, view, stop, lambda ready: workers.adapt(here, one_each, ready))
                except ChildFailed as failure:
                    is_over = False
                    if failure.code == common.CLOSED:
                        end.code = failure.code
                    else:
                        end.failure = failure
                if stop.is_rung and not is_over:
                    stats = here.watch()
                    view.say(stopping(stats))
                    end.trouble = disk_trouble(stats) if stats is not None else ""
                here.stop_stages(are_idle=is_over, meanwhile=Showing(here, view))
                end.ending = ending(here, read, plan.definition)
    except (ChildFailed, HubError, StorageError) as failure:      # of the hub: the store is read after its end
        if end.failure is None or isinstance(failure, ChildFailed):
            end.failure = failure                                 # the stages failed because of it
    end.restarts = running[0].restarts if running else {}
    end.code = end.code or interrupted()
    return conclude(args, plan, end, read, view, beginning)


def correct(plan: Plan, hint: common.Hint, told: list[str], broker: SqliteBroker) -> None:
    """Correct the store of a crawl that is resumed: the counts of missing outputs, and what changed rules mean for queued URLs.

    told: gets the messages about it.
    """
    if plan.rules:
        from crawler.run.review import apply

        obeys_robots = getattr(plan.options.get("fetch"), "robots", True)
        told += apply(broker, plan.config.settings.frontier, plan.rules, hint, obeys_robots=obeys_robots)
    if plan.gone and plan.definition is not None:
        from crawler.run.gone import forget

        forget(broker, plan.gone, plan.definition.directory)


def opening(beginning: Beginning, plan: Plan, data: Path) -> str:
    """What is about to happen, in one line."""
    n = counted(len(plan.texts), "URL")
    which = "the last one's" if plan.last_pages else "an earlier one's"     # one that fetched nothing does not displace another
    added = f", with {counted(len(plan.added), 'URL')} more to begin from" if plan.added else ""
    what = {
        "first": f"crawling from {n}",
        "resumed": f"resuming the unfinished crawl in {data}{added}",
        "fresh": f"starting a fresh crawl from {n}; {which} store is kept as {data}/hub.sqlite3.previous",
    }
    return what[beginning]


def stopping(stats: Stats | None) -> str:
    """Say that the crawl stops, and what it waits for."""
    from crawler.pipeline import FRONTIER

    leased = {queue.name: queue.leased for queue in stats.queues if queue.leased} if stats is not None else {}
    requests = leased.get(FRONTIER, 0)         # all other tasks take a moment only
    what = counted(requests, "request") if requests else counted(sum(leased.values()), "task")
    return f"stopping{f': waiting for {what}' if leased else ''} (Ctrl-C again stops at once)"


class Showing:
    """Called again and again while the stages stop: keeps the view up to date."""

    def __init__(self, here: Crawl | DebugCrawl, view: View) -> None:
        self._here = here
        self._view = view
        self._next = time.monotonic() + view.every

    def __call__(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._view.every
            if (stats := self._here.watch()) is not None:
                self._view.show(stats)


def end_at_once(running: Sequence[Crawl | DebugCrawl], hint: common.Hint) -> None:
    """For the second Ctrl-C, in the signal handler: leave no process behind, and say that nothing is lost."""
    for here in running:
        here.kill()
    n = sum(here.pages for here in running)
    # Not by the view: it may be in the middle of a line, and hold its lock.
    after = f" after about {counted(n, 'page')}" if n else ""
    os.write(sys.stderr.fileno(), f"\nstopped at once{after}; what was done is kept, '{hint('run')}' goes on\n".encode())


def put_seeds(config: Config, hub: HubClient, texts: Sequence[str]) -> Taken:
    """Put the seeds on the frontier of this hub."""
    from crawler.run.seeds import put
    from crawler.shared import SharedNotes
    from crawler.web.frontier import Frontier

    return put(texts, Frontier(config.settings.frontier, SharedNotes(hub)).seed, hub.put)


def warnings(plan: Plan, taken: Taken, added: Sequence[str], stats: Stats, hint: common.Hint) -> list[str]:
    """List what will not be done: seeds that were not taken and tasks that no stage reads. added: seeds new to the crawl."""
    from crawler.run import seeds as putting
    from crawler.run.stranded import described, stranded

    lines = putting.warnings(taken, plan.config.settings.frontier, added)
    return lines + [described(name, n, hint) for name, n in stranded(stats.queues).items()]


def follow(here: Crawl | DebugCrawl, read: list[str], view: View, stop: Bell, adapt: Callable[[list[str]], None]) -> bool:
    """Watch until nothing is left, which is True, or somebody stops us. adapt: told with all counts which queues have work."""
    outlook = Outlook(read)
    next_counts = 0.0
    while not stop.is_rung:
        now = time.monotonic()
        if now < next_counts:
            if here.is_drained(read):
                return True
        elif (stats := here.watch()) is not None:
            next_counts = now + view.every
            view.show(stats)
            outlook.see(stats)
            adapt(outlook.ready)
            if outlook.is_over:
                return True
        here.wait(QUICK if outlook.is_near else LOOK, stop)
    return False


class Outlook:
    """What the counts of the queues that stages read say of the end."""

    def __init__(self, read: Sequence[str]) -> None:
        self._read = frozenset(read)
        self._done: int | None = None
        self.ready: list[str] = []     # queues with something to do
        self.is_over = False
        self.is_near = True            # it may be over before the next counts

    def see(self, stats: Stats) -> None:
        queues = [queue for queue in stats.queues if queue.name in self._read]
        done, left = sum(queue.done for queue in queues), sum(map(_left, queues))
        self.ready = [queue.name for queue in queues if queue.ready]
        self.is_over = not left
        self.is_near = self._done is None or left <= 2 * (done - self._done)     # as fast again as since the last counts
        self._done = done


def _left(queue: QueueStats) -> int:
    """Return the number of tasks that are or will be leased."""
    return queue.leased + (0 if queue.spent else queue.ready + queue.delayed)
