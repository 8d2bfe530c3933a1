"""crawler bench: cost of the hub, its frontier and a whole crawl on this machine."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.cli import common, printing

if TYPE_CHECKING:
    from crawler_bench.crawl import Crawler
    from crawler_bench.table import Report

Say = Callable[[str], None]

WHAT = ("hub", "frontier", "crawl")
SITES = ("large", "small", "docs")  # in the order in which they are crawled; docs is a tree found on this machine
RUNS = 3  # of which the median is shown; one with --quick


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "bench", parents=[common.options()],
        description="Measure, with real processes and default durability: tasks a second through the hub, beside other queues; "
        "what a URL costs as the frontier grows; and whole crawls of sites made for it and served on loopback (by nginx where "
        "installed), by process and by step, by this project and, with --peers, by other crawlers in turns with it. Every crawl "
        "is checked: all pages, each once.",
        epilog="What is set with -c and -s is handed on to the commands measured, CRAWLER_ variables are not; what they write goes "
        "to temporary directories, in --data if that is given. Linux only.",
    )  # fmt: skip
    parser.add_argument("what", nargs="?", choices=(*WHAT, "all"), default="all", help="what to measure (default: all)")
    parser.add_argument("--quick", action="store_true", help="small sizes and one run: does it work, and roughly how fast")
    parser.add_argument("--json", metavar="FILE", help="write all figures there too; - is standard output, instead of the tables")
    parser.add_argument("--site", choices=SITES, help="crawl only this one (default: all there are)")
    parser.add_argument(
        "--pages", metavar="N", type=common.number("Tasks"), default=0,
        help="pages of the generated site (default: large 3000, small 20000)",
    )  # fmt: skip
    parser.add_argument(
        "--urls", metavar="N", type=common.number("Tasks"), default=0,
        help="grow the frontier to so many (default: 1000000; 10000000 takes long, and some 3 GB of disk)",
    )  # fmt: skip
    parser.add_argument(
        "--runs", metavar="N", type=common.number("Runs"), help=f"number of measurements; the median is shown (default: {RUNS})"
    )
    parser.add_argument(
        "--tree", metavar="DIR", type=Path, help="documentation for --site docs (default: /usr/share/doc/python3*/html)"
    )
    parser.add_argument(
        "--peers", metavar="WHICH", help="crawl with these too: all that are installed, or names with commas between them"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import tempfile

    import msgspec

    from crawler.run.local_store import make_directory
    from crawler_bench import crawl, processes, table
    from crawler_bench.peers import known

    common.load(args)  # all arguments are checked before anything is measured
    processes.require_proc()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the servers and stores of a bench end with it
    if args.data is not None:
        make_directory(Path(args.data))
        tempfile.tempdir = str(Path(args.data).resolve())  # stores and sites of a bench are made for it and gone after it
    runs = args.runs or (1 if args.quick else RUNS)
    tree, peers = crawl.docs_tree(args.tree), known.crawlers(args.peers, handed_on(args)) if args.peers else []
    report = table.Report(processes.machine(), runs)
    is_quiet = args.json == "-"

    def say(text: str) -> None:
        if not is_quiet:
            printing.say(*text.split("\n"), "", flush=True)

    say(table.machine(report.machine, runs))
    if args.peers == known.ALL and (missing := known.missing()):
        say(f"not installed, so not asked: {', '.join(missing)}; {known.INSTALL}")
    what = WHAT if args.what == "all" else (args.what,)
    if "hub" in what:
        measure_hub(args, report, say)
    if "frontier" in what:
        measure_frontier(args, report, say)
    if "crawl" in what:
        measure_crawl(args, report, say, tree, peers)
    if args.json:
        text = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
        write(args.json, text)
    return common.OK


def measure_hub(args: argparse.Namespace, report: Report, say: Say) -> None:
    from crawler_bench import hub, streams, table

    report.hub.extend(hub.bench(handed_on(args), runs=report.runs, is_quick=args.quick))
    if missing := streams.missing():
        about = f"not installed, so not beside it: {missing}; {streams.INSTALL}"
    else:
        report.hub.extend(streams.bench(runs=report.runs, is_quick=args.quick))
        about = streams.DURABILITY
    say(f"{table.hub(report.hub)}\n  {about}")


def measure_frontier(args: argparse.Namespace, report: Report, say: Say) -> None:
    from crawler_bench import frontier, table

    largest = args.urls or (frontier.QUICK if args.quick else frontier.LARGEST)
    report.frontier.extend(frontier.bench(handed_on(args), largest, runs=report.runs))
    say(table.frontier(report.frontier))


def measure_crawl(args: argparse.Namespace, report: Report, say: Say, tree: Path | None, peers: Sequence[Crawler]) -> None:
    from crawler_bench import crawl, steps, table
    from crawler_bench.peers import turns

    for name in [args.site] if args.site else [site for site in SITES if site != crawl.DOCS or tree]:
        pages = args.pages or (crawl.QUICK.get(name, 0) if args.quick else 0)
        with crawl.served(name, pages, tree) as site:
            compared = turns.bench(site, crawl.project(*handed_on(args)), peers, runs=report.runs)
            report.crawl.append(crawl.middle(compared.ours))
            say(table.crawl(report.crawl[-1]))
            report.steps.append(steps.bench(site, steps.configured(args.config, args.set), runs=report.runs))
            say(table.steps(report.steps[-1], report.crawl[-1]))
        if peers:
            report.peers.append(compared)
            say(table.peers(compared))


def handed_on(args: argparse.Namespace) -> list[str]:
    """-c and -s again, for the commands measured, which run in directories of their own."""
    options = [] if args.config is None else ["-c", str(args.config.resolve())]
    for setting in args.set:
        options += ["-s", setting]
    return options


def write(where: str, text: bytes) -> None:
    from crawler.errors import UsageError

    if where == "-":
        printing.data(text.decode().rstrip("\n"))
        return
    try:
        Path(where).write_bytes(text)
    except OSError as error:
        raise UsageError(f"the figures cannot be written to {where}: {error.strerror}; they stand above") from error
