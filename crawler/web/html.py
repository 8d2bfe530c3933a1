"""Reading an HTML page: one tree, made when first needed, and what a crawler asks of it.

    body ──decode──▶ text          body ──Html──▶ title, description, canonical, language, robots, links, text, select

The tree is the one a browser builds (WHATWG, in C: `turbohtml`), without running scripts. Whatever a page contains, reading it
ends: links are counted, their URLs and texts are cut to measure, nesting costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Final, Literal

import turbohtml
from msgspec import Struct
from turbohtml import Document, Element, Namespace

from crawler.web.directives import Directives, directives
from crawler.web.encoding import charset, decode, is_html, settle
from crawler.web.joins import joiner
from crawler.web.metadata import read_jsonld, read_opengraph

__all__ = ["LINK_TAGS", "MAX_LINKS", "Html", "Link", "LinkTag", "base_url", "decode", "is_html", "links", "meta_refresh"]

LinkTag = Literal["a", "area", "iframe", "frame", "link", "meta", "img", "source"]
# What leads to other pages; meta: http-equiv=refresh, link: next, alternate and the like. "img" and "source" only when asked.
LINK_TAGS: Final[tuple[LinkTag, ...]] = ("a", "area", "iframe", "frame", "link", "meta")

MAX_LINKS: Final = 10_000          # links of one page; Nutch stops at 100, the longest pages of real sites have some 5,000
MAX_LINK_CHARS: Final = 4 << 20    # characters of all URLs of one page: a long base makes many short links long
MAX_LINK_TEXT: Final = 1_000       # characters of a link's text: tables let links nest, and each would hold the rest
_MAX_METAS: Final = 1_000          # <meta> and <link> elements looked at

_HREF: Final = {"a": "href", "area": "href", "link": "href", "iframe": "src", "frame": "src"}

# A <link> is followed when it names another page (HTML living standard and HTML 4 §6.12), not a part of this one.
_PAGE_RELS: Final = frozenset({
    "alternate", "appendix", "author", "bookmark", "canonical", "chapter", "contents", "copyright", "first", "glossary",
    "help", "home", "index", "last", "license", "next", "prev", "previous", "search", "section", "start", "subsection", "toc",
    "top", "up",
})  # fmt: skip
_PAGE_TYPES: Final = frozenset({"", "text/html", "application/xhtml+xml"})

_MAIN: Final = "main, [role=main]"
_AROUND: Final = (
    "nav, aside, body > header, body > footer, [role=navigation], [role=banner], [role=contentinfo], [role=search]"
)


class Link(Struct, frozen=True, eq=False):
    """A link as it stands on a page."""

    url: str                       # absolute, http(s), without fragment
    rel: str                       # the attribute, as written
    tag: str
    element: Element               # keeps the page's tree alive

    @property
    def text(self) -> str:
        """What the reader sees, white space collapsed, MAX_LINK_TEXT characters at most."""
        return _clipped(self.element)

    @property
    def is_nofollow(self) -> bool:
        return bool(self.rel) and "nofollow" in self.rel.lower().split()


class Html:
    """A page's tree and the answers read from it, each worked out once.

    url: where the page was fetched, which relative links start from. content_type: the header, whose charset outranks
    what the page says of itself. link_tags and max_links: which links are read and how many at most.
    """

    def __init__(
        self,
        source: bytes | str,
        url: str = "",
        content_type: str = "",
        *,
        link_tags: Sequence[LinkTag] = LINK_TAGS,
        max_links: int = MAX_LINKS,
    ) -> None:
        self.source = source
        self.url = url
        self.content_type = content_type
        self.link_tags = tuple(link_tags)
        self.max_links = max_links

    @cached_property
    def document(self) -> Document:
        """The tree: `turbohtml`'s, with its select, xpath, find and the rest. Not for editing, others read it too."""
        return self._parse()

    def _parse(self) -> Document:
        if isinstance(self.source, str):
            return turbohtml.parse(self.source, positions=False)
        return turbohtml.parse(self.source, encoding=charset(self.content_type), detect_encoding=True, positions=False)

    @cached_property
    def encoding(self) -> str:
        """WHATWG name, lower case: the same that `decode` gives."""
        if isinstance(self.source, str):
            return "utf-8"
        return settle(self.document.encoding, self.document.encoding_confidence, self.source)

    @cached_property
    def base(self) -> str:
        """What links are relative to: the first <base href> if it is an http(s) URL, else the page's own URL."""
        element = self.document.select_one("base[href]")
        href = element.attr("href") if element is not None else None
        return (joiner(self.url)(href) or self.url) if href else self.url

    @cached_property
    def title(self) -> str | None:
        """The page's, not that of a picture in it (SVG has titles too)."""
        titles = self.document.iter_elements("title")
        return next((_collapsed(title.text) for title in titles if title.namespace is Namespace.HTML), None)

    @cached_property
    def metas(self) -> dict[str, list[str]]:
        """Contents of the <meta name=…> elements, by name in lower case, in the page's order."""
        found: dict[str, list[str]] = {}
        for element in islice(self.document.iter_elements("meta"), _MAX_METAS):
            name, content = element.attr("name"), element.attr("content")
            if name and content is not None:
                found.setdefault(name.strip().lower(), []).append(content)
        return found

    @cached_property
    def jsonld(self) -> list[Any]:
        """What the <script type=application/ld+json> elements hold, in the page's order; see `metadata`."""
        return read_jsonld(self.document)

    @cached_property
    def opengraph(self) -> dict[str, list[str]]:
        """Open Graph properties, each with all its values in the page's order; see `metadata`."""
        return read_opengraph(self.document)

    @cached_property
    def description(self) -> str | None:
        return next((_collapsed(content) for content in self.metas.get("description", ())), None)

    @cached_property
    def canonical(self) -> str | None:
        """Where the page says it really lives: the first <link rel=canonical> that is an http(s) URL."""
        to_url = joiner(self.base)
        for element in islice(self.document.iter_elements("link"), _MAX_METAS):
            if "canonical" in (element.attr("rel") or "").lower().split():
                url = to_url(element.attr("href") or "")
                if url:
                    return url
        return None

    @cached_property
    def language(self) -> str | None:
        """As the page declares it on its root element, e.g. `en-GB`; nothing is guessed."""
        root = self.document.root
        return ((root.attr("lang") or root.attr("xml:lang") or "").strip() or None) if root is not None else None

    def robots(self, agent: str) -> Directives:
        """What the page's <meta> elements ask of all robots and of the one of this name."""
        return directives([*self.metas.get("robots", ()), *self.metas.get(agent.lower(), ())], agent)

    @property
    def links(self) -> list[Link]:
        """In the page's order, each URL once; where it stands with rel=nofollow and without, the one without."""
        return self._links[0]

    @property
    def has_more_links(self) -> bool:
        """`links` was cut: the page has more than max_links, or than MAX_LINK_CHARS of them."""
        return self._links[1]

    @cached_property
    def _links(self) -> tuple[list[Link], bool]:
        to_url = joiner(self.base)
        found: dict[str, Link] = {}
        room = MAX_LINK_CHARS
        for element in self.document.iter_elements(self.link_tags):
            tag = element.tag
            for href in self._hrefs(element, tag):
                url = to_url(href)
                if url is None:
                    continue
                known = found.get(url)
                if known is None:
                    room -= len(url)
                    if len(found) >= self.max_links or room < 0:
                        return list(found.values()), True
                    found[url] = Link(url, element.attr("rel") or "", tag, element)
                elif known.is_nofollow:
                    found[url] = Link(url, element.attr("rel") or "", tag, element)
        return list(found.values()), False

    def _hrefs(self, element: Element, tag: str) -> Iterable[str]:
        attribute = _HREF.get(tag)
        if attribute is not None:
            href = element.attr(attribute)
            return () if href is None or (tag == "link" and not _leads_to_a_page(element)) else (href,)
        if tag != "meta":
            return [link.url for link in element.links()]
        is_refresh = (element.attr("http-equiv") or "").strip().lower() == "refresh"
        return (self.refresh[1],) if is_refresh and self.refresh else ()

    @cached_property
    def refresh(self) -> tuple[float, str] | None:
        """Seconds and target of <meta http-equiv=refresh>, if the target is another http(s) URL."""
        try:
            found = self.document.meta_refresh(self.base)
        except ValueError:      # the parser's way to say that the seconds or the target are not readable
            return None
        if found is None or not math.isfinite(found[0]):
            return None
        url = joiner(self.base)(found[1])
        return (found[0], url) if url and url != self.url else None

    def text(self, form: Literal["text", "markdown"] = "text") -> str:
        """What there is to read: the page's <main> if it has one, without what is marked as menu, banner or footer.

        By the page's own markup, not by guessing from length or wording, which loses whole sections of good pages.
        """
        tree = self._parse()     # a tree of its own, because parts are cut out of it
        node = tree.select_one(_MAIN) or tree
        node.remove(_AROUND)
        return node.to_markdown() if form == "markdown" else node.to_text()


