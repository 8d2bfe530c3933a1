"""Commands to type next, as they have to be typed: with the options by which this command found its crawl."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Hint = Callable[[str], str]        # "dead list" ──▶ "crawler dead list --data DIR"


def hints(options: Sequence[str] = ()) -> Hint:
    """A function that completes a command: the program's name before it, these options behind it."""
    behind = "".join(f" {_quoted(option)}" for option in options)
    return lambda command: f"crawler {command}{behind}"


def _quoted(text: str) -> str:
    """For a shell, in double quotes where these do: a command is itself shown in single ones."""
    import shlex  # here, because few hints have options

    plain = shlex.quote(text)
    return plain if plain == text or set(text) & set('"$`\\!') else f'"{text}"'


PLAIN: Hint = hints()
