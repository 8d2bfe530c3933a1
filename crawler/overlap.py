"""Where the tasks of a stage run that waits for others most of the time: many in process at once, and no thread for each.

    submit ──begin──▶ the stage's own loop ──then──▶ arrived: its host is free ──▶ work on it, in the loop's thread ──▶ finished
                 ╰─ has to wait first, or needs it after all ──▶ a thread, as for any stage

To the worker it is a pool like the others. What the work takes, the loop's thread is not there for other items' waits: a few ms.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from crawler.handler import Handler, Outcome
from crawler.held import Held
from crawler.items import Lease
from crawler.pool import Finished, Tempo, ThreadPool


class OverlapPool:
    """`begin` for each task that can be begun; the threads are made when the first one needs one."""

    def __init__(self, handler: Handler, held: Held, finished: Finished, tempo: Tempo, threads: int) -> None:
        self._handler = handler
        self._held = held
        self._finished = finished
        self._tempo = tempo
        self._make_threads: Callable[[], ThreadPool] = lambda: ThreadPool(handler, held, finished, tempo, threads)
        self._threads: ThreadPool | None = None
        self._changed = threading.Condition()
        self._running = 0

    def submit(self, leases: list[Lease]) -> None:
        for lease in leases:
            if not self._held.start(lease):
                self._finished.add([Outcome(lease, is_released=True)])
                continue
            with self._changed:
                self._running += 1
            if not self._handler.begin(lease, partial(self._then, lease)):
                self._to_thread(lease)

    def withdraw(self) -> list[Lease]:
        """Take back what has not been started: what waits for a thread."""
        return self._threads.withdraw() if self._threads else []

    def close(self, seconds: float) -> bool:
        """False: after so many seconds something is still in process."""
        give_up = time.monotonic() + seconds
        with self._changed:
            is_over = self._changed.wait_for(lambda: not self._running, seconds)
        has_ended = self._threads is None or self._threads.close(max(give_up - time.monotonic(), 0.0))
        return is_over and has_ended

    def _then(self, lease: Lease, finish: Callable[[], list[Outcome]] | None, is_free: bool = True) -> Callable[[], None]:
        if finish is None:
            return lambda: self._to_thread(lease)
        self._held.arrive(lease, is_free=is_free)
        self._finished.arrived()

        def work() -> None:
            began = time.monotonic()
            self._held.work(lease)
            outcomes = finish()
            self._tempo.took(time.monotonic() - began)
            self._finished.add(outcomes)
            self._left()

        return work

    def _to_thread(self, lease: Lease) -> None:
        self._held.wait(lease)
        with self._changed:
            if self._threads is None:
                self._threads = self._make_threads()
        self._threads.submit([lease])
        self._left()

    def _left(self) -> None:
        with self._changed:
            self._running -= 1
            if not self._running:
                self._changed.notify_all()
