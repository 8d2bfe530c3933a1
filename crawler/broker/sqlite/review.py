"""Judge the tasks of a queue again, because the rules under which they were put on it have changed.

    READY, DELAYED, DEAD ──refused──▶ ASIDE ──admitted, while there is room──▶ READY
            └──────── over a limit ────▲
    DONE, but not processed because of a rule that is gone ──reopened──▶ READY

A task that is set aside keeps its row, its key and its history, but is no longer counted, neither as accepted nor against a limit.
So it can come back when the rules change again. Nothing may be leased meanwhile. Each call is bounded in length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeVar

from crawler.broker.sqlite import quarantine
from crawler.broker.sqlite.queues import Queue
from crawler.broker.sqlite.schema import ASIDE, DEAD, DELAYED, DONE, READY
from crawler.broker.sqlite.state import Ledger

T = TypeVar("T")
Judge = Callable[[bytes], int | str]  # of an item: its priority, or why it is refused
Task = tuple[int, int, int, int]  # id, lane, state, bytes
Row = tuple[Any, ...]  # a task as a statement gives it: its id first, its item last

OVER_THE_LIMIT: Final = "over the limit"
COUNTER: Final = "/aside/"  # in the name of a counter, between queue and reason: tasks that are set aside now
BATCH: Final = 2_000  # rows in one transaction
_UNFINISHED: Final = (
    "SELECT id, lane, state, priority, item FROM whole WHERE queue = ? AND state IN (0, 1, 3) AND id > ? ORDER BY id LIMIT ?"
)
_ASIDE: Final = "SELECT id, lane, report, item FROM whole WHERE queue = ? AND state = 5 AND id > ? ORDER BY id LIMIT ?"
_DONE: Final = (
    "SELECT id, lane, item FROM whole WHERE substr(report, 1, ?) = ? AND queue = ? AND state = 4 AND id > ? ORDER BY id LIMIT ?"
)
_FIRST: Final = "SELECT id, item FROM whole WHERE queue = ? AND depth = 0 AND id > ? ORDER BY id LIMIT ?"
_LAST: Final = "SELECT id, lane, state, length(item) FROM whole WHERE queue = ? AND state = ? ORDER BY id DESC LIMIT ?"
_LAST_OF_LANE: Final = "SELECT id, lane, state, length(item) FROM whole WHERE lane = ? AND state = ? ORDER BY id DESC LIMIT ?"


class Store(Protocol):
    """An embedded broker, as far as it is needed here."""

    def run(self, call: Callable[[Ledger], T]) -> T:
        """Run a function of the ledger in a transaction of its own."""
        ...


class Review:
    """The review of one queue; its numbers are complete when `run` returns."""

    def __init__(self, store: Store, queue: str, judge: Judge) -> None:
        self._store = store
        self._name = queue
        self._judge = judge
        self.aside: Counter[str] = Counter()  # tasks set aside, by reason
        self.restored = 0  # tasks that an earlier review had set aside, and that are ready again

    def run(self) -> None:
        """Judge all unfinished tasks, apply the limits, and restore set-aside tasks that are admitted now."""
        self._each(_UNFINISHED, (), self._refuse)
        while self._store.run(self._shorten):
            pass
        self._each(_ASIDE, (), self._restore)

    def reopen(self, report: str) -> int:
        """Make tasks ready again that are done, are admitted, and whose report begins with these words. Returns how many."""
        before = self.restored
        self._each(_DONE, (len(report), report), self._reopen)
        reopened, self.restored = self.restored - before, before
        return reopened

    def _each(self, query: str, values: tuple[object, ...], act: Callable[[Ledger, Queue, Row, int | str], None]) -> None:
        """Judge the rows of a query, and act on each with its verdict.

        They are judged outside of transactions, because rules are read from the same store.
        """

        def read(after: int, ledger: Ledger) -> list[Row]:
            return ledger.db.execute(query, (*values, ledger.queue(self._name).id, after, BATCH)).fetchall()

        def write(judged: Sequence[tuple[Row, int | str]], ledger: Ledger) -> None:
            for row, verdict in judged:
                act(ledger, ledger.queue(self._name), row, verdict)

        after = 0
        while rows := self._store.run(partial(read, after)):
            judged = [(row, self._judge(row[-1])) for row in rows]
            self._store.run(partial(write, judged))
            after = rows[-1][0]

    def _refuse(self, ledger: Ledger, queue: Queue, row: Row, verdict: int | str) -> None:
        id, lane, state, priority, item = row
        if isinstance(verdict, str):
            self._set_aside(ledger, queue, (id, lane, state, len(item)), verdict)
        elif verdict != priority:
            ledger.db.execute("UPDATE task SET priority = ? WHERE id = ?", (verdict, id))
            _forget_order(ledger, queue, lane)

    def _shorten(self, ledger: Ledger) -> bool:
        """Set aside tasks over the limit of the queue or of their host, the last ones first. Tells whether there were any."""
        queue = ledger.queue(self._name)
        tasks = [task for lane, n in _crowded(ledger, queue) for task in _last(ledger, _LAST_OF_LANE, lane, n)]
        for task in tasks:
            self._set_aside(ledger, queue, task, OVER_THE_LIMIT)
        if 0 < queue.spec.limit < queue.accepted:
            more = _last(ledger, _LAST, queue.id, queue.accepted - queue.spec.limit)
            for task in more:
                self._set_aside(ledger, queue, task, OVER_THE_LIMIT)
            tasks += more
        return bool(tasks)

    def _restore(self, ledger: Ledger, queue: Queue, row: Row, verdict: int | str) -> None:
        id, lane, reason, item = row
        if isinstance(verdict, int) and _has_room(ledger, queue, lane):
            ledger.count({f"{self._name}{COUNTER}{reason}": -1})
            queue.add(READY, len(item))
            _accept(ledger, queue, lane, 1)
            _make_ready(ledger, queue, id, lane, verdict)
            self.restored += 1

    def _reopen(self, ledger: Ledger, queue: Queue, row: Row, verdict: int | str) -> None:
        id, lane, item = row
        if isinstance(verdict, int):
            queue.move(DONE, READY)
            queue.bytes += len(item)
            _make_ready(ledger, queue, id, lane, verdict)
            self.restored += 1

    def _set_aside(self, ledger: Ledger, queue: Queue, task: Task, reason: str) -> None:
        id, lane, state, size = task
        quarantine.forget_suspect(ledger, queue, id)
        ledger.db.execute("UPDATE task SET state = ?, report = ?, changed_at = ? WHERE id = ?", (ASIDE, reason, ledger.now, id))
        queue.counts[state] -= 1
        queue.accepted -= 1
        if state != DEAD:
            queue.bytes -= size
        if queue.spec.polite and state == READY:
            ledger.lanes.numbered(queue, lane).ready -= 1
        _accept(ledger, queue, lane, -1)
        _forget_order(ledger, queue, lane)
        ledger.count({f"{self._name}{COUNTER}{reason}": 1})
        self.aside[reason] += 1


def first_items(store: Store, queue: str) -> Iterator[bytes]:
    """Iterate over the items at depth 0 that a queue has ever had, oldest first: seeds, and where they redirect."""
    after = 0

    def call(after: int, ledger: Ledger) -> list[tuple[int, bytes]]:
        return ledger.db.execute(_FIRST, (ledger.queue(queue).id, after, BATCH)).fetchall()

    while rows := store.run(partial(call, after)):
        yield from (item for _, item in rows)
        after = rows[-1][0]


def _crowded(ledger: Ledger, queue: Queue) -> list[tuple[int, int]]:
    """List lanes with more tasks than they may have, `BATCH` at most, each with the number that is too many."""
    if not queue.has_host_limit:
        return []
    ledger.lanes.flush()
    query = "SELECT id FROM lane WHERE queue = ? AND accepted > ?"
    rows = ledger.db.execute(query, (queue.id, queue.least_host_limit)).fetchall()
    lanes = [ledger.lanes.numbered(queue, id) for (id,) in rows]
    return [(lane.id, lane.accepted - limit) for lane in lanes if 0 < (limit := queue.limit_of(lane)) < lane.accepted]


def _last(ledger: Ledger, tasks: str, of: int, n: int) -> list[Task]:
    """Return the last n tasks of a queue or lane that are READY; of those that were begun, DELAYED ones, as few as possible."""
    found: list[Task] = ledger.db.execute(tasks, (of, READY, min(n, BATCH))).fetchall()
    return found or ledger.db.execute(tasks, (of, DELAYED, min(n, BATCH))).fetchall()


def _make_ready(ledger: Ledger, queue: Queue, id: int, lane: int, priority: int) -> None:
    ledger.db.execute(
        "UPDATE task SET state = ?, priority = ?, attempt = 0, report = '', changed_at = ? WHERE id = ?",
        (READY, priority, ledger.now, id),
    )  # fmt: skip
    ledger.made_ready(queue, lane)


def _has_room(ledger: Ledger, queue: Queue, lane: int) -> bool:
    if queue.is_at_limit:
        return False
    if not queue.has_host_limit:
        return True
    host = ledger.lanes.numbered(queue, lane)
    return not 0 < queue.limit_of(host) <= host.accepted


def _accept(ledger: Ledger, queue: Queue, lane: int, n: int) -> None:
    if queue.spec.polite:
        host = ledger.lanes.numbered(queue, lane)
        host.accepted += n
        ledger.lanes.touch(host)


def _forget_order(ledger: Ledger, queue: Queue, lane: int) -> None:
    """Have it looked up again which tasks of a lane come next."""
    queue.floor = None
    if queue.spec.polite:
        host = ledger.lanes.numbered(queue, lane)
        host.floor = host.ahead = None
        ledger.lanes.touch(host)
