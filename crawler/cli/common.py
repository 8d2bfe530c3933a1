"""Helpers the commands share: options, exit codes, how a configuration and a hub are found from them."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from crawler.cli.parser import Parser
from crawler.errors import UsageError
from crawler.run.next_commands import Hint as Hint
from crawler.run.next_commands import hints as hints_with
from crawler.wording.lines import EscapedLines, FormedLines
from crawler.wording.secrets import is_secret

if TYPE_CHECKING:
    from crawler.config.load import Config
    from crawler.hub.client import HubClient
    from crawler.hub.contact import Contact
    from crawler.hub.tls import Tls

log = logging.getLogger(__name__)

OK = 0  # finished
INTERNAL = 1  # a fault of ours
USAGE = 2  # the command or the configuration cannot be used as it is
DEAD_TASKS = 3  # finished, but some tasks were given up or are on a queue that no stage reads: see `crawler status`
NOTHING_FETCHED = 4  # finished without a single page: all refused, missing, leading nowhere, empty, not read or given up
NO_HUB = 5  # the hub does not answer, or refuses the key or the certificate
STORAGE = 75  # the disk failed (EX_TEMPFAIL of sysexits.h: try again when there is room)
CLOSED = 141  # the reader of standard output has ended; as shells report it: 128 + SIGPIPE
INTERRUPTED = 130  # by Ctrl-C, as shells count it: 128 + SIGINT
TERMINATED = 143  # by SIGTERM: 128 + SIGTERM

SOME_OBJECTS = 10_000  # new objects that may hold others, until garbage is looked for: a page's tree and links have some 1,000
AGAIN = "--again"  # option of a child that is started again after its stage could not be opened
CHILD = "--while-stdin"  # option of commands that another command of ours starts and supervises
DEFAULT_ADDRESS = "127.0.0.1:8000"  # of the tutorial's hub
ADDRESS_FILE = "hub.address"  # in the data directory: where the hub that uses it listens
# Short forms of settings: the option, its setting, the name of its value, its effect.
SHORT_FORMS = (
    ("--max-pages", "frontier.max_pages", "N", "take at most N URLs into the crawl; 0: no limit"),
    ("--max-time", "frontier.max_time", "S", "stop after S seconds of crawling, in all runs of the crawl; 0: no limit"),
    ("--max-total-bytes", "frontier.max_total_bytes", "N", "stop when N bytes of bodies have been received; 0: no limit"),
    ("--depth", "frontier.max_depth", "N", "follow links N steps from a seed; 0: no limit"),
    ("--delay", "frontier.delay", "S", "seconds between two requests to a host"),
    (
        "--scope",
        "frontier.scope",
        "host|domain|path|any",
        "links to follow: to the seeds' hosts, to their domains, below their paths, to any host",
    ),
    ("--allow", "frontier.allow", "REGEX", "crawl only URLs that match REGEX, or another --allow"),
    ("--deny", "frontier.deny", "REGEX", "crawl no URL that matches REGEX; may be repeated"),
)
LISTS = ("--allow", "--deny")  # the options among them that may be repeated
LONGEST_SHOWN = 200  # characters of a wrong argument in a message
LOG_FORMAT, LOG_TIME = "%(asctime)s %(levelname)-7s %(area)s: %(message)s", "%H:%M:%S"
PATIENCE = 3.0  # s a command waits for a hub before it says that there is none


def options() -> argparse.ArgumentParser:
    """The options every command has, as a parent for its parser."""
    parent = Parser(add_help=False)
    group = parent.add_argument_group("common options")
    group.add_argument("-c", "--config", metavar="FILE", type=Path, help="configuration (default: ./crawler.toml if there is one)")
    group.add_argument(
        "-s", "--set", metavar="KEY=VALUE", action="append", default=[],
        help="one setting, e.g. -s frontier.delay=0.5; may be repeated, overrides the file and the environment",
    )  # fmt: skip
    group.add_argument("--data", metavar="DIR", help="where the hub keeps its store, key and reports (default: crawler-data)")
    group.add_argument("-v", "--verbose", action="count", default=0, help="log every detail; -vv those of the libraries too")
    group.add_argument("-q", "--quiet", action="store_true", help="log errors only")
    group.add_argument("--log-level", help=argparse.SUPPRESS)  # these two are for
    group.add_argument(CHILD, action="store_true", help=argparse.SUPPRESS)  # for processes that we start; so is the next:
    group.add_argument("--heard", action="store_true", help=argparse.SUPPRESS)  # see `crawler.wording.lines`
    group.add_argument(AGAIN, action="store_true", help=argparse.SUPPRESS)  # see `crawler.run.processes.supervisor.AGAIN`
    return parent


def number(kind: str) -> Callable[[str], Any]:
    """Return an argument type that accepts numbers within these bounds. kind: a type name in `crawler.config.bounds`."""

    def read(text: str) -> Any:
        import msgspec

        from crawler.config import bounds
        from crawler.config.tables import expected
        from crawler.config.units import hint

        wanted = getattr(bounds, kind)
        try:
            value = msgspec.convert(text.strip(), wanted, strict=False)
        except msgspec.ValidationError:
            value = None
        if value is None or value != value:  # the second test is for NaN
            what, _, limits = expected(wanted).partition(" from ")
            wrong = f"is not possible; expected {expected(wanted)}" if is_number(text) else f"is not {what}; {limits}"
            value = float(text) if is_number(text) else text
            raise argparse.ArgumentTypeError(f"{text[:LONGEST_SHOWN]!r} {wrong}{hint(value, wanted)}")
        return value

    return read


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def short_forms(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add the short forms of these settings to a command; without names, all of them."""
    group = parser.add_argument_group("short forms of settings")
    for option, setting, metavar, text in SHORT_FORMS:
        if not names or option in names:
            action = "append" if option in LISTS else "store"
            group.add_argument(option, metavar=metavar, action=action, help=f"{text} (sets {setting})")


