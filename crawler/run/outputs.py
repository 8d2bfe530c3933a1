"""How many rows a crawl has put into each of its outputs.

The store shares, for each output, whether it was empty when the crawl began with it and how many rows it has: then all of these
are the crawl's, also those whose worker died before they could be counted. For other outputs there are counters.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from crawler.counting import counted

ROWS: Final = "rows/"              # notes of the store, by output
COUNTERS: Final = "/rows in "      # in the name of a counter, before the output
STDOUT: Final = "-"


class Rows(Struct, frozen=True):
    """Of one output."""

    rows: int                      # that this crawl put there
    total: int = 0                 # that are in it, rows of others included; 0: not known


class _Note(Struct, frozen=True):
    was_empty: bool
    rows: int


def rows_by_output(
    outputs: Iterable[str], notes: Mapping[str, bytes], counters: Mapping[str, int], directory: str
) -> dict[str, Rows]:
    """Rows of these outputs and of those that the store has told of, by the name they were given first.

    notes: by name, those of other things are left alone. directory: where relative outputs are meant from; two names of one file
    are one output.
    """
    told = {name.removeprefix(ROWS): note for name, value in notes.items() if name.startswith(ROWS) and (note := _read(value))}
    counts: dict[str, int] = {}
    for name, n in counters.items():
        _, mark, output = name.partition(COUNTERS)
        if mark:
            counts[output] = counts.get(output, 0) + n
    found: dict[str, Rows] = {}
    names: dict[str, str] = {}
    for output in dict.fromkeys([*outputs, *told, *counts]):
        name = names.setdefault(output if output == STDOUT else os.path.normpath(os.path.join(directory, output)), output)
        note = told.get(output)
        # The note is as of the last time the output was closed, the counter lacks what a killed worker had not handed in.
        rows = max(note.rows if note and note.was_empty else 0, counts.get(output, 0))
        before = found.get(name, Rows(0))
        # Two names of one file: the note of a fresh file has all its rows, counters have their own each.
        both = max(before.rows, rows) if note and note.was_empty else before.rows + rows
        found[name] = Rows(both, max(before.total, note.rows if note else 0))
    return found


def described(outputs: Mapping[str, Rows]) -> str:
    """`34 rows in apache.jsonl, 23 rows in pages2.jsonl`; "" where there is no output.

    Outputs without rows are left out if others have some.
    """
    some = {name: rows for name, rows in outputs.items() if rows.rows} or dict(outputs)
    return ", ".join(_line(name, rows) for name, rows in some.items())


def _line(name: str, rows: Rows) -> str:
    where = "on standard output" if name == STDOUT else f"in {name}"
    others = f" ({rows.total:,} in all)" if rows.total > rows.rows and name != STDOUT else ""
    return f"{counted(rows.rows, 'row')} {where}{others}"


def _read(note: bytes) -> _Note | None:
    try:
        return msgspec.json.decode(note, type=_Note)
    except msgspec.DecodeError:
        return None
