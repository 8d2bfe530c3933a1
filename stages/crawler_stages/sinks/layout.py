"""Layout of rows in a keyed file: all a text format has to define, `KeyedFile` does the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple, Protocol

from crawler_stages.sinks.contract import Row


class Found(NamedTuple):
    """A piece of an existing file."""

    raw: bytes
    row: Row | None = None  # None: a blank line
    line: bytes = b""  # the row as we write it: by this it is known when it comes again
    is_torn: bool = False  # the file's last piece, not whole


class BadRow(Exception):
    """Raised for a piece of an existing file that is no row, `behind` bytes after the start of the scan."""

    def __init__(self, behind: int, why: str) -> None:
        super().__init__(why)
        self.behind = behind


class Layout(Protocol):
    """Interface of a text format."""

    name: str
    ending: bytes  # of a row

    def head(self, rows: Sequence[Row]) -> bytes:
        """Return the beginning of an empty file that these rows are the first of."""
        ...

    def resume(self, file: BinaryIO) -> bytes:
        """Read the beginning of a file that is not empty, up to its first row."""
        ...

    def render(self, row: Row) -> tuple[Row, bytes]:
        """Return the row as `scan` would read it back, and its line."""
        ...

    def scan(self, file: BinaryIO, is_ours: bool) -> Iterator[Found]:
        """Read all rows from here on. is_ours: we wrote it, so a last row without its ending is half a row. Raises BadRow."""
        ...
