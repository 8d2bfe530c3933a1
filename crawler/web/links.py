"""One walk over a page's tree, which collects its metadata elements and its links.

    tree ──walk──▶ <base>, <title>, <meta>, <link>
            └────▶ hrefs, each once ──join, all at once──▶ URLs, each once ──▶ Link, when asked for

A page has a hundred links and a crawl reads all of them: a microsecond here is a tenth of a millisecond a page, so the many are
worked on in rows. Whatever a page contains, reading it ends: links are counted, their URLs and texts are cut to measure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, islice
from typing import Final, Literal, NamedTuple

from msgspec import Struct
from turbohtml import Document, Element, Namespace

from crawler.web.joins import MAX_URL, join_all, joiner

LinkTag = Literal["a", "area", "iframe", "frame", "link", "meta", "img", "source"]
# What leads to other pages; meta: http-equiv=refresh, link: next, alternate and the like. "img" and "source" only when asked.
LINK_TAGS: Final[tuple[LinkTag, ...]] = ("a", "area", "iframe", "frame", "link", "meta")

MAX_LINKS: Final = 10_000  # links of one page; Nutch stops at 100, the longest pages of real sites have some 5,000
MAX_LINK_CHARS: Final = 4 << 20  # characters of all URLs of one page: a long base makes many short links long
MAX_LINK_TEXT: Final = 1_000  # characters of a link's text: tables let links nest, and each would hold the rest
_MAX_METAS: Final = 1_000  # <meta> and <link> elements looked at
_AT_ONCE: Final = 1_000  # elements in a row: most pages have fewer, and of endless pages not all are joined

_SHORT: Final = 200  # characters of a <link>'s rel and type that are worth remembering

_HEAD: Final = ("base", "title", "meta", "link")
_NOWHERE: Final = "about:"  # in place of a missing href: it is no http URL, so it gives no link
_HREF: Final = {"area": "href", "link": "href", "iframe": "src", "frame": "src"}

# A <link> is followed when it names another page (HTML living standard and HTML 4 §6.12), not a part of this one.
_PAGE_RELS: Final = frozenset({
    "alternate", "appendix", "author", "bookmark", "canonical", "chapter", "contents", "copyright", "first", "glossary",
    "help", "home", "index", "last", "license", "next", "prev", "previous", "search", "section", "start", "subsection", "toc",
    "top", "up",
})  # fmt: skip
_PAGE_TYPES: Final = frozenset({"", "text/html", "application/xhtml+xml"})


class Link(Struct, frozen=True, eq=False):
    """Link on a page."""

    url: str  # absolute, http(s), without fragment
    rel: str  # the attribute, as written
    tag: str
    element: Element  # keeps the page's tree alive

    @property
    def text(self) -> str:
        """The words that a reader sees, MAX_LINK_TEXT characters at most; see `words`."""
        from crawler.web.words import words

        return words(self.element, MAX_LINK_TEXT)

    @property
    def is_nofollow(self) -> bool:
        return bool(self.rel) and "nofollow" in self.rel.lower().split()


_Refresh = Callable[[str], str | None]


class _Row(NamedTuple):
    """Elements that were read at once. Most crawls want URLs only, so the element that holds each is found when asked for."""

    once: list[str]  # hrefs, each once
    urls: list[str]  # of these, joined
    hrefs: list[str]  # as they stand on the page
    elements: list[Element]  # of these

    def first(self) -> dict[str, Element]:
        """Return the first element of each href, in the page's order."""
        first = dict(zip(reversed(self.hrefs), reversed(self.elements), strict=True))
        return {href: first[href] for href in self.once}

    def holders(self) -> Iterator[tuple[str, Element]]:
        return zip(self.urls, self.first().values(), strict=True)


