"""What stages print, shown line by line with the stage's name: `enrich: 3 cards on /p/7`.

In a worker that a command has started, standard output is not the worker's: with `-o -` it is for rows alone, and on a terminal a
live view is drawn. So `print` goes to standard error in whole lines, and so does what libraries in C and commands that a stage runs
write to descriptor 1. A line is written at once, in one piece: nothing of it is lost when the process is killed after it.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from crawler.run.lines import FORMED
from crawler.speaker import speaker

STDOUT, STDERR = 1, 2


class StageLines(io.TextIOBase):
    """A text stream that writes whole lines to a descriptor, each with the name of the stage at work in the thread that prints."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, name: str, fd: int = STDERR, mark: str = "") -> None:
        """name: the stage, where the thread does not say it better. mark: what each line begins with."""
        self._name = name
        self._fd = fd
        self._mark = mark
        self._lock = threading.Lock()
        self._begun: dict[int, tuple[str, str]] = {}     # by thread: stage, and the line that has no end yet
        self.buffer = _Bytes(self)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """For a command that a stage runs: its output comes out too, without a name."""
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
        """Write what was printed without the end of a line."""
        with self._lock:
            begun, self._begun = list(self._begun.values()), {}
            self._put(begun)

    def _put(self, lines: list[tuple[str, str]]) -> None:
        text = "".join(f"{self._mark}{stage}: {line}\n" for stage, line in lines)
        data = memoryview(text.encode("utf-8", "replace"))
        with suppress(OSError):         # whoever reads it is gone: that is no fault of the task in hand
            while data:
                data = data[os.write(self._fd, data) :]


class _Bytes:
    """`sys.stdout.buffer`, for code that prints bytes."""

    def __init__(self, lines: StageLines) -> None:
        self._lines = lines

    def write(self, data: bytes) -> int:
        self._lines.write(bytes(data).decode("utf-8", "replace"))
        return len(data)

    def flush(self) -> None:
        """Lines are never kept."""


@contextmanager
def shown_by_stage(name: str, *, is_heard: bool, has_rows: bool) -> Iterator[None]:
    """Within it, what is printed and written to standard output goes to standard error by stage.

    is_heard: the process that started this one reads it, and wants lines marked. has_rows: a sink of this process writes rows to
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
