"""The last failures by host and by queue, for people who ask why nothing progresses. Kept in memory only: after a restart the hub
knows none until the next failure.
"""

from __future__ import annotations

KEPT = 10_000             # hosts; beyond this the one that failed first is forgotten


class Troubles:
    """Failures by lane: the number since its last success, and the last reason. By queue: the last reason."""

    def __init__(self) -> None:
        self.lanes: dict[int, tuple[int, str]] = {}
        self.queues: dict[int, str] = {}

    def failed(self, queue: int, reason: str) -> None:
        """Record that an attempt at a task of this queue failed."""
        self.queues[queue] = reason

    def host_failed(self, lane: int, reason: str) -> None:
        """Record that an attempt at a task of this host failed."""
        n, _ = self.lanes.get(lane, (0, ""))
        self.lanes[lane] = (n + 1, reason)
        if len(self.lanes) > KEPT:
            del self.lanes[next(iter(self.lanes))]