def links(html: bytes | str | Html, base: str) -> list[Link]:
    """The links of a page fetched from `base`: see `Html.links`."""
    return _read(html, base).links


def base_url(html: bytes | str | Html, url: str) -> str:
    """What the links of a page fetched from `url` are relative to."""
    return _read(html, url).base


def meta_refresh(html: bytes | str | Html, url: str) -> tuple[float, str] | None:
    """Seconds and absolute target of the page's <meta http-equiv=refresh>; None: there is none, or it reloads the page."""
    return _read(html, url).refresh


def _read(html: bytes | str | Html, url: str) -> Html:
    return html if isinstance(html, Html) else Html(html, url)


def _leads_to_a_page(element: Element) -> bool:
    rels = (element.attr("rel") or "").lower().split()
    kind = (element.attr("type") or "").partition(";")[0].strip().lower()
    return kind in _PAGE_TYPES and "stylesheet" not in rels and not _PAGE_RELS.isdisjoint(rels)


def _collapsed(text: str) -> str:
    return " ".join(text.split())


def _clipped(element: Element) -> str:
    return _collapsed("".join(_some(element.strings, MAX_LINK_TEXT)))[:MAX_LINK_TEXT]


def _some(pieces: Iterable[str], characters: int) -> Iterator[str]:
    for piece in pieces:
        yield piece[:characters]
        characters -= len(piece)
        if characters <= 0:
            return
