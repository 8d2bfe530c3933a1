"""Look into a store that no hub has open, without changing anything and without a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct, json

from crawler.broker import schema


class Counts(Struct, frozen=True):
    """Tasks of one queue."""

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
    """Counts by queue, of all queues that are in the file, and notes by name."""

    queues: dict[str, Counts]
    notes: dict[str, bytes]


def peek(path: Path, prefixes: Sequence[str] = ()) -> Peek:
    """The queues of the store at `path`, and the notes whose names begin with one of these prefixes.

    Raises UsageError when a hub has it open, StorageError when it cannot be read.
    """
    db = schema.connect(str(path))
    try:
        (counts,) = db.execute("SELECT counts FROM head").fetchone()
        by_id = json.decode(counts, type=dict[int, list[int]])
        names = db.execute("SELECT id, name FROM queue ORDER BY id").fetchall()
        queues = {name: Counts(*(by_id.get(id) or [0] * 6)[:6]) for id, name in names}
        notes = {
            name: value
            for prefix in prefixes
            for name, value in db.execute(
                "SELECT name, value FROM note WHERE name >= ? AND name < ?", (prefix, prefix + chr(0x10FFFF))
            )
        }
    finally:
        db.close()
    return Peek(queues, notes)


def is_seed(path: Path, queue: str, key: bytes) -> bool:
    """Whether the keyed queue of this store has a task of this key that nobody found: a person put it there."""
    db = schema.connect(str(path))
    try:
        row = db.execute(
            "SELECT 1 FROM task WHERE queue = (SELECT id FROM queue WHERE name = ?) AND key = ? AND parent IS NULL", (queue, key)
        ).fetchone()
    finally:
        db.close()
    return row is not None
