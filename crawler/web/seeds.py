"""Read lists of URLs as people write them: a file from any editor, standard input, words on a command line.

    bytes ──decode──▶ text ──lines──▶ Line(3, "example.org/x") ──check──▶ all URLs, or an error with every bad line

Each line is one URL. Blank lines and lines that begin with # are ignored; quotes and comments after " #" are removed.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from msgspec import Struct

from crawler.errors import BadUrl, UsageError
from crawler.web import slips, urls

UNKNOWN: Final = "not a URL"
SHOWN: Final = 20  # bad lines that are named one by one
# Byte order marks. Of two that begin alike the longer one comes first.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
_LONGEST_MARK: Final = 4  # bytes
_CHUNK: Final = 64 << 10  # bytes read at once
_LOOK: Final = 1024  # bytes at the beginning that show whether it is text
_BINARY: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# A second URL on a line, or a host with a scheme or a dot after a space. Other spaces may be part of a path.
_SECOND: Final = re.compile(r"\s[\"'<]?[a-zA-Z][a-zA-Z0-9+.-]*://")
_ENDS: Final = re.compile(r"\r\n|\r|\n")
_COMMENT: Final = re.compile(r"\s#.*")
_QUOTES: Final = {'"': '"', "'": "'", "<": ">", "“": "”", "‘": "’", "`": "`"}


class Line(Struct, frozen=True):
    """A URL as it was written, with its place."""

    number: int  # of the line, from 1
    text: str
    typed: str = ""  # the whole line, if it is not just the URL


def decode(data: bytes, what: str) -> str:
    """Return the text of a file or stream: UTF-8, or the encoding of its byte order mark. what: its name in messages.

    Raises UsageError that names the line that cannot be read.
    """
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    body = data[len(mark) :]
    start = body[:_LOOK]
    if not mark and max(start[::2].count(0), start[1::2].count(0)) > len(start) // 3:  # every second byte
        raise UsageError(f"{what} looks like UTF-16 without a byte order mark; save it as UTF-8")
    if not mark and _BINARY.search(start):
        raise UsageError(f"{what} is not a text file; it takes one URL a line, in UTF-8")
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        number = len(_ENDS.findall(body[: error.start].decode(encoding, "replace"))) + 1
        byte = f"0x{body[error.start]:02x}" if error.start < len(body) else "the end"
        raise UsageError(f"{what}, line {number}: {byte} is not {encoding.upper()}; save it as UTF-8") from error


def stream(file: BinaryIO, what: str) -> Iterator[str]:
    """Yield the lines of a file as they arrive, without the blanks around them and without blank lines. Encodings as for `decode`.

    Raises UsageError that names the line that cannot be read.
    """
    rest, is_first, encoding, number = b"", True, "utf-8", 0
    while chunk := getattr(file, "read1", file.read)(_CHUNK):
        rest += chunk
        if is_first and len(rest) < _LONGEST_MARK and any(mark.startswith(rest) for mark, _ in _MARKS):
            continue
        if is_first:
            mark, encoding = next(((mark, name) for mark, name in _MARKS if rest.startswith(mark)), (b"", "utf-8"))
            rest, is_first = rest[len(mark) :], False
            end = re.compile(b"|".join(re.escape(text.encode(encoding)) for text in ("\r\n", "\r", "\n")))
        width = len("\n".encode(encoding))
        done = 0
        for found in end.finditer(rest):
            if found.start() % width or (found.end() == len(rest) and found[0] == "\r".encode(encoding)):
                continue  # within a character, or perhaps the first half of a line end
            number += 1
            if text := _decoded(rest[done : found.start()], encoding, f"{what}, line {number}").strip():
                yield text
            done = found.end()
        rest = rest[done:]
    if text := _decoded(rest, encoding, f"{what}, line {number + 1}").strip():
        yield text


def _decoded(line: bytes, encoding: str, where: str) -> str:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: it is not {encoding.upper()}; save it as UTF-8") from error


def lines(text: str) -> list[Line]:
    """Return the URLs in a list with one URL per line."""
    found = [(number, line.strip(), _bare(line)) for number, line in enumerate(_ENDS.split(text), 1)]
    return [Line(number, bare, "" if bare == line else line) for number, line, bare in found if bare]


def check(found: Iterable[Line], what: str) -> list[str]:
    """Return the URLs as they were written. Raises BadUrl that names every bad line. what: the list's name in the message."""
    texts, bad = [], []
    for line in found:
        if why := _fault(line.text):
            shown = f"  line {line.number}: {urls.shown(line.typed or line.text)}"
            bad.append(f"{shown}: {why}" if why != UNKNOWN else shown)
        texts.append(line.text)
    if not bad:
        return texts
    more = [f"  and {len(bad) - SHOWN} more"] if len(bad) > SHOWN else []
    raise BadUrl("\n".join([
        f"{what} has {len(bad)} line{'s' if len(bad) > 1 else ''} that cannot be crawled; a line is one URL, such as "
        "https://example.org/, and # begins a comment",
        *bad[:SHOWN], *more,
    ]))  # fmt: skip


def refuse_several(word: str) -> None:
    """Raise BadUrl for several URLs in one word, as a quoted list on a command line gives them."""
    if _SECOND.search(word):
        raise BadUrl(f"{urls.shown(word)} is more than one URL; give each as a word of its own")


def _fault(text: str) -> str:
    """Return what is wrong with the text of a line; "" if it is a URL."""
    if _SECOND.search(text) or (" " in text and all(map(urls.lacks_scheme, text.split()))):
        return "more than one URL"
    try:
        urls.seed(text)
    except BadUrl:
        return slips.fault(text) or UNKNOWN
    return ""


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
