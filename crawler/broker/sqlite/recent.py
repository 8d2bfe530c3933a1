"""The number of tasks a queue finished in each of the last seconds, kept in memory: the rate that people see."""

from __future__ import annotations

from typing import Final

OVER: Final = 5  # s over which the rate is taken: long enough to be read, short enough to be true


class Recent:
    """Counts of the current second and the `OVER` before it."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}  # by second of the hub's time

    @property
    def is_empty(self) -> bool:
        """Return whether no task has been finished since the hub was opened."""
        return not self._counts

    def add(self, now: float, n: int = 1) -> None:
        """Count n tasks that are finished now."""
        second = int(now)
        if second in self._counts:
            self._counts[second] += n
        else:
            self._counts = {then: n for then, n in self._counts.items() if then >= second - OVER}
            self._counts[second] = n

    def rate(self, now: float, uptime: float) -> float:
        """Tasks per second. uptime: s since the hub was opened; nothing is known of the time before."""
        since = now - max(min(float(OVER), uptime), 1.0)
        return sum(n for then, n in self._counts.items() if then >= int(since)) / max(now - int(since), 1.0)
