"""Commands to type next, as they have to be typed: with the options by which this command found its crawl."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

Hint = Callable[[str], str]        # "dead list" ──▶ "crawler dead list --data DIR"


def hints(options: Sequence[str] = ()) -> Hint:
    """A function that completes a command: the program's name before it, these options behind it."""
    behind = f" {shlex.join(options)}" if options else ""
    return lambda command: f"crawler {command}{behind}"


PLAIN: Hint = hints()
