"""Sinks, to which rows are written, one module each, chosen by the output's suffix. To add one: write it (see `contract`), and name
it here.

Only the sink that is opened is imported: a crawl's first page does not wait for formats that it does not write.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from crawler import UsageError
from crawler_stages.sinks.contract import Ever, Row, Sink, SinkOptions, Written

__all__ = ["Ever", "Row", "Sink", "SinkOptions", "Written", "open_sink"]

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/{1,2}")  # s3://, https://, file:///

SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".csv": "csv",
    ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite",
}  # fmt: skip


def _jsonl(output: str, options: SinkOptions) -> Sink:
    from crawler_stages.sinks.jsonl import JsonLines
    from crawler_stages.sinks.keyed import KeyedFile

    return KeyedFile(output, options, JsonLines())


def _csv(output: str, options: SinkOptions) -> Sink:
    from crawler_stages.sinks.csv import CsvRows
    from crawler_stages.sinks.keyed import KeyedFile

    return KeyedFile(output, options, CsvRows(output, options))


def _sqlite(output: str, options: SinkOptions) -> Sink:
    from crawler_stages.sinks.sqlite import SqliteTable

    return SqliteTable(output, options)


SINKS: dict[str, Callable[[str, SinkOptions], Sink]] = {"jsonl": _jsonl, "csv": _csv, "sqlite": _sqlite}


def open_sink(options: SinkOptions) -> Sink:
    """Open the sink that the options speak of. Raises UsageError for an output that cannot be used."""
    form, is_flow = form_of(options)
    if not is_flow:
        return SINKS[form](options.output, options)
    from crawler_stages.sinks.stream import Stream

    return Stream(options.output, options)


def form_of(options: SinkOptions) -> tuple[str, bool]:
    """Return the format of the output, and whether it is a stream. Raises UsageError for an output that no sink can write."""
    from crawler_stages.sinks.files import is_stream

    output = options.output
    if not output:
        raise UsageError('stages.store.output is empty; name a file, or "-" for standard output')
    if any(ord(character) < 0x20 or character == "\x7f" for character in output):
        raise UsageError(f"{output!r} has a line break or another control character in its name; name a file without one")
    if remote := _REMOTE.match(output):
        raise UsageError(
            f"{output}: rows go to files on this machine; {remote[0]} is not supported; name a file, such as "
            f"{Path(output).name or 'pages.jsonl'}, and copy it when the crawl is over"
        )
    if Path(output).is_dir():
        raise UsageError(f"cannot write to {output}: it is a directory; name a file in it, such as {Path(output) / 'pages.jsonl'}")
    if output.endswith("/"):
        file = Path(output).with_suffix(".jsonl")
        raise UsageError(f"cannot write to {output}: it ends like a directory; name a file, such as {file}")
    is_flow = output == "-" or is_stream(Path(output))
    if output != "-" and (is_flow or output.startswith(("/dev/", "/proc/"))):
        from crawler_stages.sinks.devices import refuse

        refuse(output)
    form: str = options.format
    if form == "auto":
        form = "jsonl" if is_flow else _by_suffix(output)
    if is_flow and form != "jsonl":
        raise UsageError(f"{output}: a stream takes JSON Lines only, not {form}; give a file")
    return form, is_flow


def _by_suffix(output: str) -> str:
    suffix = Path(output).suffix.lower()
    if "," in output and all(Path(name.strip()).suffix.lower() in SUFFIXES for name in output.split(",")):
        raise UsageError(f"{output}: one output for now, several are not supported; name one of them")
    if suffix == ".json":
        raise UsageError(f"{output}: one JSON document cannot be added to; use JSON Lines, {Path(output).stem}.jsonl")
    if suffix.strip() in SUFFIXES and suffix not in SUFFIXES:
        raise UsageError(f"{output!r} ends with a blank; write {output.rstrip()!r}")
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{output}: what format is {suffix or 'a name without suffix'}? use one of {', '.join(SUFFIXES)}, "
            "or set stages.store.format"
        )
    return SUFFIXES[suffix]