class Reading:
    """The results of one walk over a page's tree.

    encoding: the page's. refresh: from its base to where its <meta http-equiv=refresh> leads, asked only if need be.
    """

    def __init__(
        self, document: Document, url: str, tags: Sequence[LinkTag], most: int, refresh: _Refresh, encoding: str = "utf-8"
    ) -> None:
        self.base = url  # what links are relative to
        self.title: Element | None = None  # the page's, not that of a picture in it (SVG has titles too)
        self.metas: list[Element] = []
        self.head_links: list[Element] = []  # <link>, whether they lead to a page or not
        self.urls: dict[str, None] = {}  # in the page's order, each once
        self.nofollow: set[str] = set()  # of these, those with rel=nofollow everywhere
        self.is_cut = False  # the page has more links, or more than MAX_LINK_CHARS of them
        self._has_nofollow = False  # some element may stand with rel=nofollow
        self._encoding = encoding
        self._base: str | None = None  # href of the first <base> that has one
        self._rows: list[_Row] = []
        self._walk(document, url, tags, most, refresh)

    def links(self) -> list[Link]:
        """Return the links; if a URL occurs with rel=nofollow and without, the one without."""
        found: dict[str, Element] = {}
        for row in self._rows:
            for url, element in row.holders():
                if url not in found or (_is_nofollow(found[url]) and not _is_nofollow(element)):
                    found[url] = element
        return [Link(url, found[url].attr("rel") or "", found[url].tag, found[url]) for url in self.urls]

    def _walk(self, document: Document, url: str, tags: Sequence[LinkTag], most: int, refresh: _Refresh) -> None:
        elements = document.iter_elements((*_HEAD, *tags))
        self._has_nofollow = document.select_one("[rel*=nofollow i]") is not None  # one search instead of a look at every link
        is_first = True
        while some := list(islice(elements, _AT_ONCE)):
            others = [(place, element.tag, element) for place, element in enumerate(some) if element.tag != "a"]
            self._note(others)
            if is_first:
                is_first = False
                if self._base is None and len(some) == _AT_ONCE:
                    late = next((each for each in document.select("base[href]") if _is_base(each)), None)
                    self._base = late.attr("href") if late is not None else None
                if self._base:
                    self.base = joiner(url, self._encoding)(self._base) or url
            if not self.is_cut:
                self._read(some, [
                    (place, _hrefs(tag, element, self.base, refresh) if tag in tags else ()) for place, tag, element in others
                ])  # fmt: skip
                self._cut(most)

    def _note(self, others: list[tuple[int, str, Element]]) -> None:
        """Collect the elements that describe the page, wherever they occur."""
        for _, tag, element in others:
            if tag == "meta":
                self.metas.append(element)
            elif tag == "link":
                self.head_links.append(element)
            elif tag == "title":
                if self.title is None and element.namespace is Namespace.HTML:
                    self.title = element
            elif tag == "base" and self._base is None and _is_base(element):
                self._base = element.attr("href")
        del self.metas[_MAX_METAS:], self.head_links[_MAX_METAS:]

    def _read(self, some: list[Element], others: list[tuple[int, Sequence[str]]]) -> None:
        """others: at which places which hrefs, of other elements than <a>."""
        hrefs: list[str] = [element.attr("href", _NOWHERE) for element in some]  # type: ignore[misc]  # so it is never None
        for place, own in reversed(others):  # from the end, because several may replace one
            hrefs[place : place + 1] = own
            some[place : place + 1] = [some[place]] * len(own)
        # The answer has no fragment. Without it an href gives the same URL, unless white space comes before it.
        hrefs = [
            href if "#" not in href else "" if href[0] == "#" else short if (short := href.partition("#")[0])[-1] > " " else href
            for href in hrefs
        ]
        once = list(dict.fromkeys(hrefs))
        urls = join_all(self.base, once, self._encoding)
        row = _Row(once, urls, hrefs, some)
        if self._has_nofollow or self._rows:  # in later rows, which may be many, only the first element of each href is kept
            first = row.first()
            if self._has_nofollow:
                self._sort_out(dict(zip(once, urls, strict=True)), first, zip(hrefs, some, strict=True))
            row = _Row(once, urls, once, list(first.values()))
        self.urls.update(dict.fromkeys(urls))
        self.urls.pop("", None)
        self._rows.append(row)

    def _sort_out(self, urls: dict[str, str], first: dict[str, Element], pairs: Iterable[tuple[str, Element]]) -> None:
        """Find the URLs that occur with rel=nofollow only. The element kept for an href is one without, if there is one."""
        is_closed = {href: _is_nofollow(element) for href, element in first.items()}
        for href, element in pairs:
            if is_closed[href] and not _is_nofollow(element):
                first[href], is_closed[href] = element, False
        is_open = {urls[href] for href, closed in is_closed.items() if not closed}
        closed = {url for url in urls.values() if url not in is_open and (url not in self.urls or url in self.nofollow)}
        self.nofollow = ((self.nofollow - is_open) | closed) - {""}

    def _cut(self, most: int) -> None:
        if len(self.urls) * MAX_URL > MAX_LINK_CHARS:
            most = min(most, sum(total <= MAX_LINK_CHARS for total in accumulate(map(len, self.urls))))
        if len(self.urls) > most:
            self.is_cut = True
            self.urls = dict.fromkeys(islice(self.urls, most))
            self.nofollow &= self.urls.keys()


def _hrefs(tag: str, element: Element, base: str, refresh: _Refresh) -> Sequence[str]:
    """Return the hrefs of an element other than <a>."""
    if tag == "meta":
        kind = element.attr("http-equiv")
        url = refresh(base) if kind and kind.strip().lower() == "refresh" else None
        return (url,) if url else ()
    attribute = _HREF.get(tag)
    if attribute is None:
        return [link.url for link in element.links()]
    href = element.attr(attribute)
    if href is None or (tag == "link" and not _leads_to_a_page(element)):
        return ()
    # HTML: a <link> or a frame with an empty URL leads nowhere; an <area>, like <a>, leads to the page itself.
    return (href,) if href or tag == "area" else ()


def _is_base(element: Element) -> bool:
    """Tell whether a <base> is one of the document: HTML standard §4.2.3. That of a picture or a template is none."""
    return element.namespace is Namespace.HTML and element.closest("template") is None


def _is_nofollow(element: Element) -> bool:
    rel = element.attr("rel")
    return rel is not None and "nofollow" in rel.lower().split()


def _leads_to_a_page(element: Element) -> bool:
    rel, kind = element.attr("rel") or "", element.attr("type") or ""
    return _is_page_link(rel, kind) if len(rel) + len(kind) <= _SHORT else _names_a_page(rel, kind)


def _names_a_page(rel: str, kind: str) -> bool:
    rels = rel.lower().split()
    if _PAGE_RELS.isdisjoint(rels) or "stylesheet" in rels:
        return False
    return kind.partition(";")[0].strip().lower() in _PAGE_TYPES


_is_page_link = lru_cache(maxsize=1_000)(_names_a_page)  # there are few: each page of a site has the same ones
