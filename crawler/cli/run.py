"""crawler run: a whole crawl on this machine, from the seeds to the end."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.cli import common, seeds, streams
from crawler.cli.stage import output_options, preload, store_settings
from crawler.counting import counted
from crawler.errors import HubError, StorageError

if TYPE_CHECKING:
    from crawler.broker.sqlite import SqliteBroker
    from crawler.cli.forking import Forks
    from crawler.config import Config
    from crawler.crawl import Beginning, Crawl
    from crawler.process import Bell
    from crawler.run.debug import DebugCrawl
    from crawler.run.resume import Plan


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
    from crawler import shortage  # here, because only what runs needs it

    shortage.provide_open_files(is_told=True)
    return crawl(args, config, lambda: seeds.read(args.urls, args.seeds))


def crawl(args: argparse.Namespace, config: Config, read: Callable[[], list[str]]) -> int:
    """Crawl as these settings say, with a view and a report.

    read: returns the seeds. It is called after a copy of this process has begun to import what the hub needs, because looking at
    URLs needs imports of its own.
    """
    from crawler.cli import hub, main
    from crawler.cli.forking import Forks
    from crawler.process import Bell

    atexit.register(gc.freeze)                # what is left is not looked through for garbage when the interpreter ends
    stop = Bell()
    forks = Forks(main)                       # first: the rest is imported for the copies too
    try:
        if is_debug(args):
            forks.close()                     # none is made
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


class Session:
    """A crawl by `crawler run`: its plan, its processes, and what a person sees of it."""

    def __init__(self, args: argparse.Namespace, plan: Plan, stop: Bell) -> None:
        """Make way for the crawl in its data directory. stop: rung to end the crawl, by a signal as well."""
        from crawler.cli.ends import End
        from crawler.cli.hub import make_directory, refuse_address
        from crawler.cli.view import make_view
        from crawler.crawl import socket_address
        from crawler.hub.key import authkey

        self.args, self.plan, self.stop = args, plan, stop
        config = plan.config
        self.data = Path(config.settings.data)
        self.hint = common.hints(args, config)
        self._told: list[str] = []
        make_directory(self.data)
        self.address = config.settings.hub.address or socket_address(self.data)
        self._key = authkey(self.data, config.settings.hub.authkey_file, os.environ, create=True)
        if config.settings.hub.address and not is_debug(args):
            refuse_address(config, self._key)      # before the store of the last crawl is moved aside
        self.beginning = self._make_way()
        self._running: list[Crawl | DebugCrawl] = []
        self.interrupted = common.stop_on_signals(self._stop, self._end_at_once)
        self.end = End()
        self.view = make_view(config, self.hint, quiet=args.quiet, is_live=not is_debug(args))
        args.heard = self.view.on_line is not None     # for the options passed on to child processes
        self.seeds = seeds.settle(plan.texts, config, self.view.say)       # in the order of `plan.texts`
        for line in [opening(self.beginning, plan, self.data), *plan.said, *self._told]:
            self.view.say(line)

    @property
    def read(self) -> list[str]:
        """The queues of the crawl's stages."""
        return [self.plan.pipeline.stages[name].input for name in self.plan.stages]

    @property
    def restarts(self) -> Mapping[str, int]:
        """Return how often each process was started again."""
        return self._running[0].restarts if self._running else {}

    @property
    def by_text(self) -> dict[str, str]:
        """The URL of each seed as it was typed."""
        return dict(zip(self.plan.texts, self.seeds, strict=True))

    def _make_way(self) -> Beginning:
        from crawler.crawl import begin
        from crawler.pipeline import politeness

        granted = politeness(self.plan.config.settings)
        queues = list(self.plan.pipeline.queues.values())
        goes_on = bool(self.plan.rules)
        return begin(self.data, queues, self.plan.queues_read, self.args.fresh, granted, self._correct, goes_on=goes_on)

    def _correct(self, broker: SqliteBroker) -> None:
        self._told += correct(self.plan, self.hint, broker)

    def _stop(self) -> None:
        """For the first Ctrl-C, in the signal handler."""
        self.stop.ring()
        for here in self._running:
            here.interrupt()

    def _end_at_once(self) -> None:
        """For the second Ctrl-C, in the signal handler: leave no process behind, and say that nothing is lost."""
        for here in self._running:
            here.kill()
        n = sum(here.pages for here in self._running)
        after = f" after about {counted(n, 'page')}" if n else ""
        # Not by the view: it may be in the middle of a line, and hold its lock.
        os.write(sys.stderr.fileno(), f"\nstopped at once{after}; what was done is kept, '{self.hint('run')}' goes on\n".encode())

    def start(self, here: Crawl | DebugCrawl) -> Callable[[Sequence[str]], None]:
        """Start hub and stages. Returns the function that starts more of the stages that read these busy queues."""
        from crawler.plugins import find
        from crawler.run.workers import Workers

        self._running.append(here)
        is_shared = not is_debug(self.args)           # else all stages are in this process, and nothing is to be said of that
        delay = self.plan.config.settings.frontier.delay
        workers = Workers(self.plan.pipeline, self.plan.stages, delay, self.view.say if is_shared else lambda _line: None)
        one_each = [*common.forward(self.args, self.plan.config), "--hub", self.address, "--processes", "1"]

        def start_stages() -> None:                   # while the hub opens its store
            preload()
            for name in self.plan.stages:
                find(self.plan.pipeline.stages[name].use).preload(self.plan.options[name])
            workers.start(here, one_each)

        here.start_hub(start_stages)                  # all of them before there is a thread here
        return lambda ready: workers.adapt(here, one_each, ready)

    def processes(self, forks: Forks) -> Crawl | DebugCrawl:
        """Return the crawl to start: with processes of its own, or all of it in this one."""
        config = self.plan.config
        if is_debug(self.args):
            from crawler.cli import debug

            own = debug.crawl_here(config, self.plan.pipeline, self.plan.stages)
            self.view.say(debug.SAID)
            return own
        from crawler.crawl import Crawl
        from crawler.hub.client import HubClient
        from crawler.supervisor import silence

        hub = HubClient(self.address, self._key, patience=0.5, tls=common.client_tls(config, self.address))
        typed = ["hub", "--address", self.address, *common.forward(self.args, config)]
        return Crawl(hub, self.address, typed, self.view.on_line, forks, silence(self.plan.config.settings.hub.lease))


