"""Last stage: stores the items it gets, each once.

records: Record, or any plain data ──[store]──▶ .jsonl, .csv, .sqlite, or standard output
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from crawler import CrawlerError, GiveUp, Stage, Unsendable, as_row
from crawler_stages.sinks import Ever, Row, Sink, SinkOptions, Written, open_sink

log = logging.getLogger(__name__)

STDOUT: Final = "-"
ROWS: Final = "rows/"  # prefix of shared notes, one per output: whether it was empty at the start, and its rows now


class Store(Stage):
    """Write records to a file or database, one row a key.

    A batch is acknowledged when its rows are on the disk, and a row that comes again is there once: killed anywhere and
    started again, the store ends with the rows it would have had. The record of a page is one row a URL, and a later crawl's
    replaces it; other items are one row a content, or a value of `key`. Items that are no mapping are kept as {"value": …}.
    """

    class Options(SinkOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """`[stages.store]`"""

    batch = 256
    is_single = True  # a file has one writer
    makes_rows = True
    _sink: Sink | None = None
    _again = 0  # rows in the output that the hub has not counted: they are handed in again
    _is_ours_alone = False  # a file that was empty when the crawl began to use it: a replaced row is one of this crawl's own

    @classmethod
    def check(cls, options: SinkOptions, table: str) -> None:
        from crawler_stages.sinks.check import check  # here, because only commands that start something need it

        check(options)

    def open(self) -> None:
        options: SinkOptions = self.options
        state, run = options.state or self.context.state, options.run or self.context.run
        self._sink = open_sink(msgspec.structs.replace(options, state=state, run=run))
        self._tell(self._sink, is_first=True)

    def process(self, items: list[Any]) -> None:
        if self._sink is None:
            raise RuntimeError("the store is closed")
        written = self._counted(self._sink.write([self._row(item) for item in items]))
        rows = written.new + (0 if self._is_ours_alone else written.replaced)
        for name, n in (("rows", rows), (f"rows in {self.options.output}", rows), *written._asdict().items()):
            if n:
                self.count(name, n)

    def _row(self, item: Any) -> Row:
        """Return the row of an item. Raises GiveUp for an item with a value that no row can have.

        An item that a stage gave has only values of rows; one that was put by hand or by a foreign client may have others.
        """
        try:
            return as_row(item, self.count)
        except Unsendable as error:
            raise GiveUp(str(error)) from error

    def _counted(self, written: Written) -> Written:
        """Count rows as new that are there only because a store wrote them and died before the hub knew."""
        again = min(self._again, written.duplicates)
        self._again -= again
        return Written(written.new + again, written.replaced, written.duplicates - again)

    def uncounted(self, counts: Mapping[str, int]) -> None:
        self._again += counts.get("rows", 0)

    def close(self) -> None:
        if self._sink is not None:
            sink, self._sink = self._sink, None
            try:
                self._tell(sink)
            finally:
                sink.close()

    def _tell(self, sink: Sink, *, is_first: bool = False) -> None:
        """Share how many rows the output has, and find out how many of them the hub has not counted."""
        name = ROWS + self.options.output
        try:
            known = self.shared.get(name)
            before = _read(known)
            was_empty = (before is not None and before.was_empty) or (is_first and not sink.count(1))
            self._is_ours_alone = was_empty and self.options.output != STDOUT
            lost = self._lost(before.rows, sink.count()) if before is not None and is_first else 0
            base = self._base(before, sink, lost) if is_first or before is None else before.base
            if before is not None and is_first and not lost and base == before.base:
                return
            self.shared.set(name, msgspec.json.encode(_Rows(was_empty, sink.count(), base)))
        except CrawlerError as error:
            log.debug("the rows of %s are not counted: %s", self.options.output, error)

    def _base(self, before: _Rows | None, sink: Sink, lost: int) -> Ever | None:
        """Return the count of the sink at which this crawl's rows begin, and set `_again`."""
        ever = sink.ever()
        known = self.shared.counted(f"rows in {self.options.output}")
        if known is None:
            return None
        if before is not None and before.base is not None and before.base.id == ever.id and not lost:
            there = sink.count() if self._is_ours_alone else ever.rows - before.base.rows
            self._again = max(there - known, 0)
            return before.base
        return Ever(ever.id, ever.rows - known + lost)  # another file than the hub has counted: its rows are not ours

    def _lost(self, before: int, now: int) -> int:
        """Return how many rows the output has lost since the crawl last closed it; report them, and count them no longer."""
        lost = max(before - now, 0)
        if lost:
            log.warning("%s had %d rows and has %d; the others are not written again (a fresh crawl writes all)",
                        self.options.output, before, now)  # fmt: skip
            self.count(f"rows in {self.options.output}", -lost)
        return lost


def _read(note: bytes | None) -> _Rows | None:
    """Return the content of a note; None if there is none that can be read."""
    try:
        return msgspec.json.decode(note, type=_Rows) if note else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


class _Rows(msgspec.Struct, frozen=True):
    """The content of a note under `ROWS`, about one output."""

    was_empty: bool  # when the crawl began to use it: then all its rows belong to the crawl
    rows: int
    base: Ever | None = None  # the count of the sink at which the rows of this crawl begin
