"""What a page costs by step: the same crawl once more, in this process, batch by batch, with a stopwatch at each step.

    urls ──▶ fetch ─page▶ encode ──▶ hub ──▶ parse ─links▶ URLs ──▶ hub ──▶ store
                                               ╰──record▶ encode ──╯

The product itself carries no stopwatch: these are its own stages, its frontier and its embedded hub, taking turns. What is not
here, the start of the processes, the wire between them and their loops, is what a crawl costs above the sum of these.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from crawler import Context, LocalShared, Pace, Page, Report, Stage, To
from crawler.broker.contract import Broker, Politeness
from crawler.broker.sqlite.broker import SqliteBroker, store_path
from crawler.config.load import Config, load
from crawler.items import Admitted, Done, New, Step
from crawler.pipeline import plugins
from crawler.pipeline.build import FRONTIER, StageSpec, build
from crawler.web.frontier import Frontier
from crawler.worker.routing import Router
from crawler_bench.crawl import OUTPUT, SETTINGS, CrawlFailed, Site
from crawler_bench.processes import median

STAGES = ("fetch", "parse", "store")
STEPS = ("fetch", "encode", "hub", "parse", "URLs", "store")
PAGES = 2_000  # URLs crawled at most, those found first; links to others are looked at and left
WARM = 50  # the same in a crawl before, for what is imported or made when it is first used
BATCH = 16  # items that go through a stage at once: as many as fetch has in process


class StepFigures(Struct, frozen=True):
    """One crawl in one process."""

    site: str
    pages: int  # HTML pages
    cpu: dict[str, float]  # ms a page, by step


class Watch:
    """CPU seconds of this process by step."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STEPS, 0.0)

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self.seconds[step] += time.process_time() - began


class Gate:
    """The frontier, as a stage's worker asks it: what was found before is not sent to the hub again."""

    def __init__(self, frontier: Frontier, limit: int) -> None:
        self._router = Router("bench", [FRONTIER], {FRONTIER: frontier})
        self._limit = limit
        self.found: set[bytes | None] = set()

    def seed(self, new: New) -> list[New]:
        self.found.add(new.key)
        return [new]

    def new(self, found: Sequence[To]) -> list[New]:
        admitted = [self._router.route(to) for to in found]
        names = [(each.queue, name) for each in admitted if isinstance(each, Admitted) for name in each.names]
        self._router.known.learn(names, 0)
        self._router.known.trust(0)
        tasks = [new for each in admitted for new in (each.tasks if isinstance(each, Admitted) else [each]) if isinstance(new, New)]
        return [new for new in tasks if self._is_new(new.key)]

    def _is_new(self, key: bytes | None) -> bool:
        if key in self.found or len(self.found) >= self._limit:
            return False
        self.found.add(key)
        return True


class Turns:
    """One stage's part in the crawl; `take` is one step at the hub and what comes of it."""

    def __init__(self, spec: StageSpec, stage: Stage, broker: Broker, gate: Gate, watch: Watch, at_once: Executor | None) -> None:
        """at_once: what has the stage's items in process together; None: one after the other."""
        self._spec = spec
        self._stage = stage
        self._broker = broker
        self._gate = gate
        self._watch = watch
        self._map = at_once.map if at_once else map
        self._decode = msgspec.msgpack.Decoder(plugins.item_schema(type(stage))[0]).decode
        self._calls = 0
        self._done: list[Done] = []

    def take(self) -> list[Any]:
        """Hand in what was done in the last turn, and do what there is now; returns those items."""
        self._calls += 1
        step = Step(self._spec.name, self._calls, self._spec.input, self._stage.batch or BATCH, done=self._done)
        with self._watch.of("hub"):
            leases = self._broker.step(step).leases
        with self._watch.of("encode"):
            items = [self._decode(lease.item) for lease in leases]
            _unpacked = [item.content for item in items if isinstance(item, Page)]  # else parse does it, at first sight
        given = self._process(items) if items else []
        self._done = [Done(lease.token, self._children(each)) for lease, each in zip(leases, given, strict=True)]
        return items

    def _process(self, items: list[Any]) -> list[list[Any]]:
        """What the stage gives for each."""
        with self._watch.of(self._spec.name):
            if self._stage.batch:
                self._stage.process(items)
                return [[] for _ in items]
            return list(self._map(lambda item: list(self._stage.process(item)), items))

    def _children(self, given: list[Any]) -> list[New]:
        found = [one for one in given if isinstance(one, To)]
        items = [one for one in given if not isinstance(one, To | Report | Pace)]
        with self._watch.of("URLs"):
            urls = self._gate.new(found)
        with self._watch.of("encode"):
            packed = [one.packed() if isinstance(one, Page) else one for one in items]
            return [*(New(self._spec.outputs[0], msgspec.msgpack.encode(one)) for one in packed), *urls]


