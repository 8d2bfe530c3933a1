"""Reading a sitemap (sitemaps.org protocol): XML, an index of others, plain text, or a feed; each gzipped or not.

    body ──unpack──▶ <urlset> | <sitemapindex> | lines | <rss>, <feed> ──read──▶ Sitemap: URLs, and what was wrong

Sitemaps are written by all kinds of scripts, so names count in any case, prefix and namespace, a missing closing tag or bare "&"
costs nothing, and a document that is cut short gives what came before. What other sitemaps' extensions add (news, pictures,
videos) is passed over; `xhtml:link` alternates are told. Past the protocol's limits (50 MB, 50,000 URLs) the rest is left out
and `problems` says so.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final, Literal

from msgspec import Struct

from crawler.web import feed
from crawler.web.encoding import decode
from crawler.web.joins import MAX_URL
from crawler.web.mime import media_type
from crawler.web.urls import join
from crawler.web.xml import Element, Elements, first_bytes, root, unpack

MAX_URLS: Final = 50_000  # of one sitemap (sitemaps.org)
MAX_ALTERNATES: Final = 200_000  # of one sitemap, in all
MAX_CHARS: Final = 64 << 20  # of all URLs together: percent-encoding makes three of one
MAX_PROBLEMS: Final = 100  # told; more are not of interest
_MAX_LINES: Final = 2 * MAX_URLS  # of a text sitemap
_MAX_VALUE: Final = 64  # characters of a date or frequency
_SHOWN: Final = 200  # characters of a bad location in a problem

Kind = Literal["urlset", "index", "text", "feed", ""]

_ROOTS: Final[dict[str, Kind]] = {"urlset": "urlset", "sitemapindex": "index"}
_ROOT_OF: Final = {"urlset": "urlset", "index": "sitemapindex", "feed": "feed"}
_ENTRIES: Final[dict[str, Kind]] = {"url": "urlset", "sitemap": "index", **_ROOTS}  # <loc> straight in the root is forgiven
_PRIORITY: Final = re.compile(r"\d{0,9}(?:\.\d{1,9})?(?<=\d)", re.ASCII)
_LINE: Final = re.compile(rb"[^\r\n]+")
_ABSOLUTE: Final = re.compile(r"https?://\S+", re.IGNORECASE)
_TEXT_START: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*+https?://", re.IGNORECASE)


class Alternate(Struct, frozen=True):
    """The same page in another language or for another device."""

    url: str
    language: str  # as written, e.g. "de-AT" or "x-default"; "" if not told


class SitemapUrl(Struct, frozen=True):
    """An entry: a page, or in an index another sitemap."""

    url: str  # absolute, http(s), without fragment
    lastmod: str = ""  # as written; should be a W3C date, e.g. 2026-01-31
    changefreq: str = ""  # as written, e.g. "daily"
    priority: float | None = None  # 0.0 to 1.0 if the site is right
    alternates: tuple[Alternate, ...] = ()


class Sitemap(Struct, frozen=True):
    """Contents of a sitemap."""

    kind: Kind  # "": it is none
    urls: list[SitemapUrl]  # each URL once, in the sitemap's order
    problems: list[str]  # parts left out, and why; at most MAX_PROBLEMS

    @property
    def lack(self) -> str:
        """Reason it has no URL, in a few stable words; "" if it has some."""
        if self.urls:
            return ""
        if self.problems and any(word in self.problems[0] for word in ("cut short", "broken")):
            return "cut short or broken"
        return f"no URL in its <{_ROOT_OF[self.kind]}>" if self.kind in _ROOT_OF else "neither XML nor a list of URLs"


def read(body: bytes, base: str = "", content_type: str = "") -> Sitemap:
    """Read a sitemap. Never raises: parts that cannot be read are problems.

    base: where it was fetched; relative locations, which the protocol forbids, are then read as links, and else left out.
    content_type: the header, whose charset outranks what the document declares.
    """
    document, problem = unpack(body)
    name = root(document)
    reading = _Reading(base, problem)
    if name in feed.FEED_ROOTS:
        found = feed.read(document, base, content_type)
        return Sitemap("feed", [SitemapUrl(url) for url in found.links[:MAX_URLS]], [*reading.problems, *found.problems])
    if name == "html":
        return Sitemap("", [], ["not a sitemap: its root element is <html>"])
    if name or b"<loc" in document[:MAX_URL].lower():
        kind = reading.elements(Elements(document, content_type), _ROOTS.get(name, ""))
    else:
        kind = reading.lines(document, content_type)
    if not kind:
        reading.note(f"not a sitemap: {f'its root element is <{name[:_SHOWN]}>' if name else 'it has no URL to begin with'}")
    return Sitemap(kind, list(reading.found.values()), reading.problems)


def is_sitemap(body: bytes, content_type: str = "", *, is_named: bool = False) -> bool:
    """Return whether to read this as a sitemap or feed, by its first bytes: the root element, or text that begins with a URL.
    Cheap.

    Text may still be something else: see `Sitemap.problems`. is_named: a site or a person calls it a sitemap, so that text may have
    any type, and be gzipped like XML.
    """
    name = root(body)
    if name:
        return name in _ROOTS or name in feed.FEED_ROOTS
    if is_named:
        return _TEXT_START.match(first_bytes(body), 0, MAX_URL) is not None
    return media_type(content_type) == "text/plain" and _TEXT_START.match(body, 0, MAX_URL) is not None


def is_list(found: Sitemap) -> bool:
    """Return whether a text is a list of URLs. One that only begins with a URL is prose: in a list nearly all lines are URLs."""
    return found.kind not in ("text", "") or 10 * len(found.problems) <= len(found.urls)


class _Reading:
    """State of reading a sitemap."""

    def __init__(self, base: str, problem: str) -> None:
        self.found: dict[str, SitemapUrl] = {}
        self.problems: list[str] = [problem] if problem else []
        self._base = base
        self._room = MAX_CHARS
        self._alternates_room = MAX_ALTERNATES
        self.is_full = False  # more was there than is allowed, and that has been noted
        self._loc = ""
        self._details: dict[str, str] = {}
        self._alternates: list[Alternate] = []

    def elements(self, elements: Elements, kind: Kind) -> Kind:
        for element in elements:
            entry = _ENTRIES.get(element.parent.name, "") if element.parent else ""
            if element.name == "loc" and entry:
                kind = kind or entry
                if self._loc:  # the closing tag of the entry before is missing
                    self._finish()
                self._loc = element.text
            elif element.name in ("url", "sitemap") and self._loc:
                self._finish()
            elif element.name in ("url", "sitemap") and element.parent and element.parent.name in _ROOTS:
                self._details, self._alternates = {}, []
                self.note(f"a <{element.name}> without <loc>")
            elif entry:
                self._detail(element)
            if self.is_full:
                return kind
        if self._loc:
            self._finish()
        if elements.problem:
            self.note(elements.problem)
        return kind

    def lines(self, document: bytes, content_type: str) -> Kind:
        is_wide = b"\0" in document[:_SHOWN]  # UTF-16: lines are found in bytes only where "\n" is one
        text = decode(document, content_type or "text/plain")[0].encode("utf-8", "replace") if is_wide else document
        for line in islice(_LINE.finditer(text.removeprefix(b"\xef\xbb\xbf")), _MAX_LINES):
            self._loc = line[0][: MAX_URL + 1].decode("utf-8", "replace").strip()
            if self._loc:
                self._finish(is_line=True)
            if self.is_full:
                break
        return "text" if self.found else ""

    def note(self, problem: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    def _detail(self, element: Element) -> None:
        if element.name == "link":
            is_meant = self._alternates_room > 0 and (element.attr("rel") or "alternate").lower() == "alternate"
            url = self._absolute(element.attr("href") or "") if is_meant else None
            if url:
                self._alternates_room -= 1
                self._alternates.append(Alternate(url, (element.attr("hreflang") or "")[:_MAX_VALUE]))
        elif element.name in ("lastmod", "changefreq", "priority"):
            self._details[element.name] = element.text[:_MAX_VALUE]

    def _finish(self, *, is_line: bool = False) -> None:
        # A line is a URL as it stands: words of prose would pass for relative ones.
        url = None if is_line and not _ABSOLUTE.fullmatch(self._loc) else self._absolute(self._loc)
        if url is None:
            self.note(f"not an absolute http(s) URL of at most {MAX_URL} characters: {self._loc[:_SHOWN]!r}")
        elif url not in self.found:
            alternates = tuple(self._alternates)
            self._room -= len(url) + sum(len(alternate.url) for alternate in alternates)
            if len(self.found) >= MAX_URLS or self._room < 0:
                self.is_full = True
                self.note(f"more than {MAX_URLS} URLs, or {MAX_CHARS} characters of them: the rest is left out")
            else:
                told = self._details
                priority = _number(told.get("priority", ""))
                self.found[url] = SitemapUrl(url, told.get("lastmod", ""), told.get("changefreq", ""), priority, alternates)
        self._loc, self._details, self._alternates = "", {}, []

    def _absolute(self, href: str) -> str | None:
        url = join(self._base or href, href)
        return url if url is not None and len(url) <= MAX_URL else None


def _number(text: str) -> float | None:
    return float(text) if _PRIORITY.fullmatch(text) else None