def hub_option(parser: argparse.ArgumentParser) -> None:
    """--hub, for all that talk to a hub."""
    parser.add_argument(
        "--hub", metavar="ADDRESS",
        help="host:port or unix:PATH (default: hub.address, else the hub of --data)",
    )  # fmt: skip
    certs_option(parser)


def certs_option(parser: argparse.ArgumentParser) -> None:
    """--certs, for the hub and all that talk to it."""
    parser.add_argument("--certs", metavar="DIR", help="speak TLS with the certificates in DIR (sets hub.tls and hub.certs)")


def load(args: argparse.Namespace, remembered: Mapping[str, Any] = MappingProxyType({})) -> Config:
    """Load the configuration that these arguments ask for, and start logging.

    remembered: settings of the crawl that continues. A process that we started takes its parent's settings: see `forward`.
    """
    from crawler.config.load import load as load_config
    from crawler.config.load import unknown_variables

    start_logging(args)
    if not args.while_stdin and not remembered:  # otherwise the parent process has warned, or an earlier call
        for line in unknown_variables(os.environ):
            log.warning("%s", line)
    spelled = {setting: option for option, setting, *_ in SHORT_FORMS if _short(args, option) is not None}
    if getattr(args, "output", None) is not None:
        spelled["stages.store.output"] = "-o"
    if getattr(args, "overwrite", None) is not None:
        spelled |= {"stages.store.output": "-O", "stages.store.mode": "-O"}
    if remembered:
        from crawler.run.resume.definition import RESUMED
        from crawler.run.resume.differences import toml

        args.remembered = [f"{name}={toml(value)}" for name, value in remembered.items()]
        spelled |= dict.fromkeys(remembered, RESUMED)
    config = load_config(args.config, settings_of(args), os.environ, spelled, _packed(args))
    if args.config is not None and any("use" in table for table in config.settings.stages.values()):
        from crawler.pipeline.plugins import look_beside  # here, because few commands load the user's own stages

        look_beside(args.config)
    return config


