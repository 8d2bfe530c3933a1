"""Reading XML as it is found: gzipped or not, in any encoding, broken or cut short; element by element, as each closes.

    body ──unpack──▶ document ──Elements──▶ Element, Element, …      whatever it is given, it raises nothing and ends

A strict parser stops at the first bare "&", and loses the 50,000 URLs after it. This one reads on. Names are known
in lower case and without prefix, because sites write both wrong. No DTD is read: no entity but XML's own five and numbers is
ever expanded, and nothing is fetched.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from crawler.web.encoding import charset, codec, mark, xml_encoding

MAX_BYTES: Final = 50 << 20  # bytes of a document, inflated: sitemaps.org allows 52,428,800
MAX_RATIO: Final = 200  # inflated to sent, above FREE_BYTES; sitemaps have 10 to 50, bombs 1,000
FREE_BYTES: Final = 1 << 20  # bytes, inflated, that may be reached at any ratio
MAX_TEXT: Final = 16 << 10  # bytes of an element's text, and of its attributes
MAX_DEPTH: Final = 100  # open elements; sitemaps need 3, feeds 10
MAX_MARKS: Final = 3_000_000  # "<" in a document: 60 for each of 50,000 URLs, and read in less than ten seconds

_HEAD: Final = 4_096  # bytes within which the root element must begin for `root` to see it
_UTF16_HEAD: Final = 64  # bytes of which, in UTF-16, some are 0: markup is ASCII
_PIECE: Final = 64 << 10  # bytes inflated from at once: what precedes a fault is kept
_GZIP: Final = b"\x1f\x8b"
_MAX_MEMBERS: Final = 1_000  # of a gzip file; each costs time, and empty ones cost no space

# All possessive: none of these looks at a byte twice, whatever the document. "<" ends even a quoted value, as XML has it.
_ROOT: Final = re.compile(
    rb"\s*+(?:(?:<!--(?s:.*?)-->|<\?[^>]*+>|<![a-z][^>\[]*+(?:\[[^\]]*+\][^>]*+)?>)\s*+)*+<([^\s<>/!?]++)", re.IGNORECASE
)
_TAG: Final = re.compile(rb"""<(/?)([^\s<>/!?"'=]++)((?:[^<>"']++|"[^"<]*+"|'[^'<]*+'|["'])*+)>""")
_ATTRIBUTE: Final = re.compile(rb"""(?<![^\s"'])([^\s=<>"'/]++)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""")
_ENTITY: Final = re.compile(r"&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(amp|lt|gt|quot|apos));", re.IGNORECASE)
_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


class Element:
    """An element that has closed, and through `parent` those still open around it."""

    __slots__ = ("_attributes", "_encoding", "_pieces", "_room", "base", "depth", "name", "parent")

    def __init__(self, name: str, parent: Element | None, attributes: bytes, encoding: str) -> None:
        self.name = name  # lower case, without prefix
        self.parent = parent
        self.depth: int = parent.depth + 1 if parent else 1
        self.base: str | None = None  # for the reader: the base of its links
        self._attributes = attributes
        self._encoding = encoding
        self._pieces: list[str] = []
        self._room = MAX_TEXT

    @property
    def text(self) -> str:
        """Return its own text, without that of inner elements; not more than MAX_TEXT bytes."""
        return "".join(self._pieces).strip()

    def attr(self, name: str) -> str | None:
        """The value of an attribute, by its name in lower case and without prefix."""
        for found, *values in _ATTRIBUTE.findall(self._attributes):
            if _local(found) == name:
                return _unescaped(next(filter(None, values), b"").decode(self._encoding, "replace")).strip()
        return None

    def add(self, piece: bytes, *, is_raw: bool) -> None:
        if self._room > 0 and piece and not piece.isspace():
            text = piece[: self._room].decode(self._encoding, "replace")
            self._room -= len(piece)
            self._pieces.append(text if is_raw else _unescaped(text))


class Elements:
    """Iterate over it once: the elements of a document, inner ones first. `problem` then says what ended it early, if anything.

    content_type: the header, whose charset outranks what the document declares (RFC 7303 §3.2).
    """

    def __init__(self, document: bytes, content_type: str = "") -> None:
        self.problem = ""
        self._document, self._encoding = _readable(document, charset(content_type))

    def __iter__(self) -> Iterator[Element]:
        document, position = self._document, 0
        top: Element | None = None
        for _ in range(MAX_MARKS):
            start = document.find(b"<", position)
            if start < 0:
                break
            if top is not None:
                top.add(document[position : min(start, position + MAX_TEXT)], is_raw=False)
            tag = _TAG.match(document, start)
            if tag is None:
                position = self._past(start, top)
                if position < 0:
                    break
                continue
            position = tag.end()
            name = _local(tag[2])
            if tag[1]:
                closed = _opened(top, name)
                while closed is not None and top is not None and top.depth >= closed.depth:
                    yield top
                    top = top.parent
                continue
            if top is not None and top.depth >= MAX_DEPTH:
                self.problem = f"elements are nested deeper than {MAX_DEPTH}: the rest is not read"
                return
            top = Element(name, top, tag[3][:MAX_TEXT], self._encoding)
            if tag[3].endswith(b"/"):
                yield top
                top = top.parent
        else:
            self.problem = f"more than {MAX_MARKS} tags: the rest is not read"
            return
        # An open element may have half its text: half a URL is another URL, so it is left out.
        if top is not None:
            self.problem = f"the document is cut short: <{top.name}> is not closed"

    def _past(self, start: int, top: Element | None) -> int:
        """Return the end of markup that begins at this "<" and is no tag; -1 if it has no end."""
        document = self._document
        if document.startswith(b"<!--", start):
            return _after(document, b"-->", start + 4)
        if document.startswith(b"<![CDATA[", start):
            end = document.find(b"]]>", start)
            if end >= 0 and top is not None:
                top.add(document[start + 9 : min(end, start + 9 + MAX_TEXT)], is_raw=True)
            return end + 3 if end >= 0 else -1
        if document.startswith(b"<!", start):
            end = _after(document, b">", start)
            subset = document.find(b"[", start, end) if end >= 0 else -1
            return _after(document, b">", document.find(b"]", subset)) if subset >= 0 else end
        if document.startswith(b"<?", start):
            return _after(document, b">", start)
        return start + 1  # a "<" that means itself


def unpack(body: bytes) -> tuple[bytes, str]:
    """Inflate a gzipped document, return any other unchanged; cut at MAX_BYTES and MAX_RATIO. Also returns the problem, or ""."""
    if not body.startswith(_GZIP):
        return body[:MAX_BYTES], f"more than {MAX_BYTES} bytes: the rest is not read" if len(body) > MAX_BYTES else ""
    limit = min(MAX_BYTES, max(FREE_BYTES, MAX_RATIO * len(body)))
    pieces: list[bytes] = []
    problem = ""
    for piece in _inflated(body):
        if isinstance(piece, str):
            problem = piece
            break
        pieces.append(piece[:limit])
        limit -= len(piece)
        if limit < 0:
            problem = f"more than {MAX_BYTES} bytes, or {MAX_RATIO} times what was sent, when inflated: the rest is not read"
            break
    return b"".join(pieces), problem


def root(body: bytes) -> str:
    """Return the name of the root element, in lower case without prefix, "" if none is found; of a gzipped document too. Cheap."""
    found = _ROOT.match(first_bytes(body))
    return _local(found[1]) if found else ""


def first_bytes(body: bytes) -> bytes:
    """Return the first bytes of a document, inflated if it is gzipped, in an encoding that extends ASCII. Cheap."""
    head = body[:_HEAD]
    if head.startswith(_GZIP):
        first = next(_inflated(head), b"")
        head = first[:_HEAD] if isinstance(first, bytes) else b""
    return _readable(head)[0]


def _inflated(body: bytes) -> Iterator[bytes | str]:
    """Yield the pieces of a gzip file; a str, the last, is the problem with it."""
    inflate, members = zlib.decompressobj(wbits=31), 0
    for start in range(0, len(body), _PIECE):
        fresh = body[start : start + _PIECE]
        while fresh:
            try:
                yield inflate.decompress(fresh, FREE_BYTES)
            except zlib.error as error:
                yield f"the gzip stream is broken: {error}"
                return
            fresh = inflate.unconsumed_tail
            if inflate.eof:
                members += 1
                fresh = inflate.unused_data
                if not fresh.startswith(_GZIP) or members >= _MAX_MEMBERS:  # padding, or what a signature adds
                    return
                inflate = zlib.decompressobj(wbits=31)
    if not inflate.eof:
        yield "the gzip stream is cut short"


def _readable(document: bytes, told: str | None = None) -> tuple[bytes, str]:
    """Return the document in an encoding that extends ASCII, without byte-order mark, and Python's name of the encoding."""
    encoding = mark(document) or told or xml_encoding(document) or "utf-8"
    if encoding in ("utf-16le", "utf-16be") and b"\0" in document[:_UTF16_HEAD]:  # if not, it is none, whatever was declared
        text = document.decode(codec(encoding))
        return text.removeprefix("\ufeff").encode("utf-8", "replace"), "utf-8"
    is_wide = encoding in ("utf-8", "utf-16le", "utf-16be")
    return document.removeprefix(b"\xef\xbb\xbf"), "utf-8" if is_wide else codec(encoding)


def _opened(top: Element | None, name: str) -> Element | None:
    while top is not None and top.name != name:
        top = top.parent
    return top


def _after(document: bytes, end: bytes, start: int) -> int:
    found = document.find(end, start) if start >= 0 else -1
    return found + len(end) if found >= 0 else -1


@lru_cache(maxsize=256)
def _local(name: bytes) -> str:
    return name.rpartition(b":")[2].lower().decode("latin-1")


def _unescaped(text: str) -> str:
    return _ENTITY.sub(_meant, text) if "&" in text else text


def _meant(entity: re.Match[str]) -> str:
    decimal, hexadecimal, name = entity.groups()
    if name:
        return _ENTITIES[name.lower()]
    point = int(decimal) if decimal else int(hexadecimal, 16)
    return chr(point) if 0 < point < 0xD800 or 0xDFFF < point < 0x110000 else "\ufffd"
