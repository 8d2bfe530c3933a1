"""One request as libcurl's callbacks report it, and the part of it that the waiting thread reads.

    header lines ──▶ head ──▶ is the body wanted? ──▶ blocks ──batches──▶ wait() and read(), in the caller's thread
    ╰─────────── what libcurl calls, in the loop's thread ───────────╯

The loop does as little as possible, because it would delay every other transfer: the thread that waits for a body decodes it. A
page is one batch, hence one change of threads; the batches of a longer body come while it arrives, and its limits are kept.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable
from io import BytesIO
from queue import Empty, SimpleQueue
from typing import Any, Final

import pycurl

from crawler import shortage_by_errno
from crawler_stages.clients.coding import BLOCK
from crawler_stages.clients.contract import BrokenReply, ConnectFailed, Lacking, TimedOut, TooBig, Wants, Work
from crawler_stages.clients.head import Head, framing, plain_head, read_head
from crawler_stages.clients.sockets import Attempt

BATCH: Final = 262_144  # bytes that wait in the loop until their reader is woken
DRAINED: Final = BLOCK  # bytes of a body that is not wanted, read all the same if that saves a connection
_SLACK: Final = 30.0  # s after its deadline that the loop has to say how a transfer ended
_STOP: Final = 0  # returned by a callback to end its transfer; None lets it go on


class Descriptor:
    """Socket for pycurl, which copies it and drops this object: then it is closed, so that each socket takes one open file."""

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number

    def __del__(self) -> None:
        os.close(self._number)


class Tunnel:
    """The answer of a proxy to CONNECT, before the lines of the site's own header.

    A transfer ends at the first line of a refusal: libcurl would read the body that follows byte by byte, without a look at the
    time or at other transfers, however long it is.
    """

    def __init__(self, transfer: Transfer, proxy: str) -> None:
        """proxy: its host and port."""
        transfer.is_in_tunnel = True
        self._transfer = transfer
        self._proxy = proxy
        self._status = 0
        self._size = 0  # bytes of the answer

    def on_line(self, line: bytes) -> int | None:
        transfer = self._transfer
        if not transfer.attempt.is_connected:  # on a kept connection the tunnel is there already
            transfer.is_in_tunnel = False
        if not transfer.is_in_tunnel:
            transfer.on_line(line)
            return None
        self._size += len(line)
        if line.startswith(b"HTTP/"):
            code = line.split(None, 2)[1:2]
            self._status = int(code[0]) if code and code[0].isdigit() else 0
        elif not line.strip():
            transfer.is_in_tunnel = not 200 <= self._status < 300
        if self._status >= 300:
            return self._fail(f"answers CONNECT with status {self._status}")
        if self._size > transfer.attempt.limits.max_header_bytes:
            return self._fail("answers CONNECT with a header that does not end")
        return None

    def _fail(self, what: str) -> int:
        self._transfer.failure = ConnectFailed(f"the proxy {self._proxy} {what}")
        return _STOP


class Transfer:
    """One request while it runs. `on_…` and `finish` are called in the loop, `wait` and `read` by who asked."""

    def __init__(
        self, attempt: Attempt, addresses: tuple[str, ...], cut: int, wants: Wants | None, ended: Callable[[], Work] | None = None
    ) -> None:
        """addresses: which alone it may be connected to. ended: called in the loop when it is over, if no thread waits."""
        limits = attempt.limits
        self.attempt = attempt
        self.head: Head | None = None
        self.sent = 0  # bytes of the body
        self.is_skipped = False  # the body is not wanted
        self.is_in_tunnel = False  # the proxy's answer to CONNECT is arriving
        self.is_over = False  # the last batch was taken
        self.ended_at = attempt.start  # monotonic time
        self.addresses = addresses
        self._cut = cut
        self.most = max(limits.max_bytes, cut + BLOCK)
        self._wants = wants
        self._ended = ended
        self._lines: list[bytes] = []
        self.on_line = self._lines.append  # of a header, interim ones first, or of a trailer; libcurl takes 300 KiB of them
        self.failure: Exception | None = None
        self._blocks: list[bytes] = []
        self._waiting = 0  # bytes of these
        # True: the last one. Without anybody to wait, the one batch is unread once it is over.
        self._batches: SimpleQueue[tuple[list[bytes], bool]] | None = None if ended else SimpleQueue()
        self._unread: deque[bytes] = deque()

    def wait(self) -> Head:
        """Wait for the header and return it, or raise the failure."""
        self._take()
        if self.head is None:
            raise self.failure or BrokenReply(f"{self.attempt.host}: the reply has no header")
        return self.head

    def read(self, size: int) -> bytes:
        """Return the next block, of any size; b"" at the end. Raises the failure, if there is one."""
        while not self._unread:
            if self.is_over and self.failure is not None:
                raise self.failure
            if self.is_over:
                return b""
            self._take()
        return self._unread.popleft()

    def whole(self) -> bytes | None:
        """Return the body as sent, if it is complete and wanted. Raises the failure, if there is one."""
        if not self.is_over or self.sent > self.attempt.limits.max_bytes:
            return None
        if self.failure is not None:
            raise self.failure
        body = b"".join(self._unread)
        self._unread.clear()
        return body

    def _take(self) -> None:
        if self._batches is None:
            return
        try:
            blocks, self.is_over = self._batches.get(timeout=self.attempt.limits.timeout + _SLACK)
        except Empty:
            raise TimedOut(f"{self.attempt.host}: the loop of transfers does not answer") from None
        self._unread.extend(blocks)

    def on_socket(self, _purpose: int, address: Any) -> Descriptor | int:
        """Return the socket of a new connection."""
        if address.addr[0] not in self.addresses:
            self.failure = ConnectFailed(f"{self.attempt.host}: {address.addr[0]} is not an address that was checked")
            return pycurl.SOCKET_BAD
        self.attempt.is_connected = True
        try:
            return Descriptor(socket.socket(address.family, address.socktype, address.protocol).detach())
        except OSError as error:
            short = shortage_by_errno(error.errno)
            self.failure = ConnectFailed(f"{self.attempt.host}: {error.strerror}") if short is None else Lacking(short)
            return pycurl.SOCKET_BAD

    def on_block(self, block: bytes) -> int | None:
        if self.head is None and not self._is_wanted():
            return _STOP
        size = len(block)
        self.attempt.received += size
        self.sent += size
        if self.is_skipped:
            return None
        self._blocks.append(block)
        self._waiting += size
        if self._waiting >= BATCH and self._batches is not None:
            self._hand_over(is_last=False)
        # The reader notices by itself that this is too much; it may be slower than the sender.
        return _STOP if self.sent > self.most else None

    def _is_wanted(self) -> bool:
        """Read the header. Returns False if it is broken or its body is not wanted."""
        try:
            return self._read_head()
        except Exception as error:  # noqa: BLE001  raised again by the waiting thread: libcurl would only print it
            self.failure = error
            return False

    def _read_head(self) -> bool:
        limits = self.attempt.limits
        head = plain_head(self._lines, limits.max_header_bytes)
        if head is None:
            head = read_head(BytesIO(b"".join(self._lines)), limits.max_header_bytes)
        self.attempt.received += sum(map(len, self._lines))
        _, length = framing(head)
        self.head = head
        if self._wants is not None and not self._wants(head.status, head.fields):
            self.is_skipped = True
            return length is not None and length <= DRAINED
        if length is not None and length > self.most and not self._cut:
            raise TooBig(f"a body of {length} bytes; see stages.fetch.max_bytes")
        return True

    def finish(self, failure: Exception | None) -> Work | None:
        """End a transfer and return the work that is left. failure: libcurl's, if the transfer was not ended by us."""
        self.ended_at = time.monotonic()
        is_long = sum(map(len, self._lines)) > self.attempt.limits.max_header_bytes
        if self.head is None and self.failure is None and (is_long or (failure is None and self._lines)):
            self._is_wanted()  # a reply without a body, or cut off in its header
        if self.failure is None and not self.is_skipped and self.sent <= self.most:
            self.failure = failure
        self._hand_over(is_last=True)
        ended, self._ended = self._ended, None  # it refers to us: a cycle, which would stay until the garbage collector runs
        return ended() if ended is not None else None

    def _hand_over(self, *, is_last: bool) -> None:
        if self._batches is None:
            self._unread.extend(self._blocks)
            self.is_over = is_last
        else:
            self._batches.put((self._blocks, is_last))
        self._blocks, self._waiting = [], 0
