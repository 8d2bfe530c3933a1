"""Decision to start one process more for busy stages, while there are cores to run it.

    one process ──busy for WINDOW s──▶ two ──busy again, both──▶ …          up to one a core

With a delay, `crawler run` begins with one process: the number of hosts, and with it the amount of work, is not known yet. A
process counts as busy by the CPU it has used: one that waits for pages, or for hosts to be free, would gain nothing.
"""

from __future__ import annotations

from typing import Final

WINDOW: Final = 5.0  # s: more than a burst of pages, less than anybody waits for
BUSY: Final = 0.8  # of a core, each of them in the mean: Python uses no more than one, and some of it goes on waiting in line


class Growth:
    """Decides when a share gets another process."""

    def __init__(self, processes: int, most: int) -> None:
        self.processes = processes
        self._most = most
        self._since: tuple[float, float] | None = None  # when a window began, and s of CPU used until then

    def needs_one(self, cpu: float | None, now: float) -> bool:
        """Return whether to start one more process, and count it. cpu: s that all of them have used until now; None: not known."""
        if self.processes >= self._most or cpu is None:
            self._since = None
            return False
        since, used = self._since or (now, cpu)
        if cpu < used:  # one was started again
            since, used = now, cpu
        if now - since < WINDOW:
            self._since = since, used
            return False
        self._since = now, cpu
        if cpu - used < BUSY * self.processes * (now - since):
            return False
        self.processes += 1
        self._since = None
        return True
