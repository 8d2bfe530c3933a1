"""The figures of a bench as a person reads them; a program takes the JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from crawler_bench.crawl import CrawlFigures, middle
from crawler_bench.frontier import Cost, FrontierFigures
from crawler_bench.hub import HubFigures
from crawler_bench.peers.turns import FIGURES, Comparison, Entry
from crawler_bench.steps import StepFigures

MIB = 1 << 20


class Report(Struct, frozen=True):
    """All of one bench; this is the JSON."""

    machine: dict[str, str]
    runs: int  # that each figure is the median of
    hub: list[HubFigures] = field(default_factory=list)
    frontier: list[FrontierFigures] = field(default_factory=list)
    crawl: list[CrawlFigures] = field(default_factory=list)
    steps: list[StepFigures] = field(default_factory=list)
    peers: list[Comparison] = field(default_factory=list)


def machine(about: Mapping[str, str], runs: int) -> str:
    return "\n".join(f"{name:9}{value}" for name, value in about.items()) + f"\nruns     {runs}, the median shown"


def hub(figures: Sequence[HubFigures]) -> str:
    """Tasks through the hub, beside other queues; `hub` is the process that has the queue, whichever it is."""
    rows = [(one.what, str(one.batch), f"{one.per_second:,.0f}", f"{one.hub_cpu:.1f}", f"{one.client_cpu:.1f}") for one in figures]
    return aligned([("lease + complete, one child", "batch", "tasks/s", "hub µs", "client µs"), *rows])


def frontier(figures: Sequence[FrontierFigures]) -> str:
    """What a URL costs by size of the frontier, beside the smallest."""
    rows = [row for one in figures for row in _of_size(one)]
    return "\n".join((
        "frontier that grows; in brackets times what the smallest takes",
        aligned([("URLs known", "", "1/s", "", "hub µs", "", "bytes a URL", "hub MiB"), *rows]),
    ))  # fmt: skip


def _of_size(one: FrontierFigures) -> list[tuple[str, ...]]:
    return [
        (f"{one.urls:,}", "put", *_cost(one.put), f"{one.store:,.0f}", memory(one.peak_rss)),
        ("", "put, scattered", *_cost(one.scattered), "", ""),
        ("", "put again", *_cost(one.duplicate), "", ""),
        ("", "lease", *_cost(one.lease), "", ""),
        ("", "complete", *_cost(one.complete), "", ""),
    ]


def _cost(cost: Cost) -> tuple[str, ...]:
    return (f"{cost.per_second:,.0f}", f"({cost.ratio:.2f})", f"{cost.hub_cpu:.1f}", f"({cost.cpu_ratio:.2f})")


def steps(figures: StepFigures, whole: CrawlFigures) -> str:
    """Where a page's CPU goes; `rest` is what the crawl in its processes took beyond the steps."""
    rows = [(step, f"{cpu:.2f}") for step, cpu in figures.cpu.items()]
    rest = whole.cpu - sum(figures.cpu.values())
    return "\n".join((
        f"  by step, in one process over {figures.pages:,} pages; the rest is starting, the hub's wire and the loops",
        aligned([("step", "CPU-ms/page"), *rows, ("rest", f"{rest:.2f}"), ("all", f"{whole.cpu:.2f}")]),
    ))  # fmt: skip


def crawl(figures: CrawlFigures) -> str:
    """One site: the rates, then who used what."""
    one = figures
    names = sorted(one.cpu_by_name, key=lambda name: -one.cpu_by_name[name])
    rows = [
        (name, f"{one.cpu_by_name[name]:.2f}", memory(one.peak_pss_by_name.get(name)), memory(one.peak_rss_by_name.get(name)))
        for name in names
    ]
    together = ("all", f"{one.cpu:.2f}", memory(one.peak_pss), memory(one.peak_rss))
    return "\n".join((
        f"crawl of {one.site}: {one.pages:,} pages of {one.size / 1000:.0f} kB in {one.seconds:.1f} s, "
        f"the first asked for after {one.first:.2f} s",
        f"  {one.per_second:.1f} pages/s from start to end, {one.per_second_running:.1f} pages/s without the start-up",
        f"  {one.server}: {one.server_cpu:.2f} CPU-ms a page, not counted below; alone it sends "
        f"{one.server_alone:,.0f} pages/s down one connection",
        aligned([("process", "CPU-ms/page", "peak MiB", "with all it shares"), *rows, together]),
    ))  # fmt: skip


def peers(compared: Comparison) -> str:
    """This project and the others on one site; of those that failed, why."""
    rows = [_beside(entry) for entry in compared.entries if entry.runs]
    return "\n".join((
        f"peers on {compared.site}, in turns; in brackets this project's figure over theirs, turn by turn",
        aligned([("crawler", "pages/s", "", "running", "", "CPU-ms/page", "", "peak MiB", ""), *rows]),
        *(f"  {entry.crawler} has no figures: {entry.failed}" for entry in compared.entries if entry.failed),
    ))  # fmt: skip


def _beside(entry: Entry) -> tuple[str, ...]:
    one = middle(entry.runs)
    figures = (f"{one.per_second:.1f}", f"{one.per_second_running:.1f}", f"{one.cpu:.2f}", memory(one.peak_pss))
    brackets = (f"({entry.ratios[name]:.2f})" if name in entry.ratios else "" for name in FIGURES)
    return (entry.crawler, *(cell for pair in zip(figures, brackets, strict=True) for cell in pair))


def memory(size: int | None) -> str:
    return f"{size / MIB:.0f}" if size else "·"


def aligned(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns as wide as they must be, the first to the left and the figures to the right."""
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = ((row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], others, strict=True))) for row in rows)
    return "\n".join("  " + "  ".join(line) for line in lines)
