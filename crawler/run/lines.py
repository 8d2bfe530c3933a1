"""The lines that a process of ours writes to standard error for the process that started it and shows them.

    FORMED text       a log line of ours, or what a stage printed, with the stage's name before it
    COUNTS numbers    what its worker has done so far: see `talk`
    text              anything else: a library, a command that a stage has run, the interpreter in a crash
"""

from __future__ import annotations

import logging

FORMED = "\x1e"        # control characters that no text for people begins with
COUNTS = "\x1f"
ERROR = "crawler: "    # how every command of ours begins an error


class FormedLines(logging.Formatter):
    """Marks each line of a log record, those of a traceback too."""

    def format(self, record: logging.LogRecord) -> str:
        return formed(super().format(record))


def formed(text: str) -> str:
    return "\n".join(FORMED + line for line in text.split("\n"))


def shown(name: str, line: str) -> str:
    """A line of the process called `name` as a person sees it; counts keep their mark, with the name before them."""
    if line.startswith(FORMED):
        return line[1:]
    if line.startswith(COUNTS):
        return f"{COUNTS}{name}: {line[1:]}"
    return line if line.startswith(ERROR) else f"{name}: {line}"
