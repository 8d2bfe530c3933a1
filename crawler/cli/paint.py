"""Redraw the lower part of a terminal again and again, while lines of text scroll above it.

The drawing is as wide as the terminal at that moment. A terminal that becomes narrower wraps what was drawn into more lines. These
are counted, so that all of it is erased.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

ERASE, UP = "\x1b[2K", "\x1b[1A"  # erase this line; go to the line above


class Above(io.TextIOBase):
    """A text stream that shows its lines above the drawing. For log records, which are written as a whole."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        for line in text.splitlines():
            self._say(line)
        return len(text)


class Painter:
    """A thread-safe painter of one drawing. A context manager: it erases the drawing at the end.

    The cursor stays visible, because a process that is killed could not show it again.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._lines: list[Text] = []  # the last drawing

    def __enter__(self) -> Painter:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._write(self._erased())
            self._lines = []

    def say(self, line: Text) -> None:
        """Show a line above the drawing; it stays there."""
        with self._lock:
            self._write(self._erased() + self._ansi([line]) + "\n" + self._ansi(self._lines))

    def draw(self, what: RenderableType) -> None:
        with self._lock:
            erased = self._erased()
            self._lines = self._rendered(what)
            self._write(erased + self._ansi(self._lines))

    def _rendered(self, what: RenderableType) -> list[Text]:
        """Return the lines to draw, without trailing blanks, one column narrower and one line shorter than the terminal."""
        from rich.text import Text

        width, height = self._console.size
        options = self._console.options.update(width=max(width - 1, 1))
        lines = self._console.render_lines(what, options, pad=False)[: max(height - 1, 1)]
        found = [Text.assemble(*((segment.text, segment.style or "") for segment in line)) for line in lines]
        for line in found:
            line.rstrip()
        return found

    def _erased(self) -> str:
        """Return the control characters that erase the drawing from its end to its start."""
        if not self._lines:
            return ""
        width = max(self._console.width, 1)
        rows = sum(max(1, -(-line.cell_len // width)) for line in self._lines)
        return f"\r{ERASE}" + f"{UP}{ERASE}" * (rows - 1)

    def _ansi(self, lines: list[Text]) -> str:
        from rich.text import Text

        with self._console.capture() as capture:
            self._console.print(Text("\n").join(lines), end="", soft_wrap=True)
        return capture.get()

    def _write(self, text: str) -> None:
        file = self._console.file
        file.write(text)
        file.flush()
