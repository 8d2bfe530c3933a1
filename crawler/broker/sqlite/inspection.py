"""Rare requests of people and workers to the embedded engine: counts, dead tasks, life stories, shared notes.

Reads and small changes inside an open transaction, on the tables and the state of `state.Ledger`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from time import monotonic, thread_time

from msgspec import msgpack

from crawler.broker.arguments import LARGEST
from crawler.broker.contract import is_taker
from crawler.broker.sqlite.lane import Lane
from crawler.broker.sqlite.lend import failures
from crawler.broker.sqlite.queues import Queue
from crawler.broker.sqlite.schema import DEAD, DELAYED, DONE, LEASED, NEVER, READY, STATES
from crawler.broker.sqlite.state import Ledger
from crawler.errors import CallRefused
from crawler.items import Dead, Found, HostStats, Note, QueueStats, Stats, Story, WorkerStats
from crawler.limits import NOTES, NOTES_BYTES, PAGE, PAGE_BYTES, WORKERS

HOSTS_LISTED = 1_000  # hosts in one list
HOSTS_SHOWN = 20  # hosts with the most waiting tasks, in one answer
QUICK = 0.002  # s of CPU to find them that need not be saved, some ten thousand hosts
SELDOM = 100  # times as long as it took to find them they are shown again: a hundredth of the hub's time at most
WORKERS_SEEN = 30.0  # s after its last call until an idle worker is no longer shown; it waits for work 20 s at most
DELAYED_READ = 100  # delayed tasks that are read to find the next one of each queue
FIND_ROWS = 5_000  # tasks in one state on one queue that are read to find those of a URL
FIND_BYTES = 32 << 20  # bytes of their items
FOUND = 20  # tasks found at most
URL_KEY = msgpack.encode("url")  # in an item, stands before its URL
URL_BYTES = 2_100  # bytes of a URL that is shown, with its length before it
TOLD = (*STATES, "aside")  # the state of a task in its story: see `schema.ASIDE`
HELD = 10  # tasks of a worker that are named
ROW_BYTES = 200  # of a dead task beside its texts
STORY_BYTES = 24 << 20  # of the items of a task and of the one that led to it, in a story
DEAD_BYTES = 8 << 20  # bytes of items in one list of dead tasks, which has at least one task; a message holds 32 MiB


def dead(ledger: Ledger, queue: str | None, limit: int, after: int) -> list[Dead]:
    """Dead tasks by id."""
    if limit <= 0:
        return []
    chosen = [ledger.queue(queue)] if queue is not None else list(ledger.queues.values())
    names = {each.id: each.spec.name for each in chosen}
    rows = ledger.db.execute(
        "SELECT whole.id, whole.queue, attempt, failures, item, key, name, changed_at, trace.text "
        "FROM whole JOIN lane ON lane.id = lane LEFT JOIN trace ON trace.id = whole.id "
        "WHERE state = 3 AND whole.id > ? ORDER BY whole.id", (after,)
    )  # fmt: skip
    found: list[Dead] = []
    room = DEAD_BYTES
    for id, queue_id, attempt, noted, item, key, host, at, trace in rows:
        if queue_id in names:
            reason = next((failure.reason for failure in reversed(failures(noted))), "")
            found.append(Dead(id, names[queue_id], attempt, reason, item, key, host, at, trace or ""))
            room -= len(item) + len(noted) + len(trace or "") + len(host) + ROW_BYTES
            if len(found) == limit or room <= 0:
                break
    return found


def revive(ledger: Ledger, ids: Sequence[int]) -> int:
    """Dead tasks become ready, attempts at zero."""
    chosen = _dead_rows(ledger, ids)
    ledger.db.executemany(
        "UPDATE task SET state = ?, attempt = 0, changed_at = ? WHERE id = ?", [(READY, ledger.now, id) for id, *_ in chosen]
    )
    _forget_traces(ledger, chosen)
    for _, queue_id, lane, size in chosen:
        queue = ledger.queue_numbered(queue_id)
        queue.move(DEAD, READY)
        queue.bytes += size
        ledger.made_ready(queue, lane)
    return len(chosen)


def drop(ledger: Ledger, ids: Sequence[int]) -> int:
    """Dead tasks count as done; a keyed queue goes on knowing their keys."""
    chosen = _dead_rows(ledger, ids)
    for id, queue_id, *_ in chosen:
        queue = ledger.queue_numbered(queue_id)
        if queue.spec.keyed:
            ledger.db.execute(
                "UPDATE task SET state = ?, report = 'dropped by hand', changed_at = ? WHERE id = ?", (DONE, ledger.now, id)
            )
        else:
            ledger.db.execute("DELETE FROM task WHERE id = ?", (id,))
        queue.move(DEAD, DONE)
    _forget_traces(ledger, chosen)
    return len(chosen)


def _forget_traces(ledger: Ledger, tasks: Sequence[tuple[int, int, int, int]]) -> None:
    ledger.db.executemany("DELETE FROM trace WHERE id = ?", [(id,) for id, *_ in tasks])


def _dead_rows(ledger: Ledger, ids: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Return (id, queue, lane, size) of the dead tasks on queues of this pipeline."""
    found = []
    for id in dict.fromkeys(ids):
        if abs(id) > LARGEST:
            continue
        row = ledger.db.execute("SELECT id, queue, lane, length(item) FROM whole WHERE id = ? AND state = 3", (id,)).fetchone()
        if row is not None and ledger.has_queue(row[1]):
            found.append(row)
    return found


