"""An output as its user sees it: put rows in, look at what is there."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path
from typing import Any

from crawler_stages.sinks import Row, SinkOptions, Written, open_sink

PAGE = {"fetched_at": "2026-01-01", "sha256": "aa"}


def page(url: str, **fields: Any) -> Row:
    return {"url": url, **PAGE, **fields}


class Output:
    """An output of one form, as its user sees it."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.options = {"state": str(path.parent / "state"), **options}

    def put(self, *batches: list[Row], **options: Any) -> list[Written]:
        sink = open_sink(SinkOptions(output=str(self.path), **(self.options | options)))
        try:
            return [sink.write(batch) for batch in batches]
        finally:
            sink.close()

    def rows(self) -> list[Row]:
        """As text, empty values and keys of the sink's own left out."""
        return [
            {name: str(value) for name, value in row.items() if name[0] != "_" and value not in ("", None)} for row in self._read()
        ]

    def _read(self) -> list[Row]:
        if self.path.suffix == ".jsonl":
            return [json.loads(line) for line in self.path.read_bytes().splitlines()]
        if self.path.suffix == ".csv":
            with self.path.open(newline="", encoding="utf-8") as file:
                return list(csv.DictReader(file, strict=True))
        db = sqlite3.connect(self.path)
        db.row_factory = sqlite3.Row
        rows = [dict(row) for row in db.execute("SELECT * FROM records")]
        db.close()
        return rows

    def lose_index(self) -> None:
        for file in (self.path.parent / "state").iterdir():
            file.unlink()
