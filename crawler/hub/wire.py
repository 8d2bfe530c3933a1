"""One conversation over one socket: frames in, frames out, whatever their contents.

    ┌─────────────┬───────────────┐
    │ length, >i  │ length bytes  │      -1 and then >Q where a length does not fit: the framing of
    └─────────────┴───────────────┘      multiprocessing.connection, so that its clients can talk to us

A frame leaves in one write: with header and body apart, Nagle's algorithm and delayed acknowledgements cost 44 ms on every
message of 16-65 KB. It is read in steps, so that an announced length takes no memory before the bytes are there. Only
`recv`, `sendall`, `settimeout`, `fileno` and `close` of the socket are used, all of which an `SSLSocket` has.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from crawler.errors import WireError
from crawler.hub import handshake

MAX_FRAME = 32 << 20  # bytes; two of the largest bodies
MAX_HANDSHAKE_FRAME = handshake.MAX_MESSAGE  # bytes; before the key is proven
CHUNK = 64 << 10  # bytes asked of the kernel at a time
FRAME_TIME = 60.0  # s from the first byte of a frame to its last, either way
HANDSHAKE_TIME = 5.0  # s for TLS, where there is TLS, and both challenges together

_KEEPALIVE = (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))  # s, s, probes: a cut link is known after 30 s
_USER_TIMEOUT = 20_000  # ms that sent data may stay unacknowledged
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL | getattr(select, "POLLRDHUP", 0)  # RDHUP: only Linux has it
_LENGTH = struct.Struct(">i")
_LONG_LENGTH = struct.Struct(">Q")


class Connection:
    """Frames over a connected socket, which it owns from now on. One thread at a time may use it; `abort` is for any thread.

    Raises EOFError when the peer has closed, TimeoutError when a deadline has passed, OSError for anything else the network
    does and WireError for a frame that is not acceptable. After any of them the stream is out of step: close it.
    """

    def __init__(self, sock: socket.socket, limit: int = MAX_FRAME) -> None:
        self._socket = sock
        tune(sock)
        self.deadline: float | None = None  # time.monotonic() at which whatever is going on must be over
        self.limit = limit  # bytes of a frame; raised once the peer has shown that it knows the key
        self.names: set[str] = set()  # workers in whose names it may speak: see `presence`
        self._buffer = bytearray()

    def send_bytes(self, body: bytes | bytearray) -> None:
        self.send_frame(bytearray(_LENGTH.size) + body)

    def send_frame(self, frame: bytearray) -> None:
        """Send a frame whose first 4 bytes were left free for its length: nothing is copied."""
        size = len(frame) - _LENGTH.size
        if size > MAX_FRAME:
            raise WireError(f"a message of {size} bytes is over the {MAX_FRAME} a frame may carry; send fewer tasks at once")
        _LENGTH.pack_into(frame, 0, size)
        self._wait_at_most(time.monotonic() + FRAME_TIME)
        self._socket.sendall(frame)

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        return bytes(self.recv_frame(maxlength))

    def recv_frame(self, maxlength: int | None = None) -> bytearray:
        """Return the next frame. It may be a long time until one starts; once it has, it must end within FRAME_TIME."""
        limit = self.limit if maxlength is None else min(maxlength, self.limit)
        if not self._buffer:
            self._read(until=None)
        until = time.monotonic() + FRAME_TIME
        head = self._fill(_LENGTH.size, until)
        size: int = _LENGTH.unpack_from(self._buffer)[0]
        if size == -1:
            head = self._fill(_LENGTH.size + _LONG_LENGTH.size, until)
            size = _LONG_LENGTH.unpack_from(self._buffer, _LENGTH.size)[0]
        if not 0 <= size <= limit:
            raise WireError(f"a frame of {size} bytes was announced; at most {limit} are accepted")
        end = self._fill(head + size, until)
        frame, self._buffer = self._buffer, self._buffer[end:]  # a peer waits for its answer: nearly always b"" remains
        del frame[end:], frame[:head]
        return frame

    def _fill(self, size: int, until: float) -> int:
        while len(self._buffer) < size:
            self._read(until)
        return size

    def _read(self, until: float | None) -> None:
        self._wait_at_most(until)
        chunk = self._socket.recv(CHUNK)
        if not chunk:
            raise EOFError("the peer has closed the connection")
        self._buffer += chunk

    def _wait_at_most(self, until: float | None) -> None:
        ends = [end for end in (until, self.deadline) if end is not None]
        remaining = min(ends) - time.monotonic() if ends else None
        if remaining is not None and remaining <= 0:
            raise TimeoutError("the deadline for this message has passed")
        self._socket.settimeout(remaining)

    def is_gone(self) -> bool:
        """Return whether either side has closed: asked of the kernel, so that it is known while no thread reads."""
        if self._socket.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self._socket.fileno(), _GONE)
        return bool(poll.poll(0))

    def start_tls(self) -> Mapping[str, Any] | None:
        """Shake hands on an `SSLSocket` that has not yet: the peer's certificate as `ssl` reads it; None on a plain socket."""
        if not hasattr(self._socket, "do_handshake"):  # not isinstance: most processes need no `ssl`, whose import is slow
            return None
        tls: Any = self._socket
        self._wait_at_most(None)
        tls.do_handshake()
        certificate: Mapping[str, Any] | None = tls.getpeercert()
        return certificate

    def fileno(self) -> int:
        return self._socket.fileno()

    def finish(self) -> None:
        """Read no further frame; the answer to the last one may still go out. Safe in any thread."""
        self._shut(socket.SHUT_RD)

    def abort(self) -> None:
        """Wake the threads that read or write here with an error; they close it. Safe in any thread, closed or not."""
        self._shut(socket.SHUT_RDWR)

    def _shut(self, how: int) -> None:
        with contextlib.suppress(OSError):  # already disconnected, as wanted
            # Not the method of `SSLSocket`: that one takes the TLS off first, and an answer in flight would leave in the clear.
            socket.socket.shutdown(self._socket, how)

    def close(self) -> None:
        self._socket.close()


def tune(sock: socket.socket) -> None:
    """Set socket options: no delay for small writes, and a dead peer is noticed; a Unix socket needs neither."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (*_KEEPALIVE, ("TCP_USER_TIMEOUT", _USER_TIMEOUT)):
        option = getattr(socket, name, None)  # macOS and Windows lack some: there the call deadlines must do
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def prove(connection: Connection, *authkeys: bytes, first: bool) -> int:
    """Both sides show that they know the key, by the standard library's HMAC challenges; the server asks `first`.

    Returns which of the keys it was, of which only a server has more than one. A deadline that is set already holds.
    Raises Unproven for a wrong key, and what Connection raises.
    """
    connection.deadline = connection.deadline or time.monotonic() + HANDSHAKE_TIME
    connection.limit = MAX_HANDSHAKE_FRAME
    if first:
        which = handshake.challenge(connection, authkeys)
        handshake.answer(connection, authkeys[which])
    else:
        which = 0
        handshake.answer(connection, authkeys[which])
        handshake.challenge(connection, authkeys)
    connection.deadline, connection.limit = None, MAX_FRAME
    return which
