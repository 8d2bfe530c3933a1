"""A web of many hosts, each an address of loopback, that knows when each of them was asked and until when it was busy."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import NamedTuple

HEAD = b"\r\n\r\n"
LATENCY = (0.02, 0.05)  # s until an answer, by host: so some requests are in flight when their worker dies
FANOUT = 20  # pages to which the first page of a host leads; each of these leads to one more


@dataclass
class Asked:
    """One request as a host saw it."""

    path: str
    start: float  # s, monotonic: the request has been read
    end: float = 0.0  # s, monotonic: it was answered, or the client has gone; 0: neither yet
    is_answered: bool = False


class Pause(NamedTuple):
    """The time between two requests to a host that follow each other."""

    seconds: float  # from the end of the first to the start of the second
    host: str
    first: str  # path
    second: str


class ManyHosts:
    """n pages on each of many hosts. The first leads to the next `FANOUT`, page k to page k + `FANOUT` and one of the next host."""

    def __init__(self, hosts: int, pages: int) -> None:
        self.hosts = [f"127.1.{n // 250}.{1 + n % 250}" for n in range(hosts)]
        self.asked: dict[str, list[Asked]] = defaultdict(list)  # by host
        self._numbers = {host: n for n, host in enumerate(self.hosts)}
        self._pages = pages
        self._first: dict[tuple[str, str], float] = {}  # when a page was first answered
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(
            self._loop.create_server(lambda: _Peer(self, self._loop), "0.0.0.0", 0, backlog=1024)
        )
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def url(self, host: int, page: int) -> str:
        return f"http://{self.hosts[host % len(self.hosts)]}:{self.port}/{f'p{page}' if page else ''}"

    @property
    def seeds(self) -> list[str]:
        return [self.url(host, 0) for host in range(len(self.hosts))]

    @property
    def urls(self) -> frozenset[str]:
        return frozenset(self.url(host, page) for host in range(len(self.hosts)) for page in range(self._pages))

    def body(self, host: str, path: str) -> bytes | None:
        """Return the page at a path, None if there is none."""
        number = path[2:] or "0"
        if not number.isdecimal() or int(number) >= self._pages:
            return None
        n, here = int(number), self._numbers[host]
        after = range(1, FANOUT + 1) if n == 0 else [n + FANOUT]
        links = [self.url(here, k) for k in after if k < self._pages] + [self.url(here + 1, n)]
        text = "".join(f'<p>tea and a cup <a href="{link}">next</a></p>' for link in links)
        return f"<!doctype html><title>{host} {n}</title>{text}{'<p>words of a page</p>' * 40}".encode()

    def latency(self, host: str) -> float:
        low, high = LATENCY
        return low + (high - low) * (self._numbers[host] % 10) / 10

    def answered(self, host: str, path: str) -> None:
        self._first.setdefault((host, path), time.monotonic())

    def rate(self, since: float, until: float) -> float:
        """Return the pages that were answered for the first time, a second. Times are monotonic."""
        n = sum(since <= at < until for (_, path), at in list(self._first.items()) if path != "/robots.txt")
        return n / (until - since)

    def pauses(self) -> Iterator[Pause]:
        """Yield the pauses of all hosts; robots.txt counts as any request."""
        for host, asked in self.asked.items():
            for before, after in pairwise(asked):
                yield Pause(after.start - (before.end or after.start), host, before.path, after.path)

    def requests(self, path: str = "") -> int:
        """Return how many there were, of this path if one is given."""
        return sum(not path or each.path == path for asked in self.asked.values() for each in asked)

    def __enter__(self) -> ManyHosts:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


class _Peer(asyncio.Protocol):
    """One connection. Requests follow each other, as those of our clients do."""

    def __init__(self, web: ManyHosts, loop: asyncio.AbstractEventLoop) -> None:
        self._web = web
        self._loop = loop
        self._read = b""
        self._now: Asked | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._host: str = transport.get_extra_info("sockname")[0]

    def data_received(self, data: bytes) -> None:
        self._read += data
        if HEAD not in self._read:
            return
        path = self._read.split(b" ", 2)[1].decode()
        self._read = self._read.partition(HEAD)[2]
        self._now = Asked(path, time.monotonic())
        self._web.asked[self._host].append(self._now)
        self._loop.call_later(self._web.latency(self._host), self._answer, self._now)

    def _answer(self, asked: Asked) -> None:
        if asked.end:  # the client has gone
            return
        body = self._web.body(self._host, asked.path)
        status, body = (b"404 Not Found", b"") if body is None else (b"200 OK", body)
        asked.end, asked.is_answered = time.monotonic(), True
        self._transport.write(b"HTTP/1.1 %b\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        self._web.answered(self._host, asked.path)

    def connection_lost(self, error: Exception | None) -> None:
        if self._now is not None and not self._now.end:
            self._now.end = time.monotonic()
