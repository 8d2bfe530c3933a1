"""What a crawl of a documentation tree must bring home, found without the crawler: the files themselves, walked breadth first.

Another HTML parser and another URL library than the crawler's, so that a fault of either is not on both sides of the comparison.
"""

from __future__ import annotations

from collections import deque
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

ROOT = "http://tree/"  # a name for the tree's origin; nobody is asked for it


class References(HTMLParser):
    """Where a page's <a href> lead."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.hrefs += [value for name, value in attrs if name == "href" and value]


def html_paths(tree: Path) -> set[str]:
    """The paths of all HTML pages that can be reached from the tree's `/`."""
    seen = {"/"}
    waiting = deque(seen)
    pages = set()
    while waiting:
        path = waiting.popleft()
        file = file_of(tree, path)
        if file.suffix == ".html" and file.is_file():
            pages.add(path)
            found = references(file, path) - seen
            seen |= found
            waiting += found
    return pages


def file_of(tree: Path, path: str) -> Path:
    """What a plain web server sends for it."""
    return tree / (unquote(path)[1:] + ("index.html" if path.endswith("/") else ""))


def references(file: Path, path: str) -> set[str]:
    """Paths of this origin that a page links to."""
    parser = References()
    parser.feed(file.read_text("utf-8", "replace"))
    parser.close()
    links = (urlsplit(urljoin(ROOT + path[1:], href.strip())) for href in parser.hrefs)
    return {link.path or "/" for link in links if f"{link.scheme}://{link.netloc}/" == ROOT}
