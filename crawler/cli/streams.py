"""Standard input, output and error, whatever they are: closed, full, or of an encoding that lacks characters.

closed                 /dev/null takes its place, so that no file opened later gets its number and what is printed
lacks a character      it is written as JSON writes it, \\u00e9, so that printed JSON stays JSON
cannot be written      standard output: an error; standard error: the messages are lost, and the command goes on
its reader has gone    BrokenPipeError, which ends a command in order
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import Final, TextIO, cast

from crawler.errors import UsageError
from crawler.wording.texts import as_json

ESCAPE: Final = "crawler-escape"  # the name under which `codecs` knows `_escaped`
_UNWRITABLE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.ENXIO)
_NAMES: Final = ("stdin", "stdout", "stderr")  # by descriptor

_closed: set[str] = set()  # the streams that were closed when the process began


class _Lenient(io.TextIOWrapper):
    """Standard error: a message that cannot be written, as on a full disk, is no reason to fail."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except BrokenPipeError:
            raise
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except BrokenPipeError:
            raise
        except OSError:
            pass


def prepare() -> None:
    """Make the three streams usable. Called once, before a command begins."""
    for number, name in enumerate(_NAMES):
        if getattr(sys, name) is None:
            _closed.add(name)
            setattr(sys, name, _nowhere(number, "w" if number else "r"))
    codecs.register_error(ESCAPE, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape", "backslashreplace"):
            stream.reconfigure(errors=ESCAPE)
    if type(sys.stderr) is io.TextIOWrapper and sys.stderr is sys.__stderr__:
        old = sys.stderr
        sys.stderr = sys.__stderr__ = _Lenient(  # type: ignore[misc]  # Final in typeshed: the one of old is taken apart
            old.detach(), encoding=old.encoding, errors=ESCAPE, line_buffering=True
        )


def refuse_closed_output(what: str) -> None:
    """Raise UsageError if standard output is closed. what: why that matters."""
    if "stdout" in _closed:
        raise UsageError(f"standard output is closed: {what}")


def is_of_output(error: OSError) -> bool:
    """Tell whether it is standard output that could not be written to. Files have names, and sockets other errors."""
    return error.filename is None and error.errno in _UNWRITABLE


def silence() -> None:
    """Redirect a broken standard output or error to /dev/null: Python would complain that it cannot write the rest."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _nowhere(number: int, mode: str) -> TextIO:
    """Return a stream to or from nowhere, with this descriptor if it is free."""
    found = os.open(os.devnull, os.O_RDWR)  # the lowest free number: a closed stream before this one is taken care of
    if found != number:
        try:
            os.fstat(number)
        except OSError:
            os.dup2(found, number)
            os.close(found)
            found = number
    if found == number:
        os.set_inheritable(found, True)
    return cast("TextIO", open(found, mode, encoding="utf-8", errors="replace", closefd=False))


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Return what an encoding lacks as JSON escapes it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return as_json(error.object[error.start : error.end]), error.end
