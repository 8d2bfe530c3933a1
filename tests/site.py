"""A web of known shape on loopback, with a log of who asked for what and when.

    with Site({"/": '<a href="/a">a</a>', "/a": "<h1>a</h1>"}) as site:
        site.hold("/a")                    # this answer is kept back …
        …
        site.wait_for_request("/a")        # … the crawler has asked for it …
        site.release("/a")                 # … and now gets it

By hand: python tests/site.py --pages 500
"""

from __future__ import annotations

import argparse
import mimetypes
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from crawler.demo.loopback import Loopback, Request, Response

__all__ = ["Content", "Hit", "Request", "Response", "Site", "generated"]

Content = str | bytes | Response | Callable[[Request], Response]
PATIENCE = 60.0  # s a test waits for a request before it is taken for lost


@dataclass
class Hit:
    """One request as the server saw it."""

    path: str  # with the query
    host: str
    agent: str
    start: float  # s, monotonic: the request line and headers have been read
    end: float = 0.0  # s, monotonic: the answer is about to be written, so before the client knows; 0: not yet
    status: int = 0  # 0: not yet


class Site(Loopback):
    """Pages by path (query included if a page is to differ by it), or the files under a directory; else 404."""

    def __init__(
        self,
        pages: Mapping[str, Content] | None = None,
        root: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "",
    ) -> None:
        super().__init__(host, port, name)
        self.pages: dict[str, Content] = dict(pages or {})
        self.root = root.resolve() if root is not None else None
        self._hits: list[Hit] = []
        self._changed = threading.Condition()
        self._held: set[str] = set()

    @property
    def log(self) -> list[Hit]:
        """Every request so far, in order of arrival."""
        with self._changed:
            return list(self._hits)

    @property
    def counts(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(hit.path for hit in self.log)

    def link(self, path: str) -> str:
        """The URL of a path."""
        return self.url.rstrip("/") + path

    def hold(self, path: str) -> None:
        """Keep the answers for this path back from now on."""
        with self._changed:
            self._held.add(path)

    def release(self, path: str) -> None:
        with self._changed:
            self._held.discard(path)
            self._changed.notify_all()

    def wait_for_request(self, path: str, n: int = 1, timeout: float = PATIENCE) -> Hit:
        """Return the n-th request for this path as soon as it has come in."""

        def found() -> Hit | None:
            hits = [hit for hit in self._hits if hit.path == path]
            return hits[n - 1] if len(hits) >= n else None

        with self._changed:
            if not self._changed.wait_for(lambda: found() is not None, timeout):
                raise AssertionError(f"no {n}. request for {path} within {timeout} s; asked for: {self._hits}")
            hit = found()
        assert hit is not None
        return hit

    def stop(self) -> None:
        with self._changed:
            self._held.clear()
            self._changed.notify_all()
        super().stop()

    def answer(self, request: Request) -> Response:
        hit = Hit(request.target, request.host, request.agent, time.monotonic())
        with self._changed:
            self._hits.append(hit)
            self._changed.notify_all()
            self._changed.wait_for(lambda: request.target not in self._held)
        response = self._content(request)
        with self._changed:
            hit.status, hit.end = response.status, time.monotonic()
        return response

    def _content(self, request: Request) -> Response:
        path = request.target
        content = self.pages.get(path, self.pages.get(urlsplit(path).path))
        if content is None:
            return self._file(path)
        if isinstance(content, str):
            return Response(body=content.encode())
        if isinstance(content, bytes):
            return Response(body=content)
        return content if isinstance(content, Response) else content(request)

    def _file(self, path: str) -> Response:
        missing = Response(404, body=b"<h1>404</h1>")
        if self.root is None:
            return missing
        file = (self.root / unquote(urlsplit(path).path).lstrip("/")).resolve()
        if file.is_dir():
            file /= "index.html"
        if not file.is_relative_to(self.root) or not file.is_file():
            return missing
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        return Response(headers={"Content-Type": kind}, body=file.read_bytes())


def generated(n: int, seed: int = 0, links: int = 8, words: int = 60) -> dict[str, Content]:
    """n pages that can all be reached from "/": each is linked from one before it, and links to others at random."""
    dice = random.Random(seed)
    paths = ["/"] + [f"/p/{number}.html" for number in range(1, n)]
    targets: list[list[str]] = [[dice.choice(paths) for _ in range(links)] for _ in paths]
    for number in range(1, n):
        targets[dice.randrange(number)].append(paths[number])
    return {path: _page(number, targets[number], dice, words) for number, path in enumerate(paths)}


def _page(number: int, targets: list[str], dice: random.Random, words: int) -> str:
    text = " ".join(dice.choice(("tea", "cup", "leaf", "water", "steam", "pot")) for _ in range(words))
    anchors = "\n".join(f'<li><a href="{target}">to {target}</a>' for target in targets)
    return f"<!doctype html><title>Page {number}</title><h1>Page {number}</h1><p>{text}</p>\n<ul>{anchors}</ul>"


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a generated web, or a directory, on loopback.")
    parser.add_argument("--pages", type=int, default=100, help="number of generated pages (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same web (default 0)")
    parser.add_argument("--root", type=Path, help="serve the files under this directory instead")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    args = parser.parse_args()
    pages = {} if args.root else generated(args.pages, args.seed)
    with Site(pages, root=args.root, port=args.port) as site:
        print(site.url, flush=True)  # noqa: T201  a script of its own
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(site.log)} requests")  # noqa: T201  a script of its own


if __name__ == "__main__":
    main()