def settings_of(args: argparse.Namespace) -> list[str]:
    """Return the settings in the options, as -s would write them."""
    sets = [*getattr(args, "remembered", ()), *args.set]
    if args.data is not None:
        sets.append(f"data={args.data}")
    if getattr(args, "hub", None):
        sets.append(f"hub.address={args.hub}")
    if getattr(args, "certs", None):
        sets += ["hub.tls=true", f"hub.certs={args.certs}"]
    for option, setting, *_ in SHORT_FORMS:
        value = _short(args, option)
        if value is not None:
            sets.append(f"{setting}={json.dumps(value, ensure_ascii=False) if option in LISTS else value}")
    return sets


def _packed(args: argparse.Namespace) -> str:
    """Return the settings of the parent process; "" in a process that a person started."""
    if not args.while_stdin:
        return ""
    if getattr(args, "packed", None) is None:
        from crawler.run.processes.process import settings_of_parent

        args.packed = settings_of_parent()
    return str(args.packed)


def _short(args: argparse.Namespace, option: str) -> Any:
    """Return the value of a short form; None if it was not given or the command does not have it."""
    return getattr(args, option.removeprefix("--").replace("-", "_"), None)


def spelled(args: argparse.Namespace) -> list[str]:
    """Return the common options as a person would type them for another command about the same crawl; secrets are left out."""
    options = [] if args.config is None else ["-c", str(args.config)]
    if args.data is not None:
        options += ["--data", args.data]
    if getattr(args, "certs", None):
        options += ["--certs", args.certs]
    for setting in args.set:
        options += ["-s", f"{setting.partition('=')[0]}=…" if is_secret(setting) else setting]
    return options


def forward(args: argparse.Namespace, config: Config) -> list[str]:
    """Return the common options again, and the settings as they are now, for a child process with the same meaning."""
    from crawler.run.processes.process import WITH_SETTINGS

    level = "DEBUG" if args.verbose else "ERROR" if args.quiet else "WARNING"
    options = ["--log-level", level, CHILD]
    if args.heard:
        options += ["--heard"]
    if args.config is not None:
        options += ["-c", str(args.config)]  # beside it are stages of the user's own, and hints repeat it
    return [*options, WITH_SETTINGS, config.packed()]


def start_logging(args: argparse.Namespace) -> None:
    """Log lines go to stderr: what happens, with -v every detail, with -q only errors."""
    level = args.log_level or ("DEBUG" if args.verbose else "ERROR" if args.quiet else "INFO")
    logging.basicConfig(level=level, stream=sys.stderr)
    for handler in logging.root.handlers:
        if type(handler) is logging.StreamHandler:  # not that of a program which calls a command as a function
            handler.setFormatter((FormedLines if args.heard else EscapedLines)(LOG_FORMAT, LOG_TIME))
    for chatty in ("urllib3", "charset_normalizer", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING if args.verbose < 2 else logging.DEBUG)


def quieten(name: str) -> None:
    """Keep what this logger reports without being asked, as on one page it only distracts; with -v it is shown."""
    logger = logging.getLogger(name)
    if not logger.isEnabledFor(logging.DEBUG):
        logger.setLevel(max(logging.WARNING, logger.getEffectiveLevel()))


def settle_process(args: argparse.Namespace, name: str) -> None:
    """Make this process a hub or worker: its name for ps and top (crawler:hub, crawler:fetch; 15 bytes of it are shown), if
    `crawler run` started it, and a garbage collection that fits one that makes and drops many objects at once."""
    if args.while_stdin:
        rename_process(name)
    gc.set_threshold(SOME_OBJECTS)


def rename_process(name: str) -> None:
    """Name this process, a child of `crawler run`, for ps and top. `crawler.run.resume.owner` finds the hub by this name."""
    with suppress(OSError), open("/proc/self/comm", "w", encoding="utf-8") as file:
        file.write(f"crawler:{name}")


def hints(args: argparse.Namespace, config: Config) -> Hint:
    """Return a function that completes commands for a person to type: with the file, directory and hub given to this command."""
    options: list[str] = []
    if args.config is not None:
        options += _option("-c", str(args.config))
    origin = config.origin("data")
    if origin == "-s" or origin.startswith("CRAWLER_"):
        options += _option("--data", config.settings.data)
    if getattr(args, "hub", None) and not args.while_stdin:
        options += ["--hub", args.hub]
    if getattr(args, "certs", None):
        options += ["--certs", args.certs]
    return hints_with(options)


