"""Read lists of URLs as people write them: a file from any editor, standard input, words on a command line.

    bytes ──decode──▶ text ──lines──▶ Line(3, "example.org/x") ──check──▶ all URLs, or an error with every bad line

Each line is one URL. Blank lines and lines that begin with # are ignored; quotes and comments after " #" are removed.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from crawler.errors import BadUrl, UsageError
from crawler.web import urls

SHOWN: Final = 10              # bad lines that are named one by one
# Byte order marks. Of two that begin alike the longer one comes first.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_ENDS: Final = re.compile(r"\r\n|\r|\n")
_COMMENT: Final = re.compile(r"\s#.*")
_QUOTES: Final = {'"': '"', "'": "'", "<": ">", "“": "”", "‘": "’", "`": "`"}


class Line(Struct, frozen=True):
    """A URL as it was written, with its place."""

    number: int                # of the line, from 1
    text: str


def decode(data: bytes, what: str) -> str:
    """Return the text of a file or stream: UTF-8, or the encoding of its byte order mark. what: its name in messages.

    Raises UsageError that names the line that cannot be read.
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    body = data[len(mark) :]
    if not mark and body[:64].count(0) > 2:
        raise UsageError(f"{what} looks like UTF-16 without a byte order mark; save it as UTF-8")
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        number = len(_ENDS.findall(body[: error.start].decode(encoding, "replace"))) + 1
        byte = f"0x{body[error.start]:02x}" if error.start < len(body) else "the end"
        raise UsageError(f"{what}, line {number}: {byte} is not {encoding.upper()}; save it as UTF-8") from error


def lines(text: str) -> list[Line]:
    """Return the URLs in a list with one URL per line."""
    found = [Line(number, _bare(line)) for number, line in enumerate(_ENDS.split(text), 1)]
    return [line for line in found if line.text]


def check(found: Iterable[Line], what: str) -> list[str]:
    """Return the URLs as they were written. Raises BadUrl that names every bad line. what: the list's name in the message."""
    texts, bad = [], []
    for line in found:
        try:
            urls.seed(line.text)
        except BadUrl:
            bad.append(f"  line {line.number}: {urls.shown(line.text)}")
        texts.append(line.text)
    if not bad:
        return texts
    more = [f"  and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else []
    raise BadUrl("\n".join([
        f"{what} has {len(bad)} line{'s' if len(bad) > 1 else ''} that cannot be crawled; a line is one URL, such as "
        "https://example.org/, and # begins a comment",
        *bad[:SHOWN], *more,
    ]))  # fmt: skip


def _bare(line: str) -> str:
    """Return the line without its comment, its quotes, and a comma after these."""
    text = line.strip().strip("\ufeff").strip()
    if text.startswith("#"):
        return ""
    text = _COMMENT.sub("", text).rstrip()
    closing = _QUOTES.get(text[:1])
    if closing and len(text) > 1 and text.rstrip(",;").endswith(closing):
        return text.rstrip(",;")[1:-1].strip()
    return text
