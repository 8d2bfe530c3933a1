"""Reading a Content-Type header in the steps of the standards that browsers follow.

    Content-Type, Content-Type, … ──split at commas──▶ values ──parse──▶ the last that is a type, with its charset     or none

The steps are "extract a MIME type" (WHATWG Fetch §2.2.2) and "parse a MIME type" (WHATWG MIME Sniffing §4.4). Where they give
nothing, or a type that stands for "unknown" (MIME Sniffing §7), a reader looks at the bytes, as it does where there is no header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

_SPACE: Final = "\t\n\r "
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
# Patterns are compiled when they are first used: most servers send nothing odd. All are possessive: they look at nothing twice.
_PART: Final = r'(?s)(?:[^",]++|"(?:[^"\\]++|\\.?)*+"?+)*+'
_PARAMETER: Final = r'(?s)[\t\n\r ]*+([^;=]*+)(?:=(?:"((?:[^"\\]++|\\.?)*+)"?+[^;]*+|([^;]*+)))?+;?+'
_ESCAPED: Final = r"(?s)\\(.?)"
_VALUE: Final = r"[\t\x20-\x7e\x80-\xff]*+"
_CHARSET: Final = r"""(?i)charset\s*+=\s*+["']?+([^\s;,"']+)"""
_UNKNOWN: Final = frozenset({"unknown/unknown", "application/unknown", "*/*"})
_SHORT: Final = 256  # characters of a value that is worth remembering


class MimeType(NamedTuple):
    """A type, and the charset that it is sent with."""

    essence: str  # "text/html", in lower case; "" if there is none, or it is one for unknown content
    charset: str  # as written; "" if there is none


def mime_type(content_type: str) -> MimeType:
    """The type in the value of a Content-Type header, or in several joined with commas."""
    return _remembered(content_type) if len(content_type) <= _SHORT else _extracted(content_type)


def media_type(content_type: str) -> str:
    """`text/html` of `Text/HTML; charset=utf-8`; "" if the header does not say."""
    return mime_type(content_type).essence


def combined(sent: Sequence[str]) -> str:
    """Return the header to use: of several values the type that counts, or all of them if none does."""
    if len(sent) == 1 and "," not in sent[0]:
        return sent[0]
    joined = ", ".join(sent)
    essence, charset = mime_type(joined)
    return f"{essence}; charset={charset}" if essence and charset else essence or joined


def _extracted(header: str) -> MimeType:
    essence = charset = ""
    for value in _split(header):
        found = _parsed(value)
        if found is None or found.essence == "*/*":
            continue
        # A charset holds for a further value of the same type that has none.
        charset = found.charset or (charset if found.essence == essence else "")
        essence = found.essence
    if not essence:  # no type, and so no charset either; but such a header was meant to tell one
        told = re.search(_CHARSET, header)
        return MimeType("", told.group(1) if told else "")
    return MimeType("" if essence in _UNKNOWN else essence, charset)


_remembered = lru_cache(maxsize=1_000)(_extracted)


def _split(header: str) -> Iterator[str]:
    """The values of a header, apart at the commas that are not in quotes ("get, decode, and split")."""
    if "," not in header:
        yield header.strip(_SPACE)
        return
    part = re.compile(_PART)
    at = 0
    while at <= len(header):
        end = part.match(header, at).end()  # type: ignore[union-attr]  # it matches the empty text too
        if end > at:
            yield header[at:end].strip(_SPACE)
        at = end + 1


def _parsed(value: str) -> MimeType | None:
    """Parse a media type; None if it is none."""
    kind, _, rest = value.partition("/")
    subtype, _, parameters = rest.partition(";")
    subtype = subtype.rstrip(_SPACE)
    if not (_is_token(kind) and _is_token(subtype)):
        return None
    charset = next((value for name, value in _parameters(parameters) if name == "charset"), "")
    return MimeType(f"{kind}/{subtype}".lower(), charset)


def _is_token(text: str) -> bool:
    return bool(text) and _TOKEN.issuperset(text)


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    """Names in lower case, and values; of a name given twice the first one counts."""
    for match in re.finditer(_PARAMETER, text) if text else ():
        name, quoted, plain = match.groups()
        value = re.sub(_ESCAPED, r"\1", quoted) if quoted is not None else (plain or "").rstrip(_SPACE)
        if (value or quoted is not None) and _is_token(name) and re.fullmatch(_VALUE, value):
            yield name.lower(), value
