"""Decode the bytes of a page: the encoding is found in the order of the WHATWG encoding and HTML standards.

    byte-order mark ──▶ charset of the Content-Type ──▶ <meta> or <?xml ?> ──▶ valid UTF-8 ──▶ letter frequencies

The first that gives an answer wins; a label that the standard does not know is no answer. Decoding never fails: what is
malformed becomes U+FFFD.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import turbohtml

from crawler.web.mime import media_type, mime_type

HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})

_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xfe\xff", "utf-16be"), (b"\xff\xfe", "utf-16le"))
# Two patterns for bytes that few pages are looked at with: compiled when they are first used.
_XML_ENCODING: Final = rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z0-9._:-]+)["']"""
_LABEL: Final = 100  # characters of an encoding's name; the longest that the standard knows has 19
_XML_HEAD: Final = 1_024  # bytes within which an XML declaration must end
# The HTML patterns of WHATWG MIME Sniffing §7.1, and <meta>. The standard takes XHTML for XML; here it is read as HTML.
_HTML_START: Final = rb"""(?ix)\s*+(?:<\?xml\s[^>]{0,200}+>\s*+(?=<!doctype\s+html|<html))?
    <(?:!--|(?:!doctype\s+html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p|meta)(?=[\s/>]))"""


def is_html(content_type: str, body: bytes) -> bool:
    """Return whether a body is HTML, by its Content-Type, or without one by how the body begins."""
    kind = media_type(content_type)
    if kind:
        return kind in HTML_TYPES
    return re.match(_HTML_START, body.removeprefix(_MARKS[0][0])[:512]) is not None


def charset(content_type: str) -> str | None:
    """Return the standard's name of the charset in a Content-Type, in lower case; None if it gives none that is known."""
    label = mime_type(content_type).charset.strip(" '\"")
    return canonical(label) if label else None


@lru_cache(maxsize=256)
def _known_as(label: str) -> str | None:
    try:
        name = turbohtml.parse(b"", encoding=label, positions=False).encoding
    except (LookupError, ValueError):  # ValueError: a label that is no text at all
        return None
    return name.lower() if name else None


def canonical(label: str) -> str | None:
    """Return the standard's name for a label, in lower case; None if it is unknown.

    Asked of the parser, whose table is closed: Python's own codec registry imports by name and remembers every name it
    was ever asked for, so that any page could fill it.
    """
    return _known_as(label) if len(label) <= _LABEL else None


def decode(body: bytes, content_type: str = "") -> tuple[str, str]:
    """The text of a body and the name of its encoding (WHATWG names, lower case). The byte-order mark is not text."""
    for bom, encoding in _MARKS:
        if body.startswith(bom):
            return body[len(bom) :].decode(codec(encoding)), encoding
    encoding = charset(content_type) or _sniff(body, media_type(content_type))
    return body.decode(codec(encoding)), encoding


def codec(encoding: str) -> str:
    """Return the name under which Python has the standard's decoder of this encoding (WHATWG name)."""
    import turbohtml.detect  # noqa: F401  (registers these decoders; here, because most pages are never decoded in Python)

    return f"whatwg-{encoding}"


def mark(body: bytes) -> str | None:
    """Return the encoding of a byte-order mark; None if there is none."""
    return next((encoding for bom, encoding in _MARKS if body.startswith(bom)), None)


def xml_encoding(body: bytes) -> str | None:
    """Return the encoding that an XML document without byte-order mark declares (XML 1.0, appendix F); None if none is known."""
    if body.startswith((b"<\0?\0", b"\0<\0?")):
        return "utf-16le" if body.startswith(b"<") else "utf-16be"
    declared = re.match(_XML_ENCODING, body[:_XML_HEAD])
    name = canonical(declared.group(1).decode("ascii")) if declared else None
    return "utf-8" if name in ("utf-16le", "utf-16be") else name  # it was read as ASCII, so it is no UTF-16


def settle(encoding: str | None, confidence: str | None, body: bytes) -> str:
    """Return the name to report for the parser's finding: an ASCII page that declares nothing is UTF-8, not windows-1252."""
    name = (encoding or "utf-8").lower()
    return "utf-8" if name == "windows-1252" and confidence == "tentative" and body.isascii() else name


def _sniff(body: bytes, kind: str) -> str:
    if kind in HTML_TYPES or not kind:
        # By a whole parse: a <meta> beyond the first 1,024 bytes counts too, so text and tree never disagree.
        from crawler.web.html import Html  # here, because it imports this module

        return Html(body).encoding
    declared = xml_encoding(body) if "xml" in kind else None
    if declared:
        return declared
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        from turbohtml.detect import detect  # here, because its import takes 3 ms

        found = detect(body).encoding
        return found.lower() if found else "windows-1252"  # the standard's default
    return "utf-8"
