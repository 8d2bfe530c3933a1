"""The last stage: keep what arrives, each thing once.

    records: Record, or any plain data ──[store]──▶ .jsonl, .csv, .sqlite, or standard output
"""

from __future__ import annotations

from typing import Any

from crawler import Stage
from stages.sinks import Row, Sink, SinkOptions, open_sink


class Store(Stage):
    """Write records to a file or database, one row a key.

    A batch is acknowledged when its rows are on the disk, and a row that comes again is there once: killed anywhere and
    started again, the store ends with the rows it would have had. The record of a page is one row a URL, and a later crawl's
    replaces it; other items are one row a content, or a value of `key`. What is no mapping is kept as {"value": …}.
    """

    class Options(SinkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """`[stages.store]`"""

    batch = 256
    _sink: Sink | None = None

    def open(self) -> None:
        self._sink = open_sink(self.options)

    def process(self, items: list[Any]) -> None:
        if self._sink is None:
            raise RuntimeError("the store is closed")
        written = self._sink.write([_row(item) for item in items])
        for name, n in (("rows", len(items)), *written._asdict().items()):
            if n:
                self.count(name, n)

    def close(self) -> None:
        if self._sink is not None:
            self._sink.close()
            self._sink = None


def _row(item: Any) -> Row:
    return item if isinstance(item, dict) else {"value": item}
