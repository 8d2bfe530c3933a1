"""crawler host: look at hosts, and be gentler or bolder with one of them while the crawl runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from crawler.cli import common
from crawler.cli.printing import console, tell
from crawler.cli.reach import reach
from crawler.errors import BadUrl, UsageError

if TYPE_CHECKING:
    from crawler.broker.contract import Broker


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "host",
        description="Hosts as the frontier knows them: example.org, or example.org:8080 where the port is not the usual one. "
        "What is set here is kept by the hub and holds for all fetchers at once.",
    )  # fmt: skip
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb, text in (
        ("list", "hosts with work, most waiting first, or those named"),
        ("pause", "nothing more is fetched from it"),
        ("resume", "it is fetched from again"),
        ("delay", "seconds between requests, whatever frontier.delay and Crawl-delay say; 'default' gives it back to them"),
    ):
        sub = verbs.add_parser(verb, parents=[common.options()], help=text, description=text)
        common.hub_option(sub)
        sub.add_argument("names", metavar="HOST", nargs="*" if verb == "list" else "+" if verb != "delay" else 1)
        if verb == "delay":
            sub.add_argument("seconds", metavar="SECONDS|default", type=seconds)
        sub.set_defaults(run=run, verb=verb)


def host(typed: str) -> str:
    """Return the name of a host that was typed, perhaps as a URL. Raises UsageError."""
    from crawler.web import urls

    try:
        found = "" if any(char.isspace() for char in typed) else urls.parse(typed if "//" in typed else f"http://{typed}").host
    except BadUrl:
        found = ""
    if not found:
        raise UsageError(f"{urls.shown(typed)} is not a host; write it as example.org, or 127.0.0.1:8080 if it has a port")
    return found


def seconds(text: str) -> float:
    """A delay; -1 stands for the default."""
    if text == "default":
        return -1.0
    try:
        value: float = common.number("Delay")(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, or 'default'") from error
    return value


def run(args: argparse.Namespace) -> int:
    from crawler.items import Pace

    config = common.load(args)
    args.names = list(dict.fromkeys(host(name) for name in args.names))
    hint = common.hints(args, config)
    with reach(args, config) as hub:
        if args.verb == "list":
            from crawler.cli.view import host_table

            hosts = hub.hosts(args.names)
            if args.names and len(hosts) < len(args.names):
                missing = sorted(set(args.names) - {host.name for host in hosts})
                raise UsageError(f"no host {', '.join(missing)} on the frontier; '{hint('host list')}' shows those with work")
            if not hosts:
                tell("no host has work")
                return common.OK
            console().print(host_table(hosts, len(hosts), is_long=True))
            return common.OK
        notes = {name: note_on(name, hub) for name in args.names}
        if args.verb == "delay":
            hub.pace([Pace(name, fixed=args.seconds) for name in args.names])
        else:
            hub.pace([Pace(name, paused=args.verb == "pause") for name in args.names])
        ending = forgotten(hub)
    for name, note in notes.items():
        tell(f"{name} {done(args)}{note}{ending}")
    return common.OK


def note_on(name: str, hub: Broker) -> str:
    """Return a note for a person if the frontier has no such host; "" if it has.

    Raises UsageError if the port is missing: no other host can be meant.
    """
    from crawler.wording.spelling import nearest

    if hub.hosts([name]):
        return ""
    others = [host.name for host in hub.hosts([])]
    with_port = [other for other in others if other.rpartition(":")[0] == name]
    if with_port:
        raise UsageError(f"no host {name} on the frontier; did you mean {' or '.join(with_port[:3])}?")
    near = nearest(name, others)
    return "; it is not on the frontier yet, and this holds from when it is" + (f"; did you mean {near}?" if near else "")


def done(args: argparse.Namespace) -> str:
    """Describe the change to a host."""
    if args.verb != "delay":
        return "is paused" if args.verb == "pause" else "is resumed"
    return "has its usual delay again" if args.seconds < 0 else f"gets one request every {args.seconds:g} s"


def forgotten(hub: Broker) -> str:
    """Return a warning if the crawl is finished, because the next one begins with a store of its own."""
    from crawler.hub.client import HubClient

    if isinstance(hub, HubClient) or not hub.drained():
        return ""
    return "; the crawl is finished, and a fresh one forgets this"
