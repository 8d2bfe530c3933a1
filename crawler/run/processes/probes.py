"""Processes beside a stage's workers that take its quarantined tasks, one at a time, so that a deadly task harms no other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from crawler.items import Stats

if TYPE_CHECKING:
    from crawler.run.processes.supervisor import Child, Supervisor


LOOK = 2.0  # s between looks for quarantined tasks


Probed = tuple[str, str, Sequence[str]]
"""A stage that may have a probe: its name, the queue that it reads, the arguments of its workers."""


class Probes:
    """The probes of some stages. A probe ends by itself when nothing is quarantined any more."""

    def __init__(self, supervisor: Supervisor, stages: Sequence[Probed]) -> None:
        self._supervisor = supervisor
        self._stages = stages
        self._children: dict[str, Child] = {}
        self._next = 0.0  # monotonic time

    @property
    def is_due(self) -> bool:
        """Tell whether it is time to ask for the hub's counts again. Only for a process that has no other use for them."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + LOOK
        return True

    def look(self, stats: Stats) -> None:
        """Start the probes that are needed and do not run."""
        wanted = {queue.name for queue in stats.queues if queue.quarantined}
        for name, queue, arguments in self._stages:
            child = self._children.get(name)
            if queue in wanted and child is None:
                self._children[name] = self._supervisor.start(f"{name} probe", ["stage", name, "--probe", *arguments])
            elif queue in wanted and child is not None and child.has_ended:
                child.start()

    @property
    def children(self) -> list[Child]:
        """Return the probes that have been started, whether or not they still run."""
        return list(self._children.values())
