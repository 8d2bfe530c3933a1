"""Output of the commands on standard output and standard error, safe for a terminal.

    say, tell     one line for people, on standard output or standard error     all of it escaped, its ends of lines too
    pass_on       a line of another process                                     escaped but for its colours
    data          JSON for a program                                            as it is; on a terminal written with \\u escapes
    console       tables, by rich                                               `cell` makes the text of one cell

Sites, producers and workers choose much of what is shown: a line of robots.txt, the name of a host, a reason. So nothing else in
this package writes to these streams, and text of our own that has several lines is given as several arguments.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from crawler.wording.texts import coloured, escaped, visible_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def say(*lines: str, flush: bool = False, stream: TextIO | None = None) -> None:
    """Print lines to standard output, or to another stream, in one piece: several threads may print."""
    stream = stream or sys.stdout
    stream.write("".join(f"{escaped(line)}\n" for line in lines))
    if flush:
        stream.flush()


def tell(*lines: str) -> None:
    """Print lines to standard error."""
    say(*lines, flush=True, stream=sys.stderr)


def pass_on(line: str) -> None:
    """Print a line of another process to standard error."""
    sys.stderr.write(f"{coloured(line)}\n")


def columns(*cells: str) -> None:
    """Print cells to standard output with tabs between them."""
    sys.stdout.write("\t".join(map(escaped, cells)) + "\n")


def data(text: str, *, flush: bool = False) -> None:
    """Print JSON to standard output. On a terminal, characters that act on it are written as JSON escapes: the same JSON."""
    sys.stdout.write(f"{visible_json(text) if sys.stdout.isatty() else text}\n")
    if flush:
        sys.stdout.flush()


def raw(body: bytes) -> None:
    """Write bytes to standard output as they are; on a terminal as text, escaped line by line."""
    if sys.stdout.isatty():
        say(*body.decode("utf-8", "replace").splitlines())
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(body)


def cell(*lines: str, style: str = "") -> Text:
    """Return lines of text for a table, without markup."""
    from rich.text import Text

    return Text("\n".join(map(escaped, lines)), style)


def console(*, stderr: bool = False) -> Console:
    """Return a console for tables."""
    from crawler.cli.console import SafeConsole

    return SafeConsole(stderr=stderr, highlight=False)
