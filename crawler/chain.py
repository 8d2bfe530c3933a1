"""Stages that run one behind the other in one process: what the first gives for the second never crosses the hub.

    urls: Visit ──▶ [ fetch ──Page──▶ parse ] ──▶ records: Record
                                        └──────▶ urls: Visit

To the worker a chain is one stage, so all promises stay: one task, one step, one transaction. What a later link fails at crosses
the hub after all, to be tried again by that stage alone: no page is fetched twice because it cannot be parsed. Only what ends the
process is an attempt of the whole chain.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from msgspec import Struct

from crawler.errors import ConfigError, StorageError
from crawler.pipeline import Pipeline, StageSpec
from crawler.plugins import find, item_schema
from crawler.speaker import speaker
from crawler.stage import Drop, Pace, Report, Stage, Then, To
from crawler.web.page import Visits

log = logging.getLogger("crawler.worker")

SIGN = "+"            # between the names of a chain's stages, as in fetch+parse


class Link(Struct, frozen=True):
    """One stage of a chain, and the queues it may put to, its own output first."""

    name: str
    stage: Stage
    outputs: tuple[str, ...]
    feeds: str                 # the queue whose items go straight to the next link; "" for the last


class Chain(Stage):
    """Several stages as one."""

    def __init__(self, links: Sequence[Link]) -> None:
        super().__init__(shared=links[0].stage.shared)
        self._links = tuple(links)
        self.at_work: dict[int, float] = {}      # in a later link than the first
        first = links[0].stage
        self.concurrency = first.concurrency     # type: ignore[misc]  # of the class for other stages, of the first link here
        self.prefetch = first.prefetch           # type: ignore[misc]  # as above
        self.hang = sum(link.stage.hang for link in links)   # type: ignore[misc]  # as above

    @property
    def first(self) -> Stage:
        """What takes the items of the chain's input."""
        return self._links[0].stage

    def open(self) -> None:
        with ExitStack() as undo:
            for link in self._links:
                speaker.stage = link.name
                link.stage.open()
                undo.callback(link.stage.close)
            undo.pop_all()

    def close(self) -> None:
        for link in self._links:
            speaker.stage = link.name
            link.stage.close()

    @property
    def overlap(self) -> int:      # type: ignore[override]  # of the class for other stages, of the first link here
        return self.first.overlap

    @property
    def hang_at_work(self) -> float:
        return sum(link.stage.hang for link in self._links[1:])

    def process(self, item: Any) -> Iterator[Any]:
        speaker.stage = self._links[0].name
        return self._through(0, self.first.process(item))

    def begin(self, item: Any, then: Then) -> bool:
        """What the first link begins, all go on with."""
        return self.first.begin(item, lambda finish, is_free=True: then(finish and (lambda: self._through(0, finish())), is_free))

    def counters(self, name: str) -> dict[str, int]:
        """Each link counts under its own name, as it would alone."""
        return {counter: n for link in self._links for counter, n in link.stage.counters(link.name).items()}

    def _through(self, place: int, result: Any) -> Iterator[Any]:
        """result: what the link at this place made of its item."""
        link = self._links[place]
        for given in _many(result):
            if given is None or isinstance(given, Pace | Report):
                yield given
                continue
            to = given if isinstance(given, To) else To("", given)
            queue = to.queue or next(iter(link.outputs), "")
            if queue == link.feeds and queue:
                for item in to.item if isinstance(to.item, Visits) else (to.item,):
                    yield from self._by_next(place + 1, To(queue, item, to.key, to.priority, to.delay))
            else:
                yield to if to.queue == queue else To(queue, to.item, to.key, to.priority, to.delay)

    def _by_next(self, place: int, to: To) -> list[Any]:
        """What the link at this place, and those behind it, make of an item: all of it, or else the item for that link's queue."""
        link = self._links[place]
        thread = threading.get_ident()
        is_first = self.at_work.setdefault(thread, now := time.monotonic()) == now
        before, speaker.stage = speaker.stage, link.name
        try:
            return list(self._through(place, link.stage.process(to.item)))
        except Drop as drop:
            link.stage.count("dropped")
            return [Report(f"{link.name}: dropped: {drop.reason}")]
        except StorageError:
            raise
        except BaseException as error:  # noqa: BLE001  as in `Handler`: a verdict on the item, whatever it is
            log.info("%s failed at an item; it goes to the queue it would come from: %s", link.name, error)
            link.stage.count("put back")
            return [To(self._links[place - 1].feeds, to.item, to.key, to.priority, to.delay)]
        finally:
            speaker.stage = before
            if is_first:
                self.at_work.pop(thread, None)


