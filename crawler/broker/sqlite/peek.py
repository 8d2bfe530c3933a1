"""Read a store that no hub has open, without changing anything and without a pipeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct, json

from crawler.broker.sqlite import schema


class Counts(Struct, frozen=True):
    """The numbers of tasks on one queue."""

    accepted: int
    ready: int
    delayed: int
    leased: int
    dead: int
    done: int

    @property
    def unfinished(self) -> int:
        return self.ready + self.delayed + self.leased


class Peek(Struct, frozen=True):
    """The counts of all queues in a store, its counters, and notes by name."""

    queues: dict[str, Counts]
    counters: dict[str, int]
    notes: dict[str, bytes]


def peek(path: Path, prefixes: Sequence[str] = ()) -> Peek:
    """Read the queues of the store at `path`, and the notes whose names begin with one of these prefixes.

    Raises UsageError if a hub has it open, StorageError if it cannot be read.
    """
    db = schema.connect(str(path))
    try:
        counts, counters = db.execute("SELECT counts, counters FROM head").fetchone()
        by_id = json.decode(counts, type=dict[int, list[int]])
        names = db.execute("SELECT id, name FROM queue ORDER BY id").fetchall()
        coming = schema.coming(db)
        queues = {name: _counts(by_id.get(id) or [0] * 6, coming.get(id, 0)) for id, name in names}
        notes = {
            name: value
            for prefix in prefixes
            for name, value in db.execute(
                "SELECT name, value FROM note WHERE name >= ? AND name < ?", (prefix, prefix + chr(0x10FFFF))
            )
        }
    finally:
        db.close()
    return Peek(queues, json.decode(counters, type=dict[str, int]), notes)


def _counts(stored: Sequence[int], coming: int) -> Counts:
    """Return the counts of a queue. coming: tasks in its inbox, of which some may turn out to be known."""
    accepted, ready, *others = stored[:6]
    return Counts(accepted + coming, ready + coming, *others)


def seeds(path: Path, queue: str, limit: int) -> list[bytes]:
    """Return the items of the first tasks on this queue that were put by a person, not found by another task."""
    db = schema.connect(str(path))
    try:
        sql = "SELECT item FROM whole WHERE queue = (SELECT id FROM queue WHERE name = ?) AND parent IS NULL ORDER BY id LIMIT ?"
        return [item for (item,) in db.execute(sql, (queue, limit))]
    finally:
        db.close()


def seeds_among(path: Path, queue: str, keys: Iterable[bytes]) -> set[bytes]:
    """Return the keys whose task on this keyed queue was put by a person, not found by another task."""
    db = schema.connect(str(path))
    try:
        sql = "SELECT 1 FROM task WHERE queue = (SELECT id FROM queue WHERE name = ?) AND key = ? AND parent IS NULL"
        return {key for key in keys if db.execute(sql, (queue, key)).fetchone() is not None}
    finally:
        db.close()