def configured(file: Path | None, sets: Sequence[str]) -> Config:
    """What the processes of a measured crawl have: ours, then -c and -s of the command line; no crawler.toml that is here."""
    return load(file or Path(os.devnull), [*SETTINGS[1::2], *sets], {})


def bench(site: Site, config: Config, *, runs: int) -> StepFigures:
    """The crawl of the median sum. Raises CrawlFailed: a page did not come home."""
    logging.disable(logging.INFO)  # a stage says what it fetches with, to people who watch a crawl
    try:
        crawl(site, config, WARM)
        return median([crawl(site, config, PAGES) for _ in range(runs)], key=lambda run: sum(run.cpu.values()))
    finally:
        logging.disable(logging.NOTSET)


def crawl(site: Site, config: Config, limit: int) -> StepFigures:
    """Crawl so many of a site's URLs at most."""
    pipeline, shared, watch = build(config), LocalShared(), Watch()
    frontier = Frontier(config.settings.frontier, shared)
    gate = Gate(frontier, limit)
    with tempfile.TemporaryDirectory(prefix="crawler-bench-steps-") as directory, ExitStack() as at_end:
        here = Path(directory)
        broker = SqliteBroker(str(store_path(here)), list(pipeline.queues.values()), Politeness(BATCH, 0.0))
        at_end.callback(broker.close)
        pool = at_end.enter_context(ThreadPoolExecutor(BATCH))
        turns = []
        for name in STAGES:
            spec = pipeline.stage(name)
            stage = _opened(spec, shared, here)
            at_end.callback(stage.close)
            turns.append(Turns(spec, stage, broker, gate, watch, pool if stage.concurrency > 1 else None))
        broker.put(gate.seed(frontier.seed(f"{site.server.origin}/")))
        pages = 0
        while taken := [items for each in turns if (items := each.take())]:
            pages += sum(is_home(item) for items in taken for item in items)
    if len(gate.found) < limit and pages != len(site.paths):
        raise CrawlFailed(f"the crawl of {site.name} by step has {pages} pages, not {len(site.paths)}; its figures mean nothing")
    return StepFigures(site.name, pages, {step: seconds / pages * 1e3 for step, seconds in watch.seconds.items()})


def is_home(item: Any) -> bool:
    """It is one of the pages that a crawl is to bring home, in the hands of parse."""
    return isinstance(item, Page) and item.status_code == 200 and item.content_type.startswith("text/html")


def _opened(spec: StageSpec, shared: LocalShared, here: Path) -> Stage:
    """Return the opened stage, as a crawl with its files in this folder would have it."""
    kind = plugins.find(spec.use)
    table = {**spec.options_table, "output": str(here / OUTPUT)} if spec.name == "store" else spec.options_table
    stage = kind(plugins.options_for(spec.name, kind, table), shared)
    stage.context = Context(stage=spec.name, data=str(here), state=str(here), run="bench", delay=0.0)
    stage.open()
    return stage