def stats(ledger: Ledger, uptime: float) -> Stats:
    """Return all counts, taken at one moment."""
    ledger.flush()
    held = ledger.leases.workers()
    seen = ledger.callers.workers(ledger.now)
    shown = [
        WorkerStats(name, held.get(name, 0), ago, queue, trouble)
        for name, (ago, queue, trouble) in seen.items()
        if (name in held or ago < WORKERS_SEEN) and not is_taker(name)
    ]
    shown += [WorkerStats(name, n, uptime, is_heard=False) for name, n in held.items() if name not in seen and not is_taker(name)]
    shown.sort(key=lambda worker: (worker.leased == 0, worker.seen))
    shown_hosts, total, are_open = _shown(ledger)
    due = _next_due(ledger)
    oldest = ledger.leases.oldest(sum(1 for queue in ledger.queues.values() if queue.counts[LEASED]))
    return Stats(
        at=ledger.now,
        uptime=uptime,
        queues=[
            QueueStats(
                name=queue.spec.name, accepted=queue.accepted + queue.coming, **_places(queue), bytes=queue.bytes,
                keyed=queue.spec.keyed, polite=queue.spec.polite, is_read=queue.spec.is_read, full=queue.full_gate(),
                is_outside=queue.spec.is_outside, due=due.get(queue.id, 0.0), failure=ledger.troubles.queues.get(queue.id, ""),
                longest=ledger.now - oldest[queue.id].since if queue.id in oldest else 0.0,
                holder=oldest[queue.id].worker if queue.id in oldest else "",
                rate=queue.recent.rate(ledger.now, uptime),
                spent=ledger.spent(queue),
                suspects=len(queue.suspects),
                quarantined=sum(suspect.is_alone for suspect in queue.suspects.values()),
            )
            for queue in ledger.queues.values()
        ],
        workers=sorted(shown[:WORKERS], key=lambda worker: worker.name),
        workers_total=len(shown),
        hosts=shown_hosts,
        hosts_total=total,
        hosts_open=are_open,
        counters=ledger.counters(),
        is_drained=drained(ledger, None),
        is_short=ledger.is_short,
    )  # fmt: skip


def _places(queue: Queue) -> dict[str, int]:
    """Return the number of tasks by state. Those in the inbox count as ready; some of them may turn out to be known."""
    places = dict(zip(STATES, queue.counts, strict=True))
    places["ready"] += queue.coming
    return places


