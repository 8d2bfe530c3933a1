"""Leases that a worker holds: when each ends, and how far its task has come.

add ──▶ start ──▶ (wait) ──arrive──▶ work ──▶ end          extend: a heart-beat;  clear: we let go of all
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from crawler.items import Lease
from crawler.worker.handler import Outcome
from crawler.worker.marks import Marks


class _OpenLease:
    """Lease that this worker holds."""

    __slots__ = ("has_arrived", "is_told", "lease", "started", "thread", "until", "was_begun", "worked")

    def __init__(self, lease: Lease, until: float) -> None:
        self.lease = lease
        self.until = until  # monotonic time
        self.started: float | None = None  # monotonic time
        self.was_begun = False  # work on it has begun at some time, or its host was asked
        self.has_arrived = False  # it asks no more of its host
        self.thread = 0  # that has started it
        self.worked: float | None = None  # monotonic time: work began after the arrival
        self.is_told = False  # whether a warning has said that it takes long


class Held:
    """The leases in this worker's hands: until when, and since when in process.

    A lease is known by its object: after the store was replaced under the hub, a new one may come with a token of old.
    """

    def __init__(self, marks: Marks | None = None) -> None:
        """marks: written for each task begun, for the process that supervises this one; they are made under our lock."""
        self.starts_work = True  # a started task is at work at once, and does not wait for a host first
        self._marks = marks or Marks()
        self._by_thread: dict[int, _OpenLease] = {}  # the last one started, or worked on, in it
        self._open: dict[int, _OpenLease] = {}  # by token
        self._beyond = 0  # of these, how many have arrived
        self._arrivals: list[Lease] = []  # that the hub has not been told of
        self._lock = threading.Lock()

    def add(self, leases: Sequence[Lease], until: float) -> None:
        with self._lock:
            self._open.update((lease.token, _OpenLease(lease, until)) for lease in leases)

    def extend(self, tokens: Sequence[int], kept: Sequence[bool], until: float) -> None:
        """Apply the hub's answer to a heart-beat: leases that are no longer ours are not begun."""
        with self._lock:
            for token, is_ours in zip(tokens, kept, strict=True):
                if (held := self._open.get(token)) is not None:
                    held.until = until if is_ours else 0.0

    def start(self, lease: Lease) -> bool:
        """Mark a task as begun. Returns False if its lease has run out, so that another worker may have it (this process was
        frozen, or cut off)."""
        now = time.monotonic()
        with self._lock:
            held = self._open.get(lease.token)
            if held is None or held.lease is not lease or held.until < now:
                return False
            thread = threading.get_ident()
            held.started, held.thread, held.was_begun = now, thread, True
            self._by_thread[thread] = held
            self._marks.begin(lease.token, is_work=self.starts_work)
            return True

    def wait(self, lease: Lease, *, was_begun: bool = True) -> None:
        """Put back a lease that was started and is not in process after all, for a thread to `start` once one is free.

        was_begun: its host may have been asked.
        """
        with self._lock:
            if self._is_ours(lease):
                held = self._open[lease.token]
                held.started, held.was_begun = None, was_begun
                if was_begun:
                    self._marks.work(lease.token, is_work=False)
                else:
                    self._marks.over(lease.token)

    def arrive(self, lease: Lease, *, is_free: bool = True) -> None:
        """Note that a task sends no more requests to its host. is_free: the host may be asked again now; if not, after the task's
        work."""
        with self._lock:
            held = self._open.get(lease.token)
            if held is not None and held.lease is lease:
                self._beyond += not held.has_arrived
                held.has_arrived = True
                if is_free:
                    self._arrivals.append(lease)

    def arrivals(self) -> list[int]:
        """Return the tokens of tasks that have arrived since the last call, are still held, and have a host."""
        with self._lock:
            arrivals, self._arrivals = self._arrivals, []
            return [lease.token for lease in arrivals if lease.host and self._is_ours(lease)]

    def beyond(self) -> int:
        """Number of tasks that have arrived and are still in process."""
        return self._beyond

    def end(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Stop holding the leases of these outcomes, which are sent to the hub. Returns the outcomes whose leases were still held;
        the others are to be ignored."""
        with self._lock:
            return [outcome for outcome in outcomes if self._ends(outcome.lease)]

    def untouched(self, outcomes: Sequence[Outcome]) -> set[int]:
        """Return the tokens of the leases that are given back and were never begun."""
        given_back = [outcome.lease for outcome in outcomes if outcome.is_released]
        if not given_back:
            return set()
        with self._lock:
            return {lease.token for lease in given_back if self._is_ours(lease) and not self._open[lease.token].was_begun}

    def clear(self) -> tuple[list[Lease], list[Lease]]:
        """Stop holding any lease. Returns those that were begun, and those that were not."""
        with self._lock:
            begun = [held.lease for held in self._open.values() if held.was_begun]
            untouched = [held.lease for held in self._open.values() if not held.was_begun]
            self._open.clear()
            self._beyond = 0
            for lease in begun:
                self._marks.over(lease.token)
        return begun, untouched

    def give_up_waiting(self, threads: Mapping[int, float]) -> list[Lease]:
        """Stop holding leases whose tasks still wait, for instance for a server's answer. threads: see `Stage.at_work`."""
        with self._lock:
            leases = [held.lease for held in self._open.values() if not (held.has_arrived or held.thread in threads)]
            for lease in leases:
                self._ends(lease)
        return leases

    def tokens(self) -> list[int]:
        with self._lock:
            return list(self._open)

    def work(self, lease: Lease) -> None:
        """Mark the beginning of work on a task that has arrived."""
        with self._lock:
            held = self._open.get(lease.token)
            if held is not None and held.lease is lease:
                held.worked = time.monotonic()
                held.thread = threading.get_ident()
                self._by_thread[held.thread] = held
                self._marks.work(lease.token)

    def worked(self, leases: Sequence[Lease]) -> None:
        """Work on these is over; they wait for the hub to hear of it."""
        with self._lock:
            for lease in leases:
                if self._is_ours(lease):
                    self._marks.work(lease.token, is_work=False)

    def thread_works(self, is_work: bool) -> None:
        """Mark the task that this thread has started as at work, or as waiting again: see `Stage.on_work`."""
        held = self._by_thread.get(threading.get_ident())
        if held is None or held.worked is not None:  # marked already: only this thread changes either
            return
        with self._lock:
            if held.started is not None and self._is_ours(held.lease):
                self._marks.work(held.lease.token, is_work=is_work)

    def hung(self, hang: float, hang_at_work: float, threads: Mapping[int, float]) -> tuple[list[Lease], float]:
        """Return the hung tasks and the limit they passed: those worked on for longer than `hang_at_work` s, else those in process
        for longer than `hang` s. A task blocked by a hung task is not itself considered hung. threads: see `Stage.at_work`."""
        now = time.monotonic()
        with self._lock:
            held = self._open.values()
            since = [(held.lease, held.worked or (threads.get(held.thread) if held.started else None)) for held in held]
            at_work = [lease for lease, began in since if began is not None and began < now - hang_at_work]
            if at_work:
                return at_work, hang_at_work
            return [held.lease for held in held if held.started is not None and held.started < now - hang], hang

    def slow(self, seconds: float, *, in_batches: bool = False) -> list[tuple[list[Lease], int, float]]:
        """List the leases in process for longer than this that no earlier call returned, with their thread and start time.

        in_batches: all tasks of a thread are one batch and are returned together.
        """
        now = time.monotonic()
        found: dict[int, tuple[list[Lease], int, float]] = {}
        with self._lock:
            begun = [(held, held.started) for held in self._open.values() if held.started is not None and not held.is_told]
            late = {held.thread for held, since in begun if since < now - seconds}
            for held, since in begun:
                if held.thread in late if in_batches else since < now - seconds:
                    held.is_told = True
                    key = held.thread if in_batches else held.lease.token
                    found.setdefault(key, ([], held.thread, since))[0].append(held.lease)
        return list(found.values())

    def thread(self, lease: Lease) -> int:
        """Return the thread that processes this lease; 0 if the lease is not ours."""
        with self._lock:
            return self._open[lease.token].thread if self._is_ours(lease) else 0

    def __len__(self) -> int:
        return len(self._open)

    def _is_ours(self, lease: Lease) -> bool:
        held = self._open.get(lease.token)
        return held is not None and held.lease is lease

    def _ends(self, lease: Lease) -> bool:
        token = lease.token
        held = self._open.get(token)
        if held is None or held.lease is not lease:
            return False
        del self._open[token]
        self._beyond -= held.has_arrived
        self._marks.over(token)
        return True
