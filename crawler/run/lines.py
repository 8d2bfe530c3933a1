"""The format of the lines that a child process writes to standard error for its parent, which shows them.

    FORMED text       a log line of ours, or what a stage printed, with the stage's name before it
    COUNTS numbers    the counts of its worker: see `talk`
    text              any other output: a library, a command run by a stage, the interpreter when it crashes
"""

from __future__ import annotations

import logging

FORMED = "\x1e"        # control characters that no text for people begins with
COUNTS = "\x1f"
ERROR = "crawler: "    # the prefix of error messages of all our commands


class FormedLines(logging.Formatter):
    """A log formatter that marks each line of a record, including the lines of a traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return formed(super().format(record))


def formed(text: str) -> str:
    return "\n".join(FORMED + line for line in text.split("\n"))


def shown(name: str, line: str) -> str:
    """Return a line of the process called `name` as a person should see it; a line of counts keeps its mark, before the name."""
    if line.startswith(FORMED):
        return line[1:]
    if line.startswith(COUNTS):
        return f"{COUNTS}{name}: {line[1:]}"
    return line if line.startswith(ERROR) else f"{name}: {line}"
