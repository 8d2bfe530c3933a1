"""State of the embedded engine: its queues, lanes and leases in memory, read from the tables and written back to them.

The verbs are functions over a `Ledger`, a module for each: `insert`, `lend`, `hand_in`, `quarantine`, `inspection`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from random import Random

from msgspec import json

from crawler.broker.arguments import LARGEST
from crawler.broker.budget import spent, time_counter
from crawler.broker.clock import Clock, HubTime
from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite.callers import Callers
from crawler.broker.sqlite.leases import OpenLease, OpenLeases
from crawler.broker.sqlite.queues import Lanes, Queue, load_queues, load_suspects
from crawler.broker.sqlite.schema import NEVER
from crawler.broker.sqlite.troubles import Troubles
from crawler.errors import CallRefused
from crawler.items import HostStats, New
from crawler.limits import COUNTER_BYTES, COUNTERS, OTHERS

EPOCH_SHIFT = 40  # a token is epoch << 40 | counter: no token is issued twice, not even one a power cut rolled back
SILENCE = 10.0  # s a worker whose connection broke, or all workers of a restarted hub, have to be heard of again; but
BEATS = 0.5  # of its lease time at least: heart-beats come every third


class Ledger:
    """State of one store: its queues, lanes and leases, over the tables of `schema`.

    Public attributes belong to the modules of the verbs; only `open` and `flush` see the others.
    """

    def __init__(
        self, db: sqlite3.Connection, specs: Iterable[QueueSpec], politeness: Politeness, clock: Clock, random: Random
    ) -> None:
        self.db = db
        self._specs = tuple(specs)
        self._politeness = politeness
        self._clock = clock
        self.random = random
        self.store = 0  # which store this is
        self.epoch = 0  # times it was opened
        self.notes_version = 0
        self.is_short = False  # of room on the disk: set with each transaction
        self._counts: dict[int, list[int]] = {}  # of every queue in the file, as of the last flush
        self._counters: dict[str, int] = {}
        self._counter_bytes = 0  # of their names
        self._budgeted = {name for spec in self._specs for budget in spec.budgets for name in budget.counters}
        self._has_counted = False
        self._head: tuple[object, ...] = ()  # what of it was written last
        self._changes = 0  # rows that had been written then
        self.timed: list[Queue] = []  # queues whose time is counted
        self.unpaid: dict[int, float] = {}  # ms, by queue: parts of a millisecond that are not counted yet
        self.shown: tuple[float, list[HostStats], int, int] | None = None  # hosts that `inspection` found, and until when
        self.troubles = Troubles()
        self.overgrown: set[tuple[str, str]] = set()  # queues and hosts of which it was said that too many tasks wait there
        self.silent: set[str] = set()  # workers with leases that should be heard of again
        self.callers = Callers(db)
        self.leases = OpenLeases(self.callers)

    # ---- opening and closing a transaction

    def open(self, is_new_epoch: bool) -> None:
        """Read the state from the tables: once at the start (a new epoch), and after a transaction was rolled back."""
        head = self.db.execute("SELECT store, epoch, now, next_id, notes, counts, counters FROM head").fetchone()
        (self.store, self.epoch, then, self.next_id, self.notes_version, counts, counters) = head
        if is_new_epoch:
            self.epoch += 1
            self.db.execute("UPDATE head SET epoch = ?", (self.epoch,))
            self.callers.forget(then)
            self.token = self.epoch << EPOCH_SHIFT
            self.time = HubTime(self._clock, then)
        self.now = self.time.now()
        self._head, self.shown = (), None
        self._counts = json.decode(counts, type=dict[int, list[int]])
        self._read_counters(counters)
        self.queues = load_queues(self.db, self._specs, self._counts, self._politeness.least)
        self.by_id = {queue.id: queue for queue in self.queues.values()}
        self.timed = [queue for queue in self.queues.values() if any(
            time_counter(queue.spec.name) in budget.counters for budget in queue.spec.budgets)]  # fmt: skip
        self.ours = f"queue IN ({', '.join(map(str, self.by_id))})"  # all other queues in the file are empty or done
        self.lanes = Lanes(self.db, self._politeness)
        for queue in self.queues.values():
            if queue.spec.polite:
                self._reopen_lanes(queue)
            else:
                queue.lane = self.lanes.named(queue, "").id
        self.leases = self._read_leases(self.leases)
        load_suspects(self.db, self.by_id, self.leases.tasks, self.now)
        self._recount_lanes()
        if is_new_epoch:
            self.silent = set(self.leases.workers())
        self.next_due = self.first_due()

    def _reopen_lanes(self, queue: Queue) -> None:
        """`per_host` may be another than in the last run."""
        self.db.execute(
            "UPDATE lane SET open = NOT open WHERE queue = ? AND open != (ready > 0 AND leased < ? AND NOT paused)",
            (queue.id, self._politeness.per_host),
        )

    def _read_leases(self, known: OpenLeases) -> OpenLeases:
        """Restore the open leases: their workers may be alive and hand them in. A lease without a known end gets `SILENCE`."""
        leases = OpenLeases(self.callers)
        for caller in self.callers.read():
            for batch in caller.batches.values():
                for token, task in enumerate(batch.tasks, batch.first):
                    row = self.db.execute(
                        "SELECT queue, lane, attempt, length(item) FROM whole WHERE id = ? AND state = 0", (task,)
                    ).fetchone()
                    if row is not None and row[0] in self.by_id:
                        queue, lane, attempt, size = row
                        until = known.until(token) or self.now + max(SILENCE, caller.ttl * BEATS)
                        of = self.by_id[queue]
                        worker, ttl, now = caller.name[0], caller.ttl, self.now
                        leases.add(OpenLease(token, task, of, lane, worker, attempt + 1, size, until, ttl, batch, now))
        return leases

    def _recount_lanes(self) -> None:
        """Count each leased task as a used slot of its host. Which of them had arrived is not stored."""
        self.db.executemany(
            "UPDATE lane SET leased = :leased, open = (ready > 0 AND :leased < :most AND NOT paused) "
            "WHERE id = :lane AND leased != :leased",
            [{"leased": leased, "most": self._politeness.per_host, "lane": lane} for lane, leased in self.leases.lanes().items()],
        )

    def flush(self) -> None:
        """Write counts and lanes; the last thing before a commit."""
        self.lanes.drop_unused()
        self.lanes.flush()
        self.callers.flush()
        for queue in self.queues.values():
            self._counts[queue.id] = [queue.accepted, *queue.counts, queue.bytes]
        head = (self.next_id, self.notes_version, json.encode(self._counts).decode())
        if self._has_counted:
            counters = json.encode(self._counters).decode()
            written = (self.now, *head, counters)
            self.db.execute("UPDATE head SET now = ?, next_id = ?, notes = ?, counts = ?, counters = ?", written)
        elif head != self._head or self.db.total_changes != self._changes:  # a question changes nothing
            self.db.execute("UPDATE head SET now = ?, next_id = ?, notes = ?, counts = ?", (self.now, *head))
        self._head, self._changes, self._has_counted = head, self.db.total_changes, False

    # ---- arguments

    def queue(self, name: str) -> Queue:
        """Return the queue of this name. Raises CallRefused, which names the queues there are."""
        queue = self.queues.get(name)
        if queue is None:
            from crawler.wording.spelling import nearest  # here, because only mistakes need it

            near = nearest(name, self.queues)
            meant = f"; did you mean {near!r}?" if near else ""
            raise CallRefused(f"no queue {name!r} on this hub; it has {', '.join(sorted(self.queues))}{meant}")
        return queue

    def has_queue(self, id: int) -> bool:
        """Return whether the pipeline has a queue of this number; the file may hold older ones."""
        return id in self.by_id

    def queue_numbered(self, id: int) -> Queue:
        return self.by_id[id]

    def check(self, items: Iterable[New]) -> None:
        """Raise CallRefused unless each item's queue is in the pipeline: no stage would ever read another one."""
        for name in {new.queue for new in items}:
            if self.queue(name).spec.is_outside:
                raise CallRefused(f"queue {name!r} is not of this pipeline any more; 'crawler take {name}' empties it")

    # ---- what several verbs need

    def made_ready(self, queue: Queue, lane_id: int) -> None:
        """Tell the lane of a task that became ready, perhaps before some that are leased."""
        queue.floor = None
        if queue.spec.polite:
            lane = self.lanes.numbered(queue, lane_id)
            lane.returned()
            self.lanes.touch(lane)

    def count(self, counters: dict[str, int]) -> None:
        """Add to the named counters, with the transaction. They stop at the largest number; those beyond the limit are one."""
        for name, n in counters.items():
            self._has_counted = True
            known = self._counters.get(name)
            if known is None:
                name, known = self._new_counter(name)
            total = known + n
            self._counters[name] = total if -LARGEST <= total <= LARGEST else LARGEST if total > 0 else -LARGEST

    def _new_counter(self, name: str) -> tuple[str, int]:
        """Return the name under which a new counter is kept, and its value."""
        has_room = len(self._counters) < COUNTERS and self._counter_bytes + len(name) <= COUNTER_BYTES
        if has_room or name in self._budgeted:
            self._counter_bytes += len(name)
            return name, 0
        return OTHERS, self._counters.get(OTHERS, 0)

    def uncount(self, names: Iterable[str]) -> int:
        """Delete counters. Returns how many there were."""
        found = [name for name in names if self._counters.pop(name, None) is not None]
        self._counter_bytes -= sum(map(len, found))
        self._has_counted = self._has_counted or bool(found)
        return len(found)

    def _read_counters(self, stored: str) -> None:
        """Take over the stored counters. An older version kept what no answer can carry: too many, too long, too large."""
        self._counters, self._counter_bytes = {}, 0
        self.count(json.decode(stored, type=dict[str, int]))
        self._has_counted = False

    def spent(self, queue: Queue) -> str:
        """Return the name of a budget of this queue that is used up; "" if none is."""
        return spent(queue.spec.budgets, self._counters) if queue.spec.budgets else ""

    def counters(self) -> dict[str, int]:
        """Return all counters by name."""
        return dict(sorted(self._counters.items()))

    def first_due(self) -> float | None:
        row = self.db.execute(f"SELECT due FROM task WHERE state = 1 AND {self.ours} ORDER BY due LIMIT 1").fetchone()  # noqa: S608  (as above)
        return None if row is None or row[0] >= NEVER else float(row[0])

    def wait_until(self, due: float) -> None:
        self.next_due = due if self.next_due is None else min(self.next_due, due)
