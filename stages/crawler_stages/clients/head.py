"""Header of a reply as HTTP/1.1 has it (RFC 9112), read as browsers read it; `http.client` is too strict, and open-ended.

    1xx … 1xx, status line ──▶ lines: folds joined, nonsense left out ──▶ Head ──framing──▶ where the body ends

A line without colon would end its header, the hundredth line its request. Nothing is read here without a limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import BinaryIO, Final

from msgspec import Struct

from crawler_stages.clients.contract import BrokenReply, TooBig

_STATUS: Final = re.compile(rb"HTTP/(\d)(?:\.(\d))?[ \t]+(\d{3})(?:[ \t]+(.*))?")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_SHORT: Final = 128  # bytes of a header line that is worth remembering
_LONGEST: Final = 18  # digits of a Content-Length that are read; more are over every limit
_BODILESS: Final = frozenset({204, 304})
_SENDING: Final = frozenset({"transfer-encoding", "content-length", "content-encoding", "connection"})

_Kinded = tuple[tuple[str, str], str]  # a field, and its name in lower case if it says how the body is sent, else ""


class Head(Struct, frozen=True):
    """Status line and header of the final reply."""

    minor: int  # of HTTP/1.x
    status: int
    reason: str
    fields: list[tuple[str, str]]  # in order; bytes beyond ASCII as Latin-1
    sending: dict[str, list[str]]  # those that say how the body is sent, by name in lower case: their values in order


def read_head(lines: BinaryIO, most: int) -> Head:
    """most: bytes of all header blocks, interim ones included. Raises RemoteDisconnected: not one byte came."""
    reader = _Lines(lines, most)
    while True:
        minor, status, reason = _status(reader)
        fields = _fields(reader)
        if status == 101:
            raise BrokenReply("status 101, a switch to a protocol that was not asked for")
        if status >= 200:
            return Head(minor, status, reason, fields, _sending((field, _kind(field)) for field in fields))


def plain_head(lines: Sequence[bytes], most: int) -> Head | None:
    """Read complete lines quickly, if all of them are regular; None if any is not, see `read_head`."""
    status = _short_status(lines[0]) if len(lines) > 1 and len(lines[0]) <= _SHORT else None
    if status is None or sum(map(len, lines)) > most or lines[-1] not in (b"\r\n", b"\n"):
        return None
    found = [_short_line(line) if len(line) <= _SHORT else None for line in lines[1:-1]]
    if None in found:
        return None
    sure: list[_Kinded] = found  # type: ignore[assignment]  # none of them is None
    return Head(*status, [field for field, _ in sure], _sending(sure))


def framing(head: Head) -> tuple[bool, int | None]:
    """Return whether the body is chunked, and its length in bytes; None: it ends with its last chunk, or with the connection."""
    codes = values(head, "transfer-encoding")
    if codes and (strange := [code for code in codes if code not in ("chunked", "identity")]):
        raise BrokenReply(f"transfer coding {strange[0][:80]!r}, which was not asked for")
    if head.status in _BODILESS:
        return False, 0
    is_chunked = "chunked" in codes
    return is_chunked, None if is_chunked else _length(head)


class _Lines:
    """Lines without their ends, up to the limits."""

    def __init__(self, lines: BinaryIO, most: int) -> None:
        self._lines = lines
        self._most = most
        self._left = most

    def next(self) -> bytes:
        line = self._lines.readline(self._left + 1)
        if len(line) > self._left:
            raise TooBig(f"a header of more than {self._most} bytes; see stages.fetch.max_header_bytes")
        if not line and self._left == self._most:
            from http.client import RemoteDisconnected  # here, because libcurl finds that out by itself, and it is large

            raise RemoteDisconnected("the connection was closed without a reply")
        if not line.endswith(b"\n"):
            raise BrokenReply("the header is cut short")
        self._left -= len(line)
        return line.rstrip(b"\r\n")


def _status(reader: _Lines) -> tuple[int, int, str]:
    line = reader.next()
    while not line:  # left by some servers after the last reply
        line = reader.next()
    return _status_of(line)


def _status_of(line: bytes) -> tuple[int, int, str]:
    match = _STATUS.fullmatch(line)
    status = int(match[3]) if match else 0
    if match is None or status < 100:
        raise BrokenReply(f"{line[:80]!r} in place of a status line: this is not HTTP/1")
    is_old = match[1] == b"0" or (match[1], match[2]) == (b"1", b"0")
    return int(not is_old), status, (match[4] or b"").decode("latin-1").strip()


def _fields(reader: _Lines) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    is_kept = False  # the line before
    while line := reader.next():
        if line[0] in b" \t":  # RFC 9112 §5.2: the rest of the line before
            if is_kept:
                name, value = fields[-1]
                fields[-1] = (name, f"{value} {line.decode('latin-1').strip()}".strip())
            continue
        field = _short_field(line) if len(line) <= _SHORT else _field(line)
        is_kept = field is not None
        if field is not None:
            fields.append(field)
    return fields


def _field(line: bytes) -> tuple[str, str] | None:
    """Parse a header field; None if the line is not one."""
    name, colon, value = line.decode("latin-1").partition(":")
    name = name.rstrip(" \t")
    is_field = bool(colon) and _NAME.fullmatch(name) is not None and "\0" not in value and "\r" not in value
    return (name, value.strip(" \t")) if is_field else None


# Most lines of a server's headers are always the same.
_short_field = lru_cache(maxsize=2_048)(_field)


@lru_cache(maxsize=2_048)
def _short_line(line: bytes) -> _Kinded | None:
    """Read a field with the end of its line; None also for the rest of the previous line."""
    field = None if line[0] in b" \t\r\n" else _field(line.rstrip(b"\r\n"))
    return None if field is None else (field, _kind(field))


def _kind(field: tuple[str, str]) -> str:
    name = field[0].lower()
    return name if name in _SENDING else ""


def _sending(fields: Iterable[_Kinded]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for field, kind in fields:
        if kind:
            found.setdefault(kind, []).append(field[1])
    return found


@lru_cache(maxsize=256)
def _short_status(line: bytes) -> tuple[int, int, str] | None:
    """Parse a status line; None if it is not one, or belongs to an interim reply."""
    try:
        status = _status_of(line.rstrip(b"\r\n"))
    except BrokenReply:
        return None
    return status if status[1] >= 200 else None


def values(head: Head, wanted: str) -> list[str]:
    """The words of a field, in lower case. wanted: one of _SENDING."""
    values = head.sending.get(wanted, ())
    return [part.strip().lower() for value in values for part in value.split(",") if part.strip()]


def _length(head: Head) -> int | None:
    """Return the length of the body; None: it ends with the connection."""
    found = set(values(head, "content-length"))
    if not found:
        return None
    value = found.pop()
    if found or not (value.isascii() and value.isdigit()):
        raise BrokenReply(f"a Content-Length of {', '.join(sorted({value, *found}))[:80]!r}; expected one number")
    return int(value[:_LONGEST])
