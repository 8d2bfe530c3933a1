"""Insertion of tasks: which are stored, which are duplicates, and which are too many."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence, Set
from hashlib import blake2b
from typing import TypeVar

from crawler.broker.contract import MAX_BODY
from crawler.broker.sqlite.lane import Lane
from crawler.broker.sqlite.queues import Queue
from crawler.broker.sqlite.schema import DELAYED, INLINE, READY
from crawler.broker.sqlite.state import Ledger
from crawler.broker.sqlite.verdicts import judge
from crawler.items import New, Verdict

_Some = TypeVar("_Some")

log = logging.getLogger(__name__)


def insert(ledger: Ledger, items: Sequence[New], origins: Sequence[int | None] = ()) -> list[Verdict]:
    """Store tasks whose queues were checked; one verdict each, in order.

    origins: for each the keyed task from which it came, if that is known; no origins: put by a person.
    """
    bounded = {name for name in {new.queue for new in items} if ledger.queues[name].may_overgrow(len(items))}
    room = _room(ledger, items, bounded) if bounded else {}
    if not room:
        return _take_in(ledger, items, origins)
    is_in = [new.parent is None or _has_room(ledger, new, room) for new in items]
    others = iter(_take_in(ledger, _only(items, is_in), _only(origins, is_in)))
    return [next(others) if fits else Verdict.WAITING for fits in is_in]


def _room(ledger: Ledger, items: Sequence[New], queues: Set[str]) -> dict[tuple[str, str], int]:
    """Return how many more tasks may wait, by queue and host, for the hosts that these tasks would take over their limit."""
    room = {}
    for (name, host), n in Counter((new.queue, new.host) for new in items if new.queue in queues).items():
        queue = ledger.queues[name]
        lane = ledger.lanes.named(queue, host)
        if lane.ready + n > queue.spec.host_waiting:
            room[name, host] = queue.spec.host_waiting - lane.ready
    return room


def _has_room(ledger: Ledger, new: New, room: dict[tuple[str, str], int]) -> bool:
    """Tell whether a task may wait, or is known already. room: see `_room`; for this one it gets less."""
    host = new.queue, new.host
    if host not in room or _is_known(ledger, ledger.queues[new.queue], new):
        return True
    room[host] -= 1
    if room[host] < 0 and host not in ledger.overgrown:
        ledger.overgrown.add(host)
        log.warning(
            "%s has %s URLs waiting: no more are taken from pages until some are fetched (see frontier.max_waiting); it may "
            "make up URLs without end", new.host, f"{ledger.queues[new.queue].spec.host_waiting:,}",
        )  # fmt: skip
    return room[host] >= 0


def _is_known(ledger: Ledger, queue: Queue, new: New) -> bool:
    """Tell whether a keyed queue has, or had, this task."""
    if not queue.spec.keyed:
        return False
    known = ledger.db.execute("SELECT 1 FROM task WHERE queue = ? AND key = ?", (queue.id, new.key or _digest(new)))
    return known.fetchone() is not None


def _take_in(ledger: Ledger, items: Sequence[New], origins: Sequence[int | None]) -> list[Verdict]:
    limited = {name for name in {new.queue for new in items} if ledger.queues[name].is_limited}
    if not limited:
        return _insert(ledger, items, origins)
    at_limit = {name for name in limited if ledger.queues[name].is_at_limit}
    # Nothing changes there any more, and nothing there what becomes of the others.
    is_in = [new.queue not in at_limit for new in items]
    others = iter(_insert_limited(ledger, _only(items, is_in), _only(origins, is_in)))
    return [next(others) if may_go_in else _refused(ledger, new) for new, may_go_in in zip(items, is_in, strict=True)]


def _insert_limited(ledger: Ledger, items: Sequence[New], origins: Sequence[int | None]) -> list[Verdict]:
    """Insert all tasks in one batch if no limit can be passed; if one can, one by one, as each counts before the next is
    judged."""
    if not _may_go_over(ledger, items):
        return _insert(ledger, items, origins)
    return [
        verdict for place, new in enumerate(items)
        for verdict in ([_refused(ledger, new)] if _is_over(ledger, new) else _insert(ledger, [new], origins[place : place + 1]))
    ]  # fmt: skip


def _may_go_over(ledger: Ledger, items: Sequence[New]) -> bool:
    """Return whether a limit of a queue or of a host would be passed if all of these tasks were new."""
    limited = [(queue, new.host) for new in items if (queue := ledger.queues[new.queue]).is_limited]
    if any(0 < queue.spec.limit < queue.accepted + n for queue, n in Counter(queue for queue, _ in limited).items()):
        return True
    of_hosts = Counter(each for each in limited if each[0].has_host_limit)
    return any(_exceeds(queue, ledger.lanes.named(queue, host), n) for (queue, host), n in of_hosts.items())


def _is_over(ledger: Ledger, new: New) -> bool:
    queue = ledger.queues[new.queue]
    if queue.is_at_limit:
        return True
    return queue.has_host_limit and _exceeds(queue, ledger.lanes.named(queue, new.host), 1)


def _refused(ledger: Ledger, new: New) -> Verdict:
    """Return the verdict on a task over a limit. A known key is a duplicate, whatever the limit."""
    if len(new.item) > MAX_BODY:
        return Verdict.TOO_BIG
    return Verdict.DUPLICATE if _is_known(ledger, ledger.queues[new.queue], new) else Verdict.LIMIT


def _insert(ledger: Ledger, items: Sequence[New], origins: Sequence[int | None]) -> list[Verdict]:
    verdicts = [Verdict.ACCEPTED] * len(items)
    queues, named, now = ledger.queues, ledger.lanes.named, ledger.now
    first = id = ledger.next_id
    rows, kept = [], []
    for place, new in enumerate(items):
        item = new.item
        size = len(item)
        if size > MAX_BODY:
            verdicts[place] = Verdict.TOO_BIG
            continue
        queue = queues[new.queue]
        spec = queue.spec
        key, parent = (new.key or _digest(new), new.parent) if spec.keyed else (None, origins[place] if origins else None)
        lane = named(queue, new.host) if spec.polite else None
        delay = new.delay
        rows.append((
            id, queue.id, queue.lane if lane is None else lane.id, DELAYED if delay > 0 else READY, new.priority, new.depth,
            now + delay, now, now, key, parent, item if size <= INLINE else None,
        ))  # fmt: skip
        kept.append((place, id, new, queue, lane, size))
        id += 1
    ledger.next_id = id
    added = ledger.db.executemany(
        "INSERT OR IGNORE INTO task (id, queue, lane, state, priority, depth, due, put_at, changed_at, key, parent, item) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows,
    ).rowcount  # fmt: skip
    if added < len(rows):
        stored = {row[0] for row in ledger.db.execute("SELECT id FROM task WHERE id >= ?", (first,))}
        for place, id, *_ in kept:
            if id not in stored:
                verdicts[place] = Verdict.DUPLICATE
        kept = [each for each in kept if each[1] in stored]
    large, tried = [], []
    for _, id, new, queue, lane, size in kept:
        state = DELAYED if new.delay > 0 else READY
        queue.add(state, size)
        if size > INLINE:
            large.append((id, new.item))
        if new.tried is not None and lane is None:
            tried.append((id, queue, state, size, new.tried))
        if state == DELAYED:
            ledger.wait_until(now + new.delay)
        elif lane is None and queue.floor is not None and new.priority > queue.floor[0]:
            queue.floor = None
        if lane is not None:
            lane.accepted += 1
            if state == READY:
                lane.put(id, new.priority)
            ledger.lanes.touch(lane)
    if large:
        ledger.db.executemany("INSERT INTO body VALUES (?, ?)", large)
    for id, queue, state, size, failed in tried:
        judge(ledger, id, queue, state, size, 1, failed.reason, failed.after, failed.final, failed.trace)
    return verdicts


def _exceeds(queue: Queue, lane: Lane, n: int) -> bool:
    """Tell whether a host would have more tasks than it may with n more."""
    return 0 < queue.limit_of(lane) < lane.accepted + n


def _only(values: Sequence[_Some], chosen: Sequence[bool]) -> list[_Some]:
    """Return the values that are chosen; of no values none."""
    return [value for value, is_chosen in zip(values, chosen, strict=False) if is_chosen]


def _digest(new: New) -> bytes:
    """The key of a task without one, on a keyed queue: its body makes it the same as another."""
    return blake2b(new.item, digest_size=16).digest()
