"""Time, injected. Everything the broker decides by time it decides by `HubTime.now`, which no jump of the wall clock moves.

now = max(last time stored, wall clock at opening) + monotonic time since opening
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Source of the time, so that tests can set it."""

    def wall(self) -> float:
        """s since the epoch."""
        ...

    def monotonic(self) -> float:
        """s since some moment, never backwards."""
        ...

    def patience(self, seconds: float) -> float | None:
        """Real seconds a thread may block until `seconds` of the clock have passed; None: until another thread wakes it."""
        ...

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever the time jumped, so that waiting threads look at the clock again."""
        ...


class SystemClock:
    """The machine's own."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def patience(self, seconds: float) -> float | None:
        return max(seconds, 0.0)

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Real time does not jump."""


class ManualClock:
    """A clock that stands still until it is advanced: for tests and simulations."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self._wall = wall
        self._monotonic = 0.0
        self._wakers: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def patience(self, seconds: float) -> float | None:
        return None if seconds > 0 else 0.0

    def subscribe(self, wake: Callable[[], None]) -> None:
        self._wakers.append(wake)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._wall += seconds
            self._monotonic += seconds
        for wake in list(self._wakers):
            wake()

    def set_wall(self, wall: float) -> None:
        """Somebody sets the wall clock: elapsed time is not touched."""
        self._wall = wall


class HubTime:
    """The hub's time: continues where the last run ended, unless the wall clock is later."""

    def __init__(self, clock: Clock, stored: float) -> None:
        self._clock = clock
        self._start = max(stored, clock.wall())
        self._monotonic = clock.monotonic()

    def now(self) -> float:
        return self._start + (self._clock.monotonic() - self._monotonic)
