"""A whole crawl, as a user starts it: `crawler run`, or another crawler, on a site on loopback, one JSON line a page.

A run whose pages did not all come home, each once, has no figures: it is an error, and says what is missing.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from crawler.errors import CrawlerError, UsageError
from crawler_bench import sites, walk
from crawler_bench.processes import cpu_seconds, measure, median
from crawler_bench.serve import Server, capacity, find_nginx, serving

SETTINGS = ("-s", "frontier.delay=0", "-s", "frontier.per_host=128")  # a site of one's own: as fast as it goes
SHAPES = {shape.name: shape for shape in (sites.LARGE, sites.SMALL)}
DOCS = "docs"
TREES = "/usr/share/doc"  # where Debian's python3-doc is: python3*/html
QUICK = {"large": 200, "small": 500}  # pages with --quick
SLOW = 5.0  # pages/s; a crawl that is slower has a fault, and is ended
STARTING = 60.0  # s on top of that
OUTPUT = "pages.jsonl"  # what a crawl writes, in a directory of its own
SHOWN = 3  # URLs named of those that are missing or too many


class CrawlFailed(CrawlerError):
    """A crawl that was to be measured did not end well or did not bring home what it must."""


class Crawler(Struct, frozen=True):
    """What can be sent over a site."""

    name: str
    command: Callable[[str], list[str]]  # of a start URL; what it starts writes OUTPUT where it is started


class CrawlFigures(Struct, frozen=True):
    """One crawl of one site, measured once."""

    crawler: str
    site: str
    pages: int  # HTML pages, each home once
    size: int  # bytes of the mean page
    seconds: float  # from the start of the first process to the end of the last
    first: float  # s from that start until the first page was asked for; of a peer: until it was there
    per_second: float  # pages, over all of `seconds`
    per_second_running: float  # pages, over what is left of it from the first page on
    cpu: float  # ms a page, whole process tree
    cpu_by_name: dict[str, float]  # ms a page, by process
    peak_rss: int  # bytes; largest sum of all processes at one moment, what they share counted in each
    peak_rss_by_name: dict[str, int]  # bytes; each its own peak
    peak_pss: int  # bytes; as above, what they share counted once
    peak_pss_by_name: dict[str, int]  # bytes; each its own peak, what it shares shared out
    server: str  # "nginx" or "own"
    server_cpu: float  # ms a page, of the web server, not in `cpu`
    server_alone: float  # pages/s one connection gets out of the server while nothing else runs


class Site(Struct, frozen=True):
    """A site that is being served, and what a crawl of it must bring home."""

    name: str
    server: Server
    paths: frozenset[str]  # of its HTML pages
    size: int  # bytes of the mean page


class Line(Struct, frozen=True):
    """What is read of a record."""

    url: str
    status: int
    content_type: str
    fetched_at: str


def docs_tree(named: Path | None) -> Path | None:
    """The documentation to crawl: the tree named, else one that this machine has. Raises UsageError: that is no such tree."""
    if named is not None and not (named / "index.html").is_file():
        raise UsageError(f"--tree {named} has no index.html; name the directory of a documentation in HTML")
    return named or next((file.parent for file in sorted(Path(TREES).glob("python3*/html/index.html"))), None)


@contextmanager
def served(name: str, pages: int, tree: Path | None) -> Iterator[Site]:
    """Make the site, or find it, and serve it. pages: of a made one, 0 for as many as its shape says."""
    if name == DOCS:
        if tree is None:
            raise UsageError(f"there is no {TREES}/python3*/html here; name the directory of a documentation in HTML with --tree")
        root = tree.resolve()
        with serving(root, find_nginx()) as server:
            paths = walk.html_paths(root)
            yield Site(name, server, frozenset(paths), _mean_size(root, paths))
        return
    with tempfile.TemporaryDirectory(prefix="crawler-bench-site-") as directory:
        root = Path(directory)
        with serving(root, find_nginx()) as server:
            paths = sites.write(SHAPES[name], root, server.origin, pages)
            yield Site(name, server, frozenset(paths), _mean_size(root, paths))


def _mean_size(root: Path, paths: set[str]) -> int:
    return sum(walk.file_of(root, path).stat().st_size for path in paths) // len(paths)


def project(*settings: str, name: str = "crawler") -> Crawler:
    """This one, with default durability. settings: for `crawler run`, as on its command line, after ours."""
    start = [sys.executable, "-m", "crawler", "run"]
    return Crawler(name, lambda url: [*start, url, *SETTINGS, *settings, "-O", OUTPUT, "--data", "data"])


def crawl(site: Site, crawler: Crawler) -> CrawlFigures:
    """Crawl it once. Raises CrawlFailed: it ended badly, or not every page came home once."""
    alone = capacity(site.server, sorted(site.paths)[:1000])
    with tempfile.TemporaryDirectory(prefix="crawler-bench-run-") as directory:
        here = Path(directory)
        before, began = cpu_seconds(site.server.pid), time.time()
        command = crawler.command(f"{site.server.origin}/")
        usage = measure(command, here, here / "log", STARTING + len(site.paths) / SLOW)
        served = cpu_seconds(site.server.pid) - before
        if usage.exit_code != 0:
            said = (here / "log").read_text("utf-8", "replace").strip().splitlines()[-10:]
            raise CrawlFailed(f"{crawler.name} ended with exit code {usage.exit_code}, not 0; its last lines:\n" + "\n".join(said))
        try:
            lines = msgspec.json.Decoder(Line).decode_lines((here / OUTPUT).read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise CrawlFailed(f"{crawler.name} wrote no lines that can be read: {error}") from error
    first = check(site, lines) - began
    n = len(site.paths)
    return CrawlFigures(
        crawler=crawler.name, site=site.name, pages=n, size=site.size, seconds=usage.seconds, first=first,
        per_second=n / usage.seconds, per_second_running=n / (usage.seconds - first),
        cpu=usage.cpu / n * 1e3, cpu_by_name={name: each.cpu / n * 1e3 for name, each in usage.by_name.items()},
        peak_rss=usage.peak_rss, peak_rss_by_name={name: each.peak_rss for name, each in usage.by_name.items() if each.peak_rss},
        peak_pss=usage.peak_pss, peak_pss_by_name={name: each.peak_pss for name, each in usage.by_name.items() if each.peak_pss},
        server=site.server.kind, server_cpu=served / n * 1e3, server_alone=alone,
    )  # fmt: skip


def check(site: Site, lines: list[Line]) -> float:
    """Every HTML page is there once and nothing twice; returns when the first was asked for, in s since the epoch."""
    counted = Counter(line.url for line in lines)
    twice = [url for url, times in counted.items() if times > 1]
    home = {urlsplit(line.url).path for line in lines if line.status == 200 and line.content_type.startswith("text/html")}
    for what, wrong in (("more than once", twice), ("missing", site.paths - home), ("that should not be there", home - site.paths)):
        if wrong:
            raise CrawlFailed(
                f"the crawl of {site.name} ({len(site.paths)} pages) has {len(wrong)} {what}: {', '.join(sorted(wrong)[:SHOWN])}; "
                "figures of an incomplete crawl mean nothing"
            )
    return min(datetime.fromisoformat(line.fetched_at).timestamp() for line in lines)


def middle(runs: list[CrawlFigures]) -> CrawlFigures:
    """The run of the median rate."""
    return median(runs, key=lambda run: run.per_second)
