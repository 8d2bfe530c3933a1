"""What a URL costs as the frontier grows: put, put again, lease, complete, at each power of ten.

    10,000 known ─measure─▶ 100,000 known ─measure─▶ …       one store of one hub, which grows from size to size

The queue is `urls` as every crawl has it, keyed and polite, of a `crawler hub` process, over its wire. Its hosts grow with it.
URLs come as pages give them, a few of one host together, and for comparison scattered, each of another host than the one before.
There is no delay, and a batch has one task of each of its hosts: what a broad crawl asks for when it waits for nobody.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, islice
from pathlib import Path

import msgspec
from msgspec import Struct

from crawler import LocalShared, Visit
from crawler.broker.sqlite.broker import store_path
from crawler.config.settings import FrontierSettings
from crawler.items import Done, New, Step, Verdict
from crawler.run.processes.process import cpu_clock
from crawler.web.frontier import QUEUE, Frontier
from crawler_bench.hub import PUTS, Hub, HubFailed, hub_process
from crawler_bench.processes import median, peak_rss

FIRST = 10_000  # URLs known at the first measurement
LARGEST = 1_000_000  # and at the last, unless told otherwise: a minute
QUICK = 100_000  # the same with --quick
SAMPLE = 50_000  # URLs each cost is measured on; at the small sizes a quarter of what is known
BATCH = 64  # tasks leased at once
HOST = 100  # URLs of a host in the mean
PAGE = 20  # URLs that a page leads to and nobody has seen: of its own host, as most links are
SETTINGS = ("-s", "frontier.delay=0", "-s", "frontier.per_host=1")  # 64 at once are of 64 hosts, of which each is free again


class Cost(Struct, frozen=True):
    """Of one verb at one size, a URL. The ratios are over the smallest size: above 1 it has become dearer."""

    per_second: float  # of one client that does nothing else
    hub_cpu: float  # µs, of the hub process
    ratio: float = 1.0  # of the seconds
    cpu_ratio: float = 1.0  # of the hub's CPU


class FrontierFigures(Struct, frozen=True):
    """A frontier of one size."""

    urls: int  # known
    put: Cost  # of new ones, as pages give them, 1,000 in a call, on disk when it is answered
    scattered: Cost  # of new ones, each of another host, the same way
    duplicate: Cost  # of known ones, drawn at random, the same way
    lease: Cost  # 64 in a step that hands in nothing
    complete: Cost  # without a child, 64 in a step that takes nothing
    store: float  # bytes on disk a URL, the log of some 16 MiB included
    peak_rss: int  # bytes of the hub process, until then


def sizes(largest: int) -> list[int]:
    """The powers of ten below the largest, and that."""
    found = [FIRST]
    while found[-1] * 10 < largest:
        found.append(found[-1] * 10)
    return [*(size for size in found if size < largest), largest]


def url(number: int) -> str:
    """One of those that pages give."""
    return _url(number, number // PAGE, "item")


def scattered(number: int) -> str:
    """One of the others, which come from anywhere."""
    return _url(number, number, "find")


def _url(number: int, source: int, name: str) -> str:
    """A shop's; its host is one of those there are by then, old or new."""
    host = source * 7_919 % (number // HOST + 1)  # a prime: neighbours are of different hosts
    return f"https://www.shop-{host:06}.example/catalogue/{name}-{number:09}.html"


def measure(settings: Sequence[str], largest: int) -> list[FrontierFigures]:
    """Grow one store, and measure it at each size. settings: for `crawler hub`, as on its command line."""
    with hub_process([*SETTINGS, *settings]) as hub:
        growing = _Growing(hub)
        found = [growing.to(size) for size in sizes(largest)]
    return [_compared(each, found[0]) for each in found]


class _Growing:
    """The URLs of one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._of_pages = 0
        self._scattered = 0

    def to(self, size: int) -> FrontierFigures:
        """Put as many as are missing, what the last of them cost, a sample of them again, and do as many."""
        hub, sample = self._hub, max(min(size // 4, SAMPLE), 1)
        self._grow(max(size - self._scattered - self._of_pages - 2 * sample, 0))
        put = self._grow(sample)
        rest = range(self._scattered, size - self._of_pages)
        others = _put(hub, map(scattered, rest), Verdict.ACCEPTED)
        self._scattered = rest.stop
        again = random.Random(size).choices(range(self._of_pages), k=sample)
        duplicate = _put(hub, map(url, again), Verdict.DUPLICATE)
        lease, complete = _do(hub, f"bench-{size}", sample)
        return FrontierFigures(size, put, others, duplicate, lease, complete, _on_disk(hub.data) / size, peak_rss(hub.pid))

    def _grow(self, n: int) -> Cost:
        begin, self._of_pages = self._of_pages, self._of_pages + n
        return _put(self._hub, map(url, range(begin, self._of_pages)), Verdict.ACCEPTED)


def _put(hub: Hub, urls: Iterable[str], expected: Verdict) -> Cost:
    cpu, seconds, n = cpu_clock(hub.pid), 0.0, 0
    for batch in _tasks(urls):
        began = time.perf_counter()
        verdicts = hub.client.put(batch)
        seconds += time.perf_counter() - began  # without the making of the tasks
        n += len(batch)
        if wrong := len(verdicts) - verdicts.count(expected):
            raise HubFailed(f"of {len(batch)} URLs put {wrong} were not {expected}; the figures would mean nothing")
    return _cost(n, seconds, cpu_clock(hub.pid) - cpu)


def _do(hub: Hub, worker: str, tasks: int) -> tuple[Cost, Cost]:
    """The loop of a worker whose work takes no time, which hands in before it asks for more."""
    leasing, completing = _Watch(hub), _Watch(hub)
    moved = 0
    for call in count(1, 2):
        with leasing:
            leases = hub.client.step(Step(worker, call, queue=QUEUE, want=min(BATCH, tasks - moved))).leases
        if not leases:
            break
        with completing:
            verdicts = hub.client.step(Step(worker, call + 1, done=[Done(lease.token) for lease in leases])).verdicts
        moved += list(verdicts).count(Verdict.DONE)
    if moved != tasks:
        raise HubFailed(f"of {tasks} tasks {moved} were leased and completed; expected all of them")
    return _cost(tasks, leasing.seconds, leasing.cpu), _cost(tasks, completing.seconds, completing.cpu)


class _Watch:
    """Adds up the time of a caller and the CPU of the hub meanwhile."""

    def __init__(self, hub: Hub) -> None:
        self.seconds = self.cpu = 0.0
        self._hub = hub

    def __enter__(self) -> None:
        self._began, self._cpu = time.perf_counter(), cpu_clock(self._hub.pid)

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._began
        self.cpu += cpu_clock(self._hub.pid) - self._cpu


def _cost(n: int, seconds: float, cpu: float) -> Cost:
    return Cost(n / seconds, cpu / n * 1e6) if n else Cost(0.0, 0.0)


def _tasks(urls: Iterable[str]) -> Iterator[list[New]]:
    """As a stage's links become tasks, in batches."""
    frontier = Frontier(FrontierSettings(scope="any"), LocalShared())
    tasks = (new for found in urls if isinstance(new := frontier.admit(Visit(found)), New))
    while batch := list(islice(tasks, PUTS)):
        yield batch


def _on_disk(data: Path) -> int:
    """Bytes of the store and its log; what is kept in hand for a disk that is full does not grow."""
    store = store_path(data)
    return sum(file.stat().st_size for file in (store, Path(f"{store}-wal")))


def _compared(here: FrontierFigures, first: FrontierFigures) -> FrontierFigures:
    def over(cost: Cost, before: Cost) -> Cost:
        return Cost(cost.per_second, cost.hub_cpu, before.per_second / cost.per_second, cost.hub_cpu / before.hub_cpu)

    costs = ("put", "scattered", "duplicate", "lease", "complete")
    return msgspec.structs.replace(here, **{cost: over(getattr(here, cost), getattr(first, cost)) for cost in costs})


def bench(settings: Sequence[str], largest: int, *, runs: int) -> list[FrontierFigures]:
    """Each size, of the run of the median rate of leases at the largest."""
    return median([measure(settings, largest) for _ in range(runs)], key=lambda run: run[-1].lease.per_second)
