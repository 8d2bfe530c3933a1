"""Where a worker's tasks run, and what is in its hands: threads for a blocking stage; `tasks` has the same for an async one.

    submit(leases) ──▶ thread, or asyncio task ──▶ finished ──take──▶ the worker's loop

Every thread is a daemon: one that never comes back from `process` must not keep a process that is to end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Protocol

from crawler.handler import MAX_GIVEN, Handler, Outcome
from crawler.items import Lease

AHEAD = 0.1           # s a quick task may wait in our hands: what is done in that time comes with one round trip
MOST_AHEAD = 256      # tasks so held at most


class Finished:
    """Outcomes on their way back to the loop, and the wait for them."""

    def __init__(self) -> None:
        self._outcomes: list[Outcome] = []
        self._news = 0                            # outcomes and arrivals since the last `take`
        self._enough = 1                          # of them, to end the wait
        self._first_at = 0.0
        self._is_woken = False
        self._changed = threading.Condition()

    def add(self, outcomes: Sequence[Outcome]) -> None:
        with self._changed:
            self._outcomes += outcomes
            self._heard(len(outcomes))

    def arrived(self) -> None:
        """A task asks no more of its host, which the hub should hear of as of an outcome."""
        with self._changed:
            self._heard(1)

    def _heard(self, n: int) -> None:
        before, self._news = self._news, self._news + n
        if not before:
            self._first_at = time.monotonic()
        if not before or self._news >= self._enough:      # not each time: who is woken takes the interpreter from who works
            self._changed.notify()

    def wait(self, enough: int, linger: float, timeout: float) -> None:
        """Until there are `enough`, or `linger` s after the first of them, or `timeout` s from now, or somebody calls `wake`."""
        give_up = time.monotonic() + timeout
        with self._changed:
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
        with self._changed:
            self._is_woken = True
            self._changed.notify()

    def take(self) -> list[Outcome]:
        """All there are, or as many of the first as one message to the hub can carry."""
        with self._changed:
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
    """How quick tasks are, and so how many to hold beyond those in process: none of slow ones, which others could do meanwhile."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._usual: float | None = None          # s a task takes, of late

    def note(self, leases: Sequence[Lease], seconds: float) -> None:
        """So long took a task, alone. What has a host is left out: while we held it, the host would wait."""
        if len(leases) == 1 and not leases[0].host:
            self.took(seconds)

    def took(self, seconds: float) -> None:
        self._usual = seconds if self._usual is None else self._usual + (seconds - self._usual) / 8

    def ahead(self, seconds: float = AHEAD) -> int:
        """Tasks that take so long together."""
        if self._usual is None:
            return 0
        return min(int(self._concurrency * seconds / max(self._usual, 1e-6)), MOST_AHEAD)


class _Loan:
    """A lease in our hands."""

    __slots__ = ("has_arrived", "lease", "started", "until", "worked")

    def __init__(self, lease: Lease, until: float) -> None:
        self.lease = lease
        self.until = until                        # monotonic time
        self.started: float | None = None         # monotonic time
        self.has_arrived = False                  # it asks no more of its host
        self.worked: float | None = None          # monotonic time: work on what has arrived began


