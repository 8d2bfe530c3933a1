"""Show the output of stages' `print`, line by line with the stage's name: `enrich: 3 cards on /p/7`.

In a worker started by a command, standard output is not free: with `-o -` it carries rows, and on a terminal it carries a live
view. So the output of `print` goes to standard error in whole lines. So does what C libraries and commands run by a stage write to
descriptor 1. Each line is written at once, in one piece, so that nothing is lost if the process is killed afterwards; the
beginning of a line is written as a line of its own after a second. Colours are kept, and what would move the cursor is left out.
"""

from __future__ import annotations

import io
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Final, NamedTuple

from crawler.wording.lines import FORMED
from crawler.wording.texts import coloured
from crawler.worker.speaker import speaker

STDOUT, STDERR = 1, 2
UNFINISHED = 1.0  # s until the beginning of a line is written without its end
# Escape sequences except colours (ECMA-48 SGR), and control characters except tab and the escape of a colour. Not compiled here:
# most workers print nothing.
_MOVES: Final = r"\x1b\[[0-?]*[ -/]*[@-ln-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[^\[\]]|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]"


class _Begun(NamedTuple):
    """The beginning of a line."""

    stage: str
    text: str
    since: float  # monotonic time, s


class StageLines(io.TextIOBase):
    """A text stream that writes whole lines to a descriptor, each with the name of the stage that runs in the printing thread."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, name: str, fd: int = STDERR, mark: str = "") -> None:
        """name: the stage to name if the thread runs none. mark: prefix of each line."""
        self._name = name
        self._fd = fd
        self._mark = mark
        self._lock = threading.Lock()
        self._begun: dict[int, _Begun] = {}  # by thread
        self._has_timer = False  # that looks whether one of these is old
        self.buffer = _Bytes(self)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """Return the descriptor, for commands that a stage runs: their output is shown too, without a name."""
        return self._fd

    def write(self, text: str) -> int:
        stage, thread = speaker.stage or self._name, threading.get_ident()
        with self._lock:
            begun = self._begun.pop(thread, None)
            *lines, rest = ((begun.text if begun else "") + text).split("\n")
            if rest:
                since = begun.since if begun and not lines else time.monotonic()
                self._begun[thread] = _Begun(stage, rest, since)
            if lines:
                self._put([(stage, line) for line in lines])
            self._look_later()
        return len(text)

    def finish(self, age: float = 0.0) -> None:
        """Write the lines that have not been ended. age: s, only those that were begun so long ago."""
        with self._lock:
            until = time.monotonic() - age
            old = {thread: begun for thread, begun in self._begun.items() if begun.since <= until}
            self._begun = {thread: begun for thread, begun in self._begun.items() if thread not in old}
            self._put([(begun.stage, begun.text) for begun in old.values() if _still(begun.text)])

    def _look_later(self) -> None:
        if self._begun and not self._has_timer:
            self._has_timer = True
            timer = threading.Timer(UNFINISHED, self._look)
            timer.daemon = True
            timer.start()

    def _look(self) -> None:
        self.finish(UNFINISHED)  # not all: print() writes the end of its line after the line
        with self._lock:
            self._has_timer = False
            self._look_later()

    def _put(self, lines: list[tuple[str, str]]) -> None:
        text = "".join(f"{self._mark}{stage}: {_still(line)}\n" for stage, line in lines)
        data = memoryview(text.encode("utf-8", "replace"))
        with suppress(OSError):  # its reader has gone: not the task's fault
            while data:
                data = data[os.write(self._fd, data) :]


def _still(line: str) -> str:
    """Return a line without codes that move the cursor. Of a line that was overwritten, return the last visible text."""
    if line.isprintable():
        return line
    return coloured(re.sub(_MOVES, "", line.rstrip("\r").rpartition("\r")[2]))


class _Bytes:
    """A stand-in for `sys.stdout.buffer`, for code that prints bytes."""

    def __init__(self, lines: StageLines) -> None:
        self._lines = lines

    def write(self, data: bytes) -> int:
        self._lines.write(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def flush(self) -> None:
        """Do nothing: whole lines are written at once."""


@contextmanager
def to_stderr() -> Iterator[None]:
    """Send everything written to standard output to standard error: prints, and what commands and C libraries write."""
    sys.stdout.flush()
    try:
        saved = os.dup(STDOUT)
        os.dup2(STDERR, STDOUT)
    except OSError:  # one of them is closed
        saved = -1
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stderr.flush()
        if saved >= 0:
            os.dup2(saved, STDOUT)
            os.close(saved)


@contextmanager
def shown_by_stage(name: str, *, is_heard: bool, has_rows: bool) -> Iterator[None]:
    """Send everything written to standard output to standard error, with the stage's name, while the context is active.

    is_heard: the parent process reads standard error and expects marked lines. has_rows: a sink of this process writes rows to
    descriptor 1, which therefore stays as it is.
    """
    before = sys.stdout, sys.stderr
    for stream in before:
        stream.flush()
    lines = StageLines(name, mark=FORMED if is_heard else "")
    saved = None if has_rows else os.dup(STDOUT)
    if saved is not None:
        os.dup2(STDERR, STDOUT)
    sys.stdout = sys.stderr = lines
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        lines.finish()
        if saved is not None:
            os.dup2(saved, STDOUT)
            os.close(saved)
