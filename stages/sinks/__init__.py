"""Where rows go: a sink a file, chosen by the output's suffix. To add one: write it (see `base`), and name it here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from crawler import UsageError
from stages.sinks.base import Row, Sink, SinkOptions, Written
from stages.sinks.csv import CsvRows
from stages.sinks.disk import is_stream
from stages.sinks.jsonl import JsonLines
from stages.sinks.keyed import KeyedFile
from stages.sinks.sqlite import SqliteTable
from stages.sinks.stream import Stream

__all__ = ["Row", "Sink", "SinkOptions", "Written", "open_sink"]

SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".csv": "csv",
    ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite",
}  # fmt: skip

SINKS: dict[str, Callable[[str, SinkOptions], Sink]] = {
    "jsonl": lambda output, options: KeyedFile(output, options, JsonLines()),
    "csv": lambda output, options: KeyedFile(output, options, CsvRows(output, options)),
    "sqlite": SqliteTable,
}


def open_sink(options: SinkOptions) -> Sink:
    """Open the sink that the options speak of. Raises UsageError for an output that cannot be used."""
    output = options.output
    if not output:
        raise UsageError('stages.store.output is empty; name a file, or "-" for standard output')
    is_flow = output == "-" or is_stream(Path(output))
    form: str = options.format
    if form == "auto":
        form = "jsonl" if is_flow else _by_suffix(output)
    if not is_flow:
        return SINKS[form](output, options)
    if form != "jsonl":
        raise UsageError(f"{output}: a stream takes JSON Lines only, not {form}; give a file")
    return Stream(output, options)


def _by_suffix(output: str) -> str:
    suffix = Path(output).suffix.lower()
    if suffix == ".json":
        raise UsageError(f"{output}: one JSON document cannot be added to; use JSON Lines, {Path(output).stem}.jsonl")
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{output}: what format is {suffix or 'a name without suffix'}? use one of {', '.join(SUFFIXES)}, "
            "or set stages.store.format"
        )
    return SUFFIXES[suffix]
