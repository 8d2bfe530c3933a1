"""Reading a <meta http-equiv=refresh> (WHATWG HTML, "shared declarative refresh steps").

content="0; url='s?q=тест'"  ──read──▶  0.0, "s?q=тест"
"""

from __future__ import annotations

import math
import re
from itertools import islice
from typing import Final

from turbohtml import Document

_MOST: Final = 10  # of a page; browsers take the first that can be read
_LOOKED_AT: Final = 1_000  # <meta> elements
# Seconds; then perhaps a blank, comma or semicolon, perhaps "url=", and the target, perhaps in quotes, the second of which ends it.
_CONTENT: Final = re.compile(
    r"""[ \t\n\f\r]*+(?P<seconds>[0-9]++[0-9.]*+|\.[0-9.]*+)(?:$|(?=[ \t\n\f\r;,]))
    [ \t\n\f\r]*+[;,]?+[ \t\n\f\r]*+(?:url[ \t\n\f\r]*+=[ \t\n\f\r]*+)?+
    (?:(["'])(?P<quoted>.*?)(?:\2|$)|(?P<bare>.*))""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


def refreshes(document: Document) -> list[tuple[float, str]]:
    """Return seconds and target, as written, of the page's refreshes that can be read; "" is the page itself.

    One for browsers without scripts (<noscript>) is none.
    """
    found = []
    for element in islice(document.iter_elements("meta"), _LOOKED_AT):
        kind = element.attr("http-equiv")
        if kind and kind.strip().lower() == "refresh" and (told := read(element.attr("content") or "")):
            if element.closest("noscript") is None:
                found.append(told)
            if len(found) == _MOST:
                break
    return found


def read(content: str) -> tuple[float, str] | None:
    """Return seconds and target of a content attribute; None if it cannot be read."""
    found = _CONTENT.match(content)
    if found is None:
        return None
    whole, point, rest = found["seconds"].partition(".")
    seconds = float(f"{whole or 0}{point}{rest.partition('.')[0]}")
    return (seconds, found["quoted"] or found["bare"] or "") if math.isfinite(seconds) else None
