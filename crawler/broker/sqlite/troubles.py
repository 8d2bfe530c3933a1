"""The last failures by host and by queue, and waits of tasks in process, for people who ask why nothing progresses. Kept in memory
only: after a restart the hub knows none until the next one.
"""

from __future__ import annotations

from crawler.limits import REASON

KEPT = 10_000  # hosts; beyond this the one that failed first is forgotten


class Troubles:
    """Failures by lane: the number since its last success, and the last reason. By queue: the last reason.

    Waits by lane: the hub time at which its task in process makes the next request.
    """

    def __init__(self) -> None:
        self.held: dict[int, float] = {}
        self.lanes: dict[int, tuple[int, str]] = {}
        self.queues: dict[int, str] = {}

    def failed(self, queue: int, reason: str) -> None:
        """Record that an attempt at a task of this queue failed."""
        self.queues[queue] = reason[:REASON]

    def host_failed(self, lane: int, reason: str) -> None:
        """Record that an attempt at a task of this host failed."""
        n, _ = self.lanes.get(lane, (0, ""))
        self.lanes[lane] = (n + 1, reason[:REASON])
        if len(self.lanes) > KEPT:
            del self.lanes[next(iter(self.lanes))]

    def hold(self, lane: int, until: float) -> None:
        """Record that the task of this host in process waits until then. Beyond `KEPT` the oldest record is forgotten."""
        self.held.pop(lane, None)
        self.held[lane] = until
        if len(self.held) > KEPT:
            del self.held[next(iter(self.held))]
