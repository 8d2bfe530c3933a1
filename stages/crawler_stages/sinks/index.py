"""Index of a keyed file: the place of each key in it. SQLite on disk, so ten million rows cost no memory.

The file is authoritative, not the index: every entry was written to the file before. An index that
does not fit its file, or cannot be read, is thrown away and made again from the file.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

log = logging.getLogger(__name__)

MANY = 500  # variables in one statement; SQLite takes 999 everywhere
CACHE = -16 * 1024  # KiB of pages kept in memory


class Entry(NamedTuple):
    """One row of the file."""

    key: bytes
    offset: int  # bytes from the start of the file
    length: int  # bytes, line end included
    content: bytes  # digest of the line as we write it


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """State of the file when the index was last correct."""

    layout: str = ""  # format and key: another layout means other keys
    inode: int = 0
    size: int = 0  # bytes
    tail: bytes = b""  # digest of the last bytes before `size`
    stale: int = 0  # rows in the file that a later one replaces
    run: str = ""  # the crawl that wrote last
    id: str = ""  # see `Ever`
    written: int = 0  # see `Ever`
    is_closed: bool = False  # closed in order: rows after `size` are another program's
    next_inode: int = 0  # of the file that is about to replace this one, without the replaced rows


class Index:
    """path None: kept in a temporary file that nobody else sees."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            if path is None or isinstance(error, sqlite3.OperationalError):  # locked, no such directory, disk full
                raise
            log.warning("the index %s cannot be read (%s): it is made again from the output", path, error)
            self._delete(path)
            self._db = self._open()

    @property
    def mark(self) -> Mark:
        row = self._db.execute("SELECT value FROM mark").fetchone()
        return msgspec.msgpack.decode(row[0], type=Mark) if row else Mark()

    def contents(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The digests of those keys that are known."""
        known: dict[bytes, bytes] = {}
        for start in range(0, len(keys), MANY):
            some = keys[start : start + MANY]
            holders = ",".join("?" * len(some))
            known.update(self._db.execute(f"SELECT key, content FROM rows WHERE key IN ({holders})", some))  # noqa: S608  holders only
        return known

    def count(self, most: int = -1) -> int:
        """Return the number of known rows, at most `most` (-1: no limit)."""
        (n,) = self._db.execute("SELECT count(*) FROM (SELECT 1 FROM rows LIMIT ?)", (most,)).fetchone()
        return int(n)

    def put(self, entries: Iterable[Entry], mark: Mark) -> None:
        """Note rows, newer ones in the place of older, and the state of the file with them: all or nothing."""
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)", entries)
            self._note(mark)

    def move(self, moves: Iterable[tuple[int, bytes]], mark: Mark) -> None:
        """Note where rows (offset, key) stand now."""
        with self._db:
            self._db.executemany("UPDATE rows SET offset = ? WHERE key = ?", moves)
            self._note(mark)

    def clear(self, mark: Mark) -> None:
        with self._db:
            self._db.execute("DELETE FROM rows")
            self._note(mark)

    def sync(self) -> None:
        """Sync the index, so that no power cut undoes it."""
        self._db.execute("PRAGMA wal_checkpoint(FULL)")

    def in_order(self) -> Iterator[tuple[bytes, int, int]]:
        """Key, offset and length of every row as they stand in the file; sorted on disk, so `move` may run meanwhile."""
        yield from self._db.execute("SELECT key, offset, length FROM rows ORDER BY offset")

    def close(self) -> None:
        self._db.close()

    def _note(self, mark: Mark) -> None:
        self._db.execute("INSERT OR REPLACE INTO mark VALUES (0, ?)", (msgspec.msgpack.encode(mark),))

    def _open(self) -> sqlite3.Connection:
        # "": SQLite's own temporary file. A stage may be opened in one thread and work in another, never in two at once.
        db = sqlite3.connect(self._path or "", check_same_thread=False)
        try:
            db.execute(f"PRAGMA cache_size = {CACHE}")
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")  # after a power cut: older, never broken; the file's tail is read again
            db.execute(
                "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, offset INTEGER, length INTEGER, content BLOB) WITHOUT ROWID"
            )
            db.execute("CREATE TABLE IF NOT EXISTS mark (id INTEGER PRIMARY KEY, value BLOB)")
        except sqlite3.Error:
            db.close()
            raise
        return db

    @staticmethod
    def _delete(path: Path) -> None:
        for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            name.unlink(missing_ok=True)


def index_path(state: str, output: Path) -> Path:
    """Return the path of an output's side index."""
    if not state:
        return output.with_name(f".{output.name}.index")
    name = hashlib.blake2b(os.fsencode(output), digest_size=8).hexdigest()
    return Path(state) / f"{output.name[:40]}-{name}.index"
