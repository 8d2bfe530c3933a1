"""One request as libcurl goes through it, and what of that the thread that waits for it sees.

    header lines ──▶ head ──▶ is the body wanted? ──▶ blocks ──batches──▶ wait() and read(), in the caller's thread
    ╰─────────── what libcurl calls, in the loop's thread ───────────╯

In the loop only what must be is done, for it would hold up every other transfer: who waits for a body decodes it. A page is one
batch, hence one change of threads; the batches of a longer body come while it does, and its limits are kept meanwhile.
"""

from __future__ import annotations

import re
import socket
from collections import deque
from collections.abc import Collection
from io import BytesIO
from queue import Empty, SimpleQueue
from typing import Any, Final

import pycurl

from stages.clients.base import BrokenReply, ConnectFailed, TimedOut, TooBig, Wants
from stages.clients.coding import BLOCK
from stages.clients.http1 import Head, framing, read_head
from stages.clients.wire import Attempt

BATCH: Final = 262_144             # bytes that wait in the loop until their reader is woken
DRAINED: Final = BLOCK             # bytes of a body that is not wanted, read all the same if that saves a connection
_SLACK: Final = 30.0               # s after its deadline that the loop has to say how a transfer ended
_STOP: Final = 0                   # what a callback returns to end its transfer; None lets it go on
_BLANK: Final = 2                  # bytes at most of the line that ends a header
_INTERIM: Final = re.compile(rb"HTTP/\S+[ \t]+1(?!01)\d\d")     # 101 announces no other reply after it


class Transfer:
    """One request while it runs. `on_…` and `finish` are called in the loop, `wait` and `read` by who asked."""

    def __init__(self, attempt: Attempt, addresses: Collection[str], cut: int, wants: Wants | None) -> None:
        """addresses: which alone it may be connected to."""
        limits = attempt.limits
        self.attempt = attempt
        self.head: Head | None = None
        self.sent = 0                              # bytes of the body
        self.is_skipped = False                    # the body is not wanted
        self.is_over = False                       # the last batch was taken
        self._addresses = addresses
        self._cut = cut
        self.most = max(limits.max_bytes, cut + BLOCK)
        self._wants = wants
        self._lines: list[bytes] = []
        self._room = limits.max_header_bytes       # for more of them
        self._sockets: list[socket.socket] = []
        self._failure: Exception | None = None
        self._blocks: list[bytes] = []
        self._waiting = 0                          # bytes of these
        self._batches: SimpleQueue[tuple[list[bytes], bool]] = SimpleQueue()     # True: the last one
        self._unread: deque[bytes] = deque()

    def wait(self) -> Head:
        """The header, once it is there. Raises what happened instead."""
        self._take()
        if self.head is None:
            raise self._failure or BrokenReply(f"{self.attempt.host}: the reply has no header")
        return self.head

    def read(self, size: int) -> bytes:
        """The next block, of whatever size; b"" is the end. Raises what happened instead."""
        while not self._unread:
            if self.is_over and self._failure is not None:
                raise self._failure
            if self.is_over:
                return b""
            self._take()
        return self._unread.popleft()

    def _take(self) -> None:
        try:
            blocks, self.is_over = self._batches.get(timeout=self.attempt.limits.timeout + _SLACK)
        except Empty:
            raise TimedOut(f"{self.attempt.host}: the loop of transfers does not answer") from None
        self._unread.extend(blocks)

    def on_socket(self, _purpose: int, address: Any) -> socket.socket | int:
        """A new connection. libcurl makes a copy of the socket."""
        if address.addr[0] not in self._addresses:
            self._failure = ConnectFailed(f"{self.attempt.host}: {address.addr[0]} is not an address that was checked")
            return pycurl.SOCKET_BAD
        self.attempt.is_connected = True
        try:
            self._sockets.append(socket.socket(address.family, address.socktype, address.protocol))
        except OSError as error:
            self._failure = ConnectFailed(f"{self.attempt.host}: {error.strerror}")
            return pycurl.SOCKET_BAD
        return self._sockets[-1]

    def on_line(self, line: bytes) -> int | None:
        """A line of the header, of an interim one, or of a trailer."""
        size = len(line)
        self._room -= size
        if self._room < 0:
            return self._stop(TooBig(f"a header of more than {self.attempt.limits.max_header_bytes} bytes; see max_header_bytes"))
        self._lines.append(line)
        if size > _BLANK or self.head is not None or line.strip(b"\r\n"):
            return None
        if _INTERIM.match(self._lines[0]):
            self._lines.clear()
            return None
        try:
            return self._on_head(read_head(BytesIO(b"".join(self._lines)), self.attempt.limits.max_header_bytes))
        except Exception as error:  # noqa: BLE001  raised again by who waits: libcurl would only print it
            return self._stop(error)

    def _on_head(self, head: Head) -> int | None:
        self.attempt.received += self.attempt.limits.max_header_bytes - self._room
        _, length = framing(head)
        self.head = head
        if self._wants is not None and not self._wants(head.status, head.fields):
            self.is_skipped = True
            return None if length is not None and length <= DRAINED else _STOP
        if length is not None and length > self.most and not self._cut:
            raise TooBig(f"a body of {length} bytes; see max_bytes")
        return None

    def on_block(self, block: bytes) -> int | None:
        self.attempt.received += len(block)
        self.sent += len(block)
        if self.is_skipped:
            return None
        self._blocks.append(block)
        self._waiting += len(block)
        if self._waiting >= BATCH:
            self._hand_over(is_last=False)
        # Who reads finds out by itself that this is too much; it may be slower than what is sent.
        return _STOP if self.sent > self.most else None

    def _stop(self, failure: Exception) -> int:
        self._failure = failure
        return _STOP

    def finish(self, failure: Exception | None) -> None:
        """It is over. failure: what libcurl says of it, where it was not us who ended it."""
        for sock in self._sockets:
            sock.close()
        if self._failure is None and not self.is_skipped and self.sent <= self.most:
            self._failure = failure
        self._hand_over(is_last=True)

    def _hand_over(self, *, is_last: bool) -> None:
        self._batches.put((self._blocks, is_last))
        self._blocks, self._waiting = [], 0
