"""crawler host: look at hosts, and be gentler or bolder with one of them while the crawl runs."""

from __future__ import annotations

import argparse
import sys

from crawler.cli import common
from crawler.cli.reach import reach
from crawler.errors import UsageError


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "host", help="hosts of the crawl: list them, pause or resume one, give it another delay",
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
    if not {"/", "@", "?", "#"} & set(typed):
        return typed.lower()
    from crawler.errors import BadUrl
    from crawler.web import urls

    try:
        return urls.parse(typed if "//" in typed else f"http://{typed}").host
    except BadUrl as error:
        raise UsageError(f"{urls.shown(typed)} is not a host; write it as example.org or example.org:8080") from error


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
    args.names = [host(name) for name in args.names]
    hint = common.hints(args, config)
    with reach(args, config) as hub:
        if args.verb == "list":
            from rich.console import Console

            from crawler.cli.view import host_table

            hosts = hub.hosts(args.names)
            if args.names and len(hosts) < len(args.names):
                missing = sorted(set(args.names) - {host.name for host in hosts})
                raise UsageError(f"no host {', '.join(missing)} on the frontier; '{hint('host list')}' shows those with work")
            if not hosts:
                print("no host has work", file=sys.stderr)
                return common.OK
            Console(highlight=False).print(host_table(hosts, len(hosts)))
            return common.OK
        known = {host.name for host in hub.hosts(args.names)}
        for name in args.names:
            if name not in known:
                print(f"crawler: {name} is not on the frontier yet; this holds from when it is", file=sys.stderr)
        if args.verb == "delay":
            hub.pace([Pace(name, fixed=args.seconds) for name in args.names])
        else:
            hub.pace([Pace(name, paused=args.verb == "pause") for name in args.names])
    return common.OK
