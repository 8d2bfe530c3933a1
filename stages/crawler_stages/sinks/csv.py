"""CSV by RFC 4180, with a header, UTF-8.

The columns are those of the existing file; else those of `columns`; else the fields of the first batch in their order, and
`_extra`: a field that turns up later goes there, as JSON, so that a row never loses anything and a file never changes shape.
A field that is itself called `_extra` goes there as well: the cell is always an object. Lists and objects are JSON text, true and
false are words, bytes are base64, nothing is an empty cell.
"""

from __future__ import annotations

import codecs
import csv
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from crawler import GiveUp, UsageError
from crawler_stages.sinks.contract import Row, SinkOptions, json_line
from crawler_stages.sinks.layout import BadRow, Found

log = logging.getLogger(__name__)

EXTRA = "_extra"
TOLD = 20  # fields without a column that are reported
# What makes a spreadsheet run a cell (OWASP, CSV injection); the wide ones in some languages.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
SPECIAL = re.compile('[",\r\n]')

csv.field_size_limit(1 << 30)  # characters; a page's text is longer than the 128 Ki which the module allows


class CsvRows:
    """The layout of CSV."""

    name = "CSV"
    ending = b"\r\n"

    def __init__(self, output: str, options: SinkOptions) -> None:
        self._output = output
        self._wanted = options.columns
        self._is_safe = options.csv_safe
        self.columns: list[str] = []
        self._is_old = False  # the file had a header before this crawl
        self._told: set[str] = set()  # fields without a column that have been reported

    def head(self, rows: Sequence[Row]) -> bytes:
        names = dict.fromkeys(name for row in rows for name in row if name != EXTRA)
        self.columns = list(self._wanted) or [*names, EXTRA]
        return self._line(self.columns)

    def resume(self, file: BinaryIO) -> bytes:
        bom = codecs.BOM_UTF8 if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else b""
        file.seek(len(bom))
        self._is_old = True
        head, self.columns, _ = next(_records(file), (b"", [], False))
        if self._wanted and self._wanted != self.columns:
            raise UsageError(
                f"{self._output} has the columns {', '.join(self.columns)}; stages.store.columns says "
                f"{', '.join(self._wanted)}: leave it out, or give another output"
            )
        if head.endswith(b"\n") and not head.endswith(b"\r\n"):
            self.ending = b"\n"  # the file's own way
        return bom + head

    def refuse_foreign(self, path: Path) -> None:
        """Raise UsageError for a foreign header: without a column for undeclared fields, only named columns can be added."""
        if EXTRA not in self.columns and not self._wanted:
            names = ", ".join(f'"{name}"' for name in self.columns)
            once = "" if "url" in self.columns else " (without url, pages with the same values become one row)"
            raise UsageError(
                f"{path} has the columns {', '.join(self.columns)} and no {EXTRA}, so no crawl began it; give another "
                f"output, or set stages.store.columns = [{names}] if the records have fields of these names{once}"
            )

    def render(self, row: Row) -> tuple[Row, bytes]:
        if self._wanted and not any(name in row for name in self.columns):
            raise GiveUp(
                f"{self._output} has the columns {', '.join(self.columns)}, and a record has none of them; it has "
                f"{', '.join(list(row)[:TOLD])}: set stages.store.columns to some of these, or give another output"
            )
        cells = {name: self._cell(row.get(name)) if name != EXTRA else "" for name in self.columns}
        unknown = {name: value for name, value in row.items() if name == EXTRA or name not in cells}
        if unknown and EXTRA in cells:
            self._warn(name for name in unknown if name != EXTRA)
            cells[EXTRA] = self._cell(unknown)
        elif unknown and not self._wanted:
            raise GiveUp(
                f"{self._output} has no column for {', '.join(unknown)}; say in stages.store.columns which are wanted, "
                "or give another output"
            )
        return self._seen(list(cells.values()))

    def scan(self, file: BinaryIO, is_ours: bool) -> Iterator[Found]:
        for raw, cells, is_open in _records(file):
            is_short = len(cells) < len(self.columns)
            if is_open or (not raw.endswith(b"\n") and (is_ours or is_short)):
                yield Found(raw, is_torn=True)
            elif cells:
                yield Found(raw, *self._seen(cells))  # too many cells or too few: it is kept, and not ours to judge
            else:
                yield Found(raw)

    def _warn(self, unknown: Iterable[str]) -> None:
        """Warn once about each field that has no column."""
        new = [name for name in unknown if name not in self._told][: TOLD - len(self._told)]
        if new:
            self._told.update(new)
            names, its = ", ".join(map(repr, new)), "its" if len(new) == 1 else "their"
            way = "-O begins a new file" if self._is_old else "stages.store.columns names those that are wanted"
            log.warning("%s has no column %s; %s values go to %s; %s", self._output, names, its, EXTRA, way)

    def _seen(self, cells: list[str]) -> tuple[Row, bytes]:
        return {name: cell for name, cell in zip(self.columns, cells, strict=False) if cell}, self._line(cells)

    def _cell(self, value: Any) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            text = json_line(value).decode()
            return text[1:-1] if text.startswith('"') else text  # bytes: base64 without the quotes
        return "'" + value if self._is_safe and value.startswith(FORMULA) else value

    def _line(self, cells: Sequence[str]) -> bytes:
        text = ",".join('"' + cell.replace('"', '""') + '"' if SPECIAL.search(cell) else cell for cell in cells)
        return (text or '""').encode() + self.ending  # a blank line would be no row


def _records(file: BinaryIO) -> Iterator[tuple[bytes, list[str], bool]]:
    """Yield the bytes of each record, its cells, and whether it ends within quotes. A record may span lines."""
    behind = 0
    pulled: list[bytes] = []
    has_ended = False

    def lines() -> Iterator[str]:
        nonlocal has_ended
        for line in file:
            pulled.append(line)
            yield line.decode(errors="replace")  # only read to know keys and cells: the file keeps its bytes
        has_ended = True

    reader = csv.reader(lines(), strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if not has_ended:
                raise BadRow(behind, str(error)) from error
            yield b"".join(pulled), [], True
            return
        raw = b"".join(pulled)
        pulled.clear()
        behind += len(raw)
        yield raw, cells, False
