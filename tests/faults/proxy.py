"""A network that does to a TCP link what networks do: it stands between a worker and its hub.

worker ──▶ Proxy ──▶ hub          proxy.fault = Fault(...)  says what happens to whom, from now on
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from types import TracebackType

CHUNK = 64 << 10
LOOK = 0.05  # s a cut may take to be carried out
LINGER_RESET = struct.pack("ii", 1, 0)  # close with a RST in place of a FIN


@dataclass(eq=False)
class Link:
    """One connection through the proxy. Its own thread alone touches the sockets, so that closing them is what resets them."""

    number: int
    client: socket.socket
    server: socket.socket
    sent: dict[str, int] = field(default_factory=lambda: {"up": 0, "down": 0})  # bytes so far
    is_cut: threading.Event = field(default_factory=threading.Event)

    def other(self, way: str) -> socket.socket:
        """Where what comes this way goes."""
        return self.server if way == "up" else self.client

    def close(self) -> None:
        for sock in (self.client, self.server):
            with contextlib.suppress(OSError):  # it is gone already: what we wanted
                if self.is_cut.is_set():
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_RESET)
            sock.close()


Fault = Callable[[Link, str, bytes], "bytes | None"]
"""(link, "up" or "down", chunk) -> what is sent on; None: nothing, and the link is to carry nothing any more."""


def nothing(link: Link, way: str, chunk: bytes) -> bytes:
    """A good network."""
    return chunk


def silence(link: Link, way: str, chunk: bytes) -> bytes:
    """Half-open: both ends think that the link stands, nothing arrives."""
    return b""


def late(seconds: float) -> Fault:
    """A network far away."""

    def fault(link: Link, way: str, chunk: bytes) -> bytes:
        link.is_cut.wait(seconds)
        return chunk

    return fault


def drip(pause: float) -> Fault:
    """One byte at a time, both ways."""

    def fault(link: Link, way: str, chunk: bytes) -> bytes:
        for byte in chunk[:-1]:
            link.other(way).sendall(bytes([byte]))
            if link.is_cut.wait(pause):
                break
        return chunk[-1:]

    return fault


def reset_after(most: int, dice: Random, handshake: int = 130) -> Fault:
    """Reset in the middle of a frame: somewhere within `most` bytes after the handshake, of either way."""
    limits: dict[int, int] = {}

    def fault(link: Link, way: str, chunk: bytes) -> bytes | None:
        limit = limits.setdefault(link.number, handshake + dice.randrange(most))
        room = max(limit - sum(link.sent.values()), 0)
        if room >= len(chunk):
            return chunk
        with contextlib.suppress(OSError):  # it was quicker to close than we
            link.other(way).sendall(chunk[:room])
        return None

    return fault


def lose_replies(share: float, dice: Random, handshake: int = 130) -> Fault:
    """The request arrives and takes effect, its answer does not: the link is reset in its place."""

    def fault(link: Link, way: str, chunk: bytes) -> bytes | None:
        is_reply = way == "down" and link.sent["down"] > handshake
        return None if is_reply and dice.random() < share else chunk

    return fault


class Proxy:
    """Listens on a port of its own for the server at `port`, until the block ends."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.fault: Fault = nothing
        self.cuts = 0  # links that a fault has ended
        self._links: set[Link] = set()
        self._lock = threading.Lock()
        self._number = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def cut_all(self) -> int:
        """Reset every link; how many there were."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.is_cut.set()
        self.cuts += len(links)
        return len(links)

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed: the block has ended
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:  # no hub there: as if we were not there either
                client.close()
                continue
            for sock in (client, server):
                sock.settimeout(None)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._number += 1
                link = Link(self._number, client, server)
                self._links.add(link)
            threading.Thread(target=self._carry, args=(link,), name=f"proxy {link.number}", daemon=True).start()

    def _carry(self, link: Link) -> None:
        ways = {link.client: "up", link.server: "down"}
        try:
            while ways and not link.is_cut.is_set():
                for source in select.select(list(ways), [], [], LOOK)[0]:
                    if not self._pass_on(link, ways[source], source):
                        del ways[source]
        except OSError:  # one of the two has gone: so does the other
            link.is_cut.set()
        finally:
            with self._lock:
                self._links.discard(link)
            link.close()

    def _pass_on(self, link: Link, way: str, source: socket.socket) -> bool:
        """False: from there comes no more."""
        chunk = source.recv(CHUNK)
        if not chunk:
            link.other(way).shutdown(socket.SHUT_WR)
            return False
        passed = self.fault(link, way, chunk)
        if passed is None:
            self.cuts += 1
            link.is_cut.set()
            return False
        link.sent[way] += len(chunk)
        link.other(way).sendall(passed)
        return True
