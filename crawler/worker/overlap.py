"""Pool for the tasks of a stage that mostly waits for the network: many in flight at once, without a thread for each.

    submit ──start──▶ the stage's own loop ──over──▶ arrived: its host is free ──▶ work on it, in the loop's thread ──▶ finished
                 ├─ has to wait first ──▶ a thread, as for any stage; others of its host wait without one, and are begun then
                 ╰─ needs it after all ─▶ a thread

To the worker it is a pool like the others. While the loop's thread works on an item it drives no transfers, so work is kept to a
few ms.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from crawler.items import Lease
from crawler.stage import Pending, Slow
from crawler.worker.handler import Handler, Outcome
from crawler.worker.held import Held
from crawler.worker.pool import Finished, Tempo, ThreadPool

LEAST = 32  # tasks in flight at once, to begin with
BUSY = 0.4  # of the time worked, from which on more of them would only wait
PLENTY = 0.04  # s of work that has arrived, at which there should be less
BEHIND = 0.08  # s of work that may have arrived while more is asked for
LINGER = 0.01  # s a finished task waits for others to be handed in with it
BUSY_LINGER = 0.03  # s the same while there is enough to work on here: a step of many costs the hub a fraction of many steps


class Window:
    """Adaptive limit on in-flight tasks: enough to keep the parser busy, no more."""

    def __init__(self, most: int, is_fixed: bool) -> None:
        """is_fixed: a person has said how many."""
        self._most = most
        self._least = most if is_fixed else min(LEAST, most)
        self.size = self._least
        self._worked = 0.0  # s, ever
        self._seen = 0.0, 0.0  # monotonic time of the last look, and what had been worked by then

    def worked(self, seconds: float) -> None:
        self._worked += seconds

    def see(self, arrived: int, tempo: Tempo, *, is_fed: bool) -> None:
        """Adapt the limit. arrived: tasks that wait for work or are worked on. is_fed: the hub had as many tasks as asked for."""
        now, worked = time.monotonic(), self._worked
        (before, worked_before), self._seen = self._seen, (now, worked)
        if arrived > tempo.ahead(PLENTY):
            self.size = max(self.size * 3 // 4, self._least)
        elif is_fed and worked - worked_before < BUSY * (now - before):
            self.size = min(self.size * 2, self._most)


def until_told(busy: int, arrived: int, tempo: Tempo, *, is_dry: bool) -> tuple[int, float]:
    """Return when to report to the hub: (n, seconds), after n arrivals and ends of tasks, or seconds after the first of them.

    busy: tasks held; arrived: those that wait for work or are worked on. is_dry: the hub had fewer tasks than were asked for, so
    other workers may wait for the links that are found here.
    """
    news = 2 * busy - arrived  # to come: each arrives, and ends
    is_awaited = is_dry and arrived <= tempo.ahead(BEHIND)
    if arrived > tempo.ahead(LINGER) and not is_awaited:
        return max(1, news), BUSY_LINGER
    return max(1, news // 2), LINGER


class OverlapPool:
    """Starts each task that the stage can begin. Where one cannot start it is mostly the host that is not known yet, and one thread
    is enough to learn of it; without a host, each has a thread."""

    def __init__(self, handler: Handler, held: Held, finished: Finished, tempo: Tempo, window: Window, threads: int) -> None:
        self._handler = handler
        self._held = held
        self._finished = finished
        self._threads = ThreadPool(handler, held, finished, tempo, threads, self._learned, self._prepare)
        self._tempo = tempo
        self._window = window
        self._lock = threading.RLock()  # taken as it is: to enter a condition costs a call more
        self._changed = threading.Condition(self._lock)
        self._running = 0  # begun, and not over
        self._behind: dict[str, deque[Lease]] = {}  # by host, in the order they came: those that wait for
        self._ahead: dict[str, Lease] = {}  # one that has a thread

    def submit(self, leases: list[Lease]) -> None:
        for lease in leases:
            if not self._is_begun(lease):
                self._queue(lease)

    def resume(self) -> None:
        for host, leases in list(self._behind.items()):
            while leases and self._is_begun(leases[0]):
                leases.popleft()
            while leases and host not in self._ahead:  # still unknown: they wait in threads, and share the answer
                self._threads.submit([leases.popleft()])
            if not leases:
                del self._behind[host]

    def widen(self, slow: Slow) -> None:
        self._threads.widen(slow)

    def waiting(self) -> int:
        """Return how many tasks wait for a thread. One behind another of its host begins as soon as that one has a thread."""
        return self._threads.waiting()

    def withdraw(self) -> list[Lease]:
        """Take back the tasks that have not been started: they wait for a thread, or behind a task that has one."""
        back = self._threads.withdraw()
        for lease in back:
            self._learned([lease])
        back += [lease for leases in self._behind.values() for lease in leases]
        self._behind.clear()
        return back

    def close(self, seconds: float) -> bool:
        """Wait until all tasks have ended. Returns False if one is still in process after `seconds`."""
        give_up = time.monotonic() + seconds
        with self._lock:
            is_over = self._changed.wait_for(lambda: not self._running, seconds)
        return self._threads.close(max(give_up - time.monotonic(), 0.0)) and is_over

    def _is_begun(self, lease: Lease) -> bool:
        """Begin a task without a thread. Returns False if it has to wait for something first."""
        if not self._held.start(lease):
            self._finished.add([Outcome(lease, is_released=True)])
            return True
        with self._lock:
            self._running += 1
        pending = self._handler.begin(lease)
        if pending is not None and pending.start(partial(self._over, lease, pending)):
            return True
        self._held.wait(lease, was_begun=False)
        self._left()
        return False

    def _prepare(self, lease: Lease) -> list[Outcome] | None:
        """Wait, in a thread, for what the task needs first, then begin it. Returns None if it has to be handled in the thread."""
        is_worth_it, outcomes = self._handler.prepare(lease)
        if outcomes or not is_worth_it:
            return outcomes or None
        if self._is_begun(lease):
            return []
        return None if self._held.start(lease) else [Outcome(lease, is_released=True)]

    def _queue(self, lease: Lease) -> None:
        """Queue a task for a thread, or behind a task of the same host that has one."""
        if lease.host and self._ahead.setdefault(lease.host, lease) is not lease:
            self._behind.setdefault(lease.host, deque()).append(lease)
        else:
            self._threads.submit([lease])

    def _learned(self, leases: list[Lease]) -> None:
        """Let the next task of a host go on, after the one with the thread has ended: either the facts about the host are known
        now, or the next task has to find them."""
        if self._ahead.get(leases[0].host) is leases[0]:
            del self._ahead[leases[0].host]

    def _over(self, lease: Lease, pending: Pending, can_finish: bool = True, is_free: bool = True) -> Callable[[], None]:
        """Note that the wait for a task is over, and return the work on it: see `Over`."""
        if not can_finish:
            return partial(self._to_thread, lease)
        self._held.arrive(lease, is_free=is_free)
        self._finished.arrived()
        return partial(self._work, lease, pending)

    def _work(self, lease: Lease, pending: Pending) -> None:
        began = time.monotonic()
        self._held.work(lease)
        outcomes = pending.finish()
        self._held.worked([lease])
        seconds = time.monotonic() - began
        self._tempo.took(seconds)
        self._window.worked(seconds)
        self._finished.add(outcomes)
        self._left()

    def _to_thread(self, lease: Lease) -> None:
        self._held.wait(lease)
        self._threads.submit([lease])
        self._left()

    def _left(self) -> None:
        with self._lock:
            self._running -= 1
            if not self._running:
                self._changed.notify_all()
