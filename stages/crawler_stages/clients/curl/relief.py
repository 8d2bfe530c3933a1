"""Second thread that drives the sockets while the first one does slow work, for instance a user's own code.

    first:   turn ─ work ─ turn ─ work ──────────── … ── work, work ──(quick again)── turn ─ work
    second:                             └─ turn ─ turn ─ turn ─ turn ─┘

The lock `_driving` is held by the thread that turns. All work is done by the first thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

LONG: Final = 0.1  # s of work after which the second thread takes over
QUICK: Final = 0.01  # s; after `IN_A_ROW` pieces of work that took less each, the first thread drives again
IN_A_ROW: Final = 20


class Relief:
    """The second thread, from construction to `close`. The other methods are for the first thread."""

    def __init__(self, turn: Callable[[], None], wake: Callable[[], None], failed: Callable[[], None]) -> None:
        """turn: drives the sockets once. wake: ends the wait of a turn. failed: called where a turn has raised something."""
        self.is_first = True  # the first thread drives, as it knows
        self.is_second = False  # the second thread drives
        self._driving = threading.Lock()
        self._turn = turn
        self._wake = wake
        self._failed = failed
        self._began: float | None = None  # monotonic time at which the first thread's work began; None: it is at none
        self._is_wanted_back = False
        self._in_a_row = 0
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="transfers-relief", daemon=True).start()

    def begin(self) -> None:
        """Take the role of the first thread."""
        self._driving.acquire()

    def work(self, some: Callable[[], None]) -> None:
        """Do some work; if it takes long the second thread drives from then on, and `is_first` is False."""
        self._began = time.monotonic()
        self._driving.release()
        try:
            some()
        finally:
            self._began = None
            self.is_first = self._driving.acquire(blocking=False)

    def took(self, seconds: float) -> None:
        """Drive again if work is quick again. seconds: what a piece of work took while the second thread drove."""
        self._in_a_row = self._in_a_row + 1 if seconds < QUICK else 0
        if self._in_a_row >= IN_A_ROW:
            self.end()

    def end(self) -> None:
        """Drive again, once the second thread no longer does."""
        if self.is_first:
            return
        self._in_a_row = 0
        self._is_wanted_back = True
        self._wake()
        self.is_first = self._driving.acquire()
        self._is_wanted_back = False

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(LONG):
            began = self._began
            if began is not None and time.monotonic() - began >= LONG and self._driving.acquire(blocking=False):
                self.is_second = True
                try:
                    while not (self._closed.is_set() or self._is_wanted_back):
                        self._turn()
                except Exception:  # noqa: BLE001  it is logged, and ends the loop
                    self._failed()
                    return
                finally:
                    self.is_second = False
                    self._driving.release()
