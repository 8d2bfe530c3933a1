"""The last failures by host and by queue, for people who ask why nothing goes on. In memory only: a hub that was started again
knows of none until the next one.
"""

from __future__ import annotations

KEPT = 10_000             # hosts; of more the one that failed first is forgotten


class Troubles:
    """By lane: failures in a row since its last success, and the reason of the last; by queue: the reason of the last."""

    def __init__(self) -> None:
        self.lanes: dict[int, tuple[int, str]] = {}
        self.queues: dict[int, str] = {}

    def failed(self, queue: int, reason: str) -> None:
        """An attempt at a task of this queue failed."""
        self.queues[queue] = reason

    def host_failed(self, lane: int, reason: str) -> None:
        """An attempt at a task of this host failed."""
        n, _ = self.lanes.get(lane, (0, ""))
        self.lanes[lane] = (n + 1, reason)
        if len(self.lanes) > KEPT:
            del self.lanes[next(iter(self.lanes))]