class Held:
    """The leases in this worker's hands: until when, and since when in process.

    A lease is known by its object: after the store was replaced under the hub, a new one may come with a token of old.
    """

    def __init__(self) -> None:
        self._loans: dict[int, _Loan] = {}        # by token
        self._arrivals: list[Lease] = []          # that the hub has not been told of
        self._lock = threading.Lock()

    def add(self, leases: Sequence[Lease], until: float) -> None:
        with self._lock:
            self._loans.update((lease.token, _Loan(lease, until)) for lease in leases)

    def extend(self, tokens: Sequence[int], kept: Sequence[bool], until: float) -> None:
        """What the hub said to a heart-beat; what it says is not ours is not begun any more."""
        with self._lock:
            for token, is_ours in zip(tokens, kept, strict=True):
                if (loan := self._loans.get(token)) is not None:
                    loan.until = until if is_ours else 0.0

    def start(self, lease: Lease) -> bool:
        """Work on it begins. False: its time is over, it is somebody else's by now (this process was frozen, or cut off)."""
        now = time.monotonic()
        with self._lock:
            loan = self._loans.get(lease.token)
            if loan is None or loan.lease is not lease or loan.until < now:
                return False
            loan.started = now
            return True

    def wait(self, lease: Lease) -> None:
        """It was begun and is not in process after all: `start` is for a thread to call, once one is free."""
        with self._lock:
            if self._is_ours(lease):
                self._loans[lease.token].started = None

    def arrive(self, lease: Lease) -> None:
        """It asks no more of its host, which another may have."""
        with self._lock:
            loan = self._loans.get(lease.token)
            if loan is not None and loan.lease is lease:
                loan.has_arrived = True
                self._arrivals.append(lease)

    def arrivals(self) -> list[int]:
        """Tokens of those that have arrived since the last call, are still in our hands, and have a host."""
        with self._lock:
            arrivals, self._arrivals = self._arrivals, []
            return [lease.token for lease in arrivals if lease.host and self._is_ours(lease)]

    def beyond(self) -> int:
        """How many have arrived and are still in our hands."""
        with self._lock:
            return sum(loan.has_arrived for loan in self._loans.values())

    def end(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """They are on their way to the hub. Returns those that were in our hands: the others are nobody's business any more."""
        with self._lock:
            return [outcome for outcome in outcomes if self._ends(outcome.lease)]

    def clear(self) -> list[Lease]:
        """Let go of all."""
        with self._lock:
            leases = [loan.lease for loan in self._loans.values()]
            self._loans.clear()
        return leases

    def tokens(self) -> list[int]:
        with self._lock:
            return list(self._loans)

    def work(self, lease: Lease) -> None:
        """Work on what has arrived begins."""
        with self._lock:
            if self._is_ours(lease):
                self._loans[lease.token].worked = time.monotonic()

    def hung(self, hang: float, hang_at_work: float) -> tuple[list[Lease], float]:
        """Those worked on for longer than `hang_at_work` s, else those in process for longer than `hang` s: and which of the two it
        was. Who waits for work that hangs does not hang itself."""
        now = time.monotonic()
        with self._lock:
            loans = self._loans.values()
            at_work = [loan.lease for loan in loans if loan.worked is not None and loan.worked < now - hang_at_work]
            if at_work:
                return at_work, hang_at_work
            return [loan.lease for loan in loans if loan.started is not None and loan.started < now - hang], hang

    def in_process(self) -> int:
        """Those begun, and not yet on their way to the hub."""
        with self._lock:
            return sum(loan.started is not None for loan in self._loans.values())

    def __len__(self) -> int:
        return len(self._loans)

    def _is_ours(self, lease: Lease) -> bool:
        loan = self._loans.get(lease.token)
        return loan is not None and loan.lease is lease

    def _ends(self, lease: Lease) -> bool:
        if not self._is_ours(lease):
            return False
        del self._loans[lease.token]
        return True


class Pool(Protocol):
    """Does the work of a worker, out of its loop."""

    def submit(self, leases: list[Lease]) -> None:
        """A group of leases is one unit of work."""
        ...

    def withdraw(self) -> list[Lease]:
        """Take back what has not been started."""
        ...

    def close(self, seconds: float) -> bool:
        """Takes no more work. False: after so many seconds something is still in `process`."""
        ...


class ThreadPool:
    """`concurrency` threads; a group of leases is one unit of work."""

    def __init__(self, handler: Handler, held: Held, finished: Finished, tempo: Tempo, concurrency: int) -> None:
        self._handler = handler
        self._held = held
        self._finished = finished
        self._tempo = tempo
        self._waiting: SimpleQueue[list[Lease] | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"stage-{number}", daemon=True) for number in range(1, concurrency + 1)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, leases: list[Lease]) -> None:
        self._waiting.put(leases)

    def withdraw(self) -> list[Lease]:
        """Take back what has not been started."""
        back: list[Lease] = []
        try:
            while True:
                back += self._waiting.get_nowait() or []
        except Empty:
            return back

    def close(self, seconds: float) -> bool:
        """Takes no more work. False: after so many seconds something is still in `process`."""
        self.withdraw()
        for _ in self._threads:
            self._waiting.put(None)
        give_up = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(give_up - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def _serve(self) -> None:
        while (leases := self._waiting.get()) is not None:
            ready, late = started(self._held, leases)
            began = time.monotonic()
            outcomes = self._handler.handle(ready) if ready else []
            self._tempo.note(leases, time.monotonic() - began)
            self._finished.add(late + outcomes)


def started(held: Held, leases: Sequence[Lease]) -> tuple[list[Lease], list[Outcome]]:
    """Those that are still ours to do, and the others as given back."""
    ready: list[Lease] = []
    late: list[Outcome] = []
    for lease in leases:
        if held.start(lease):
            ready.append(lease)
        else:
            late.append(Outcome(lease, is_released=True))
    return ready, late
