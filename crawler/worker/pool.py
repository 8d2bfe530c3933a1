"""Pools that run a worker's tasks and collect the outcomes: here threads, for a blocking stage. `async_pool` has the same for an
async one, `overlap` for one with a loop of its own.

    submit(leases) ──▶ thread, or asyncio task ──▶ finished ──take──▶ the worker's loop

Every thread is a daemon: one that never comes back from `process` must not keep the process from ending.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Protocol

from crawler.errors import MachineShort
from crawler.items import Lease
from crawler.machine.shortage import THREADS, short_of
from crawler.stage import Slow
from crawler.worker.handler import Handler, Outcome
from crawler.worker.held import Held
from crawler.worker.routing import MAX_GIVEN

log = logging.getLogger(__name__)

AHEAD = 0.1  # s a quick task may be held before it runs: as many as are done in that time come with one round trip
MOST_AHEAD = 256  # tasks so held at most
MOST_THREADS = 512  # if most of them wait for slow tasks: such a thread takes some 50 kB


class Finished:
    """Outcomes for the loop to collect, and the wait for them."""

    def __init__(self) -> None:
        self._outcomes: list[Outcome] = []
        self._news = 0  # outcomes and arrivals since the last `take`
        self._enough = 1  # of them, to end the wait
        self._first_at = 0.0
        self._is_woken = False
        self._lock = threading.RLock()  # taken as it is: to enter a condition costs a call more
        self._changed = threading.Condition(self._lock)

    def add(self, outcomes: Sequence[Outcome]) -> None:
        with self._lock:
            self._outcomes += outcomes
            self._heard(len(outcomes))

    def arrived(self) -> None:
        """Note that a task sends no more requests to its host; the hub should hear of that as of an outcome."""
        with self._lock:
            self._heard(1)

    def _heard(self, n: int) -> None:
        before, self._news = self._news, self._news + n
        if not before:
            self._first_at = time.monotonic()
        if not before or self._news >= self._enough:  # not each time: a woken thread takes the interpreter from a working one
            self._changed.notify()

    def wait(self, enough: int, linger: float, timeout: float) -> None:
        """Wait until there are `enough`, `linger` s after the first of them, `timeout` s from now, or until `wake` is called."""
        give_up = time.monotonic() + timeout
        with self._lock:
            self._enough = enough
            while self._news < enough and not self._is_woken:
                until = min(give_up, self._first_at + linger) if self._news else give_up
                left = until - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)
            self._is_woken = False

    def wake(self) -> None:
        """End the wait, or the next one. May be called from a signal handler: the condition's lock is one that its owner may
        take again."""
        with self._lock:
            self._is_woken = True
            self._changed.notify()

    def take(self) -> list[Outcome]:
        """Return all outcomes, or as many of the first as one message to the hub can carry."""
        with self._lock:
            size, n = 0, 0
            for outcome in self._outcomes:
                size += outcome.size
                if n and size > MAX_GIVEN:
                    break
                n += 1
            taken, self._outcomes = self._outcomes[:n], self._outcomes[n:]
            self._news = len(self._outcomes)
        return taken


class Tempo:
    """Duration of tasks, and from it how many to hold beyond those in process: none if they are slow, so that others do them."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._usual: float | None = None  # s a task takes, recent mean

    def note(self, leases: Sequence[Lease], seconds: float) -> None:
        """Record one task's duration. Tasks with a host are excluded: holding them would idle the host."""
        if len(leases) == 1 and not leases[0].host:
            self.took(seconds)

    def took(self, seconds: float) -> None:
        self._usual = seconds if self._usual is None else self._usual + (seconds - self._usual) / 8

    def ahead(self, seconds: float = AHEAD) -> int:
        """Return the number of tasks that take this long together."""
        if self._usual is None:
            return 0
        return min(int(self._concurrency * seconds / max(self._usual, 1e-6)), MOST_AHEAD)


class Pool(Protocol):
    """Interface of a pool, which does the work of a worker outside its loop."""

    def submit(self, leases: list[Lease]) -> None:
        """Take a group of leases, which is one unit of work."""
        ...

    def resume(self) -> None:
        """Go on with tasks whose wait may be over. Called from time to time by the loop."""
        ...

    def widen(self, slow: Slow) -> None:
        """Add threads if tasks are slow; called about once a second: see `Stage.slow`."""
        ...

    def waiting(self) -> int:
        """Return the number of tasks that cannot begin now."""
        ...

    def withdraw(self) -> list[Lease]:
        """Take back the tasks that have not been started."""
        ...

    def close(self, seconds: float) -> bool:
        """Stop taking work. Returns False if after `seconds` something is still in `process`."""
        ...


