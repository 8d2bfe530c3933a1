"""crawler run: a whole crawl on this machine, from the seeds to the end."""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.cli import common, seeds, streams
from crawler.cli.stage import output_options, preload, store_settings
from crawler.wording.counting import counted

if TYPE_CHECKING:
    from crawler.cli.forking import Forks
    from crawler.config.load import Config
    from crawler.run.crawl import Crawl
    from crawler.run.debug import DebugCrawl
    from crawler.run.processes.process import Bell
    from crawler.run.resume.decide import Plan
    from crawler.run.session import Session, View


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "run", parents=[common.options()],
        description="Start a hub and the stages that a crawl needs as processes on this machine, crawl from the given URLs until "
        "nothing is left, and print a summary. An interrupted crawl is resumed; after a finished one a new one begins.",
        epilog="Ctrl-C stops in order (what is in hand is finished or given back), a second one at once.",
    )  # fmt: skip
    parser.add_argument("urls", metavar="URL", nargs="*", help="where to begin; - reads them from standard input, one a line")
    parser.add_argument(
        "--seeds",
        metavar="FILE",
        action="append",
        default=[],
        help="the same from a file, one a line; # begins a comment; may be repeated; - is standard input",
    )
    output_options(parser)
    common.short_forms(parser)
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument(
        "--fresh",
        action="store_true",
        help="start over even if the last crawl was interrupted; without URLs, from its seeds",
    )
    ways.add_argument("--change", action="store_true", help="resume an interrupted crawl with these changed URLs and settings")
    parser.add_argument("--debug", action="store_true", help="run in one process, where breakpoint(), print and profilers work")
    parser.set_defaults(run=run, debug=False)


def run(args: argparse.Namespace) -> int:
    args.set = [*args.set, *store_settings(args)]
    config = common.load(args)
    from crawler.machine import shortage  # here, because only what runs needs it

    shortage.provide_open_files(is_told=True)
    return crawl(args, config, lambda: seeds.read(args.urls, args.seeds))


def crawl(args: argparse.Namespace, config: Config, read: Callable[[], list[str]]) -> int:
    """Crawl as these settings say, with a view and a report.

    read: returns the seeds. It is called after a copy of this process has begun to import what the hub needs, because looking at
    URLs needs imports of its own.
    """
    from crawler.cli import hub, main
    from crawler.cli.forking import Forks
    from crawler.run.processes.process import Bell

    atexit.register(gc.freeze)  # so that the interpreter collects no garbage at its end
    stop = Bell()
    forks = Forks(main)  # first: the rest is imported for the copies too
    try:
        if is_debug(args):
            forks.close()  # none is made
            has_rows = config.settings.stages.get("store", {}).get("output") == "-"
            with redirect_stdout(sys.stderr) if has_rows else nullcontext():
                return _crawl(args, config, read(), stop, forks)
        forks.prepare("hub", hub.preload)
        with redirect_stdout(sys.stderr):  # keeps prints of imported stages out of the rows on standard output
            return _crawl(args, config, read(), stop, forks)
    finally:
        forks.close()


def is_debug(args: argparse.Namespace) -> bool:
    return bool(getattr(args, "debug", False))  # the demo's arguments lack the option


def _crawl(args: argparse.Namespace, config: Config, texts: list[str], stop: Bell, forks: Forks) -> int:
    from crawler.cli.view import make_view
    from crawler.run.session import Session

    plan = planned(args, config, texts)
    config = plan.config
    hint = common.hints(args, config)
    in_one = is_debug(args)
    key = prepared(config, has_hub=not in_one)
    session = Session(plan, stop, hint, is_fresh=args.fresh)
    interrupted = common.stop_on_signals(session.interrupt, lambda: end_at_once(session))
    view = make_view(config, hint, quiet=args.quiet, is_live=not in_one)
    args.heard = view.on_line is not None  # for the options passed on to child processes
    found = seeds.settle(plan.texts, config, view.say)
    one_each = [*common.forward(args, config), "--hub", session.address, "--processes", "1"]

    def processes() -> Crawl | DebugCrawl:
        return here(session, view) if in_one else apart(args, session, view, forks, key)

    ended = session.run(found, view, processes, one_each, preload, shares_process=in_one)
    from crawler.cli.ends import conclude  # here: it is not needed earlier

    return conclude(session, ended, view, interrupted(), quiet=args.quiet)


def prepared(config: Config, *, has_hub: bool) -> bytes:
    """Make the data directory and return its key. Raises UsageError if the crawl could not start.

    has_hub: a hub will listen at hub.address. The address is tried before the store of the last crawl is moved aside.
    """
    from crawler.cli.hub import refuse_address
    from crawler.hub.key import authkey
    from crawler.run.local_store import make_directory

    settings = config.settings
    make_directory(Path(settings.data))
    key = authkey(settings.data, settings.hub.authkey_file, os.environ, create=True)
    if settings.hub.address and has_hub:
        refuse_address(config, key)
    return key


def here(session: Session, view: View) -> DebugCrawl:
    """Return a crawl that runs in this process."""
    from crawler.cli import debug

    plan = session.plan
    own = debug.crawl_here(plan.config, plan.pipeline, plan.stages)
    view.say(debug.SAID)
    return own


def apart(args: argparse.Namespace, session: Session, view: View, forks: Forks, key: bytes) -> Crawl:
    """Return a crawl that runs in processes of its own."""
    from crawler.hub.client import HubClient
    from crawler.run.crawl import Crawl
    from crawler.run.processes.supervisor import silence

    config, address = session.plan.config, session.address
    hub = HubClient(address, key, patience=0.5, tls=common.client_tls(config, address))
    typed = ["hub", "--address", address, *common.forward(args, config)]
    return Crawl(hub, address, typed, view.on_line, forks, silence(config.settings.hub.lease))


def end_at_once(session: Session) -> None:
    """Kill all processes and say that nothing is lost. Runs in the signal handler, for the second Ctrl-C."""
    session.kill()
    after = f" after about {counted(session.pages, 'page')}" if session.pages else ""
    # Not by the view: it may be in the middle of a line, and hold its lock.
    goes_on = f"what was done is kept, '{session.hint('run')}' goes on"
    os.write(sys.stderr.fileno(), f"\nstopped at once{after}; {goes_on}\n".encode())


def planned(args: argparse.Namespace, config: Config, texts: list[str]) -> Plan:
    """Decide how the crawl begins. Raises UsageError for a crawl that is not to begin."""
    from crawler.run.command import Command
    from crawler.run.resume import decide

    def load(remembered: Mapping[str, Any], file: Path | None = None) -> Config:
        args.config = file or args.config
        return common.load(args, remembered) if remembered or file is not None else config

    is_change = getattr(args, "change", False)  # the demo's arguments lack the option
    plan = decide.plan(load, texts, Command(args.typed), is_fresh=args.fresh, is_change=is_change)
    if plan.output == "-":
        streams.refuse_closed_output("the rows cannot go there; name a file with -o FILE")
    return plan
