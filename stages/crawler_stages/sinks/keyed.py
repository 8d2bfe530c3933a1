"""A text file that keeps one row a key, whatever kills the process that writes it.

    rows ──render──▶ lines whose key is new ──append──▶ file ──fsync──▶ index ──▶ acknowledged
                     a changed row is appended too, and the old line is left out when the file is next rewritten

The file is authoritative. At the start rows after the index's mark are read, a half-written last row is cut off, and an
index that does not fit the file is made again from it. Rows that were in the file before us are kept as they stand; of
several with one natural key (a URL, the fields of `key`) the last is kept.
"""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from crawler import StorageError, UsageError
from crawler_stages.sinks.contract import Ever, Row, SinkOptions, Written, digest, natural_key, opening, reason, storage_errors
from crawler_stages.sinks.files import copy, is_at, lock, locked, make_private, sync_directory, tail_digest, write_all
from crawler_stages.sinks.index import Entry, Index, Mark, index_path
from crawler_stages.sinks.layout import BadRow, Found, Layout

log = logging.getLogger(__name__)

SCANNED = 1000  # rows read from an existing file that are indexed in one transaction


class KeyedFile:
    """Sink for one layout. Its promises are in `Sink`."""

    def __init__(self, output: str, options: SinkOptions, layout: Layout) -> None:
        self.path = Path(os.path.realpath(output))  # a rewrite must replace the file, not a link to it
        self._named = output  # as a person wrote it
        self._options = options
        self._layout = layout
        self._size = 0  # bytes that are acknowledged
        self._head = 0  # bytes before the first row
        self._stale = 0  # rows in the file that a later one replaces
        self._written = 0  # rows ever written: see `Ever`
        self._id = ""
        self._is_torn = False  # there may be bytes behind `_size` that are not acknowledged
        self._fd = locked(self.path, output)
        with ExitStack() as undo:
            undo.callback(lambda: os.close(self._fd))
            index = index_path(options.state, self.path)
            with opening(str(index)):
                make_private(index)
                self._index = Index(index)
            undo.callback(self._index.close)
            with storage_errors(output):
                self._recover()
                self._compact()
            undo.pop_all()

    def write(self, rows: Sequence[Row]) -> Written:
        head = self._layout.head(rows) if self._size == 0 and rows else b""
        entries = []
        for row in rows:
            seen, line = self._layout.render(row)
            content = digest(line)
            entries.append((self._natural(seen) or content, content, line))
        with storage_errors(self._named):
            known = self._index.contents([key for key, _, _ in entries])
            fresh: dict[bytes, tuple[bytes, bytes]] = {}
            for key, content, line in entries:
                if known.get(key) == content:
                    fresh.pop(key, None)  # there, then changed, and now as it was
                else:
                    fresh[key] = content, line
            replaced = len(fresh.keys() & known.keys())
            if fresh:
                self._append(head, fresh, replaced)
        return Written(len(fresh) - replaced, replaced, len(rows) - len(fresh))

    def count(self, most: int = -1) -> int:
        with storage_errors(self._named):
            return self._index.count(most)

    def ever(self) -> Ever:
        return Ever(self._id, self._written)

    def close(self) -> None:
        try:
            with storage_errors(self._named):
                if self._is_torn:
                    os.ftruncate(self._fd, self._size)
                os.fsync(self._fd)
                self._compact()
                self._index.put([], self._mark(self._size, self._stale, is_closed=True))
        finally:
            self._index.close()
            os.close(self._fd)

    def _natural(self, row: Row) -> bytes | None:
        return natural_key(row, self._options.key_fields)

    def _append(self, head: bytes, fresh: dict[bytes, tuple[bytes, bytes]], replaced: int) -> None:
        if self._is_torn:
            os.ftruncate(self._fd, self._size)
        if not self._is_ours_alone():
            raise StorageError(self._changed())
        entries, lines, end = [], [head], self._size + len(head)
        for key, (content, line) in fresh.items():
            entries.append(Entry(key, end, len(line), content))
            lines.append(line)
            end += len(line)
        # The order is the promise: rows in the index are in the file, and rows in the file but not in the index
        # were not acknowledged, so they are handed in again.
        self._is_torn = True
        write_all(self._fd, b"".join(lines), self._size)
        if self._options.sync == "batch":
            os.fsync(self._fd)
        written = self._written + len(fresh)
        self._index.put(entries, self._mark(end, self._stale + replaced, written=written))
        self._size, self._stale, self._written, self._is_torn = end, self._stale + replaced, written, False
        self._head = self._head or len(head)

    def _is_ours_alone(self) -> bool:
        return is_at(self._fd, self.path) and os.fstat(self._fd).st_size == self._size

    def _changed(self) -> str:
        """Return the error for a file that another program has changed."""
        if not self.path.exists():
            return f"{self._named} was removed, or moved away, while rows were written to it; start again to write a new one"
        return f"another program has changed {self._named} while rows were written to it; stop that program, then start again"

    def _mark(
        self, size: int, stale: int, *, written: int | None = None, is_closed: bool = False, next_inode: int = 0
    ) -> Mark:  # fmt: skip
        return Mark(
            id=self._id, written=self._written if written is None else written, is_closed=is_closed, next_inode=next_inode,
            layout=self._signature, inode=os.fstat(self._fd).st_ino, size=size, tail=tail_digest(self._fd, size),
            stale=stale, run=self._options.run,
        )  # fmt: skip

    @property
    def _signature(self) -> str:
        return f"{self._layout.name} {self._options.key_fields}"

    def _recover(self) -> None:
        mark, there = self._index.mark, os.fstat(self._fd)
        if self._options.mode == "overwrite" and (not self._options.run or mark.run != self._options.run):
            os.ftruncate(self._fd, 0)
            os.fsync(self._fd)
            self._id = secrets.token_hex(8)
            self._index.clear(self._mark(0, 0))
            return
        fits = (
            mark.layout == self._signature
            and mark.inode == there.st_ino
            and mark.size <= there.st_size
            and mark.tail == tail_digest(self._fd, mark.size)
        )
        if mark.id and (fits or mark.next_inode == there.st_ino):
            self._id, self._written = mark.id, mark.written
        else:
            self._id = secrets.token_hex(8)
        if fits:
            self._size, self._stale = mark.size, mark.stale
        else:
            if mark.inode:
                log.info("%s is not as its index has it: it is read from the start", self._named)
            self._index.clear(self._mark(0, 0))
        if there.st_size:
            self._read(is_ours=fits, is_written=fits and not mark.is_closed)
        self._index.put([], self._mark(self._size, self._stale))
        if not fits or mark.is_closed:
            self._index.sync()  # so that after a power cut the rows that come now are known as ours

    def _read(self, *, is_ours: bool, is_written: bool) -> None:
        """Index what is behind `_size`, and cut or complete the file's last row. is_ours: nobody else has been at
        it. is_written: what is read are rows that a store wrote and died before it indexed them."""
        if is_written:
            self._cut_hole()
        with os.fdopen(os.dup(self._fd), "rb") as file:
            file.seek(0)
            head = self._layout.resume(file)
            if not head.endswith(b"\n") and len(head) == os.fstat(self._fd).st_size and is_ours:
                self._cut(0)  # died in the middle of its very first line
                return
            self._head = len(head)
            start = self._size = max(self._size, self._head)
            file.seek(start)
            last, batch = head, list[Found]()
            try:
                for found in self._layout.scan(file, is_ours):
                    if found.is_torn:
                        break
                    last = found.raw
                    batch.append(found)
                    if len(batch) == SCANNED:
                        self._absorb(batch, is_written=is_written)
                        batch = []
                self._absorb(batch, is_written=is_written)
            except BadRow as bad:
                self._index.clear(Mark())  # so far it is another program's file
                raise UsageError(self._unusable(start + bad.behind, str(bad))) from bad
        if self._size < os.fstat(self._fd).st_size:
            self._cut(self._size)
        elif last and not last.endswith(b"\n"):
            write_all(self._fd, self._layout.ending, self._size)
            self._head += len(self._layout.ending) if self._head == self._size else 0
            self._size += len(self._layout.ending)
        os.fsync(self._fd)

    def _absorb(self, pieces: Sequence[Found], *, is_written: bool) -> None:
        if is_written:
            self._written += sum(piece.row is not None for piece in pieces)
        naturals = [None if piece.row is None else self._natural(piece.row) for piece in pieces]
        contents = [digest(piece.line) for piece in pieces]
        known = self._index.contents([key or content for key, content in zip(naturals, contents, strict=True)])
        entries: dict[bytes, Entry] = {}
        for piece, natural, content in zip(pieces, naturals, contents, strict=True):
            key = natural or content
            if key in known or key in entries:
                if natural:
                    self._stale += 1
                else:  # written twice by another program: it stays, under a key that is never looked up
                    key = digest(content + self._size.to_bytes(8))
            if piece.row is not None:
                entries[key] = Entry(key, self._size, len(piece.raw), content)
            self._size += len(piece.raw)
        self._index.put(entries.values(), self._mark(self._size, self._stale))

    def _cut_hole(self) -> None:
        """Cut rows after `_size` that did not reach the disk whole: a block that a power cut kept from it is zeros.

        Neither such a row nor those behind it were acknowledged.
        """
        size = self._size
        with os.fdopen(os.dup(self._fd), "rb") as file:
            file.seek(size)
            for line in file:
                if b"\0" in line:
                    self._cut(size)
                    return
                size += len(line)

    def _cut(self, size: int) -> None:
        torn = os.fstat(self._fd).st_size - size
        log.warning("%s: cut off a half-written row at its end, %d bytes", self._named, torn)
        os.ftruncate(self._fd, size)
        self._size = min(self._size, size)

    def _unusable(self, offset: int, why: str) -> str:
        line, at = 1, 0
        while at < offset:
            piece = os.pread(self._fd, min(1 << 20, offset - at), at)
            line, at = line + piece.count(b"\n"), at + len(piece)
        name = self._layout.name
        return f"{self._named}, line {line}: not {name} ({why}); repair or remove that line, or give another output"

    def _compact(self) -> None:
        """Leave out the rows that were replaced. A disk too full for a second copy is no reason to fail: they stay."""
        if not self._stale or not self._is_ours_alone():
            return
        new = self.path.with_name(f".{self.path.name}.compact")
        try:
            self._rewrite(new)
        except OSError as error:
            log.warning("%s keeps %d replaced rows: %s", self._named, self._stale, reason(error))
            new.unlink(missing_ok=True)
            return
        sync_directory(self.path.parent)
        log.info("%s: left out %d replaced rows", self._named, self._stale)
        self._stale = 0
        self._index.move(self._moves(), self._mark(self._size, 0))

    def _rewrite(self, new: Path) -> None:
        new.unlink(missing_ok=True)  # of a store that was killed here
        fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            lock(fd)  # before it has the name that another store would open
            os.fchmod(fd, os.fstat(self._fd).st_mode & 0o7777)
            at, start, end = 0, 0, self._head  # neighbouring rows are copied together
            for _, offset, length in self._index.in_order():
                if offset != end:
                    at = copy(self._fd, start, end, fd, at)
                    start = end = offset
                end += length
            size = copy(self._fd, start, end, fd, at)
            os.fsync(fd)
            self._index.put([], self._mark(self._size, self._stale, next_inode=os.fstat(fd).st_ino))
            new.rename(self.path)
        except BaseException:
            os.close(fd)
            raise
        os.close(self._fd)
        self._fd, self._size = fd, size

    def _moves(self) -> Iterator[tuple[int, bytes]]:
        at = self._head
        for key, offset, length in self._index.in_order():
            if offset != at:
                yield at, key
            at += length
