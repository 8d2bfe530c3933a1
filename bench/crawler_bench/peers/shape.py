"""What the scripts have in common, so that they differ in the crawler and in nothing else.

page ─▶ hrefs ──Links.new──▶ URLs of its host that nobody has asked for yet
  ╰────────────Pages.write─▶ a JSON line
"""

from __future__ import annotations

import gc
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

import ada_url
import msgspec
from msgspec import Struct

# Whatever page they stand on, such hrefs mean the same URL, or one that was asked for: the page itself.
_ANYWHERE: Final = ("/", "#", "http://", "https://")


class Page(Struct, frozen=True):
    """A line of what a crawl brought home, with the names this project gives them."""

    url: str
    status: int
    content_type: str
    title: str
    fetched_at: datetime


class Pages:
    """The file of JSON lines: open from construction to the end of its block."""

    def __init__(self, output: str) -> None:
        self._file = open(output, "wb")  # noqa: SIM115  closed by __exit__
        self._encode = msgspec.json.Encoder().encode

    def write(self, url: str, status: int, content_type: str, title: str) -> None:
        self._file.write(self._encode(Page(url, status, content_type, title, datetime.now(UTC))) + b"\n")

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


class Links:
    """The links of one site, each page given once.

    A join costs 5 µs and a menu stands on every page: an href that was seen before is known by its text alone, in the directory
    it stood in or, where it begins at the root, everywhere.
    """

    def __init__(self, start: str) -> None:
        """start: `http://host:port/`, asked for by the caller."""
        self._site = start
        self._asked = {start}
        self._anywhere: set[str] = set()
        self._here: defaultdict[str, set[str]] = defaultdict(set)  # by directory

    def new(self, page: str, hrefs: Iterable[str]) -> list[str]:
        """What a page leads to and none before it did."""
        here = self._here[page.partition("?")[0].rpartition("/")[0]]
        return [url for href in set(hrefs) - self._anywhere - here if (url := self._asked_for(page, href, here))]

    def _asked_for(self, page: str, href: str, here: set[str]) -> str | None:
        if href.startswith(_ANYWHERE):
            self._anywhere.add(href)
        elif not href.startswith("?"):  # a query belongs to the page, not to its directory
            here.add(href)
        try:
            url = ada_url.join_url(page, href).partition("#")[0]
        except ValueError:  # not a URL
            return None
        if url in self._asked or not url.startswith(self._site):
            return None
        self._asked.add(url)
        return url


def collect_seldom() -> None:
    """Let the garbage collector pass by what was imported and come less often: worth a sixth of what Scrapy takes."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def run(crawl: Callable[[str, str], None]) -> None:
    """The command line of a script: START OUTPUT."""
    start, output = sys.argv[1:]
    crawl(start, output)
