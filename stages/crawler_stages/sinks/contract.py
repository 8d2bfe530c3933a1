"""Interface of a sink, and the parts that sinks share: the key that identifies a row, plain text for values, our errors.

A new sink is one file: a class with `write` and `close` that keeps the promises of `Sink`, and a line in this package's `__init__`
that says which suffix it is for. Its settings are in `SinkOptions`.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import msgspec

from crawler import OutputClosed, Stage, StorageError, StorageFull, UsageError

Row = dict[str, Any]
KeySpec = tuple[str, ...] | None  # fields whose values make the key; None: "auto"

RECORD_MARKS = frozenset({"url", "fetched_at", "sha256"})  # what makes an item the record of a crawl
SQLITE_FULL = 13  # its result code when there is no room; a constant here, so that `sqlite3` need not be imported for it
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})  # not EFBIG: waiting for room does not make a file's limit larger


class SinkOptions(Stage.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[stages.store]`: where the rows go and in which form."""

    output: str = "records.jsonl"  # file, or "-" for standard output
    format: Literal["auto", "jsonl", "csv", "sqlite"] = "auto"  # auto: by the output's suffix
    mode: Literal["append", "overwrite"] = "append"  # overwrite: empty the output once, at the first start of a `run`
    key: str | list[str] = "auto"  # field(s) that name a row; auto: `url` for the record of a page, else all of the content
    sync: Literal["batch", "close"] = "batch"  # when rows are forced to the disk: with each batch, or at the end only
    columns: list[str] = msgspec.field(default_factory=list)  # CSV: these columns only; []: the first batch's and `_extra`
    csv_safe: bool = True  # CSV: a cell that a spreadsheet would run as a formula gets an apostrophe in front
    table: str = "records"  # SQLite: table the rows go to
    state: str = ""  # directory of the side index; "": the context's, or without one beside the output, as .NAME.index
    run: str = ""  # id of the crawl: a restart within it does not overwrite again. "": the context's; without one every start does

    OPERATIONAL: ClassVar[frozenset[str]] = frozenset({"sync", "state", "run"})

    @property
    def key_fields(self) -> KeySpec:
        if self.key == "auto":
            return None
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)


class Written(NamedTuple):
    """Counts of the rows of one call."""

    new: int = 0  # keys that were not there
    replaced: int = 0  # keys that were there with another content
    duplicates: int = 0  # rows that were there already, word for word


class Ever(NamedTuple):
    """The rows that a sink has written to its output since it began to count."""

    id: str  # of this count: another one after the output was emptied, or changed by another program
    rows: int  # new and replaced, including rows that were not acknowledged because the process died


class Sink(Protocol):
    """Keeps one row a key. One thread at a time. The rows are as `as_row` makes them: a sink need know no other kinds of values.

    `write` returns when the rows will survive the death of this process (with sync = "batch": of the machine). Rows that were
    written but not acknowledged, because the process died or `write` raised, may be handed in again and are there once.
    Raises UsageError when opened on an output that cannot be used as it is, StorageError when the storage failed: then
    nothing of the batch counts as written. After StorageFull the same object can go on once there is room.
    """

    def write(self, rows: Sequence[Row]) -> Written: ...

    def count(self, most: int = -1) -> int:
        """Return the number of rows in the output, at most `most` (-1: no limit). For a stream: the rows of this crawl."""
        ...

    def ever(self) -> Ever:
        """Return how many rows were written, counted in one transaction with the rows themselves."""
        ...

    def close(self) -> None: ...


def digest(data: bytes) -> bytes:
    """16 bytes that stand for a content: 10^9 rows and still one chance in 10^20 of a clash."""
    return hashlib.blake2b(data, digest_size=16).digest()


def natural_key(row: Mapping[str, Any], fields: KeySpec) -> bytes | None:
    """Return the key of a row by its fields; None if it has none, and its content is its key."""
    if fields is None:
        fields = ("url",) if row.keys() >= RECORD_MARKS and row["url"] else ()
    if not fields or any(name not in row for name in fields):
        return None
    return digest(msgspec.json.encode(["key", *(row[name] for name in fields)]))


def json_line(row: Any) -> bytes:
    """JSON in UTF-8 that every tool takes for one line: U+0085, U+2028 and U+2029, at which some split, are escaped."""
    text = msgspec.json.encode(row)
    if text.isascii():  # most are, and this is a twentieth of looking for each of them
        return text
    for character, escape in _SPLITTERS:
        if character in text:
            text = text.replace(character, escape)
    return text


_SPLITTERS = (
    ("\u0085".encode(), b"\\u0085"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


@contextmanager
def storage_errors(output: str, *, can_go_on: bool = True) -> Iterator[None]:
    """Turn errors of the disk or SQLite during the work into ours.

    can_go_on: the next `write` removes a row that was half written when the disk was full.
    """
    try:
        yield
    except BrokenPipeError as error:
        raise OutputClosed(f"{output}: its reader has ended; rows that it did not read stay on their queue") from error
    except (OSError, *of_sqlite()) as error:
        safe = f"{output}: {reason(error)}; the rows in it are safe, the others wait on their queue"
        if is_full(error) and can_go_on:
            raise StorageFull(f"{safe}: free some space") from error
        raise StorageError(f"{safe}: see to the disk, then start again") from error


@contextmanager
def opening(output: str) -> Iterator[None]:
    """Turn errors of opening an output into ours: the user has to change it, unless the disk is full."""
    try:
        yield
    except (OSError, *of_sqlite()) as error:
        if is_full(error):
            raise StorageFull(f"cannot write to {output}: {reason(error)}; free some space") from error
        raise UsageError(f"cannot write to {output}: {reason(error)}; give another output, or correct that") from error


def of_sqlite() -> tuple[type[Exception]]:
    """Return SQLite's errors. Called when something has failed: a crawl that writes no database does without the module."""
    import sqlite3

    return (sqlite3.Error,)


def is_full(error: Exception) -> bool:
    """Return whether the disk was full."""
    return getattr(error, "errno", None) in DISK_FULL or getattr(error, "sqlite_errorcode", None) == SQLITE_FULL


def reason(error: Exception) -> str:
    """Return the reason of an error, without the number and the file name that Python puts around it."""
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
