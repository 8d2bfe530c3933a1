"""Metadata of a page beyond <title>: JSON-LD and Open Graph, as plain data that can travel and be stored.

    <script type="application/ld+json">{…}</script>      ──▶ [{"@type": "Product", …}]
    <meta property="og:image" content="/a.png">          ──▶ {"og:image": ["/a.png"]}

Nothing is interpreted: no @context is fetched and no value is resolved. What a page says is cut to measure.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any, Final

from turbohtml import Document

from crawler.codec import values

MAX_CHARS: Final = 1 << 20  # of all that is told by one page, in either way; product pages have some 20,000
MAX_DEPTH: Final = 32  # lists and objects in each other; schema.org needs 6
MAX_ELEMENTS: Final = 1_000  # <script> and <meta> elements looked at

# Open Graph's own properties, those of its object types (ogp.me), and the shops' product.
_PROPERTY: Final = r"(?a)(?:og|article|book|music|product|profile|video):\S{1,100}"  # compiled when a crawl wants it
# What JSON-LD is wrapped in by templates that fear old browsers.
_WRAPPINGS: Final = (
    ("<!--", "-->"), ("<![CDATA[", "]]>"), ("//<![CDATA[", "//]]>"), ("// <![CDATA[", "// ]]>"), ("/*<![CDATA[*/", "/*]]>*/"),
)  # fmt: skip


def read_jsonld(document: Document) -> list[Any]:
    """Return each block's value; a block that is no JSON, or over MAX_CHARS together with those before it, is left out."""
    found: list[Any] = []
    room = MAX_CHARS
    for element in islice(document.iter_elements("script"), MAX_ELEMENTS):
        if (element.attr("type") or "").partition(";")[0].strip().lower() != "application/ld+json":
            continue
        text = _unwrapped(element.text.strip())
        if len(text) > room:
            continue
        room -= len(text)
        try:
            # Not strict: line ends inside strings are the commonest fault, and harmless.
            value = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            continue
        found.append(_plain(value, MAX_DEPTH))
    return found


def read_opengraph(document: Document) -> dict[str, list[str]]:
    """Read Open Graph by property name in lower case. Authors write name= for property= as often as not: both count."""
    found: dict[str, list[str]] = {}
    room = MAX_CHARS
    for element in islice(document.iter_elements("meta"), MAX_ELEMENTS):
        name = (element.attr("property") or element.attr("name") or "").strip().lower()
        content = element.attr("content")
        if content is None or not re.fullmatch(_PROPERTY, name):
            continue
        room -= len(content)
        if room < 0:
            break
        found.setdefault(name, []).append(" ".join(content.split()))
    return found


def _unwrapped(text: str) -> str:
    for start, end in _WRAPPINGS:
        if text.startswith(start) and text.endswith(end):
            return text[len(start) : -len(end)]
    return text


def _plain(value: Any, depth: int) -> Any:
    """Return the value as a record can have it (see `values`), with an end to nesting."""
    if isinstance(value, str):
        return values.text(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return values.integer(value)
    if isinstance(value, float):
        return values.number(value)
    if isinstance(value, (dict, list)) and not depth:
        return None
    if isinstance(value, dict):
        return {values.text(key): _plain(each, depth - 1) for key, each in value.items()}
    return [_plain(each, depth - 1) for each in value] if isinstance(value, list) else value
