"""How the rows of a keyed file look: what a text format has to know for `KeyedFile` to do the rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple, Protocol

from crawler_stages.sinks.contract import Row


class Found(NamedTuple):
    """A piece of an existing file."""

    raw: bytes
    row: Row | None = None         # None: a blank line
    line: bytes = b""              # the row as we write it: by this it is known when it comes again
    is_torn: bool = False          # the file's last piece, not whole


class BadRow(Exception):
    """A piece of an existing file that is no row, `behind` bytes after the start of the scan."""

    def __init__(self, behind: int, why: str) -> None:
        super().__init__(why)
        self.behind = behind


class Layout(Protocol):
    """How rows look in the file."""

    name: str
    ending: bytes                  # of a row

    def head(self, rows: Sequence[Row]) -> bytes:
        """What an empty file begins with, these being the first rows."""
        ...

    def resume(self, file: BinaryIO) -> bytes:
        """Read from a file that is not empty what it begins with before its first row."""
        ...

    def render(self, row: Row) -> tuple[Row, bytes]:
        """The row as `scan` would read it back, and its line."""
        ...

    def scan(self, file: BinaryIO, is_ours: bool) -> Iterator[Found]:
        """Everything from here on. is_ours: we wrote it, so a last row without its ending is half a row. Raises BadRow."""
        ...
