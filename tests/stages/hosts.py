"""A web of any host names on loopback, and a crawl of it through frontier, fetch and parse.

    crawl({"http://a.test/": page("/b"), "http://a.test/b": redirect("/c", "Set-Cookie: seen=1")}, "http://a.test/", client="curl")

The server is a proxy, so no name has to be resolved. The crawl is what the pipeline does without processes, waiting and politeness;
a visit that fails is tried again without end.
"""

from __future__ import annotations

import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from crawler import Drop, LocalShared, New, Page, Retry, To, Visit, Visits
from crawler.config.settings import FrontierSettings
from crawler.web.frontier import Frontier
from crawler_stages.fetch import Fetch
from crawler_stages.parse import Parse
from tests.stages.begun import given

CLIENTS = ["requests", "curl", "curl begun"]

Answer = bytes | Callable[[Mapping[str, str]], bytes]  # or what the headers of a request give, names in lower case


def reply(body: str | bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    content = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status}", "Content-Type: text/html", *headers, f"Content-Length: {len(content)}", "Connection: close"]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + content


def page(*hrefs: str, title: str = "page", headers: tuple[str, ...] = ()) -> bytes:
    return reply(f"<!doctype html><title>{title}</title>" + "".join(f'<a href="{href}">x</a>' for href in hrefs), *headers)


def redirect(target: str, *headers: str, status: str = "302 Found") -> bytes:
    return reply(b"", f"Location: {target}", *headers, status=status)


class Hosts(socketserver.ThreadingTCPServer):
    """The proxy: what it was asked for, in order, each URL with the Cookie header it came with."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = answers
        self.sent: list[tuple[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.StreamRequestHandler):
    server: Hosts

    def handle(self) -> None:
        lines = []
        while line := self.rfile.readline().decode("latin-1").strip():
            lines.append(line)
        if not lines:
            return
        url = lines[0].split(" ")[1]
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self.server.sent.append((url, headers.get("cookie", "")))
        answer = self.server.answers.get(url, reply("no", status="404 Not Found"))
        self.wfile.write(answer if isinstance(answer, bytes) else answer(headers))


@contextmanager
def hosts(answers: Mapping[str, Answer]) -> Iterator[Hosts]:
    with Hosts(answers) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Crawled(msgspec.Struct):
    """The outcome of a crawl."""

    sent: list[tuple[str, str]]  # URL and Cookie header, in order
    titles: dict[str, str | None]  # by URL, of the last page with status 200
    counts: Counter[str]  # of all fetchers

    @property
    def urls(self) -> list[str]:
        return [url for url, _ in self.sent]


def crawl(
    answers: Mapping[str, Answer], *seeds: str, client: str, fetchers: int = 1, frontier: Mapping[str, Any] | None = None,
    **fetch: Any,
) -> Crawled:  # fmt: skip
    """Crawl until nothing is left. fetchers: as many worker processes, which take turns and share no cookies."""
    with hosts(answers) as server:
        return _Crawl(server, client, fetchers, frontier or {}, fetch).run(seeds)


class _Crawl:
    def __init__(self, server: Hosts, client: str, fetchers: int, frontier: Mapping[str, Any], fetch: Mapping[str, Any]) -> None:
        self._server = server
        name, _, is_begun = client.partition(" ")
        self._take = given if is_begun else lambda stage, visit: list(stage.process(visit))
        shared = LocalShared()
        options = {"robots": False, "timeout": 10, "proxy": server.address, **fetch, "client": name}
        self._fetchers = [Fetch(msgspec.convert(options, Fetch.Options), shared) for _ in range(fetchers)]
        self._parse = Parse(None, shared)
        self._frontier = Frontier(msgspec.convert(dict(frontier), FrontierSettings), shared)
        self._waiting: list[Visit] = []
        self._keys: set[bytes | None] = set()
        self._titles: dict[str, str | None] = {}

    def run(self, seeds: tuple[str, ...]) -> Crawled:
        for stage in (*self._fetchers, self._parse):
            stage.open()
        try:
            for seed in seeds:
                self._put(self._frontier.seed(seed))
            while self._waiting:
                self._visit(self._waiting.pop(0))
        finally:
            for fetch in self._fetchers:
                fetch.close()
        counts = sum((Counter(fetch.take_counts()) for fetch in self._fetchers), Counter())
        return Crawled(self._server.sent, self._titles, counts)

    def _put(self, new: New | str) -> None:
        if isinstance(new, New) and new.key not in self._keys:
            self._keys.add(new.key)
            self._waiting.append(msgspec.msgpack.decode(new.item, type=Visit))

    def _visit(self, visit: Visit) -> None:
        self._fetchers.append(self._fetchers.pop(0))
        try:
            items = self._take(self._fetchers[-1], visit)
        except Drop:
            return
        except Retry:
            self._waiting.append(visit)
            return
        for item in list(items):
            if isinstance(item, Page):
                items += self._parse.process(item)
                if item.status_code == 200:
                    self._titles[item.url] = item.html.title
        for item in items:
            if isinstance(item, To):
                for found in item.item if isinstance(item.item, Visits) else [item.item]:
                    self._put(self._frontier.admit(found, visit))
