"""Directives of a page to robots: `<meta name="robots">` and the `X-Robots-Tag` header.

There is no RFC; this reads them as the search engines document: words apart by commas, `none` means both, a word with a
colon after it addresses one robot ("otherbot: noindex") from there to the end of its line. Where words contradict each other
the stricter one holds.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final

from msgspec import Struct

_AGENT: Final = re.compile(r"[a-z*][a-z0-9_*-]*")
_WORDS: Final = re.compile(r"[^\s,;]+")
# Words whose colon introduces a value, so that they are not taken for the name of a robot.
_VALUED: Final = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
_EVERYBODY: Final = frozenset({"", "*", "robots"})


class Directives(Struct, frozen=True):
    """Directives of one page: each true field forbids something."""

    noindex: bool = False  # the page is not to be kept
    nofollow: bool = False  # none of its links may be followed

    def __or__(self, other: Directives) -> Directives:
        return Directives(self.noindex or other.noindex, self.nofollow or other.nofollow)


_NOTHING: Final = Directives()


def directives(lines: Collection[str], agent: str) -> Directives:
    """Read header values or `content` attributes. `agent` is the product name of our User-Agent, without version."""
    if not lines:  # most pages and servers ask for nothing
        return _NOTHING
    ours = _EVERYBODY | {agent.lower()}
    words = {word for line in lines for addressee, word in _addressed(line.lower()) if addressee in ours}
    return Directives(not words.isdisjoint({"noindex", "none"}), not words.isdisjoint({"nofollow", "none"}))


def _addressed(line: str) -> Iterable[tuple[str, str]]:
    addressee = ""
    for token in _WORDS.findall(line):
        name, colon, word = token.partition(":")
        if colon and name not in _VALUED and _AGENT.fullmatch(name):
            addressee = name
        elif not colon:
            word = token
        if word:
            yield addressee, word
