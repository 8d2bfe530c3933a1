"""Commands to type next, completed with the options that this command needed to find its crawl."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

HUB: Final = "--hub"
CERTS: Final = "--certs"

Hint = Callable[[str], str]  # "dead list" ──▶ "crawler dead list --data DIR"


def hints(options: Sequence[str] = ()) -> Hint:
    """Return a function that completes a command: the program's name before it, these options after it."""
    behind = _behind(options)
    if not {HUB, CERTS} & set(options):
        return lambda command: f"crawler {command}{behind}"
    # `crawler hub` listens at the address that other commands call, and `crawler run` has a hub of its own.
    own = {
        "hub": _behind(["--address" if option == HUB else option for option in options]),
        "run": _behind([option for before, option in pairwise(["", *options]) if not {HUB, CERTS} & {before, option}]),
    }
    return lambda command: f"crawler {command}{own.get(command.partition(' ')[0], behind)}"


def _behind(options: Sequence[str]) -> str:
    return "".join(f" {_quoted(option)}" for option in options)


def _quoted(text: str) -> str:
    """Quote a word for a shell, with double quotes where possible, because hints themselves stand in single quotes."""
    import shlex  # here, because few hints have options

    plain = shlex.quote(text)
    return plain if plain == text or set(text) & set('"$`\\!') else f'"{text}"'


PLAIN: Hint = hints()
