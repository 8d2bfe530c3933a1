"""The command line as it was typed, repeated with changes: hints that can be copied and run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from crawler.wording.secrets import HIDDEN, PRIVATE, masked, shown

PLACES: Final = ("-c", "--config", "--data")  # options that say where the crawl is; each takes a value
SETTINGS: Final = ("-s", "--set")
_REPLACED: Final = ("--data", "--max-time", "--max-total-bytes")  # options of which a new one replaces the old one


class Command:
    """The arguments of `crawler`, beginning with the name of the command. Passwords in them are masked."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = list(arguments)

    @property
    def has_file(self) -> bool:
        """Return whether a configuration file is named."""
        return any(word in ("-c", "--config") or word.startswith(("--config=", "-c")) for word in self._arguments[1:])

    def again(self, *more: str, without: str = "") -> str:
        """Return the whole command with these options added; a new `--data` or limit replaces the old one.

        without: an option to leave out.
        """
        typed = self._arguments
        for option in _REPLACED:
            typed = list(_without(typed, option)) if option in more else typed
        return _joined([*(_safe(word) for word in typed if word != without), *more])

    def bare(self, *more: str) -> str:
        """Return the command and the options that say where the crawl is, with `more` added; URLs and settings are left out."""
        return _joined([*self._arguments[:1], *_places(self._arguments[1:]), *more])

    def with_file(self, file: str, *more: str) -> str:
        """Return the same as `bare`, with this configuration file in place of another."""
        places = _without(_without(list(_places(self._arguments[1:])), "-c"), "--config")
        return _joined([*self._arguments[:1], "-c", file, *places, *more])

    def other(self, *words: str) -> str:
        """Return another command about the same crawl."""
        return _joined([*words, *_places(self._arguments[1:])])


def _joined(words: Sequence[str]) -> str:
    return f"crawler {shlex.join(words)}"


def _safe(word: str) -> str:
    """Return a word as it may be shown: secret settings and passwords in URLs are masked."""
    name, equals, value = word.partition("=")
    if name == "--set":
        return f"{name}={_safe(value)}"
    if equals and "://" not in name and "@" not in name:
        private = (PRIVATE - {"proxy"}) & set(name.removeprefix("-s").split(".")) and "@" not in value  # a proxy: its user only
        return f"{name}={HIDDEN if private else shown(name, value)}"
    return masked(str(shown("", word)), [word])


def _places(words: Sequence[str]) -> Iterator[str]:
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else ""
        if word in PLACES or (word in SETTINGS and following.replace(" ", "").startswith("data=")):
            yield from (word, following)
        elif word.startswith(("--config=", "--data=", "-sdata=", "--set=data=")) or (word.startswith("-c") and len(word) > 2):
            yield word


def _without(words: Iterable[str], option: str) -> Iterator[str]:
    is_value = False
    for word in words:
        if is_value:
            is_value = False
        elif word == option:
            is_value = True
        elif not word.startswith(f"{option}=") and not (option == "-c" and word.startswith("-c")):
            yield word
