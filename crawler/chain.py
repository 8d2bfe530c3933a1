"""Stages that run one behind the other in one process: what the first gives for the second never crosses the hub.

    urls: Visit ──▶ [ fetch ──Page──▶ parse ] ──▶ records: Record
                                        └──────▶ urls: Visit

To the worker a chain is one stage, so all promises stay: one task, one step, one transaction. What it costs: an attempt is one
of the whole chain, so a page that cannot be parsed is fetched again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from msgspec import Struct

from crawler.errors import ConfigError
from crawler.pipeline import Pipeline, StageSpec
from crawler.stage import Pace, Report, Stage, Then, To

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
                link.stage.open()
                undo.callback(link.stage.close)
            undo.pop_all()

    def close(self) -> None:
        for link in self._links:
            link.stage.close()

    @property
    def overlap(self) -> int:      # type: ignore[override]  # of the class for other stages, of the first link here
        return self.first.overlap

    def process(self, item: Any) -> Iterator[Any]:
        return self._through(0, self.first.process(item))

    def begin(self, item: Any, then: Then) -> bool:
        """What the first link begins, all go on with."""
        return self.first.begin(item, lambda finish: then(finish and (lambda: self._through(0, finish()))))

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
                yield from self._through(place + 1, self._links[place + 1].stage.process(to.item))
            else:
                yield To(queue, to.item, to.key, to.priority, to.delay)


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
    inside = {spec.input for spec in specs[1:]}
    outputs = dict.fromkeys(queue for spec in specs for queue in spec.outputs if queue not in inside)
    first = specs[0]
    return StageSpec(
        name=SIGN.join(names), use="", input=first.input, outputs=tuple(outputs), processes=first.processes,
        concurrency=first.concurrency, chain=first.chain, options_table={},
    )  # fmt: skip


def groups(pipeline: Pipeline, names: Sequence[str]) -> list[list[str]]:
    """Which of these stages, in the order of the flow, share their processes. Raises ConfigError for a `chain` that cannot be."""
    found: list[list[str]] = []
    for name in names:
        if not pipeline.stage(name).chain:
            found.append([name])
        elif found:
            chained(pipeline, [*found[-1], name])
            found[-1].append(name)
        else:
            raise ConfigError(f"stages.{name}.chain: it is the first stage, there is none for it to share a process with")
    return found