def _crawl(args: argparse.Namespace, config: Config, texts: list[str], stop: Bell, forks: Forks) -> int:
    from crawler.cli.ends import conclude
    from crawler.supervisor import ChildFailed

    session = Session(args, planned(args, config, texts), stop)
    end = session.end
    try:
        with session.processes(forks) as here:
            adapt = session.start(here)
            from crawler.cli.following import (
                to_the_end,  # here: not needed earlier, and this process is idle while the stages start
            )

            to_the_end(session, here, adapt)
    except (ChildFailed, HubError, StorageError) as failure:      # of the hub: the store is read after its end
        if end.failure is None or isinstance(failure, ChildFailed):
            end.failure = failure                                 # the stages failed because of it
    end.restarts = session.restarts
    end.code = end.code or session.interrupted()
    return conclude(args, session.plan, end, session.read, session.view, session.beginning)


def planned(args: argparse.Namespace, config: Config, texts: list[str]) -> Plan:
    """Decide how the crawl begins. Raises UsageError for a crawl that is not to begin."""
    from crawler.run import resume
    from crawler.run.command import Command

    def load(remembered: Mapping[str, Any], file: Path | None = None) -> Config:
        args.config = file or args.config
        return common.load(args, remembered) if remembered or file is not None else config

    is_change = getattr(args, "change", False)        # the demo's arguments lack the option
    plan = resume.plan(load, texts, Command(args.typed), is_fresh=args.fresh, is_change=is_change)
    if plan.output == "-":
        streams.refuse_closed_output("the rows cannot go there; name a file with -o FILE")
    return plan


def correct(plan: Plan, hint: common.Hint, broker: SqliteBroker) -> list[str]:
    """Correct the store of a crawl that is resumed: the counts of missing outputs, and what changed rules mean for queued URLs.

    Returns the messages about it.
    """
    told: list[str] = []
    if plan.rules:
        from crawler.run.review import apply

        obeys_robots = getattr(plan.options.get("fetch"), "robots", True)
        told += apply(broker, plan.config.settings.frontier, plan.rules, hint, obeys_robots=obeys_robots)
    if plan.gone and plan.definition is not None:
        from crawler.run.gone import forget

        forget(broker, plan.gone, plan.definition.directory)
    return told


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
