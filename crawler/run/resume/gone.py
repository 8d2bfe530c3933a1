"""Find outputs whose file disappeared between two runs of a crawl, and correct the counts of their rows.

rows counted for a file ── the file is not there ──▶ a warning, and counts that begin at 0 again
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Set
from typing import TYPE_CHECKING

import msgspec

from crawler.items import Note, Step
from crawler.run.report.outputs import COUNTERS, ROWS, STDOUT, Rows, place
from crawler.wording.counting import agree, counted

if TYPE_CHECKING:
    from crawler.broker.sqlite.broker import SqliteBroker


def gone(rows: Mapping[str, Rows]) -> dict[str, Rows]:
    """Return the outputs that have rows of the crawl and whose file is missing."""
    return {name: each for name, each in rows.items() if each.rows and name != STDOUT and not os.path.exists(name)}


def warning(name: str, rows: Rows, hint: str = "--fresh starts over") -> str:
    """Say that the rows are lost. hint: what brings them back."""
    those = agree(rows.rows, "that page is", "those pages are")
    return f"warning: {name} had {counted(rows.rows, 'row')} and is gone; {those} not fetched again ({hint})"


def forget(broker: SqliteBroker, names: Set[str], directory: str) -> None:
    """Make the counts of these outputs begin at 0, whatever names they are counted under. directory: base of those names."""
    places = {os.path.abspath(name) for name in names}
    counters = {
        name: -n for name, n in broker.stats().counters.items()
        if n and COUNTERS in name and place(name.partition(COUNTERS)[2], directory) in places
    }  # fmt: skip
    notes = [note.name for note in broker.notes(ROWS) if place(note.name.removeprefix(ROWS), directory) in places]
    broker.step(Step("run", 1, counters=counters))
    broker.note([Note(name, msgspec.json.encode({"was_empty": True, "rows": 0})) for name in notes])