class ThreadPool:
    """Threads, made as they are needed, `concurrency` at most; a group of leases is one unit of work. `submit` is thread-safe."""

    def __init__(
        self, handler: Handler, held: Held, finished: Finished, tempo: Tempo, concurrency: int,
        on_end: Callable[[list[Lease]], None] = lambda _: None, begin: Callable[[Lease], list[Outcome] | None] = lambda _: None,
    ) -> None:  # fmt: skip
        """on_end: called in the thread when a group is over, whatever the outcome, but not for withdrawn groups.

        begin: called in the thread first; returns the outcomes, which are empty if they come later from elsewhere; None: the
        group is handled here.
        """
        self._handler = handler
        self._held = held
        self._finished = finished
        self._tempo = tempo
        self._concurrency = concurrency
        self._most = concurrency
        self._on_end = on_end
        self._begin = begin
        self._waiting: SimpleQueue[list[Lease] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._groups = 0  # waiting or in process
        self._lock = threading.Lock()

    def submit(self, leases: list[Lease]) -> None:
        with self._lock:
            self._groups += 1
            short = self._add_thread() if len(self._threads) < min(self._groups, self._most) else None
            if short is not None and not self._threads:  # no thread would take these
                self._groups -= 1
        if short is not None and not self._threads:
            self._on_end(leases)
            self._finished.add([Outcome(lease, is_released=True, short=short) for lease in leases])
        else:
            self._waiting.put(leases)

    def _add_thread(self) -> MachineShort | None:
        """Start one more thread. Returns what this machine lacks if that is not possible: the others go on."""
        thread = threading.Thread(target=self._serve, name=f"stage-{len(self._threads) + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            log.debug("no thread can be started: %s", error)
            return short_of(THREADS)
        self._threads.append(thread)
        return None

    def resume(self) -> None:
        """Do nothing: tasks of this pool wait only for a thread."""

    def widen(self, slow: Slow) -> None:
        """Add threads for the tasks that wait for slow ones; twice as many if all are slow."""
        extra = slow.threads + max(slow.threads - self._concurrency, 0)
        self._most = min(self._concurrency + extra, max(MOST_THREADS, self._concurrency))
        with self._lock:
            while len(self._threads) < min(self._groups, self._most) and self._add_thread() is None:
                pass

    def waiting(self) -> int:
        """Return the number of groups that wait for a thread."""
        return max(self._groups - len(self._threads), 0)

    def withdraw(self) -> list[Lease]:
        """Take back the tasks that have not been started."""
        back: list[Lease] = []
        try:
            while True:
                back += self._waiting.get_nowait() or []
                self._ended()
        except Empty:
            return back

    def close(self, seconds: float) -> bool:
        """Stop taking work. Returns False if after `seconds` something is still in `process`."""
        self.withdraw()
        with self._lock:
            threads = list(self._threads)
        for _ in threads:
            self._waiting.put(None)
        give_up = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(give_up - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in threads)

    def _serve(self) -> None:
        while (leases := self._waiting.get()) is not None:
            ready, late = started(self._held, leases)
            began = time.monotonic()
            begun = self._begin(ready[0]) if len(ready) == 1 else None
            outcomes = begun if begun is not None else self._handler.handle(ready) if ready else []
            self._held.worked(ready)
            self._tempo.note(leases, time.monotonic() - began)
            self._ended()
            self._on_end(leases)  # first: the reader of the outcomes must find this over
            self._finished.add(late + outcomes)

    def _ended(self) -> None:
        with self._lock:
            self._groups -= 1


def started(held: Held, leases: Sequence[Lease]) -> tuple[list[Lease], list[Outcome]]:
    """Split leases into those that are still ours, marked as started, and outcomes that release the others."""
    ready: list[Lease] = []
    late: list[Outcome] = []
    for lease in leases:
        if held.start(lease):
            ready.append(lease)
        else:
            late.append(Outcome(lease, is_released=True))
    return ready, late
