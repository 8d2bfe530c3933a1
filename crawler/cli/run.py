"""crawler run: a whole crawl on this machine, from the seeds to the end."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.cli import common, seeds
from crawler.cli.stage import output_options, preload, store_settings
from crawler.errors import UsageError

if TYPE_CHECKING:
    from crawler.cli.forking import Forks
    from crawler.cli.view import View
    from crawler.config import Config
    from crawler.crawl import Beginning, Crawl
    from crawler.items import New, Stats
    from crawler.process import Bell
    from crawler.run.debug import DebugCrawl

QUICK = 0.01          # s between questions whether it is over, when it may soon be
LOOK = 0.1            # s between them otherwise; a process that ends is seen at once


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "run", parents=[common.options()], help="crawl: hub and stages here, until nothing is left to do",
        description="Start a hub and the stages that a crawl needs as processes of this machine, crawl from the given URLs until "
        "nothing is left, and sum up. A crawl that was interrupted is resumed; after a finished one a fresh one begins.",
        epilog="Ctrl-C stops in order (what is in hand is finished or given back), a second one at once.",
    )  # fmt: skip
    parser.add_argument("urls", metavar="URL", nargs="*", help="where to begin; - reads them from standard input, one a line")
    parser.add_argument("--seeds", metavar="FILE", type=Path, help="the same from a file, one a line; # begins a comment")
    output_options(parser)
    common.short_forms(parser)
    parser.add_argument("--fresh", action="store_true", help="begin anew even if the last crawl was interrupted")
    parser.add_argument("--debug", action="store_true", help="in one process, where breakpoint(), print and profilers work")
    parser.set_defaults(run=run, debug=False)


def run(args: argparse.Namespace) -> int:
    args.set = [*args.set, *store_settings(args)]
    config = common.load(args)
    return crawl(args, config, seeds.read(args.urls, args.seeds))


def crawl(args: argparse.Namespace, config: Config, texts: list[str]) -> int:
    """The crawl these settings mean, with its view and its report."""
    from crawler.cli import hub, main
    from crawler.cli.forking import Forks
    from crawler.process import Bell

    stop = Bell()
    forks = Forks(main)                       # first: the rest is imported for the copies too
    try:
        if is_debug(args):
            has_rows = config.settings.stages.get("store", {}).get("output") == "-"
            with redirect_stdout(sys.stderr) if has_rows else nullcontext():
                return _crawl(args, config, texts, stop, forks)
        forks.prepare("hub", hub.preload)
        with redirect_stdout(sys.stderr):     # what stages print when they are imported: standard output may be for rows
            return _crawl(args, config, texts, stop, forks)
    finally:
        forks.close()


def is_debug(args: argparse.Namespace) -> bool:
    return bool(getattr(args, "debug", False))      # the demo's arguments have none


def _crawl(args: argparse.Namespace, config: Config, texts: list[str], stop: Bell, forks: Forks) -> int:
    from crawler import chain
    from crawler import crawl as crawling
    from crawler import report as reporting
    from crawler.broker.base import Politeness
    from crawler.cli import debug
    from crawler.cli.hub import make_directory
    from crawler.cli.view import make_view
    from crawler.cli.why import output_of
    from crawler.growth import Growth
    from crawler.hub.client import HubClient
    from crawler.hub.key import authkey
    from crawler.pipeline import FRONTIER
    from crawler.plugins import find
    from crawler.run.verify import verify
    from crawler.shared import CRAWL_NOTE
    from crawler.supervisor import ChildFailed
    pipeline, options = verify(config)
    stages = pipeline.reachable(FRONTIER)
    for name in stages:
        find(pipeline.stages[name].use).preload(options[name])
    read = [pipeline.stages[name].input for name in stages]
    groups = chain.groups(pipeline, stages)
    data = Path(config.settings.data)
    make_directory(data)
    politeness = Politeness(config.settings.frontier.per_host, config.settings.frontier.delay)
    beginning = crawling.begin(data, list(pipeline.queues.values()), read, args.fresh, politeness)
    if not texts and beginning != crawling.Beginning.RESUMED:
        raise UsageError(f"nothing to crawl: name a URL, or --data with the directory of an unfinished crawl; {data} has none")
    address = config.settings.hub.address or crawling.socket_address(data)
    key = authkey(data, config.settings.hub.authkey_file, os.environ, create=True)
    interrupted = common.stop_on_signals(stop.ring)
    began = time.monotonic()
    view = make_view(config, common.hints(args, config), quiet=args.quiet, is_live=not is_debug(args))
    args.heard = view.on_line is not None     # for the processes that are told our options
    texts = seeds.settle(texts, config, view.say)
    view.say(opening(beginning, texts, data))
    shares = [chain.share(pipeline, group, config.settings.frontier.delay) for group in groups]
    for share in shares:
        if not is_debug(args) and (said := share.said(share.processes)):
            view.say(said)
    hub: Any = HubClient(address, key, patience=0.5, tls=common.client_tls(config, address))
    hub_arguments = ["hub", "--address", address, *common.forward(args)]
    own = debug.crawl_here(config, pipeline, stages) if is_debug(args) else None
    if own is not None:
        hub = own.hub
        view.say(debug.SAID)
    try:
        with own or crawling.Crawl(hub, address, hub_arguments, view.on_line, forks) as here:
            one_each = [*common.forward(args), "--hub", address, "--processes", "1"]
            starts = [(share.name, share.processes, one_each) for share in shares]

            def start_stages() -> None:
                preload()
                for start in starts:
                    here.start_stage(*start)

            here.start_hub(start_stages)      # all of them before there is a thread here
            passed_by = {pipeline.stages[name].input: name for group in groups for name in group[1:]}
            growths = [(share, Growth(share.processes, share.most)) for share in shares]

            def adapt(ready: list[str]) -> None:
                for queue in ready:        # an earlier run, or a worker of another machine, has left it where a chain does not look
                    if name := passed_by.pop(queue, None):
                        here.start_stage(name, 1, one_each)
                for share, growth in growths:
                    if growth.needs_one(here.cpu(share.name), time.monotonic()):
                        here.start_stage(share.name, 1, one_each)
                        view.say(f"{share.said(growth.processes)} now: there was more to do than time")

            with view:
                here.insist(lambda: put_seeds(config, hub, texts))
                is_over = follow(here, read, view, stop, adapt)
                here.stop_stages(are_idle=is_over)
                stats = here.insist(hub.stats)
            is_done = here.insist(lambda: hub.drained(read))
            crawl_id = next((note.value.decode() for note in here.insist(lambda: hub.notes(CRAWL_NOTE))), "")
    except ChildFailed as failure:
        if not failure.is_hopeless:
            print(f"crawler: {failure}; what was done is kept, the same command goes on", file=sys.stderr)
        return failure.code
    report = reporting.build(
        stats, crawl=crawl_id, beginning=beginning, reason="finished" if is_done else "interrupted",
        elapsed=time.monotonic() - began, restarts=here.restarts, output=output_of(config),
    )  # fmt: skip
    reporting.write(report, data)
    for line in reporting.summary(report):
        view.say(line)
    return exit_code(report, is_done, interrupted())


def opening(beginning: Beginning, texts: list[str], data: Path) -> str:
    """What is about to happen, in one line."""
    what = {
        "first": f"crawling from {len(texts)} URL(s)",
        "resumed": f"resuming the unfinished crawl in {data}" + (f", with {len(texts)} URL(s) to begin from" if texts else ""),
        "fresh": f"starting a fresh crawl from {len(texts)} URL(s); the last one's store is kept as {data}/hub.sqlite3.previous",
    }
    return what[beginning]


def put_seeds(config: Config, hub: Any, texts: list[str]) -> None:
    from crawler.cli.queues import BATCH, batched
    from crawler.shared import SharedNotes
    from crawler.web.frontier import Frontier

    frontier = Frontier(config.settings.frontier, SharedNotes(hub))
    tasks: list[New] = [frontier.seed(text) for text in texts]
    for batch in batched(tasks, BATCH):
        hub.put(batch)


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
        done, left = sum(queue.done for queue in queues), sum(queue.ready + queue.delayed + queue.leased for queue in queues)
        self.ready = [queue.name for queue in queues if queue.ready]
        self.is_over = not left
        self.is_near = self._done is None or left <= 2 * (done - self._done)     # as fast again as since the last counts
        self._done = done


def exit_code(report: dict[str, Any], is_done: bool, interrupted: int) -> int:
    """See `common`."""
    from crawler.report import is_empty

    if not is_done:
        return interrupted or common.INTERRUPTED
    if is_empty(report):
        return common.NOTHING_FETCHED
    return common.DEAD_TASKS if report["dead"] else common.OK
