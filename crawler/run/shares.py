"""Division of stages into shares, one process or more each, and the number of processes they have together.

fetch ──▶ parse ──▶ store        fetch+parse │ store: parse is quick, and is the only reader of its queue
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence

from msgspec import Struct

from crawler.errors import ConfigError
from crawler.pipeline.build import Pipeline, StageSpec
from crawler.pipeline.plugins import find, item_schema
from crawler.stage import Stage
from crawler.wording.counting import together
from crawler.worker.chain import SIGN


def chained(pipeline: Pipeline, names: Sequence[str]) -> StageSpec:
    """Return one specification for stages that read from each other, with the settings of the first. Raises ConfigError."""
    specs = [pipeline.stage(name) for name in names]
    for first, second in itertools.pairwise(specs):
        pair = f"{first.name}{SIGN}{second.name}: "
        if second.input not in first.outputs:
            raise ConfigError(f"{pair}{second.name} reads {second.input!r}, which {first.name} does not fill")
        if [reader.name for reader in pipeline.readers(second.input)] != [second.name]:
            raise ConfigError(f"{pair}others read {second.input!r} as well; its items have to pass through the hub")
        if pipeline.queues[second.input].keyed:
            raise ConfigError(f"{pair}{second.input!r} takes each item only once; its items have to pass through the hub")
    inside = [spec.input for spec in specs[1:]]  # last: they only get tasks that were put back
    outputs = dict.fromkeys([*(queue for spec in specs for queue in spec.outputs if queue not in inside), *inside])
    first = specs[0]
    return StageSpec(
        name=SIGN.join(names), use="", input=first.input, outputs=tuple(outputs), processes=first.processes,
        concurrency=first.concurrency, chain=first.chain, options_table={},
    )  # fmt: skip


def refuse_unfit(pipeline: Pipeline, names: Sequence[str]) -> None:
    """Raise ConfigError for a stage whose class cannot be part of a chain."""
    for name in names:
        kind = find(pipeline.stage(name).use)
        if kind.batch or item_schema(kind)[1]:
            raise ConfigError(f"{SIGN.join(names)}: {name} takes items in batches or is async; run it as a stage of its own")
        if name != names[0] and _begins(kind):
            raise ConfigError(f"{SIGN.join(names)}: {name} has a loop of its own, begin(); run it as a stage of its own")


def groups(pipeline: Pipeline, names: Sequence[str]) -> list[list[str]]:
    """Group these stages, in the order of the flow, by the processes they share. Raises ConfigError for a `chain` that cannot be.

    A stage joins the one before it if its settings say so; if they say nothing, when it can do so without a loss.
    """
    found: list[list[str]] = []
    for name in names:
        wish = pipeline.stage(name).chain
        if wish and not found:
            raise ConfigError(f"stages.{name}.chain: it is the first stage, there is none for it to share a process with")
        if wish:
            chained(pipeline, [*found[-1], name])
            refuse_unfit(pipeline, [*found[-1], name])
        if wish or (wish is None and found and _may_join(pipeline, found[-1], name)):
            found[-1].append(name)
        else:
            found.append([name])
    return found


class Share(Struct, frozen=True):
    """Stages that share processes, and how many of these `crawler run` starts."""

    stages: tuple[str, ...]
    processes: int
    most: int  # most that it may have later on, if it has too much to do: see `growth`

    @property
    def name(self) -> str:
        return SIGN.join(self.stages)

    def said(self, processes: int) -> str:
        """Describe a number of processes to a person; "" if it is one process of one stage."""
        if len(self.stages) == 1:
            return "" if processes == 1 else f"{self.stages[0]} has {processes} processes"
        return f"{together(self.stages)} share {'a process' if processes == 1 else f'{processes} processes'}"


def share(pipeline: Pipeline, group: Sequence[str], delay: float) -> Share:
    """Return how many processes a group of stages starts with. delay: s between two pages of a host.

    Without a delay the work on pages limits a crawl, so there is one process for each core.
    """
    wish = pipeline.stage(group[0]).processes
    most = wish or (cores() if len(group) > 1 else 1)
    return Share(tuple(group), most if delay == 0 else wish or 1, most)


def cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _may_join(pipeline: Pipeline, group: Sequence[str], name: str) -> bool:
    """Tell whether a stage is sequential and has no other producer than this group."""
    try:
        chained(pipeline, [*group, name])
    except ConfigError:
        return False
    spec = pipeline.stage(name)
    if spec.processes is not None or spec.concurrency is not None:  # a person has thought about its workers
        return False
    firsts = [find(pipeline.stage(one).use) for one in group]
    kind = find(spec.use)
    is_plain = not any(each.batch or item_schema(each)[1] for each in (*firsts, kind))
    return kind.concurrency == 1 and is_plain and not _begins(kind)


def _begins(kind: type[Stage]) -> bool:
    """Tell whether a stage has a loop of its own: only the first stage of a chain is asked to `begin`."""
    return kind.begin is not Stage.begin
