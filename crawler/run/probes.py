"""Processes beside a stage's workers that take its quarantined tasks, one at a time: what a worker died of kills no other work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from crawler.items import Stats

if TYPE_CHECKING:
    from crawler.supervisor import Child, Supervisor


LOOK = 2.0                # s between looks for quarantined tasks


class Probed(NamedTuple):
    """A stage that may have a probe."""

    name: str
    queue: str                     # that it reads
    arguments: Sequence[str]       # of its workers


class Probes:
    """The probes of some stages. A probe ends by itself when nothing is quarantined any more."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._stages: dict[str, Probed] = {}
        self._children: dict[str, Child] = {}
        self._next = 0.0               # monotonic time

    @property
    def is_due(self) -> bool:
        """It is time to look at the hub's counts again, for who has no other use for them."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + LOOK
        return True

    def add(self, stage: Probed) -> None:
        self._stages[stage.name] = stage

    def look(self, stats: Stats) -> None:
        """Start the probes that are needed and do not run."""
        wanted = {queue.name for queue in stats.queues if queue.quarantined}
        for stage in self._stages.values() if wanted else ():
            child = self._children.get(stage.name)
            if stage.queue in wanted and child is None:
                arguments = ["stage", stage.name, "--probe", *stage.arguments]
                self._children[stage.name] = self._supervisor.start(f"{stage.name} probe", arguments)
            elif stage.queue in wanted and child is not None and child.has_ended:
                child.start()

    def forget(self) -> list[Child]:
        """Start none any more. Returns those that were started."""
        children, self._children, self._stages = self._children, {}, {}
        return list(children.values())