def _many(result: Any) -> Iterable[Any]:
    return result if isinstance(result, Iterator) else (result,)


def chained(pipeline: Pipeline, names: Sequence[str]) -> StageSpec:
    """One specification for stages that read from each other, the first one's settings for the whole. Raises ConfigError."""
    specs = [pipeline.stage(name) for name in names]
    for first, second in itertools.pairwise(specs):
        pair = f"{first.name}{SIGN}{second.name}: "
        if second.input not in first.outputs:
            raise ConfigError(f"{pair}{second.name} reads {second.input!r}, which {first.name} does not fill")
        if [reader.name for reader in pipeline.readers(second.input)] != [second.name]:
            raise ConfigError(f"{pair}others read {second.input!r} as well; it has to cross the hub")
    inside = [spec.input for spec in specs[1:]]        # last: they get only what is put back
    outputs = dict.fromkeys([*(queue for spec in specs for queue in spec.outputs if queue not in inside), *inside])
    first = specs[0]
    return StageSpec(
        name=SIGN.join(names), use="", input=first.input, outputs=tuple(outputs), processes=first.processes,
        concurrency=first.concurrency, chain=first.chain, options_table={},
    )  # fmt: skip


def groups(pipeline: Pipeline, names: Sequence[str]) -> list[list[str]]:
    """Which of these stages, in the order of the flow, share their processes: those that are told to, and those of which nobody has
    said anything and that may. Raises ConfigError for a `chain` that cannot be.
    """
    found: list[list[str]] = []
    for name in names:
        wish = pipeline.stage(name).chain
        if wish and not found:
            raise ConfigError(f"stages.{name}.chain: it is the first stage, there is none for it to share a process with")
        if wish:
            chained(pipeline, [*found[-1], name])
        if wish or (wish is None and found and _may_join(pipeline, found[-1], name)):
            found[-1].append(name)
        else:
            found.append([name])
    return found


class Share(Struct, frozen=True):
    """Stages that share processes, and how many of these `crawler run` starts."""

    stages: tuple[str, ...]
    processes: int
    most: int                  # that it may have later on, where it has too much to do: see `growth`

    @property
    def name(self) -> str:
        return SIGN.join(self.stages)

    def said(self, processes: int) -> str:
        """What a person is to know of so many processes; "" if it is as plain as can be."""
        if len(self.stages) == 1:
            return "" if processes == 1 else f"{self.stages[0]} has {processes} processes"
        return f"{' and '.join(self.stages)} share {'a process' if processes == 1 else f'{processes} processes'}"


def share(pipeline: Pipeline, group: Sequence[str], delay: float) -> Share:
    """delay: s between two pages of a host. Where there is none, what limits a crawl is the work on pages: one process a core."""
    wish = pipeline.stage(group[0]).processes
    most = wish or (cores() if len(group) > 1 else 1)
    return Share(tuple(group), most if delay == 0 else wish or 1, most)


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _may_join(pipeline: Pipeline, group: Sequence[str], name: str) -> bool:
    """It does one item after the other anyway, and all of them come from there."""
    try:
        chained(pipeline, [*group, name])
    except ConfigError:
        return False
    spec = pipeline.stage(name)
    if spec.processes is not None or spec.concurrency is not None:      # a person has thought about its workers
        return False
    firsts = [find(pipeline.stage(one).use) for one in group]
    kind = find(spec.use)
    return kind.concurrency == 1 and not any(each.batch or item_schema(each)[1] for each in (*firsts, kind))
