"""Open leases and their holders: in memory, and in each caller's row as one list for each call that leased tasks.

    lend 3 ──▶ [7, 8, 9] ──8 is done──▶ the same: 8 is not READY ──9 is given back──▶ [7, 8, 0] ──7 is done──▶ nothing

Changes are written with the caller's row: see `callers`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from crawler.broker.sqlite.callers import Batch, Callers
from crawler.broker.sqlite.queues import Queue

NEVER = float("inf")


class OpenLease:
    """A leased task."""

    __slots__ = ("attempt", "batch", "has_arrived", "lane", "queue", "since", "size", "task", "token", "ttl", "until", "worker")

    def __init__(
        self, token: int, task: int, queue: Queue, lane: int, worker: str, attempt: int, size: int, until: float, ttl: float,
        batch: Batch, since: float,
    ) -> None:  # fmt: skip
        self.token = token
        self.task = task
        self.queue = queue
        self.lane = lane
        self.worker = worker
        self.attempt = attempt
        self.size = size  # bytes of the body
        self.until = until  # hub time
        self.ttl = ttl  # s, as the worker asked for
        self.batch = batch
        self.since = since  # hub time
        self.has_arrived = False  # it no longer takes one of its host's slots; not stored: read again, each takes one


class OpenLeases:
    """All leased tasks, by token, by task and by worker, and when the next of them may run out."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._by_token: dict[int, OpenLease] = {}
        self._by_worker: dict[str, dict[int, OpenLease]] = {}
        self.tasks: set[int] = set()  # ids
        self._next_end = NEVER  # none runs out before; it may be that none does then

    def add(self, lease: OpenLease) -> None:
        self._by_token[lease.token] = lease
        held = self._by_worker.get(lease.worker)
        if held is None:
            held = self._by_worker[lease.worker] = {}
        held[lease.token] = lease
        self.tasks.add(lease.task)
        lease.batch.left += 1
        if lease.until < self._next_end:
            self._next_end = lease.until

    def held(self, token: int, worker: str) -> OpenLease | None:
        """Return the lease of this token; None if this worker does not hold it."""
        lease = self._by_token.get(token)
        return None if lease is None or lease.worker != worker else lease

    def until(self, token: int) -> float | None:
        """Hub time at which this lease runs out."""
        lease = self._by_token.get(token)
        return None if lease is None else lease.until

    def end(self, token: int, worker: str) -> OpenLease | None:
        """Remove a lease from memory, as done or for `give_back`; None if this worker does not hold it."""
        lease = self._by_token.get(token)
        if lease is None or lease.worker != worker:
            return None
        del self._by_token[token]
        held = self._by_worker[worker]
        del held[token]
        if not held:
            del self._by_worker[worker]
        self.tasks.discard(lease.task)
        batch = lease.batch
        batch.left -= 1
        if not batch.left:
            self._callers.let_go(batch)
        return lease

    def give_back(self, lease: OpenLease) -> None:
        """Mark a lease, already removed, as given back, so that its task counts as READY and not as leased after a restart."""
        batch = lease.batch
        batch.tasks[lease.token - batch.first] = 0
        self._callers.changed(batch)

    def extend(self, token: int, worker: str, until: float) -> bool:
        lease = self.held(token, worker)
        if lease is None:
            return False
        self._until(lease, until)
        return True

    def lanes(self) -> Counter[int]:
        """Leased tasks by lane, of polite queues."""
        return Counter(lease.lane for lease in self._by_token.values() if lease.queue.spec.polite)

    def of(self, worker: str) -> list[OpenLease]:
        return list(self._by_worker.get(worker, {}).values())

    def workers(self) -> dict[str, int]:
        """Tasks each worker holds."""
        return {worker: len(held) for worker, held in self._by_worker.items()}

    def oldest(self, queues: int) -> dict[int, OpenLease]:
        """Return the oldest lease of each queue, by queue id. queues: the number of queues with leases, to end the search early."""
        found: dict[int, OpenLease] = {}
        for lease in self._by_token.values():  # in the order in which they were leased
            if found.setdefault(lease.queue.id, lease) is lease and len(found) == queues:
                break
        return found

    def asking(self, lanes: set[int]) -> dict[int, float]:
        """Return when the oldest lease of each of these lanes began whose host has not answered; lanes without one are left out."""
        found: dict[int, float] = {}
        if lanes:
            for lease in self._by_token.values():  # in the order in which they were leased
                if lease.lane in lanes and not lease.has_arrived and lease.lane not in found:
                    found[lease.lane] = lease.since
                    if len(found) == len(lanes):
                        break
        return found

    def shorten(self, worker: str, until: float) -> None:
        """End this worker's leases no later than `until`, because it is silent."""
        for lease in self.of(worker):
            self._until(lease, min(lease.until, until))

    def restore(self, worker: str, now: float) -> None:
        """Extend this worker's leases again, because it has been heard of."""
        for lease in self.of(worker):
            self._until(lease, max(lease.until, now + lease.ttl))

    def next_end(self) -> float | None:
        """Earliest time at which a lease may run out."""
        return None if self._next_end == NEVER else self._next_end

    def ended(self, now: float) -> Sequence[OpenLease]:
        """Remove the leases that have run out from memory. Scans all leases, at most once per shortest remaining lease."""
        if self._next_end > now:
            return ()
        over = [lease for lease in self._by_token.values() if lease.until <= now]
        over.sort(key=lambda lease: (lease.until, lease.token))
        for lease in over:
            self.end(lease.token, lease.worker)
        self._next_end = min((lease.until for lease in self._by_token.values()), default=NEVER)
        return over

    def _until(self, lease: OpenLease, until: float) -> None:
        lease.until = until
        self._next_end = min(self._next_end, until)
