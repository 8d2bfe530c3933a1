"""A server that says exactly what a test tells it to, on a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from crawler_stages.clients.contract import Limits

Talk = Callable[[socket.socket], None]
LIMITS = Limits(timeout=5, connect_timeout=5, min_rate=0, max_bytes=4 << 20, max_ratio=200, max_header_bytes=64 << 10)


class Peer:
    """A listening socket; each connection is handed to the next talk, the last one serves all that follow."""

    def __init__(self, *talks: Talk) -> None:
        self.talks = list(talks)
        self.connections = 0
        self.heard: list[bytes] = []
        self.stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"http://{self.host}/"
        threading.Thread(target=self._serve, daemon=True).start()

    def hear(self, connection: socket.socket) -> bool:
        """Read one request; False: the client has hung up."""
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(65_536)
            if not data:
                return False
            request += data
        self.heard.append(request)
        return True

    def stop(self) -> None:
        self.stopped.set()
        self._socket.close()

    def _serve(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            talk = self.talks[min(self.connections, len(self.talks) - 1)]
            self.connections += 1
            threading.Thread(target=self._talk, args=(talk, connection), daemon=True).start()

    def _talk(self, talk: Talk, connection: socket.socket) -> None:
        with connection:
            try:
                talk(connection)
            except OSError:
                return  # the client had enough: what many of these tests are about


def answering(reply: bytes, *, keep: bool = False) -> Callable[[Peer], Talk]:
    """Says this to every request; keep: goes on listening."""

    def for_peer(peer: Peer) -> Talk:
        def talk(connection: socket.socket) -> None:
            while peer.hear(connection):
                connection.sendall(reply)
                if not keep:
                    return

        return talk

    return for_peer


def body(content: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content
