"""A server of misbehaviours: what real servers do wrong, byte for byte, a row each, with what a right crawler makes of it.

    with Oddities() as server:
        server.url("chunked_no_end")        # http://127.0.0.1:<a free port>/chunked_no_end/

A row answers below its own path and says what becomes of each URL a crawl from there meets: the status of its record, `failed`
(tried again until its attempts run out), `dead` (given up at once), `skipped` (not fetched, by a rule). By hand: python
tests/oddities.py, and a list of all rows at its root.
"""

from __future__ import annotations

import argparse
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

FAILED, DEAD, SKIPPED = "failed", "dead", "skipped"
TYPE = "Content-Type: text/html"
CHUNKED = f"HTTP/1.1 200 OK\r\n{TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


class Exchange:
    """One request and the connection it came on."""

    def __init__(self, server: Oddities, connection: socket.socket, head: list[str], path: str, on_connection: int) -> None:
        self.server = server
        self.connection = connection
        self.path = path  # below the row's, with the query
        self.on_connection = on_connection  # 1: the first request on it
        self._lines = head
        server.counts[head[0]] += 1
        self.number = server.counts[head[0]]  # 1: the first request for this very URL

    def header(self, name: str) -> str:
        return next((line.partition(":")[2].strip() for line in self._lines if line.lower().startswith(f"{name}:")), "")

    def say(self, reply: bytes) -> None:
        self.connection.sendall(reply)

    def reset(self) -> None:
        """RST in place of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def drip(self, byte: bytes = b"x", pause: float = 1.0) -> None:
        """A byte now and then, until the client or the server has had enough."""
        while not self.server.stopped.wait(pause):
            self.say(byte)

    def pour(self, block: bytes) -> None:
        while not self.server.stopped.is_set():
            self.say(block)


Answer = bytes | Callable[[Exchange], bytes | None]  # bytes are said and the connection closed; None: all is said


@dataclass(frozen=True)
class Row:
    id: str
    what: str
    answers: Mapping[str, Answer]  # by path; "" is where a crawl begins
    expected: Mapping[str, int | str]
    starts: tuple[str, ...] = ("",)
    keeps: bool = False  # connections are kept after an answer of bytes
    fetch: Mapping[str, Any] = field(default_factory=dict)  # options this row is about, or that make it short
    frontier: Mapping[str, Any] = field(default_factory=dict)  # settings, likewise


class Oddities:
    """A server from `start` (or `with`) to `stop`."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, more: Sequence[Row] = ()) -> None:
        self.stopped = threading.Event()
        self.counts: Counter[str] = Counter()  # by request line
        self.robots_agents: set[str] = set()
        self._rows = {row.id: row for row in (*rows(), *more)}
        self._socket = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=64)
        name = f"[{host}]" if ":" in host else host
        self.host = f"{name}:{self._socket.getsockname()[1]}"

    def add(self, row: Row) -> None:
        """Answer for a further row, which may have needed the host to be written."""
        self._rows[row.id] = row

    def url(self, row: str, path: str = "") -> str:
        return f"http://{self.host}/{row}/{path}"

    def start(self) -> None:
        threading.Thread(target=self._accept, name="oddities", daemon=True).start()

    def stop(self) -> None:
        self.stopped.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        number = 0
        with connection, connection.makefile("rb") as lines:
            try:
                while head := _head(lines):
                    number += 1
                    if not self._answer(connection, head, number):
                        return
            except OSError:
                return  # the client had enough: what many rows are about

    def _answer(self, connection: socket.socket, head: list[str], number: int) -> bool:
        """True: the connection is kept."""
        target = head[0].split(" ")[1]
        id, _, path = target.lstrip("/").partition("/")
        row = self._rows.get(id)
        exchange = Exchange(self, connection, head, path, number)
        answer: Answer = self._root(target, exchange) if row is None else row.answers.get(path, MISSING)
        said = answer if isinstance(answer, bytes) else answer(exchange)
        if said is not None:
            exchange.say(said)
        return row is not None and row.keeps and said is not None

    def _root(self, target: str, exchange: Exchange) -> bytes:
        if target == "/robots.txt":
            self.robots_agents.add(exchange.header("user-agent"))
            return ok(b"User-agent: *\nDisallow: /redirect_offsite/private\n", kind="text/plain")
        if target != "/":
            return MISSING
        items = "".join(f"<dt><a href='/{row.id}/'>{row.id}</a><dd>{row.what}" for row in self._rows.values())
        return ok(f"<!doctype html><meta charset=utf-8><title>Oddities</title><dl>{items}</dl>".encode())


def _head(lines: Any) -> list[str]:
    head = []
    while line := lines.readline(65_536).strip():
        head.append(line.decode("latin-1"))
    return head


def ok(body: bytes = b"", *lines: str, status: str = "200 OK", kind: str = "text/html") -> bytes:
    """A reply with nothing wrong in it but what the lines say."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *([f"Content-Type: {kind}"] if kind else []), *lines]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def page(*hrefs: str) -> bytes:
    return b"<!doctype html><title>odd</title>" + "".join(f'<a href="{href}">x</a>' for href in hrefs).encode()


def to(location: str, status: str = "302 Found", body: bytes = b"") -> bytes:
    return ok(body, f"Location: {location}", status=status)


def coded(coding: str, body: bytes) -> bytes:
    return ok(body, f"Content-Encoding: {coding}")


def then(*answers: bytes) -> Callable[[Exchange], bytes]:
    """One after the other, the last for ever."""
    return lambda exchange: answers[min(exchange.number, len(answers)) - 1]


def says(*parts: bytes, end: Callable[[Exchange], None] = lambda _: None) -> Callable[[Exchange], None]:
    def talk(exchange: Exchange) -> None:
        exchange.say(b"".join(parts))
        end(exchange)

    return talk


def silence(exchange: Exchange) -> None:
    exchange.server.stopped.wait()


MISSING = ok(b"<h1>404</h1>", status="404 Not Found")
FINE = ok(b"fine")
NEXT = ok(page("next"))
LED = {"": 200, "next": 200}  # what is expected where a page and the page it links to are fine
SHORT = {"timeout": 0.2}  # s: the row would last as long as the crawler lets it


def rows() -> list[Row]:
    """All of them, in the order of the conformance set."""
    from tests.oddity_rows import pages, replies, transfers  # here, because they are written with what is above

    return [*transfers(), *replies(), *pages()]


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve misbehaviours on loopback, a row each; the root lists them.")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    args = parser.parse_args()
    with Oddities(args.host, args.port) as server:
        print(f"http://{server.host}/", flush=True)  # noqa: T201  a script of its own
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{server.counts.total()} requests")  # noqa: T201  a script of its own


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # where `tests` is
    from tests import oddities

    oddities.main()