def hosts(ledger: Ledger, names: Sequence[str]) -> list[HostStats]:
    """Return the named hosts that are known, or without names those with work."""
    if not names:
        return _busy(ledger, HOSTS_LISTED)[0]
    ledger.flush()
    found = []
    for queue in _polite(ledger):
        for name in names:
            row = ledger.db.execute("SELECT id FROM lane WHERE queue = ? AND name = ?", (queue.id, name)).fetchone()
            if row is not None:
                found.append(ledger.lanes.numbered(queue, row[0]))
    return _hosts(ledger, found)


def _hosts(ledger: Ledger, lanes: Sequence[Lane]) -> list[HostStats]:
    since = ledger.leases.asking({lane.id for lane in lanes if lane.leased})
    return [_host(ledger, lane, since.get(lane.id)) for lane in lanes]


def _polite(ledger: Ledger) -> list[Queue]:
    return [queue for queue in ledger.queues.values() if queue.spec.polite]


def _host(ledger: Ledger, lane: Lane, since: float | None) -> HostStats:
    """since: hub time of its oldest lease without an answer."""
    failures, failure = ledger.troubles.lanes.get(lane.id, (0, ""))
    held = max(ledger.troubles.held.get(lane.id, 0.0) - ledger.now, 0.0) if lane.leased else 0.0
    asked = 0.0 if since is None else ledger.now - since
    return HostStats(
        lane.name, lane.ready, lane.leased, lane.gap(), lane.next - ledger.now, lane.paused, lane.gap_by(), failures, failure,
        held, asked, lane.accepted,
    )  # fmt: skip


def _next_due(ledger: Ledger) -> dict[int, float]:
    """Return s until the next delayed task of each queue, by queue id, judging from the first `DELAYED_READ` tasks."""
    if not any(queue.counts[DELAYED] for queue in ledger.queues.values()):
        return {}
    found: dict[int, float] = {}
    for queue, due in ledger.db.execute("SELECT queue, due FROM task WHERE state = 1 ORDER BY due LIMIT ?", (DELAYED_READ,)):
        if due < NEVER:
            found.setdefault(queue, max(due - ledger.now, 0.0))
    return found


def _shown(ledger: Ledger) -> tuple[list[HostStats], int, int]:
    """Return the busy hosts. If there are so many that this is slow, the answer of a short time ago is used again."""
    if ledger.shown is not None and monotonic() < ledger.shown[0]:
        return ledger.shown[1:]
    began = thread_time()
    found = _busy(ledger, HOSTS_SHOWN)
    took = thread_time() - began
    ledger.shown = (monotonic() + took * SELDOM, *found) if took > QUICK else None
    return found


def _busy(ledger: Ledger, limit: int) -> tuple[list[HostStats], int, int]:
    """Return the hosts with most waiting tasks, the number of hosts with work, and how many of them allow one more lease now."""
    ledger.flush()
    lanes: list[Lane] = []
    total = are_open = 0
    for queue in _polite(ledger):
        rows = ledger.db.execute(
            "SELECT id FROM lane WHERE queue = ? AND (ready > 0 OR leased > 0) ORDER BY ready DESC LIMIT ?", (queue.id, limit)
        ).fetchall()
        lanes += [ledger.lanes.numbered(queue, id) for (id,) in rows]
        total += ledger.db.execute(
            "SELECT count(*) FROM lane WHERE queue = ? AND (ready > 0 OR leased > 0)", (queue.id,)
        ).fetchone()[0]
        are_open += ledger.db.execute(
            "SELECT count(*) FROM lane WHERE queue = ? AND open AND next <= ?", (queue.id, ledger.now)
        ).fetchone()[0]
    return _hosts(ledger, lanes), total, are_open


