"""Reply as `http.client` has it, with the header read by `head`; chunks are decoded here.

`http.client` is too lax with chunks: one of minus one byte means all the rest, and its trailers have no limit.
"""

from __future__ import annotations

import re
from http.client import HTTPMessage, HTTPResponse
from typing import BinaryIO, Final

from crawler_stages.clients.contract import BrokenReply, TooBig
from crawler_stages.clients.head import Head, framing, read_head, values
from crawler_stages.clients.sockets import current

_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,16}")  # of a chunk; 64 bits are more than any limit
_LINE: Final = 1_024  # bytes of a line between chunks: a size, and extensions that are not read


class Response(HTTPResponse):
    """Reply as `http.client` reads it, made by the connection above."""

    _left = 0  # bytes of the chunk at hand

    def begin(self) -> None:
        if self.headers is not None:
            return
        limits = current().limits
        head = read_head(self.fp, limits.max_header_bytes)
        self.version, self.status, self.code, self.reason = 10 + head.minor, head.status, head.status, head.reason
        self.headers = self.msg = HTTPMessage()
        for name, value in head.fields:
            self.headers[name] = value
        self.chunked, self.length = framing(head)
        self.will_close = self._is_last(head) or (self.length is None and not self.chunked)

    def read(self, amt: int | None = None) -> bytes:
        return super().read(amt) if not self.chunked else self._chunks(amt or 0)

    @staticmethod
    def _is_last(head: Head) -> bool:
        """Return whether the connection is closed after this reply (RFC 9112 §9.3)."""
        wishes = values(head, "connection")
        return "close" in wishes or (not head.minor and "keep-alive" not in wishes)

    def _chunks(self, most: int) -> bytes:
        """Read `most` bytes of a chunked body, fewer only at its end."""
        parts: list[bytes] = []
        while most > 0 and not self.isclosed():
            if not self._left and not self._next_chunk(self.fp):
                self.close()
                break
            part = self.fp.read(min(most, self._left))
            if not part:
                raise BrokenReply("the body is cut short, in the middle of a chunk")
            parts.append(part)
            most -= len(part)
            self._left -= len(part)
            if not self._left and self.fp.readline(3) not in (b"\r\n", b"\n"):
                raise BrokenReply("a chunk is longer than it says")
        return b"".join(parts)

    def _next_chunk(self, lines: BinaryIO) -> bool:
        """Read the next chunk's size. Returns False after the last one, and its trailer."""
        line = lines.readline(_LINE)
        size = line.partition(b";")[0].strip()
        if not line.endswith(b"\n") or not _SIZE.fullmatch(size):
            raise BrokenReply(f"{line[:80]!r} in place of the size of a chunk")
        self._left = int(size, 16)
        if not self._left:
            left = most = current().limits.max_header_bytes
            while (line := lines.readline(left + 1)) not in (b"\r\n", b"\n", b""):
                left -= len(line)
                if left < 0:
                    raise TooBig(f"a trailer of more than {most} bytes; see stages.fetch.max_header_bytes")
        return self._left > 0
