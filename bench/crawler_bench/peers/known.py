"""The crawlers there is a script for, and which of them are installed here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec

from msgspec import Struct

from crawler.errors import UsageError
from crawler.wording.extras import how_to_install
from crawler_bench.crawl import OUTPUT, Crawler, project

ALL = "all"  # those installed
INSTALL = how_to_install("bench")


class Peer(Struct, frozen=True):
    """A crawler to compare with."""

    name: str  # what a user calls it
    script: str  # in this package
    distribution: str  # whose version is shown; "": none
    modules: tuple[str, ...]  # that must be there

    @property
    def is_installed(self) -> bool:
        return all(find_spec(module) for module in self.modules)

    def crawler(self) -> Crawler:
        start = [sys.executable, "-m", f"{__package__}.{self.script}"]
        version = f" {metadata.version(self.distribution)}" if self.distribution else ""
        return Crawler(f"{self.name}{version}", lambda url: [*start, url, OUTPUT])


PEERS = {
    peer.name: peer
    for peer in (
        Peer("bare-loop", "bare", "", ("pycurl",)),
        Peer("scrapy-stripped", "scrapy_stripped", "scrapy", ("scrapy", "uvloop")),
        Peer("scrapy", "scrapy_tuned", "scrapy", ("scrapy", "uvloop")),
        Peer("scrapy-manual", "scrapy_manual", "scrapy", ("scrapy",)),
        Peer("crawlee", "crawlee_tuned", "crawlee", ("crawlee", "lxml")),
        Peer("silkworm", "silkworm_tuned", "silkworm-rs", ("silkworm", "uvloop")),
    )
}


def crawlers(which: str, settings: Sequence[str]) -> list[Crawler]:
    """What this project is compared with: itself with `requests`, then the peers.

    which: their names, with commas between them, or `all` that are installed. settings: for `crawler run`, as on its command
    line. Raises UsageError: a name is not known, or not installed.
    """
    return [
        project(*settings, "-s", "stages.fetch.client=requests", name="crawler with requests"),
        *(peer.crawler() for peer in _chosen(which)),
    ]


def _chosen(which: str) -> list[Peer]:
    if which == ALL:
        return [peer for peer in PEERS.values() if peer.is_installed]
    names = which.split(",")
    for name in names:
        if name not in PEERS:
            raise UsageError(f"--peers {name} is none there is a script for; expected {ALL}, or of {', '.join(PEERS)}")
        if not PEERS[name].is_installed:
            raise UsageError(f"--peers {name} is not installed; {INSTALL}")
    return [PEERS[name] for name in names]


def missing() -> list[str]:
    """Names of those that are not installed."""
    return [peer.name for peer in PEERS.values() if not peer.is_installed]
