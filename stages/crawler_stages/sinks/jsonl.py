"""JSON Lines: one object a line, UTF-8."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec

from crawler import as_row
from crawler_stages.sinks.contract import Row, json_line
from crawler_stages.sinks.layout import BadRow, Found

# Beginnings of a line of ours that was cut short: the object, or the zeros that a file system leaves in blocks
# whose data did not reach the disk before the power went. Anything else at the end of a file is not ours to cut.
TORN = (b"{", b"\0")


class JsonLines:
    """The layout of JSON Lines."""

    name = "JSON"
    ending = b"\n"

    def head(self, rows: Sequence[Row]) -> bytes:
        return b""

    def resume(self, file: BinaryIO) -> bytes:
        return codecs.BOM_UTF8 if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8 else b""

    def render(self, row: Row) -> tuple[Row, bytes]:
        return row, json_line(row) + self.ending

    def scan(self, file: BinaryIO, is_ours: bool) -> Iterator[Found]:
        behind = 0
        for raw in file:
            is_last = not raw.endswith(b"\n")
            try:
                yield self._found(raw)
            except (ValueError, RecursionError) as error:
                if not (is_last and raw.startswith(TORN)):
                    raise BadRow(behind, str(error)) from error
                yield Found(raw, is_torn=True)
            behind += len(raw)

    def _found(self, raw: bytes) -> Found:
        if not raw.strip():
            return Found(raw)
        try:
            row = msgspec.json.decode(raw)
        except msgspec.DecodeError as error:
            try:
                row = as_row(json.loads(raw.decode()))  # half a character or NaN: legal for the tool that wrote it
            except ValueError:
                raise error from None
        return Found(raw, *self.render(row if isinstance(row, dict) else {"value": row}))
