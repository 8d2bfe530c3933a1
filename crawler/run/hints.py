"""Commands to type next, completed with the options that this command needed to find its crawl."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Hint = Callable[[str], str]        # "dead list" ──▶ "crawler dead list --data DIR"


def hints(options: Sequence[str] = ()) -> Hint:
    """Return a function that completes a command: the program's name before it, these options after it."""
    behind = "".join(f" {_quoted(option)}" for option in options)
    return lambda command: f"crawler {command}{behind}"


def _quoted(text: str) -> str:
    """Quote a word for a shell, with double quotes where possible, because hints themselves stand in single quotes."""
    import shlex  # here, because few hints have options

    plain = shlex.quote(text)
    return plain if plain == text or set(text) & set('"$`\\!') else f'"{text}"'


PLAIN: Hint = hints()
