"""Refuse an unusable output before anything is started. The output is not opened for writing, made or changed here.

Other problems (a bad line far into a file, another store that uses it) are found when the sink is opened.
"""

from __future__ import annotations

import errno
import os
import threading
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from crawler import UsageError
from crawler_stages.sinks import form_of
from crawler_stages.sinks.contract import SinkOptions, opening
from crawler_stages.sinks.files import usable_directory
from crawler_stages.sinks.layout import BadRow, Layout

ROWS = 100  # rows of a file that are checked
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)  # of a machine that is short of something now
_MAGIC = b"SQLite format 3\0"


def check(options: SinkOptions) -> None:
    """Raise UsageError, in the same words as the sink would."""
    with opening(options.output):  # a name that is too long, a loop of links
        _check(options)


def _check(options: SinkOptions) -> None:
    form, is_flow = form_of(options)
    path, named = Path(os.path.realpath(options.output)), Path(options.output)
    if is_flow:
        if options.output != "-" and not os.access(path, os.W_OK):
            raise UsageError(_refused(named, "it may not be written to"))
        return
    usable_directory(path, options.output)
    if not path.exists():
        if not _takes_files(path.parent):
            raise UsageError(_refused(named, f"no file can be made in {named.parent}"))
        return
    if not os.access(path, os.R_OK | os.W_OK):
        raise UsageError(_refused(named, "it may not be read and written"))
    if path.stat().st_size:
        with opening(options.output):
            _look_into(path, form, options)


def _takes_files(directory: Path) -> bool:
    """Return whether a file can be made there. Tried, as permissions say nothing of /proc and of what is mounted."""
    trial = directory / f".crawler-{os.getpid()}-{threading.get_ident()}"
    try:
        os.close(os.open(trial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        return error.errno in _PASSING
    trial.unlink(missing_ok=True)
    return True


def _refused(path: Path, why: str) -> str:
    return f"cannot write to {path}: {why}; give another output, or change its permissions"


def _look_into(path: Path, form: str, options: SinkOptions) -> None:
    if form == "sqlite":
        _database(path, options)
    elif options.mode != "overwrite":  # otherwise it will be emptied
        with path.open("rb") as file:
            try:
                _text(file, path, form, options)
            except BadRow as bad:
                file.seek(0)
                line = file.read(bad.behind).count(b"\n") + 1
                name = "CSV" if form == "csv" else "JSON"
                ways = "repair or remove that line, or give another output"
                raise UsageError(f"{options.output}, line {line}: not {name} ({bad}); {ways}") from bad


def _text(file: BinaryIO, path: Path, form: str, options: SinkOptions) -> None:
    """Raise UsageError, or BadRow with a position counted from the beginning of the file."""
    layout: Layout
    if form == "csv":
        from crawler_stages.sinks.csv import CsvRows

        layout = CsvRows(options.output, options)
        head = layout.resume(file)
        if head.endswith(b"\n"):  # otherwise it may be a header of ours that was cut short
            layout.refuse_foreign(Path(options.output))
    else:
        from crawler_stages.sinks.jsonl import JsonLines

        layout = JsonLines()
        head = layout.resume(file)
    file.seek(len(head))
    try:
        for _ in islice(layout.scan(file, is_ours=False), ROWS):
            pass
    except BadRow as bad:
        raise BadRow(len(head) + bad.behind, str(bad)) from bad


def _database(path: Path, options: SinkOptions) -> None:
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise UsageError(f"cannot write to {options.output}: it is not an SQLite database; give another output")
    if options.mode == "overwrite":
        return
    import sqlite3  # here, because only this form of output needs it

    from crawler_stages.sinks.sqlite import columns

    database = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)  # immutable: makes no file beside it
    try:
        columns(database, options)
    finally:
        database.close()
