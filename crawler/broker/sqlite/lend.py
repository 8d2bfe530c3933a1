"""Lending of tasks: which may be leased, in which order, and by whom.

A lease changes no row of a task: leased tasks are in `leases`, and are skipped. So that they are not read again and again, each
lane has a floor: in its order, all that is READY up to there is leased. A task that becomes READY below removes the floor.

A step may lend one task of each of a hundred hosts, which lie far apart in a large store: each page read is some microseconds. Of a
host the next few tasks are known by number (see `Lane.ahead`), and those of all hosts are read in one statement.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from crawler.broker.sqlite import quarantine
from crawler.broker.sqlite.callers import Batch
from crawler.broker.sqlite.lane import AHEAD, Lane
from crawler.broker.sqlite.leases import OpenLease
from crawler.broker.sqlite.queues import Floor, Queue, Suspect
from crawler.broker.sqlite.schema import DELAYED, LEASED, READY
from crawler.broker.sqlite.state import Ledger
from crawler.items import Attempt, Lease
from crawler.limits import LEASES

REPLY_BYTES = 8 << 20  # leases of one answer end here (but hold at least one task), far below a frame's limit
LEASE_BYTES = 128  # of a lease beside its body: a flood of empty tasks has to end somewhere too
HIGHEST = 1 << 60  # above every priority
ROWS_READ = 256  # tasks in one statement: 0.5 MB of them, as larger items stand elsewhere
COLUMNS = "id, priority, attempt, item, key, depth"
TASK = f"SELECT {COLUMNS} FROM whole WHERE id = ?"  # noqa: S608  (columns of ours)
READY_TASKS = f"SELECT {COLUMNS} FROM whole WHERE lane = ? AND state = 0"  # noqa: S608  (columns of ours)
READY_IDS = "SELECT id, priority FROM task WHERE lane = ? AND state = 0"  # the index has it all
TASKS = f"SELECT {COLUMNS} FROM task WHERE id IN (SELECT value FROM json_each(?)) AND state = 0"  # noqa: S608  # columns of ours
Task = tuple[Any, ...]  # a row of these statements
Offer = tuple[Lane | None, Suspect | None, Task]  # with the lane of its host, on a polite queue, and the suspect if it is one


def lend(ledger: Ledger, queue: Queue, worker: str, n: int, ttl: float, *, is_probe: bool = False) -> list[Lease]:
    """Lease up to n tasks that may be had now. worker: "" for a take, which ends in this transaction.

    is_probe: only quarantined ones, one at a time.
    """
    lent: list[Lease] = []
    room, until, add = REPLY_BYTES, ledger.now + ttl, ledger.leases.add
    batch: Batch | None = None
    granted: dict[Lane, range] = {}  # tokens, which are consecutive for each lane
    n = min(n, LEASES)
    for lane, suspect, (id, priority, attempt, item, key, depth) in _offers(ledger, queue, worker, n, is_probe=is_probe):
        size = len(item)
        if lent and size > room:
            break
        room -= size + LEASE_BYTES
        ledger.token += 1
        if batch is None:
            batch = Batch(ledger.token, ledger.callers.worker(worker, ledger.now) if worker else None, [])
        place = lane.id if lane else queue.lane
        lease = OpenLease(ledger.token, id, queue, place, worker, attempt + 1, size, until, ttl, batch, ledger.now)
        add(lease)
        batch.tasks.append(id)
        lent.append(_lease(lease, item, key, lane.name if lane else "", depth))
        if suspect is not None:
            _lent_apart(ledger, queue, suspect, lane, lease.token)
        elif lane is None:
            queue.floor = (priority, id)
        else:
            lane.floor = (priority, id)
            first = granted[lane].start if lane in granted else lease.token
            granted[lane] = range(first, lease.token + 1)
        if len(lent) == n or room <= 0:
            break
    for lane, tokens in granted.items():
        lane.granted(tokens, ledger.now)
        ledger.lanes.touch(lane)
    if lent:
        queue.move(READY, LEASED, len(lent))
    return lent


def _lent_apart(ledger: Ledger, queue: Queue, suspect: Suspect, lane: Lane | None, token: int) -> None:
    """Lend a suspect: like all that is leased it is READY in the tables."""
    ledger.db.execute("UPDATE task SET state = ? WHERE id = ?", (READY, suspect.task))
    queue.move(DELAYED, READY)
    if lane is not None:
        lane.granted_apart(range(token, token + 1), ledger.now)
        ledger.lanes.touch(lane)


def _offers(ledger: Ledger, queue: Queue, worker: str, n: int, *, is_probe: bool) -> Iterator[Offer]:
    """Find tasks that this worker may lease, in the order in which to lease them."""
    if n <= 0 or not (queue.counts[READY] or queue.suspects or is_probe) or queue.full_gate():
        return
    if queue.spec.budgets and ledger.spent(queue):
        return
    if ledger.is_short and queue.spec.keyed:  # its rows stay and their children are added; a plain task that is done makes room
        return
    if queue.suspects or is_probe:
        chosen, may_have_others = quarantine.choose_apart(ledger, queue, worker, n, is_probe=is_probe)
        for suspect in chosen:
            lane = ledger.lanes.numbered(queue, suspect.lane) if queue.spec.polite else None
            yield lane, suspect, ledger.db.execute(TASK, (suspect.task,)).fetchone()
        n -= len(chosen)
        if not may_have_others or not n:
            return
    yield from _ordinary(ledger, queue, n)


def _ordinary(ledger: Ledger, queue: Queue, n: int) -> Iterator[Offer]:
    """Find tasks that are no suspects, with the lanes of a polite queue."""
    if not queue.counts[READY]:
        return
    if not queue.spec.polite:
        # Of a host few are leased, of a plain queue perhaps thousands: a floor is worth a search.
        floor = queue.floor or _first_ready(ledger, queue.lane)
        yield from ((None, None, task) for task in _ready(ledger, READY_TASKS, queue.lane, floor))
        return
    chosen: list[tuple[Lane, int]] = []
    reserved = quarantine.reserved(ledger, queue)
    for lane in ledger.lanes.open(queue, ledger.now, n if reserved is None else n + 1):
        if lane is reserved:
            continue
        chosen += [(lane, id) for id in _next(ledger, lane, min(lane.room(), lane.ready, n - len(chosen)))]
        if len(chosen) == n:
            break
    for start in range(0, len(chosen), ROWS_READ):
        some = chosen[start : start + ROWS_READ]
        tasks = {task[0]: task for task in ledger.db.execute(TASKS, (str([id for _, id in some]),))}
        for lane, id in some:
            task = tasks[id]
            yield lane, None, task if task[3] is not None else (*task[:3], _body(ledger, id), *task[4:])


def _body(ledger: Ledger, id: int) -> bytes:
    (item,) = ledger.db.execute("SELECT item FROM body WHERE id = ?", (id,)).fetchone()
    return item  # type: ignore[no-any-return]  # a BLOB column


def _next(ledger: Ledger, lane: Lane, n: int) -> list[int]:
    """Return the numbers of the first n tasks of a lane that are READY and not leased."""
    if lane.ahead is None or len(lane.ahead) < n:
        found = list(islice(_ready(ledger, READY_IDS, lane.id, lane.floor), n + AHEAD))
        lane.ahead, lane.last = [id for id, _ in found], found[-1][1] if found else 0
    return lane.ahead[:n]


def _ready(ledger: Ledger, tasks: str, lane: int, floor: Floor | None) -> Iterator[tuple[Any, ...]]:
    """Yield the READY tasks of a lane that are not leased, in order. tasks: a statement; its rows begin with task numbers."""
    leased, below = ledger.leases.tasks, HIGHEST
    if floor is not None:
        below = floor[0]
        for row in ledger.db.execute(f"{tasks} AND priority = ? AND id > ? ORDER BY id", (lane, *floor)):
            if row[0] not in leased:
                yield row
    for row in ledger.db.execute(f"{tasks} AND priority < ? ORDER BY priority DESC, id", (lane, below)):
        if row[0] not in leased:
            yield row


def _first_ready(ledger: Ledger, lane: int) -> Floor | None:
    """Right before the first task that is READY and not leased; only the index is read for it."""
    for priority, id in ledger.db.execute(
        "SELECT priority, id FROM task WHERE lane = ? AND state = 0 ORDER BY priority DESC, id", (lane,)
    ):
        if id not in ledger.leases.tasks:
            return priority, id - 1
    return None


def leased_between(ledger: Ledger, worker: str, first: int, last: int) -> list[Lease]:
    """Return the leases that a call gave this worker and that it still holds, to answer a repeated call."""
    leases = []
    for lease in [lease for lease in ledger.leases.of(worker) if first <= lease.token <= last]:
        row = ledger.db.execute(
            "SELECT item, key, name, depth FROM whole JOIN lane ON lane.id = lane WHERE whole.id = ?", (lease.task,)
        ).fetchone()
        leases.append(_lease(lease, *row))
    return leases


def failures(noted: str) -> list[Attempt]:
    """Parse the notes on a task's failed attempts; the first line may have been cut."""
    attempts = []
    for line in noted.splitlines():
        at, _, rest = line.partition(" ")
        number, _, reason = rest.partition(" ")
        if number.isdecimal() and at.replace(".", "", 1).isdecimal():
            attempts.append(Attempt(float(at), int(number), reason))
    return attempts


def _lease(lease: OpenLease, item: bytes, key: bytes | None, host: str, depth: int) -> Lease:
    spec = lease.queue.spec
    return Lease(
        lease.task,
        lease.token,
        lease.attempt,
        spec.name,
        item,
        key,
        host,
        depth,
        lease.attempt >= spec.max_attempts,
        max(spec.max_attempts - lease.attempt, 0),
    )
