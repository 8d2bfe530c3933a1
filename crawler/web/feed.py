"""Reading a feed for its links: RSS 2.0 and its forerunners, RSS 1.0 (RDF), Atom (RFC 4287).

    body ──unpack──▶ elements ──read──▶ Feed: the pages its entries are about, its own page, and its next pages (RFC 5005)

Pictures, sound and the feed's own address are not pages and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal

from msgspec import Struct

from crawler.web.joins import MAX_URL
from crawler.web.urls import join
from crawler.web.xml import Element, Elements, root, unpack
from crawler.wording.counting import counted

Kind = Literal["rss", "atom", "rdf", ""]

FEED_ROOTS: Final[dict[str, Kind]] = {"rss": "rss", "feed": "atom", "rdf": "rdf"}
MAX_LINKS: Final = 50_000  # of one feed, as of a sitemap; feeds in use have some 10 to 1,000

_HOLDERS: Final = frozenset({"channel", "item", "entry", "feed"})  # not image, source and the like
# Where an Atom link leads to a page (RFC 4287 §4.2.7.2), or to the rest of the feed (RFC 5005 §3 and §4). None: alternate.
_RELS: Final = frozenset({None, "", "alternate", "next", "previous", "prev", "last", "prev-archive", "next-archive", "current"})
_IANA: Final = r"^https?://www\.iana\.org/assignments/relation/"
_ADDRESS: Final = re.compile(r"https?://", re.IGNORECASE)


class Feed(Struct, frozen=True):
    """URLs found in a feed."""

    kind: Kind  # "": it is no feed
    links: list[str]  # absolute http(s) URLs without fragment, each once, in the feed's order
    problems: list[str]  # parts left out, and why


def read(body: bytes, base: str = "", content_type: str = "") -> Feed:
    """Read a feed fetched from `base`; without it relative links are left out. Never raises: the rest is a problem.

    content_type: the header, whose charset outranks what the document declares.
    """
    document, problem = unpack(body)
    kind = FEED_ROOTS.get(root(document), "")
    if not kind:
        return Feed("", [], ["not a feed: its root element is none of <rss>, <feed>, <rdf:RDF>"])
    problems = [problem] if problem else []
    found: dict[str, None] = {}
    elements = Elements(document, content_type)
    bad = 0
    for element, href in _links(elements):
        if len(found) >= MAX_LINKS:
            problems.append(f"more than {MAX_LINKS} links: the rest is left out")
            break
        start = _base(element, base)
        url = join(start or href, href)
        if url is None or len(url) > MAX_URL:
            bad += 1
        else:
            found[url] = None
    if bad:
        problems.append(f"not http(s) URLs, relative without a base, or over {MAX_URL} characters: {counted(bad, 'link')}")
    return Feed(kind, list(found), [*problems, *([elements.problem] if elements.problem else [])])


def _links(elements: Iterable[Element]) -> Iterator[tuple[Element, str]]:
    """Elements that lead to a page, and where to. Of an item without link it is its guid, which is an address unless it says no."""
    guid: Element | None = None  # of the item at hand, which had no link so far
    linked: Element | None = None  # the last item that had one
    for element in elements:
        if element.name == "guid":
            if guid is not None and guid.parent is not element.parent:
                yield guid, guid.text
                guid = None
            if element.parent is not linked and _is_address(element):
                guid = element
        elif href := _href(element):
            if guid is not None and guid.parent is not element.parent:
                yield guid, guid.text
            guid, linked = None, element.parent
            yield element, href
    if guid is not None:
        yield guid, guid.text


def _is_address(guid: Element) -> bool:
    """RSS 2.0: a guid is the address of its item unless isPermaLink is false. Numbers and names are found there as well."""
    is_said = (guid.attr("ispermalink") or "true").lower() == "true"
    return is_said and guid.parent is not None and guid.parent.name == "item" and _ADDRESS.match(guid.text) is not None


def _href(element: Element) -> str | None:
    holder = element.parent.name if element.parent else ""
    if element.name != "link" or holder not in _HOLDERS:
        return None
    return element.text or (element.attr("href") if _leads_on(element.attr("rel")) else None)


def _leads_on(rel: str | None) -> bool:
    """Tell whether a link of this relation, a name or its address (RFC 4287 §4.2.7.2), leads to a page or more of the feed."""
    return rel in _RELS or (rel is not None and re.sub(_IANA, "", rel.strip().lower()) in _RELS)


def _base(element: Element, base: str) -> str:
    """The base of a link: with the xml:base of all around it (XML Base §4), outermost first. Each element remembers its own."""
    unknown: list[Element] = []
    around: Element | None = element
    while around is not None and around.base is None:
        unknown.append(around)
        around = around.parent
    found = base if around is None or around.base is None else around.base
    for each in reversed(unknown):
        value = each.attr("base")
        url = join(found or value, value) if value else None
        if url is not None and len(url) <= MAX_URL:  # of a longer one every link would be too long as well
            found = url
        each.base = found
    return found
