"""Format of the lines that a child process writes to standard error for its parent, which shows them.

FORMED text       a log line of ours, or what a stage printed, with the stage's name before it
COUNTS numbers    the counts of its worker: see `progress`
text              any other output: a library, a command run by a stage, the interpreter when it crashes
"""

from __future__ import annotations

import logging

from crawler.wording.texts import escaped

FORMED = "\x1e"  # control characters that no text for people begins with
COUNTS = "\x1f"
OURS = ("crawler.", "crawler_stages.")  # begin the names of our own loggers
CONTINUED = "\n    "  # before the second line of a record: it is not to look like another record
ERROR = "crawler: "  # the prefix of error messages of all our commands


class EscapedLines(logging.Formatter):
    """A log formatter that escapes all of a record. One of ours is one line; the lines of others and of tracebacks stay.

    A format may use `%(area)s`: the package of one of our loggers, such as `crawler.worker`, and the whole name of any other.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        is_ours = record.name.startswith(OURS)
        record.area = ".".join(record.name.split(".", 2)[:2]) if is_ours else record.name
        lines = [record.message] if is_ours else record.message.split("\n")
        record.message = CONTINUED.join(map(escaped, lines))
        return super().formatMessage(record)

    def formatException(self, *args: object) -> str:
        return "\n".join(map(escaped, super().formatException(*args).split("\n")))  # type: ignore[arg-type]  # the base class names three arguments

    def formatStack(self, stack_info: str) -> str:
        return "\n".join(map(escaped, stack_info.split("\n")))


class FormedLines(EscapedLines):
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
