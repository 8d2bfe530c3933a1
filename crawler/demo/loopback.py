"""Small web server on loopback, for the demo's shop, the benches and the tests.

    class Hello(Loopback):
        def answer(self, request: Request) -> Response:
            return Response(body=b"<h1>hello</h1>")

    with Hello() as site:
        print(site.url)        # http://127.0.0.1:<a free port>/

HTTP/1.1 with keep-alive, a thread a connection, GET and HEAD. Not for the open network.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

__all__ = ["Loopback", "Request", "Response"]

log = logging.getLogger(__name__)

POLL = 0.05  # s; the longest `stop` waits for the accept loop
IDLE = 60.0  # s a kept-alive connection may say nothing
BODILESS = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})  # RFC 9110 §6.4.1


class Request(NamedTuple):
    """Request the server got."""

    method: str
    target: str  # path and query as they stood on the request line
    host: str  # the Host header
    headers: Mapping[str, str]  # looked up without regard to case

    @property
    def agent(self) -> str:
        return self.headers.get("User-Agent", "")


@dataclass(frozen=True)
class Response:
    """Reply to send. Content-Length is added unless given; the type is HTML in UTF-8 unless given."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Loopback:
    """A server from `start` (or `with`) to `stop`. Subclass it and write `answer`, which many threads call at once."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, name: str = "") -> None:
        """host: to bind; port 0: a free one; name: the host's name in the URL, if not its address."""
        self._server = _Server((host, port), self)
        self.port: int = self._server.server_address[1]
        self.url = f"http://{name or host}:{self.port}/"
        self._thread: threading.Thread | None = None

    def answer(self, request: Request) -> Response:
        raise NotImplementedError(f"{type(self).__name__} has no answer(request)")

    def start(self) -> None:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL,), name=f"loopback {self.port}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting, cut every connection, and return when no thread of ours is left. Twice is fine."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.cut()
        self._server.server_close()  # joins the threads of the connections

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    request_queue_size = 512  # a burst of new connections must not wait 1 s for a SYN to be sent again
    daemon_threads = False  # so that server_close joins them

    def __init__(self, address: tuple[str, int], site: Loopback) -> None:
        self.site = site
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind as the parent does, without its look-up of our own name, which may ask a DNS server."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def opened(self, connection: socket.socket) -> None:
        with self._open_lock:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._open_lock:
            self._open.discard(connection)

    def cut(self) -> None:
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError as error:  # the peer was quicker
                log.debug("cut: %s", error)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log the error of a client that went away, or of an `answer` that raised, as a library does."""
        log.debug("%s: the answer could not be given", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE

    def setup(self) -> None:
        super().setup()
        self.running = cast(_Server, self.server)
        self.running.opened(self.connection)

    def finish(self) -> None:
        self.running.closed(self.connection)
        super().finish()

    def do_GET(self) -> None:
        site = self.running.site
        request = Request(self.command, self.path, self.headers.get("Host", ""), cast(Mapping[str, str], self.headers))
        self.wfile.write(self._encode(site.answer(request)))  # head and body in one write: no delayed acknowledgement

    do_HEAD = do_GET

    def _encode(self, response: Response) -> bytes:
        headers = {"Content-Type": "text/html; charset=utf-8", **response.headers}
        if response.status not in BODILESS:
            headers.setdefault("Content-Length", str(len(response.body)))
        if headers.get("Connection", "").lower() == "close":
            self.close_connection = True
        reason = self.responses.get(HTTPStatus(response.status), ("",))[0]
        lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return head if self.command == "HEAD" or response.status in BODILESS else head + response.body

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)
