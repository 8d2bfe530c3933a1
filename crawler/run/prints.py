"""Show what stages print, line by line with the stage's name: `enrich: 3 cards on /p/7`.

In a worker started by a command, standard output is not free: with `-o -` it carries rows, and on a terminal it carries a live
view. So the output of `print` goes to standard error in whole lines. So does what C libraries and commands run by a stage write to
descriptor 1. Each line is written at once, in one piece, so that nothing is lost if the process is killed afterwards.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

from crawler.run.lines import FORMED
from crawler.speaker import speaker

STDOUT, STDERR = 1, 2


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
        self._begun: dict[int, tuple[str, str]] = {}     # by thread: the stage, and its unfinished line
        self.buffer = _Bytes(self)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """Return the descriptor, for commands that a stage runs: their output is shown too, without a name."""
        return self._fd

    def write(self, text: str) -> int:
        stage, thread = speaker.stage or self._name, threading.get_ident()
        with self._lock:
            _, begun = self._begun.pop(thread, ("", ""))
            *lines, rest = (begun + text).split("\n")
            if rest:
                self._begun[thread] = stage, rest
            if lines:
                self._put([(stage, line) for line in lines])
        return len(text)

    def finish(self) -> None:
        """Write the lines that have not been ended."""
        with self._lock:
            begun, self._begun = list(self._begun.values()), {}
            self._put(begun)

    def _put(self, lines: list[tuple[str, str]]) -> None:
        text = "".join(f"{self._mark}{stage}: {line}\n" for stage, line in lines)
        data = memoryview(text.encode("utf-8", "replace"))
        with suppress(OSError):         # nobody reads it any more: not the task's fault
            while data:
                data = data[os.write(self._fd, data) :]


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
    except OSError:                  # one of them is closed
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
