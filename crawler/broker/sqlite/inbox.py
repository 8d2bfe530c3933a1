"""Children of a large step, put on their queues slice by slice.

    hand_in ──few children──────────────────────────────────▶ insert ──▶ READY, DELAYED, or refused
        └────many──▶ table `inbox`, with the step ──a slice each turn──▶ insert

A step is one transaction, however many children it has. To put 50,000 of them on their queues takes some tenths of a second, in
which no other call is answered; storing them unread takes a tenth of that. A child in the inbox is as safe as any task, and its
queue is not drained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import msgpack

from crawler.broker.sqlite import insert
from crawler.broker.sqlite.state import Ledger
from crawler.items import New, Verdict

AT_ONCE = 1_000  # children of one step that are put on their queues with it: 10 ms
SLICE = 500  # children in a row of the table, and so in one turn: 5 ms
MOST = 500_000  # children in the inbox; a step that brings more waits until there are fewer
Children = tuple[list[New], list[int | None]]  # with the keyed task from which each came, if that is known

_encode = msgpack.Encoder().encode
_decode = msgpack.Decoder(Children).decode


def bring(ledger: Ledger, children: Sequence[New], origins: Sequence[int | None]) -> None:
    """Put the children of a step on their queues, now or later. The queues were checked. origins: see `insert`."""
    if len(children) <= AT_ONCE:
        _admit(ledger, children, origins)
        return
    by_queue: dict[str, Children] = {}
    for child, origin in zip(children, origins, strict=True):
        news, froms = by_queue.setdefault(child.queue, ([], []))
        news.append(child)
        froms.append(origin)
    for name, (news, froms) in by_queue.items():
        queue = ledger.queues[name]
        for first in range(0, len(news), SLICE):
            some = news[first : first + SLICE]
            ledger.db.execute("INSERT INTO inbox (queue, n, tasks) VALUES (?, ?, ?)",
                            (queue.id, len(some), _encode((some, froms[first : first + SLICE]))))  # fmt: skip
        queue.coming += len(news)
    while coming(ledger) > MOST:
        put_slice(ledger)


def coming(ledger: Ledger) -> int:
    """Return how many children are in the inbox."""
    return sum([queue.coming for queue in ledger.queues.values()])


def put_slice(ledger: Ledger) -> None:
    """Put the children that have waited longest on their queue, some at a time."""
    id, queue, n, tasks = ledger.db.execute("SELECT id, queue, n, tasks FROM inbox ORDER BY id LIMIT 1").fetchone()
    ledger.db.execute("DELETE FROM inbox WHERE id = ?", (id,))
    ledger.by_id[queue].coming -= n
    _admit(ledger, *_decode(tasks))


def empty_inbox(ledger: Ledger) -> None:
    """Put all children on their queues."""
    while coming(ledger):
        put_slice(ledger)


def _admit(ledger: Ledger, children: Sequence[New], origins: Sequence[int | None]) -> None:
    """Put children on their queues, and count those that are over a limit."""
    verdicts = insert.insert(ledger, children, origins)
    for limit in (Verdict.LIMIT, Verdict.WAITING):
        if limit in verdicts:
            pairs = zip(children, verdicts, strict=True)
            over = Counter(child.queue for child, verdict in pairs if verdict == limit)
            ledger.count({f"{name}/skipped/{limit}": n for name, n in over.items()})
