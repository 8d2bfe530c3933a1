"""This project and its peers on one site in one run: A B C A B C …, so that what else the machine does falls on all alike.

A peer that did not bring every page home, each once, has no figures but a line that says what is missing, and no further turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from msgspec import Struct

from crawler_bench.crawl import Crawler, CrawlFailed, CrawlFigures, Site, crawl

FIGURES = ("per_second", "per_second_running", "cpu", "peak_pss")  # what is compared


class Entry(Struct, frozen=True):
    """How one crawler did."""

    crawler: str
    runs: list[CrawlFigures]  # turn by turn
    failed: str  # why there are none; "" where there are
    ratios: dict[str, float]  # this project's figure over its own of the same turn, the median of the turns


class Comparison(Struct, frozen=True):
    """One site; the first entry is this project."""

    site: str
    entries: list[Entry]

    @property
    def ours(self) -> list[CrawlFigures]:
        return self.entries[0].runs


def bench(site: Site, ours: Crawler, others: Sequence[Crawler], *, runs: int) -> Comparison:
    """So many turns of each. Raises CrawlFailed: one of ours failed."""
    mine: list[CrawlFigures] = []
    theirs: dict[str, list[CrawlFigures]] = {other.name: [] for other in others}
    failed: dict[str, str] = {}
    for _ in range(runs):
        mine.append(crawl(site, ours))
        for other in others:
            if other.name not in failed:
                try:
                    theirs[other.name].append(crawl(site, other))
                except CrawlFailed as failure:
                    failed[other.name] = str(failure)
    entries = [_entry(name, mine, done, failed.get(name)) for name, done in theirs.items()]
    return Comparison(site.name, [_entry(ours.name, mine, mine, None), *entries])


def _entry(name: str, mine: list[CrawlFigures], done: list[CrawlFigures], failed: str | None) -> Entry:
    return Entry(name, done, "", ratios(mine, done)) if failed is None else Entry(name, [], failed, {})


def ratios(ours: list[CrawlFigures], theirs: list[CrawlFigures]) -> dict[str, float]:
    """By name of the figure; without the memory of a crawl that ended before anybody looked."""
    turns = list(zip(ours, theirs, strict=True))
    return {
        name: median(getattr(mine, name) / getattr(other, name) for mine, other in turns)
        for name in FIGURES
        if all(getattr(other, name) for _, other in turns)
    }
