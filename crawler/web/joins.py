"""Joining the links of a page to its base, quickly: the same pages are linked to from all over a site.

    "../b/c.html" on /a/x.html ─┐
    "/b/c.html"                 ├─▶ the path from the root ──▶ URL, worked out once
    "http://example.org/b/c…"  ─┘

A join costs some 2 µs, 4 if the parser is needed, a dictionary hit in a row of many 0.03. An href of any form is looked up by its
path from the root among the joins of its origin; if the path cannot be found without parsing, the whole href is remembered, or
nothing. Finding the path takes a microsecond, so hrefs are remembered unchanged too: "http://…" for all pages of the origin,
"b/c.html" for those of a directory, "../b/c.html" for those of all directories with the same parent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Final

from crawler.web.urls import is_plain, join

MAX_URL: Final = 8_192  # characters; RFC 9110 §4.1 recommends to accept 8,000, real sites use less

_KEPT: Final = 50_000  # joins remembered: some 15 MB at usual lengths
_KEPT_NEAR: Final = 50_000  # hrefs remembered by place: some 8 MB, the URLs are those of the joins
_KEPT_LENGTH: Final = 512  # characters of an href and its base that are worth remembering

# Encodings of pages whose queries are sent as UTF-8 (WHATWG Encoding, "get an output encoding").
_UTF: Final = frozenset({"utf-8", "utf-16le", "utf-16be", "replacement"})

# With a scheme of its own ("http:x" has none, it is relative), or from the root: of the base only the origin matters.
_ROOTED: Final = re.compile(r"https?://|/|(?!https?:)[a-z][a-z0-9+.-]*:", re.ASCII | re.IGNORECASE)
# A path whose first segment can be no scheme: nothing after the last slash of the base matters.
_RELATIVE: Final = re.compile(r"[\w.%~-]+(?:[/?#]|$)", re.ASCII)
# Behind a first slash: "//x" means the host x, and white space is left out.
_HOST_FOLLOWS: Final = ("/", "\\", "\t", "\n", "\r")
# Origin and directory of a base. Where "\" stands for "/", or a segment for the one before, they are not to be seen.
_BASE: Final = re.compile(r"(https?://[^/?#\\]*)((?:/(?!\.|%2e)[^/?#\\]*)*/|)(?!\.|%2e)[^/?#\\]*(?:[?#]|$)", re.IGNORECASE)


class _Memory:
    """URLs by a place and a name there, "" for none; at `most` all is forgotten. Threads share it and at worst join twice."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: dict[Hashable, dict[str, str]] = {}
        self._kept = 0

    def __len__(self) -> int:
        """Number of URLs remembered, places included."""
        return len(self._places) + sum(map(len, self._places.values()))

    def at(self, place: Hashable) -> dict[str, str]:
        known = self._places.get(place)
        if known is None:  # a place takes room too: on some sites each page has its own
            self._grow()
            known = self._places[place] = {}
        return known

    def keep(self, place: Hashable, name: str, url: str) -> None:
        self._grow()
        self.at(place)[name] = url

    def _grow(self) -> None:
        if self._kept >= self._most:
            self._places, self._kept = {}, 0
        self._kept += 1


_joined = _Memory(_KEPT)  # by origin, and by path from the root or whole href
_near = _Memory(_KEPT_NEAR)  # by place, and by href

_Place = tuple[str, str, int]  # origin, directory, and the levels a base is below it, which is the number of "../" in an href


def join_all(base: str, hrefs: Sequence[str], encoding: str = "utf-8") -> list[str]:
    """Return the absolute URL of each without fragment; "": not http(s), not a URL, or longer than MAX_URL.

    encoding: the standard's name of the page's, in which the queries are sent.
    """
    if encoding not in _UTF and not "".join(hrefs).isascii():
        hrefs = [in_page_encoding(href, encoding) for href in hrefs]
    places = _places(base)
    if places is None:
        return [_join(base, href) for href in hrefs]
    known = _joined.at(places[0][0])
    found = list(map(known.get, hrefs))
    if None not in found:
        return found  # type: ignore[return-value]  # none of them is None
    here, above, far_above = map(_near.at, places)
    return [
        here.get(href) or above.get(href) or far_above.get(href) or _found(base, places, href) if url is None else url
        for url, href in zip(found, hrefs, strict=True)
    ]


def joiner(base: str, encoding: str = "utf-8") -> Callable[[str], str | None]:
    """Return the same for one href at a time; None where `join_all` has ""."""
    return lambda href: join_all(base, (href,), encoding)[0] or None


def in_page_encoding(href: str, encoding: str) -> str:
    """Return an href whose query is percent-encoded in the encoding of its page, if that makes a difference: see `queries`."""
    if encoding in _UTF or href.isascii() or len(href) > MAX_URL:
        return href
    from crawler.web.queries import in_encoding  # here, because hardly any page needs it

    return in_encoding(href, encoding)


@lru_cache(maxsize=1_000)
def _places(base: str) -> tuple[_Place, _Place, _Place] | None:
    """Return the places that remember hrefs that go up not at all, once and twice. None: the base would have to be parsed."""
    parts = _BASE.match(base) if len(base) <= _KEPT_LENGTH else None
    if parts is None:
        return None
    origin, directory = parts[1], parts[2] or "/"
    return (origin, directory, 0), (origin, parent := _above(directory), 1), (origin, _above(parent), 2)


def _above(directory: str) -> str:
    return directory[: directory.rfind("/", 0, -1) + 1] or "/"


def _found(base: str, places: Sequence[_Place], href: str) -> str:
    origin, directory, _ = places[0]
    path, ups = _from_root(origin, directory, href)
    if path is None:
        return _join(base, href)
    is_short = len(base) + len(href) <= _KEPT_LENGTH
    url = _joined.at(origin).get(path) if path is not href else None  # if not, it has been looked up
    if url is None:
        url = path if path[:1] != "/" else origin + path
        if not is_short or not is_plain(url):
            url = _join(base, href)
        if is_short:
            _joined.keep(origin, path, url)
    if is_short and path != href:
        if href.startswith(origin):
            _joined.keep(origin, href, url)
        elif ups < len(places):
            _near.keep(places[ups], href, url)
    return url


def _from_root(origin: str, directory: str, href: str) -> tuple[str | None, int]:
    """Return the href as a path from the root and the levels it goes up from the directory; the whole href if it has no such path
    on this origin; None if neither can be found without parsing."""
    ups = 0
    if href[:3] == "../":
        rest = href
        while rest[:3] == "../":
            rest = rest[3:]
            directory = _above(directory)
            ups += 1
        path = directory + rest
        return path if path[1:2] not in _HOST_FOLLOWS else None, ups
    if href.startswith(origin):
        path = href[len(origin) :]
        return path if path[:1] == "/" and path[1:2] not in _HOST_FOLLOWS else href, 0
    if _ROOTED.match(href):
        return href, 0
    return directory + href if directory[1:2] not in _HOST_FOLLOWS and _RELATIVE.match(href) else None, 0


def _join(base: str, href: str) -> str:
    url = join(base, href) if len(href) <= MAX_URL else None
    return url if url is not None and len(url) <= MAX_URL else ""