def _option(name: str, value: str) -> list[str]:
    """Return an option as it can be typed: a value that begins with a dash would be taken for another option."""
    return [f"{'--config' if name == '-c' else name}={value}"] if value.startswith("-") else [name, value]


def hub_address(config: Config) -> str:
    """Return the hub's address: hub.address, else the one the hub of `data` has written there, else the default."""
    return config.settings.hub.address or written_address(config) or DEFAULT_ADDRESS


def written_address(config: Config) -> str:
    """Return the address where the hub of the data directory listens or last listened; "" if there was none. Raises UsageError."""
    written = Path(config.settings.data) / ADDRESS_FILE
    try:
        from crawler.machine import private  # here, because the help does not need it

        return private.read(written).decode().strip() if written.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{written} cannot be read: {error}; name the hub with --hub, or another directory with --data") from error


def client_tls(config: Config, address: str, role: str = "admin") -> Tls | None:
    """TLS for this address as the configuration says, with the certificate of `role` if there is one."""
    from crawler.hub.address import Address

    if not config.settings.hub.tls or Address.of(address).path:
        return None
    from crawler.hub.tls import for_client

    return for_client(certs_directory(config), role)


def certs_directory(config: Config) -> Path:
    """hub.certs, else the one in the data directory."""
    from crawler.hub.tls import DIRECTORY

    return Path(config.settings.hub.certs or Path(config.settings.data) / DIRECTORY)


def connect(
    config: Config, worker: str = "", patience: float = PATIENCE, role: str = "admin", contact: Contact | None = None
) -> HubClient:
    """A client of the hub this configuration means. Raises HubUnreachable, TlsRefused or KeyRefused at its first call, not here."""
    from crawler.hub.client import HubClient
    from crawler.hub.key import authkey

    hub = config.settings.hub
    address = hub_address(config)
    try:
        key = authkey(config.settings.data, hub.authkey_file, os.environ)
    except UsageError:
        refuse_if_deserted(address)  # no key and no hub: the hub is what is missing first
        raise
    tls = client_tls(config, address, role)
    find = None if hub.address else partial(written_address, config)  # a hub that starts again writes where it is
    return HubClient(address, key, worker=worker, patience=patience, tls=tls, contact=contact, find=find)


def refuse_if_deserted(address: str) -> None:
    """HubUnreachable if nothing listens there."""
    from crawler.hub.address import Address, connect
    from crawler.hub.connect import unreachable

    where = Address.parse(address)
    try:
        connect(where, PATIENCE).close()
    except OSError as error:
        raise unreachable(where, error) from error


def stop_on_signals(stop: Callable[[], None], at_once: Callable[[], None] = lambda: None) -> Callable[[], int]:
    """Call `stop` at the first SIGINT, SIGTERM or SIGHUP, end at once at the second. Returns what tells the exit code so far.

    SIGHUP, the end of the terminal, is left alone under `nohup`. It may come twice, from the system and from the shell.
    at_once: called before that end, in the signal handler.
    """
    seen: list[int] = []

    def handle(number: int, _frame: object) -> None:
        if number == signal.SIGHUP and seen:
            return
        seen.append(number)
        if len(seen) > 1:
            try:
                at_once()
            finally:
                os._exit(128 + number)
        stop()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handle)
    return lambda: 128 + seen[0] if seen else 0


def stop_with_stdin(args: argparse.Namespace, stop: Callable[[], None]) -> None:
    """Stop a child of `crawler run` when its parent is gone, for whatever reason, because then the pipe from it ends."""
    if not args.while_stdin:
        return
    pipe = getattr(args, "parent", 0)  # standard input, unless it was replaced for a stage

    def wait() -> None:
        while os.read(pipe, 4096):
            pass  # nothing is written to it; only its end matters
        stop()

    threading.Thread(target=wait, name="stdin", daemon=True).start()
