"""State of the queues that the embedded engine keeps in memory: counts, and the lanes in use. Its size is bounded by `LANES_KEPT`,
however large the frontier; after a failed transaction all of it is read again from the tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence, Set

from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite import schema
from crawler.broker.sqlite.lane import Lane
from crawler.broker.sqlite.recent import Recent
from crawler.broker.sqlite.schema import NEVER, STATES

NEW_LANE = "INSERT OR IGNORE INTO lane (queue, name, ready, leased, next, paused, open) VALUES (?, ?, 0, 0, 0, 0, 0)"
Floor = tuple[int, int]  # (priority, id): READY tasks of a lane that sort no later are leased; None: not known
LANES_KEPT = 200_000  # lanes in memory, some 120 MB; of more, those are read again that are needed


class Suspect:
    """A task that a worker held when it died: see `quarantine`."""

    __slots__ = ("deaths", "is_alone", "lane", "since", "task")

    def __init__(self, task: int, lane: int, deaths: int, is_alone: bool, since: float) -> None:
        self.task = task
        self.lane = lane
        self.deaths = deaths  # of workers that held it, in a row
        self.is_alone = is_alone  # quarantined: a worker that has it has nothing else
        self.since = since  # hub time


class StandIn:
    """A worker that takes a quarantined task because there is no probe."""

    __slots__ = ("has_it", "heard_at", "since", "worker")

    def __init__(self, worker: str, now: float) -> None:
        self.worker = worker
        self.since = self.heard_at = now  # hub time
        self.has_it = False  # it has finished all else and been lent the task


class Queue:
    """One queue's specification and its counts."""

    __slots__ = (
        "accepted", "bytes", "coming", "counts", "floor", "gates", "id", "lane", "least_host_limit", "probed_at", "recent", "spec",
        "stand_in", "suspects", "work_until",
    )  # fmt: skip

    def __init__(
        self, id: int, spec: QueueSpec, accepted: int, counts: Iterable[int], bytes: int, least: int | None = None
    ) -> None:  # fmt: skip
        """least: the smallest limit that a single host has; None: no host has a limit of its own."""
        self.id = id
        self.spec = spec
        self.accepted = accepted
        self.counts = list(counts)  # by state, in the order of schema.STATES
        self.bytes = bytes  # of bodies not yet done or dead
        self.coming = 0  # tasks in the inbox, not counted elsewhere: see `inbox`
        self.gates: list[Queue] = []  # queues downstream that hold this one back when they are full
        self.lane = 0  # id of a plain queue's only lane
        self.floor: Floor | None = None  # of a plain queue's lane
        self.recent = Recent()  # done lately
        self.suspects: dict[int, Suspect] = {}  # by task, in the order in which their workers died
        self.probed_at: float | None = None  # hub time of a probe's last call
        self.stand_in: StandIn | None = None  # while there is no probe
        self.work_until = 0.0  # hub time before which no worker stands in
        self.least_host_limit = spec.host_limit if least is None else min(spec.host_limit or least, least)  # 0: there is none

    @property
    def is_limited(self) -> bool:
        """Return whether the number of tasks is limited, in all or by host."""
        return self.spec.limit > 0 or self.has_host_limit

    def may_overgrow(self, n: int) -> bool:
        """Tell cheaply whether n more tasks could reach the limit of a single host."""
        return self.spec.polite and 0 < self.spec.host_waiting < self.counts[0] + n

    @property
    def has_host_limit(self) -> bool:
        """Return whether the number of tasks of one host is limited."""
        return self.spec.polite and self.least_host_limit > 0

    def limit_of(self, lane: Lane) -> int:
        """Return the limit of tasks of this host; 0: any number."""
        return self.spec.host_limit if lane.polite.most is None else lane.polite.most

    @property
    def is_at_limit(self) -> bool:
        """Return whether the queue takes no more tasks."""
        return 0 < self.spec.limit <= self.accepted

    def add(self, state: int, size: int) -> None:
        """A task arrived."""
        self.accepted += 1
        self.counts[state] += 1
        self.bytes += size

    def move(self, old: int, new: int, n: int = 1) -> None:
        """Count n tasks that went from one state to another; the caller counts their bytes."""
        self.counts[old] -= n
        self.counts[new] += n

    def share(self, want: int, others: int) -> int:
        """Return how many of the wanted tasks a worker may lease while others wait: an equal share.

        The first tasks of a crawl are not shared: two processes would ask the same host for its robots.txt at once.
        """
        return min(want, max(1, -(-self.counts[0] // (others + 1)))) if others and not self.recent.is_empty else want

    @property
    def is_full(self) -> bool:
        """Return whether it is above its high-water mark: the stages that feed it then get no work."""
        return self.counts[0] + self.counts[1] + self.coming >= self.spec.high_water or self.bytes >= self.spec.high_water_bytes

    def full_gate(self) -> str:
        """Return the name of a full queue downstream, or ""."""
        return next((gate.spec.name for gate in self.gates if gate.is_full), "")


def load_queues(
    db: sqlite3.Connection, specs: Iterable[QueueSpec], counts: Mapping[int, Sequence[int]], least: int | None = None
) -> dict[str, Queue]:  # fmt: skip
    """Return the queues of the pipeline, making the new ones, and queues outside it that still have tasks. least: see `Queue`."""
    named = list(specs)
    queues = {}
    coming = schema.coming(db)
    for spec in [*named, *_outside(db, {spec.name for spec in named}, counts, coming)]:
        db.execute("INSERT OR IGNORE INTO queue (name) VALUES (?)", (spec.name,))
        id, polite = db.execute("SELECT id, polite FROM queue WHERE name = ?", (spec.name,)).fetchone()
        if polite != spec.polite:
            _change_lanes(db, id, spec.polite)
        accepted, *states, size = counts.get(id) or [0] * (len(STATES) + 2)
        queues[spec.name] = Queue(id, spec, accepted, states, size, least)
        queues[spec.name].coming = coming.get(id, 0)
    for queue in queues.values():
        queue.gates = [queues[name] for name in queue.spec.feeds if name in queues]
    return queues


def load_suspects(db: sqlite3.Connection, queues: Mapping[int, Queue], leased: Set[int], now: float) -> None:
    """Read the suspects into the queues, given by id, and forget those that something else has happened to. leased: tasks."""
    for id, queue, lane, state, due, deaths, is_alone in db.execute(
        "SELECT suspect.id, queue, lane, state, due, deaths, alone FROM suspect LEFT JOIN task ON task.id = suspect.id "
        "ORDER BY suspect.id"
    ).fetchall():
        is_apart = (state == STATES.index("delayed") and due >= NEVER) or (state == STATES.index("ready") and id in leased)
        if not is_apart:
            db.execute("DELETE FROM suspect WHERE id = ?", (id,))
        elif queue in queues:
            queues[queue].suspects[id] = Suspect(id, lane, deaths, bool(is_alone), now)


def _outside(
    db: sqlite3.Connection, named: set[str], counts: Mapping[int, Sequence[int]], coming: Mapping[int, int]
) -> list[QueueSpec]:  # fmt: skip
    """Return queues with unfinished or dead tasks that the pipeline does not name, because a stage was removed or renamed."""
    found = []
    for id, name, polite in db.execute("SELECT id, name, polite FROM queue ORDER BY id").fetchall():
        if name in named or not (any(counts.get(id, [])[1:5]) or id in coming):  # all states but done
            continue
        (keyed,) = db.execute("SELECT EXISTS (SELECT 1 FROM task WHERE queue = ? AND key IS NOT NULL)", (id,)).fetchone()
        found.append(QueueSpec(name, keyed=bool(keyed), polite=bool(polite), is_outside=True))
    return found


def _change_lanes(db: sqlite3.Connection, queue: int, is_polite: bool) -> None:
    """Move the unfinished tasks of a queue that is new, or has become polite or plain, to the lanes where they are looked for.

    A plain queue does not count in its lane; the hosts of tasks that were put on one are not known."""
    db.execute(NEW_LANE, (queue, ""))
    if not is_polite:
        db.execute(
            "UPDATE task SET lane = (SELECT id FROM lane WHERE queue = :queue AND name = '') WHERE queue = :queue AND state < 4",
            {"queue": queue},
        )
    db.execute(
        "UPDATE lane SET open = 0, ready = :polite * (SELECT count(*) FROM life WHERE life.lane = lane.id AND state = 0), "
        "leased = :polite * (SELECT count(*) FROM life WHERE life.lane = lane.id AND state = 2) WHERE queue = :queue",
        {"queue": queue, "polite": is_polite},
    )  # fmt: skip
    db.execute("UPDATE queue SET polite = ? WHERE id = ?", (is_polite, queue))


class Lanes:
    """The lanes in use, written back when they changed."""

    def __init__(self, db: sqlite3.Connection, politeness: Politeness) -> None:
        self._db = db
        self._politeness = politeness
        self._by_name: dict[tuple[int, str], Lane] = {}
        self._by_id: dict[int, Lane] = {}
        self._changed: dict[int, Lane] = {}
        self._made: list[Lane] = []  # in this transaction, of polite queues

    def named(self, queue: Queue, name: str) -> Lane:
        """The lane of this name, made if it is new."""
        lane = self._by_name.get((queue.id, name))
        if lane is None:
            is_new = self._db.execute(NEW_LANE, (queue.id, name)).rowcount == 1
            self._read(queue, "queue = ? AND name = ?", (queue.id, name))
            lane = self._by_name[queue.id, name]
            if is_new and queue.spec.polite:
                self._made.append(lane)
        return lane

    def known(self, queue: Queue, name: str) -> Lane | None:
        """Return the lane of this name; None if the queue never had a task of this host, and no setting for it."""
        lane = self._by_name.get((queue.id, name))
        if lane is None:
            self._read(queue, "queue = ? AND name = ?", (queue.id, name))
            lane = self._by_name.get((queue.id, name))
        return lane

    def drop_unused(self) -> None:
        """Delete the lanes that were made in this transaction for tasks none of which was stored. Called before the commit."""
        if not self._made:
            return
        unused = [lane for lane in self._made if lane.is_unused]
        self._made = []
        self._db.executemany("DELETE FROM lane WHERE id = ?", [(lane.id,) for lane in unused])
        for lane in unused:
            self._by_name.pop((lane.queue, lane.name), None)
            self._by_id.pop(lane.id, None)
            self._changed.pop(lane.id, None)

    def numbered(self, queue: Queue, id: int) -> Lane:
        """The lane of this id."""
        if id not in self._by_id:
            self._read(queue, "id = ?", (id,))
        return self._by_id[id]

    def open(self, queue: Queue, now: float, limit: int) -> list[Lane]:
        """Return the lanes that have a task to grant now, the longest waiting first: one slow host delays no other."""
        self.flush()
        rows = self._db.execute(
            "SELECT id FROM lane WHERE queue = ? AND open AND next <= ? ORDER BY next LIMIT ?", (queue.id, now, limit)
        ).fetchall()
        if unknown := [id for (id,) in rows if id not in self._by_id]:
            self._read(queue, "id IN (SELECT value FROM json_each(?))", (str(unknown),))
        return [self._by_id[id] for (id,) in rows]

    def next_open(self, queue: Queue) -> float | None:
        """Hub time at which the next lane may be granted from, None when no lane has anything to grant."""
        self.flush()
        row = self._db.execute("SELECT min(next) FROM lane WHERE queue = ? AND open", (queue.id,)).fetchone()
        return row[0]  # type: ignore[no-any-return]  # a REAL column or NULL

    def touch(self, lane: Lane) -> None:
        """Mark a lane as changed: it is written before the table is read, and before the commit."""
        self._changed[lane.id] = lane

    def flush(self) -> None:
        """Write what changed."""
        if self._changed:
            self._db.executemany(
                "UPDATE lane SET accepted = ?, ready = ?, leased = ?, next = ?, delay = ?, fixed = ?, paused = ?, open = ? "
                "WHERE id = ?",
                [
                    (x.accepted, x.ready, x.leased, x.next, x.delay, x.fixed, x.paused, x.is_open, x.id)
                    for x in self._changed.values()
                ],
            )
            self._changed.clear()
        if len(self._by_id) > LANES_KEPT:
            self.drop_unused()  # now: afterwards they may be read anew, and be used
            self._by_id.clear()
            self._by_name.clear()

    def _read(self, queue: Queue, where: str, values: tuple[object, ...]) -> None:
        statement = f"SELECT id, name, accepted, ready, leased, next, delay, fixed, paused FROM lane WHERE {where}"  # noqa: S608  (where is ours)
        for id, name, accepted, ready, leased, next, delay, fixed, paused in self._db.execute(statement, values):
            polite = self._politeness.of(name)
            lane = Lane(id, queue.id, name, polite, accepted, ready, leased, next, delay, fixed, bool(paused))
            self._by_id[id] = self._by_name[queue.id, name] = lane
