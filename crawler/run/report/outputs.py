"""Count the rows that a crawl has written to each of its outputs.

The store shares two facts about each output: whether it was empty when the crawl began to use it, and how many rows it has. If it
was empty, all its rows belong to the crawl, including rows of a worker that died before it could count them. Other outputs have
counters.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from crawler.notes import read_rows
from crawler.run.paths import from_here
from crawler.wording.counting import counted

ROWS: Final = "rows/"  # prefix of the notes of the store, one per output
COUNTERS: Final = "/rows in "  # in the name of a counter, before the output
STDOUT: Final = "-"


class Rows(Struct, frozen=True):
    """The rows in one output."""

    rows: int  # written by this crawl
    total: int = 0  # all rows in it, including those of others; 0: not known
    same: int = 0  # records of this crawl that made no row more, because their key was there


def rows_by_output(
    outputs: Iterable[str], notes: Mapping[str, bytes], counters: Mapping[str, int], directory: str
) -> dict[str, Rows]:
    """Return the rows of these outputs and of the outputs in the notes, by the path of each as it can be typed here.

    notes: by name; unrelated notes are ignored. directory: base of relative outputs. Two names of one file count as one output; so
    does a name from before the file was moved.
    """
    told = {name.removeprefix(ROWS): note for name, value in notes.items() if name.startswith(ROWS) and (note := read_rows(value))}
    counts: dict[str, int] = {}
    for name, n in counters.items():
        _, mark, output = name.partition(COUNTERS)
        if mark:
            counts[output] = counts.get(output, 0) + n
    replaced, duplicates = _of_one_output(counters, "replaced"), _of_one_output(counters, "duplicates")
    found: dict[str, Rows] = {}
    named = list(dict.fromkeys([*outputs, *told, *counts]))
    files = [place(output, directory) for output in named]
    there = [file for file in dict.fromkeys(files) if file != STDOUT and os.path.exists(file)]
    for output, file in zip(named, files, strict=True):
        known = file if file in there else _moved(output, there, directory)
        name = STDOUT if known == STDOUT else from_here(known)
        note = told.get(output)
        # The note is as old as the last close of the output; the counter misses what a killed worker had not yet reported.
        is_ours = note is not None and note.was_empty and name != STDOUT  # printed rows stay
        rows = max(note.rows, counts.get(output, 0) - replaced) if note and is_ours else counts.get(output, 0)
        before = found.get(name, Rows(0))
        # Two names of one file: the note of a fresh file counts all its rows, while each name has a counter of its own.
        both = max(before.rows, rows) if note and note.was_empty else before.rows + rows
        found[name] = Rows(both, max(before.total, note.rows if note else 0), replaced + duplicates if is_ours else 0)
    return found


def _of_one_output(counters: Mapping[str, int], what: str) -> int:
    """Return a count of the stage that stores; 0 for several outputs, whose counts cannot be told apart.

    In an output that was empty at the beginning, a replaced row was one of this crawl and had been counted before.
    """
    stages = [name.partition(COUNTERS)[0] for name in counters if COUNTERS in name]
    return counters.get(f"{stages[0]}/{what}", 0) if len(stages) == 1 else 0


def place(output: str, directory: str) -> str:
    """Return the absolute path of an output. directory: base of a relative one."""
    return output if output == STDOUT else os.path.normpath(os.path.join(directory, output))


def _moved(output: str, there: Sequence[str], directory: str) -> str:
    """Return the path of an output that is not there under its name: of the same file after a move, else as it is named.

    It is the same file if the old path ends like the path of one that is there, seen from the crawl's directory.
    """
    tail = output.removeprefix("/")
    while tail.startswith("../"):  # typed in a directory below the crawl's
        tail = tail.removeprefix("../")
    for file in there:
        now = os.path.relpath(file, directory)
        if output != STDOUT and not now.startswith("..") and (tail == now or tail.endswith(f"/{now}")):
            return file
    return place(output, directory)


def described(outputs: Mapping[str, Rows]) -> str:
    """Describe the rows as text: `34 rows in apache.jsonl, 23 rows in pages2.jsonl`; "" if there is no output.

    Outputs without rows are left out if others have some.
    """
    some = {name: rows for name, rows in outputs.items() if rows.rows} or dict(outputs)
    return ", ".join(_line(name, rows) for name, rows in some.items())


def _line(name: str, rows: Rows) -> str:
    where = "on standard output" if name == STDOUT else f"in {name}"
    others = f" ({rows.total:,} in all)" if rows.total > rows.rows and name != STDOUT else ""
    same = f" ({rows.same:,} more had the key of another: see stages.store.key)" if rows.same else ""
    return f"{counted(rows.rows, 'row')} {where}{others}{same}"