def why(ledger: Ledger, queue_name: str, key: bytes) -> Story | None:
    """The life story of a keyed task."""
    queue = ledger.queue(queue_name)
    row = ledger.db.execute(
        "SELECT whole.id, state, item, name, depth, attempt, parent, put_at, changed_at, report, failures, due "
        "FROM whole JOIN lane ON lane.id = lane WHERE whole.queue = ? AND key = ?", (queue.id, key)
    ).fetchone()  # fmt: skip
    if row is None:
        return None
    id, state, item, host, depth, attempt, parent, put_at, changed_at, report, noted, due = row
    if id in ledger.leases.tasks:
        state, attempt = LEASED, attempt + 1
    is_suspect = id in queue.suspects
    found = ledger.db.execute("SELECT item FROM whole WHERE queue = ? AND key = ?", (queue.id, parent)).fetchone()
    parent_item = found[0] if found and len(item) + len(found[0]) <= STORY_BYTES else None
    return Story(
        id=id, queue=queue_name, key=key, state=TOLD[state], item=item, host=host, depth=depth, attempt=attempt, parent=parent,
        parent_item=parent_item, put_at=put_at, changed_at=changed_at, report=report, failures=failures(noted),
        due=max(due - ledger.now, 0.0) if state == DELAYED and not is_suspect else 0.0, is_suspect=is_suspect,
    )  # fmt: skip


def find(ledger: Ledger, url: str) -> list[Found]:
    """Unfinished tasks whose item has this `url`. Finished tasks of such a queue are forgotten, so there are few to read."""
    mark = URL_KEY + msgpack.encode(url)
    found: list[Found] = []
    room = FIND_BYTES
    for queue in ledger.queues.values():
        if queue.spec.keyed or queue.spec.polite:
            continue
        for id, state, attempt, due, noted, size, place in _unfinished(ledger, queue, mark):
            room -= size
            if place:
                reason = next((failure.reason for failure in reversed(failures(noted))), "")
                is_leased = id in ledger.leases.tasks
                left = max(due - ledger.now, 0.0) if state == DELAYED and due < NEVER else 0.0
                found.append(Found(id, queue.spec.name, STATES[LEASED if is_leased else state], attempt + is_leased, left, reason))
            if len(found) == FOUND or room <= 0:
                return found
    return found


def held(ledger: Ledger, worker: str, tokens: Set[int]) -> list[str]:
    """Return the URLs in the items that a worker holds, oldest lease first; "" for an item without one. tokens: of these leases;
    if there are none, of all."""
    ids = [lease.task for lease in ledger.leases.of(worker) if not tokens or lease.token in tokens][:HELD]
    query = "SELECT substr(item, nullif(instr(item, ?), 0) + ?, ?) FROM whole WHERE id = ?"
    rows = [ledger.db.execute(query, (URL_KEY, len(URL_KEY), URL_BYTES, id)).fetchone() for id in ids]
    return [_text(row[0]) if row is not None and row[0] is not None else "" for row in rows]


def _text(body: bytes) -> str:
    """Return the text at the beginning of msgpack bytes; "" if there is none, or not the whole of it."""
    if not body:
        return ""
    start = {0xD9: 2, 0xDA: 3}.get(body[0], 1)  # bytes before the text: its length is in the first one, or behind it
    size = int.from_bytes(body[1:start], "big") if start > 1 else body[0] & 0x1F
    is_whole = (start > 1 or body[0] & 0xE0 == 0xA0) and start + size <= len(body)
    return body[start : start + size].decode("utf-8", "replace") if is_whole else ""


def _unfinished(ledger: Ledger, queue: Queue, mark: bytes) -> Iterator[tuple[int, int, int, float, str, int, int]]:
    """Read the first tasks of a queue in each state, and where the mark is in their items (0: nowhere)."""
    columns = "SELECT id, state, attempt, due, failures, length(item), instr(item, ?) FROM whole"
    yield from ledger.db.execute(f"{columns} WHERE lane = ? AND state = 0 LIMIT ?", (mark, queue.lane, FIND_ROWS))
    if queue.counts[DELAYED]:
        yield from ledger.db.execute(f"{columns} WHERE state = 1 AND queue = ? LIMIT ?", (mark, queue.id, FIND_ROWS))
    if queue.counts[DEAD]:
        yield from ledger.db.execute(f"{columns} WHERE state = 3 AND queue = ? LIMIT ?", (mark, queue.id, FIND_ROWS))


