"""What is on loan, and to whom: in memory, and in each caller's row as one list for each call that was lent something.

    lend 3 ──▶ [7, 8, 9] ──8 is done──▶ the same: 8 is not READY ──9 is given back──▶ [7, 8, 0] ──7 is done──▶ nothing

What changed of it is written with the caller's row: see `callers`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from crawler.broker.sqlite.callers import Batch, Callers
from crawler.broker.sqlite.queues import Queue

NEVER = float("inf")


class Loan:
    """A task on loan."""

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
        self.size = size          # bytes of the body
        self.until = until        # hub time
        self.ttl = ttl            # s, as the worker asked for
        self.batch = batch
        self.since = since        # hub time
        self.has_arrived = False  # it no longer takes one of its host's slots; not stored: read again, each takes one


class Loans:
    """All tasks on loan, by token, by task and by worker, and when the next of them may run out."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._by_token: dict[int, Loan] = {}
        self._by_worker: dict[str, dict[int, Loan]] = {}
        self.tasks: set[int] = set()           # ids
        self._next_end = NEVER                 # none runs out before; it may be that none does then

    def add(self, loan: Loan) -> None:
        self._by_token[loan.token] = loan
        held = self._by_worker.get(loan.worker)
        if held is None:
            held = self._by_worker[loan.worker] = {}
        held[loan.token] = loan
        self.tasks.add(loan.task)
        loan.batch.left += 1
        if loan.until < self._next_end:
            self._next_end = loan.until

    def held(self, token: int, worker: str) -> Loan | None:
        """The loan of this token; None: this worker does not hold it."""
        loan = self._by_token.get(token)
        return None if loan is None or loan.worker != worker else loan

    def until(self, token: int) -> float | None:
        """Hub time at which this loan runs out."""
        loan = self._by_token.get(token)
        return None if loan is None else loan.until

    def end(self, token: int, worker: str) -> Loan | None:
        """Take a loan off the books, as done or for `give_back`; None: this worker does not hold it."""
        loan = self._by_token.get(token)
        if loan is None or loan.worker != worker:
            return None
        del self._by_token[token]
        held = self._by_worker[worker]
        del held[token]
        if not held:
            del self._by_worker[worker]
        self.tasks.discard(loan.task)
        batch = loan.batch
        batch.left -= 1
        if not batch.left:
            self._callers.let_go(batch)
        return loan

    def give_back(self, loan: Loan) -> None:
        """Its task, off the books, will be READY again: it is not to be taken for one that is on loan."""
        batch = loan.batch
        batch.tasks[loan.token - batch.first] = 0
        self._callers.changed(batch)

    def extend(self, token: int, worker: str, until: float) -> bool:
        loan = self.held(token, worker)
        if loan is None:
            return False
        self._until(loan, until)
        return True

    def lanes(self) -> Counter[int]:
        """Tasks on loan by lane, of polite queues."""
        return Counter(loan.lane for loan in self._by_token.values() if loan.queue.spec.polite)

    def of(self, worker: str) -> list[Loan]:
        return list(self._by_worker.get(worker, {}).values())

    def workers(self) -> dict[str, int]:
        """Tasks each worker holds."""
        return {worker: len(held) for worker, held in self._by_worker.items()}

    def oldest(self, queues: int) -> dict[int, Loan]:
        """Return the oldest lease of each queue, by queue id. queues: the number of queues with leases, to end the search early."""
        found: dict[int, Loan] = {}
        for loan in self._by_token.values():        # in the order in which they were leased
            if found.setdefault(loan.queue.id, loan) is loan and len(found) == queues:
                break
        return found

    def asking(self, lanes: set[int]) -> dict[int, float]:
        """Return when the oldest lease of each of these lanes began whose host has not answered; lanes without one are left out."""
        found: dict[int, float] = {}
        if lanes:
            for loan in self._by_token.values():    # in the order in which they were leased
                if loan.lane in lanes and not loan.has_arrived and loan.lane not in found:
                    found[loan.lane] = loan.since
                    if len(found) == len(lanes):
                        break
        return found

    def shorten(self, worker: str, until: float) -> None:
        """Nobody hears from this worker: its loans run out no later than this."""
        for loan in self.of(worker):
            self._until(loan, min(loan.until, until))

    def restore(self, worker: str, now: float) -> None:
        """It is heard of again."""
        for loan in self.of(worker):
            self._until(loan, max(loan.until, now + loan.ttl))

    def next_end(self) -> float | None:
        """Before this no loan runs out."""
        return None if self._next_end == NEVER else self._next_end

    def ended(self, now: float) -> Sequence[Loan]:
        """Take the loans that have run out off the books. All are looked at, once in the shortest time one lasts."""
        if self._next_end > now:
            return ()
        over = sorted((loan for loan in self._by_token.values() if loan.until <= now), key=lambda loan: (loan.until, loan.token))
        for loan in over:
            self.end(loan.token, loan.worker)
        self._next_end = min((loan.until for loan in self._by_token.values()), default=NEVER)
        return over

    def _until(self, loan: Loan, until: float) -> None:
        loan.until = until
        self._next_end = min(self._next_end, until)
