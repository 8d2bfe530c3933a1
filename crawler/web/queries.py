"""The query of a link on a page that is not UTF-8 (WHATWG HTML, "encoding-parse a URL").

    "/поиск?q=тест" on a page in windows-1251  ──in_encoding──▶  "/поиск?q=%F2%E5%F1%F2"

The path and the fragment are UTF-8 on every page; they are left to the parser of URLs.
"""

from __future__ import annotations

import re
from typing import Final

from crawler.web.encoders import encoded

# Percent-encoded after encoding (WHATWG URL, "special-query percent-encode set"); other bytes of ASCII stand for themselves.
_ESCAPED: Final = frozenset(range(0x21)) | frozenset(b"\"#<>'") | frozenset(range(0x7F, 0x100))
_REMOVED: Final = re.compile(r"[\t\n\r]")  # by the parser of URLs, wherever they are
_ENDS: Final = "".join(map(chr, range(0x21)))  # likewise, at both ends
_LONE: Final = re.compile(r"[\ud800-\udfff]")


def in_encoding(href: str, encoding: str) -> str:
    """Return an href whose query is percent-encoded in the encoding of its page. encoding: the standard's name, not of UTF.

    A character that the encoding does not have becomes `%26%23N%3B`, as in a form: "&#N;".
    """
    rest, sharp, fragment = href.strip(_ENDS).partition("#")
    start, mark, query = rest.partition("?")
    if query.isascii():
        return href
    query = _LONE.sub("\ufffd", _REMOVED.sub("", query))
    return f"{start}{mark}{''.join(map(_escaped, encoded(query, encoding)))}{sharp}{fragment}"


def _escaped(piece: bytes | str) -> str:
    """Return bytes as they stand in a query, or a character that could not be encoded."""
    if isinstance(piece, str):
        return f"%26%23{ord(piece)}%3B"
    return "".join(f"%{byte:02X}" if byte in _ESCAPED else chr(byte) for byte in piece)
