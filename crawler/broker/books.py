"""The books of the embedded engine: its queues, lanes and loans in memory, read from the tables and written back to them.

`ledger.Ledger` has the verbs; what stands here is what they all stand on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from random import Random

from crawler.broker.base import Politeness, QueueSpec
from crawler.broker.callers import Callers
from crawler.broker.clock import Clock, HubTime
from crawler.broker.state import Lanes, Loan, Loans, Queue, load_queues
from crawler.errors import CallRefused
from crawler.items import New

EPOCH_SHIFT = 40          # a token is epoch << 40 | counter: no token is issued twice, not even one a power cut rolled back
SILENCE = 10.0            # s a worker whose connection broke, or all workers of a restarted hub, have to be heard of again; but
BEATS = 0.5               # of its lease time at least: heart-beats come every third


class Books:
    """Queues, lanes and loans over the tables of `schema`."""

    def __init__(
        self, db: sqlite3.Connection, specs: Iterable[QueueSpec], politeness: Politeness, clock: Clock, random: Random
    ) -> None:
        self.db = db
        self._specs = tuple(specs)
        self._politeness = politeness
        self._clock = clock
        self._random = random
        self.store = 0                       # which store this is
        self.epoch = 0                       # times it was opened
        self.notes_version = 0
        self.is_short = False                # of room on the disk: set with each transaction
        self.loans = Loans()
        self._silent: set[str] = set()       # workers with loans that are to be heard of again
        self.callers = Callers(db)

    # ---- opening and closing a transaction

    def open(self, is_new_epoch: bool) -> None:
        """Read the state from the tables: once at the start (a new epoch), and after a transaction was rolled back."""
        head = self.db.execute("SELECT store, epoch, now, next_id, notes FROM head").fetchone()
        (self.store, self.epoch, stored, self._next_id, self.notes_version) = head
        if is_new_epoch:
            self.epoch += 1
            self.db.execute("UPDATE head SET epoch = ?", (self.epoch,))
            self.callers.forget(stored)
            self._token = self.epoch << EPOCH_SHIFT
            self.time = HubTime(self._clock, stored)
        self.now = self.time.now()
        self.queues = load_queues(self.db, self._specs)
        self._by_id = {queue.id: queue for queue in self.queues.values()}
        self._ours = f"queue IN ({', '.join(map(str, self._by_id))})"    # what else is in the file belongs to another pipeline
        self.lanes = Lanes(self.db, self._politeness)
        self._counts: dict[str, int] = {}
        for queue in self.queues.values():
            if queue.spec.polite:
                self._reopen_lanes(queue)
            else:
                queue.lane = self.lanes.named(queue, "").id
        self.loans = self._read_loans(self.loans)
        self._recount_lanes()
        if is_new_epoch:
            self._silent = set(self.loans.workers())
        self._next_due = self._first_due()

    def _reopen_lanes(self, queue: Queue) -> None:
        """`per_host` may be another than in the last run."""
        self.db.execute(
            "UPDATE lane SET open = NOT open WHERE queue = ? AND open != (ready > 0 AND leased < ? AND NOT paused)",
            (queue.id, self._politeness.per_host),
        )

    def _read_loans(self, known: Loans) -> Loans:
        """What was on loan stays on loan: its workers may be alive and hand it in. Unless we know better, they have `SILENCE`."""
        loans = Loans()
        rows = self.db.execute(
            "SELECT token, whole.id, queue, lane, name, attempt, length(item), ttl FROM whole JOIN caller ON caller.id = holder "
            "WHERE state = 2"
        )
        for token, task, queue, lane, worker, attempt, size, ttl in sorted(rows):      # by token
            if queue in self._by_id:
                until = known.until(token) or self.now + max(SILENCE, ttl * BEATS)
                loans.add(Loan(token, task, self._by_id[queue], lane, worker, attempt, size, until, ttl))
        return loans

    def _recount_lanes(self) -> None:
        """Which of the tasks on loan had arrived is not stored: each takes a slot of its host again."""
        self.db.executemany(
            "UPDATE lane SET leased = ?1, open = (ready > 0 AND ?1 < ?2 AND NOT paused) WHERE id = ?3 AND leased != ?1",
            [(leased, self._politeness.per_host, lane) for lane, leased in self.loans.lanes().items()],
        )

    def flush(self) -> None:
        """Write counts and lanes; the last thing before a commit."""
        self.lanes.flush()
        changed = [queue for queue in self.queues.values() if queue.is_dirty]
        self.db.executemany(
            "UPDATE queue SET accepted = ?, ready = ?, delayed = ?, leased = ?, dead = ?, done = ?, bytes = ? WHERE id = ?",
            [(queue.accepted, *queue.counts, queue.bytes, queue.id) for queue in changed],
        )
        for queue in changed:
            queue.is_dirty = False
        if self._counts:
            self.db.executemany(
                "INSERT INTO counter VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
                list(self._counts.items()),
            )
            self._counts = {}
        self.db.execute("UPDATE head SET now = ?, next_id = ?, notes = ?", (self.now, self._next_id, self.notes_version))

    # ---- arguments

    def queue(self, name: str) -> Queue:
        """The queue of this name; CallRefused says which there are."""
        queue = self.queues.get(name)
        if queue is None:
            raise CallRefused(f"no queue {name!r} on this hub; it has {', '.join(sorted(self.queues))}")
        return queue

    def has_queue(self, id: int) -> bool:
        """The pipeline has a queue of this number; the file may hold older ones."""
        return id in self._by_id

    def queue_numbered(self, id: int) -> Queue:
        return self._by_id[id]

    def check(self, items: Iterable[New]) -> None:
        """CallRefused unless each item's queue exists."""
        for name in {new.queue for new in items}:
            self.queue(name)

    # ---- what several verbs need

    def made_ready(self, queue: Queue, lane_id: int) -> None:
        """Tell the lane of a task that became ready."""
        if queue.spec.polite:
            lane = self.lanes.numbered(queue, lane_id)
            lane.ready += 1
            self.lanes.touch(lane)

    def count(self, counters: dict[str, int]) -> None:
        """Add to the named counters, with the transaction."""
        for name, n in counters.items():
            self._counts[name] = self._counts.get(name, 0) + n

    def _first_due(self) -> float | None:
        row = self.db.execute(f"SELECT due FROM task WHERE state = 1 AND {self._ours} ORDER BY due LIMIT 1").fetchone()  # noqa: S608  (as above)
        return None if row is None else float(row[0])

    def _wait_until(self, due: float) -> None:
        self._next_due = due if self._next_due is None else min(self._next_due, due)