def drained(ledger: Ledger, names: Sequence[str] | None) -> bool:
    """Return whether nothing is leased, or will be, on these queues (None: on all that a stage reads).

    Tasks of a queue whose budget is used up will not be leased.
    """
    if names is None:
        chosen = [queue for queue in ledger.queues.values() if queue.spec.is_read]
    else:
        chosen = [ledger.queue(name) for name in names]
    return not any(
        queue.counts[LEASED] or ((queue.counts[READY] or queue.counts[DELAYED] or queue.coming) and not ledger.spent(queue))
        for queue in chosen
    )


def note(ledger: Ledger, notes: Sequence[Note], part: float) -> int:
    """Store notes; the version after that. A note that says nothing new changes nothing. CallRefused if there are too many.

    part: of the room for all notes that there may be after this."""
    known = {each.name: _value(ledger, each.name) for each in notes}
    changed = [each for each in {each.name: each for each in notes}.values() if known[each.name] != each.value]
    n, size = ledger.db.execute("SELECT n, bytes FROM note_total").fetchone()
    more = sum(known[each.name] is None for each in changed)
    grown = sum(len(each.value) + (len(each.name) if (old := known[each.name]) is None else -len(old)) for each in changed)
    most, most_bytes = int(NOTES * part), int(NOTES_BYTES * part)
    if (more and n + more > most) or (grown > 0 and size + grown > most_bytes):
        raise CallRefused(f"the hub has {n} shared notes of {size} bytes, and takes {most} of {most_bytes} bytes "
                          f"{'' if part == 1 else 'from this role '}at most; delete some: crawler notes drop")  # fmt: skip
    for each in changed:
        ledger.notes_version += 1
        ledger.db.execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?)", (each.name, each.value, ledger.notes_version))
    if changed:
        ledger.db.execute("UPDATE note_total SET n = n + ?, bytes = bytes + ?", (more, grown))
    return ledger.notes_version


def _value(ledger: Ledger, name: str) -> bytes | None:
    row = ledger.db.execute("SELECT value FROM note WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])


def notes(ledger: Ledger, prefix: str, since: int, after: str) -> list[Note]:
    """A page of the notes under a prefix: see `contract.all_pages`."""
    if since > 0:  # few have changed since a worker last asked
        query = "SELECT name, value, version FROM note INDEXED BY note_version WHERE version > ? AND name >= ? AND name < ? "
        rows = ledger.db.execute(f"{query} ORDER BY version LIMIT ?", (since, prefix, prefix + chr(0x10FFFF), PAGE))
    else:
        query = "SELECT name, value, version FROM note WHERE name >= ? AND name < ? AND name > ? ORDER BY name LIMIT ?"
        rows = ledger.db.execute(query, (prefix, prefix + chr(0x10FFFF), after, PAGE))
    found: list[Note] = []
    room = PAGE_BYTES
    for name, value, version in rows:
        found.append(Note(name, value, version))
        room -= len(name) + len(value)
        if room <= 0:
            break
    return found


def forget(ledger: Ledger, notes: Sequence[str], counters: Sequence[str]) -> int:
    """Delete notes and counters by name. Returns how many there were."""
    n = size = 0
    for name in dict.fromkeys(notes):
        value = _value(ledger, name)
        if value is not None:
            n, size = n + 1, size + len(name) + len(value)
            ledger.db.execute("DELETE FROM note WHERE name = ?", (name,))
    ledger.db.execute("UPDATE note_total SET n = n - ?, bytes = bytes - ?", (n, size))
    return n + ledger.uncount(dict.fromkeys(counters))
