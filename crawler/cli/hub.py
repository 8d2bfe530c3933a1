"""crawler hub: own the queues and lend them."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import shlex
import threading
import time
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.cli import common
from crawler.cli.printing import say, tell
from crawler.errors import UsageError
from crawler.machine import private
from crawler.wording.secrets import masked

if TYPE_CHECKING:
    from crawler.broker.sqlite.broker import SqliteBroker
    from crawler.config.load import Config
    from crawler.hub.address import Address
    from crawler.hub.server import HubServer
    from crawler.hub.tls import Tls
    from crawler.items import New
    from crawler.pipeline.build import Pipeline
    from crawler.web.frontier import Frontier

log = logging.getLogger(__name__)

PRELOADED = (
    "crawler.broker.sqlite.broker", "crawler.hub.server", "crawler.pipeline.build", "crawler.hub.key",
    "crawler.run.local_store", "crawler.run.obeyed",
    "crawler.worker.shared_notes", "crawler.machine.shortage", "crawler.run.processes.supervisor",
)  # fmt: skip
ORPHANED = 25.0  # s a hub whose parent is gone waits for its workers to hand in: their own 20 s and some


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "hub", parents=[common.options()],
        description="Serve the queues of the pipeline until stopped. All of it is kept in the data directory; a hub that was "
        "killed goes on where it was. The key is CRAWLER_AUTHKEY, else hub.authkey_file, else made in the data directory. "
        "What is made here (keys, certificates) never replaces what is there.",
    )  # fmt: skip
    parser.add_argument(
        "--address", metavar="A", help=f"host:port (port 0: any free one) or unix:PATH (default: {common.DEFAULT_ADDRESS})"
    )
    common.certs_option(parser)
    parser.add_argument(
        "--make-certs", metavar="DIR", type=Path,
        help="do not serve: make a CA and certificates for the hub and the roles worker, producer and admin in DIR",
    )  # fmt: skip
    parser.add_argument(
        "--names", metavar="HOST,…", default="", help="with --make-certs: names and addresses under which the hub will be reached"
    )
    parser.add_argument(
        "--make-keys", action="store_true",
        help="do not serve: make a key for each role in the data directory; a hub takes all of them",
    )  # fmt: skip
    common.short_forms(parser, "--max-pages", "--max-time", "--max-total-bytes", "--delay")
    parser.set_defaults(run=dispatch)


def dispatch(args: argparse.Namespace) -> int:
    if args.names and args.make_certs is None:
        raise UsageError("--names says what a certificate is for; give --make-certs DIR with it")
    if args.make_certs is None and not args.make_keys:
        return run(args)
    if args.make_certs is not None:
        make_certs(args, [name.strip() for name in args.names.split(",") if name.strip()])
    if args.make_keys:
        make_keys(args)
    return common.OK


def make_certs(args: argparse.Namespace, hosts: list[str]) -> None:
    from crawler.hub.certificates import make

    directory = args.make_certs
    done = make(directory, hosts)
    if done.kept:
        say(masked(f"already in {directory}: {', '.join(done.kept)}", args.typed))
    if done.made:
        said = f"made in {directory}: {', '.join(done.made)}, each a .pem and a .key; certificates good until {done.until:%Y-%m-%d}"
        say(masked(said, args.typed))
    if "hub" in done.made:
        say(f"hub.pem is for {', '.join(done.hosts)}")
    say(
        "give each machine ca.pem and the pair of its role (worker: stages; producer: put and take; admin: all); "
        "keep ca.key where no hub is"
    )


def make_keys(args: argparse.Namespace) -> None:
    from crawler.hub import key
    from crawler.run import local_store

    data = Path(common.load(args).settings.data)
    local_store.make_directory(data)
    say(*(masked(str(path), args.typed) for path in key.make_keys(data)))
    say(
        "the first is the admin's; give a machine the one of its role, as CRAWLER_AUTHKEY or hub.authkey_file; "
        "a hub that is running takes them when it is started again"
    )


def preload() -> None:
    """Import the modules that a hub needs."""
    for module in PRELOADED:
        importlib.import_module(module)


def run(args: argparse.Namespace) -> int:
    mask = os.umask(0o077)  # there is no other way to read it
    os.umask(mask)
    try:
        return serve(args)
    finally:
        os.umask(mask)  # the process may go on: a program's, a test's


def serve(args: argparse.Namespace) -> int:
    common.settle_process(args, "hub")
    if args.while_stdin and not args.quiet:  # our parent shows warnings only, and must hear when there is room again
        logging.getLogger("crawler.broker.sqlite.disk").setLevel(logging.INFO)
    from crawler.broker.contract import Quota
    from crawler.broker.sqlite.broker import SqliteBroker
    from crawler.broker.sqlite.place import store_path
    from crawler.hub.address import Address
    from crawler.hub.key import authkey, role_keys
    from crawler.hub.server import HubServer
    from crawler.pipeline.build import build
    from crawler.run import local_store
    from crawler.run.making import politeness

    config = common.load(args)
    from crawler.machine import shortage  # here, because only what runs needs it

    shortage.provide_open_files(is_told=not args.while_stdin)
    settings = config.settings
    data = Path(settings.data)
    pipeline = build(config)
    queues = list(pipeline.queues.values())
    local_store.make_directory(data)
    os.umask(0o077)  # an existing directory may be open to all; a new file in it must not be
    key = authkey(data, settings.hub.authkey_file, os.environ, create=True)
    address = Address.of(args.address or settings.hub.address or common.DEFAULT_ADDRESS)
    tls = hub_tls(config) if settings.hub.tls and not address.path else None
    stopping: list[HubServer] = []

    def fail() -> None:
        for server in stopping:
            server.stop()

    broker = SqliteBroker(
        str(store_path(data)), queues, politeness(settings), settings.hub.durability,
        on_failure=fail,
    )  # fmt: skip
    try:
        note_start(broker, config, pipeline, is_by_hand=not args.while_stdin)
        server = HubServer(
            broker, queues, address, key, encoders=encoders(config, broker), insecure=settings.hub.insecure,
            role_keys=role_keys(data), tls=tls, are_deaths_told=args.while_stdin and bool(address.path),
            is_any_site=settings.frontier.seed_redirects == "any",
            quota=Quota(settings.hub.producer_bytes, settings.hub.producer_free),
        )  # fmt: skip
        stopping.append(server)
        private.write(data / common.ADDRESS_FILE, f"{server.place}\n".encode())
        if not args.while_stdin and not args.quiet:
            from crawler.run import obeyed
            from crawler.run.resume.by_hand import output_of  # here, because the hub of `crawler run` starts without it

            output, hint = output_of(broker, data), common.hints(args, config)
            for line in obeyed.ignored_by_hub(config, pipeline, hint):
                log.warning("%s", line)
            lines = [*guide(args, config, pipeline, server.place, output), *left_over(broker, hint)]
            tell(*lines)
        common.stop_on_signals(server.stop)
        common.stop_with_stdin(args, lambda: stop_when_left(broker, server))
        with contextlib.nullcontext() if args.while_stdin else endless_watched(broker):
            server.serve_forever()
        if broker.failure is not None:
            raise broker.failure
    finally:
        broker.close()
    return common.OK


def endless_watched(broker: SqliteBroker) -> contextlib.AbstractContextManager[None]:
    """Warn of hosts without end, as `crawler run` does by itself."""
    from crawler.run.explain import endless  # here, because the hub of `crawler run` does not need it

    return endless.watched(broker.stats)


def refuse_address(config: Config, key: bytes) -> None:
    """Raise UsageError if no hub can listen at hub.address as it is configured. Nothing is left open or made."""
    from crawler.hub.address import Address, check_exposure, listen

    hub = config.settings.hub
    address = Address.of(hub.address)
    tls = hub_tls(config) if hub.tls and not address.path else None
    if not address.is_local():
        check_exposure(address, key, insecure=hub.insecure, encrypted=tls is not None)
    listen(address)[0].close()
    if address.path:
        Path(address.path).unlink(missing_ok=True)


def hub_tls(config: Config) -> Tls:
    from crawler.hub import tls as files  # here, because it imports `ssl`, which the hub of `crawler run` does not need

    tls = files.for_hub(common.certs_directory(config))
    files.refuse_unusable(tls)
    return tls


def left_over(broker: SqliteBroker, hint: common.Hint) -> list[str]:
    """List warnings about tasks that no stage of this pipeline reads."""
    from crawler.run.report.stranded import described, stranded

    return [f"warning: {described(name, n, hint, is_hub=True)}" for name, n in stranded(broker.stats().queues).items()]


def guide(args: argparse.Namespace, config: Config, pipeline: Pipeline, place: Address, output: str = "") -> list[str]:
    """List where the hub stores its data, and the commands to type next in other terminals in the same directory.

    output: the place that the crawl writes to; "" if it has written nowhere yet.
    """
    from crawler.broker.sqlite.place import store_path
    from crawler.hub.key import FILE, VARIABLE
    from crawler.pipeline.build import FRONTIER

    settings, data = config.settings, Path(config.settings.data)
    if os.environ.get(VARIABLE):
        key = f"{VARIABLE} of the environment; set it in the other terminals too"
    else:
        key = str(settings.hub.authkey_file or data / FILE)
    from crawler.run import obeyed

    options = common.spelled(args)
    if common.hub_address(config) != str(place):  # the configured address is that of another hub
        options += ["--hub", str(place)]
    stages = pipeline.reachable(FRONTIER)
    everywhere = obeyed.for_command(options, obeyed.is_of_all)
    commands = [
        ["stage", name, *obeyed.for_command(options, partial(obeyed.is_of, stage=name, pipeline=pipeline))] for name in stages
    ]
    commands += [["put", FRONTIER, "https://example.org/", *everywhere]]
    if "store" in stages:
        commands[stages.index("store")] += ["-o", output or "pages.jsonl"]
    return [
        f"  hub    {place}",
        f"  store  {store_path(data)}",
        f"  key    {key}",
        "next, each in a terminal of its own in this directory (on another machine with --hub HOST:PORT and the key):",
        *(f"  crawler {shlex.join(command)}" for command in [*commands, ["status", "--watch", *everywhere]]),
    ]


def note_start(broker: SqliteBroker, config: Config, pipeline: Pipeline, *, is_by_hand: bool) -> None:
    """Store the settings that this hub obeys, and the id of a crawl that is new: it tells a sink a restart from a new crawl."""
    from crawler.items import Note
    from crawler.run import obeyed
    from crawler.worker.shared_notes import CRAWL_NOTE, new_id

    settings = obeyed.note(config, pipeline, is_by_hand=is_by_hand)
    known = {note.name: note.value for prefix in (CRAWL_NOTE, obeyed.NOTE) for note in broker.notes(prefix)}
    news = [] if CRAWL_NOTE in known else [Note(CRAWL_NOTE, new_id().encode())]
    if known.get(settings.name) != settings.value:
        news.append(settings)
    if news:
        broker.note(news)


def encoders(config: Config, broker: SqliteBroker) -> dict[str, Any]:
    """Return the functions that make a classic `put` of a plain URL a task of the frontier."""
    from crawler.pipeline.build import FRONTIER

    @cache
    def frontier() -> Frontier:
        from crawler.web.frontier import Frontier  # here, because hardly any hub is ever put a plain URL
        from crawler.worker.shared_notes import SharedNotes

        return Frontier(config.settings.frontier, SharedNotes(broker))

    def seed(value: Any) -> New:
        return frontier().seed(str(value))

    if config.settings.frontier.allow or config.settings.frontier.deny:
        frontier()  # an unusable pattern is reported now
    return {FRONTIER: seed}


def stop_when_left(broker: SqliteBroker, server: HubServer) -> None:
    """Stop the hub after its parent has gone. Its workers end soon as well, and may hand in their tasks first."""
    common.rename_process("ending")
    give_up = time.monotonic() + ORPHANED
    while time.monotonic() < give_up and any(queue.leased for queue in broker.stats().queues):
        threading.Event().wait(0.2)
    server.stop()
