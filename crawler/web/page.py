"""Items the stages of a crawl exchange: a Visit to make, the Page fetched, the Record that is kept.

urls: Visit ──[fetch]──▶ pages: Page ──[parse]──▶ records: Record ──[store]──▶ a file or database
        ▲                                └──────▶ Visits: all that the page leads to, in one
        └──────────── one each ─────────────────────┘
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cache
from string import punctuation
from typing import TYPE_CHECKING, Any, ClassVar, Final, NotRequired, Self, TypedDict
from urllib.parse import quote

import zstandard
from msgspec import Struct, convert, field
from msgspec.structs import replace

from crawler.codec.values import KINDS, Kind
from crawler.errors import WireError
from crawler.stage import Direct, Many
from crawler.web.headers import Headers
from crawler.web.lazy import lazy
from crawler.web.mime import combined, media_type
from crawler.wording.counting import counted

if TYPE_CHECKING:  # imported at run time by the methods that use them: most stages do not read HTML
    from bs4 import BeautifulSoup

    from crawler.web.html import Html, Link
    from crawler.web.sitemap import Sitemap

PACKED_FROM: Final = 512  # bytes; less does not shrink enough to be worth the work
MAX_CONTENT: Final = 64 << 20  # bytes of a page unpacked; over this it did not come from our fetch

_HTML: Final = re.compile(
    rb"""(?ix)\s*+(?:<\?xml\s[^<>]{0,99}\?>\s*+)?
    <!doctype\ html(?:\s++public\s*+"[^"<>]{0,99}"(?:\s*+"[^"<>]{0,199}")?)?\s*+>\s*+<html[\s>]"""
)

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})  # RFC 9110 §15.4; 300 and 304 have no target of their own


class Trail(Struct, frozen=True, omit_defaults=True):
    """Cookies on the way of redirects to a URL. They decide whether a redirect back to a known URL is a loop."""

    sent: tuple[str, ...] = ()  # by URL of the history, the digest of the cookies sent with it; "" for none
    again: str = ""  # not "": visit a known URL again, because other cookies are sent; names these cookies
    learned: bytes = b""  # Set-Cookie headers of the replies; packed, so that no command shows them
    jar: str = ""  # name of the cookie jar that has them already


class Visit(Struct, frozen=True, omit_defaults=True):
    """One URL to be fetched."""

    url: str  # as it is sent: see `crawler.web.urls.as_written`
    depth: int = 0  # links followed from a seed
    referrer: str = ""  # the page that linked here; "" for a seed
    history: tuple[str, ...] = ()  # URLs of the redirects that led here, oldest first
    is_seed: bool = False  # named by a person, or where such a URL redirects to
    trail: Trail | None = None  # with stages.fetch.cookies: of the redirects that led here
    is_sitemap: bool = False  # a robots.txt or a sitemap index calls it one
    indexes: int = 0  # sitemap indexes above it, one in the other


class Visits(Struct, Many, frozen=True, omit_defaults=True):
    """All URLs that a page leads to, in one item: the queue gets a Visit of each that is admitted and not known.

    Yield it as `To("urls", Visits(urls, page.depth + 1, page.url))`. To put them one by one does the same, slower.
    """

    urls: Sequence[str]  # absolute, in the page's order
    depth: int = 0  # of each of these
    referrer: str = ""  # the page
    are_sitemaps: bool = False  # the page is a sitemap index
    indexes: int = 0  # sitemap indexes above each of these, one in the other

    def __iter__(self) -> Iterator[Visit]:
        return (Visit(url, self.depth, self.referrer, is_sitemap=self.are_sitemaps, indexes=self.indexes) for url in self.urls)


class Page(Struct, Direct, frozen=True, kw_only=True, omit_defaults=True, dict=True):
    """Response to a visit, in the words of `requests`. Make one with `Page.of`; `packed` is how it travels."""

    url: str
    status_code: int
    header_pairs: list[tuple[str, str]] = field(default_factory=list)  # as received, content decoding undone
    body: bytes = b""
    is_packed: bool = False  # `body` is a zstd frame
    depth: int = 0  # links followed from a seed
    referrer: str = ""  # the page that linked here; "" for a seed
    history: tuple[str, ...] = ()  # URLs of the redirects that led here, oldest first
    is_seed: bool = False  # named by a person, or where such a URL redirects to
    fetched_at: float = 0.0  # s since the epoch
    seconds: float = 0.0  # from the request to the last byte
    is_sitemap: bool = False  # a robots.txt or a sitemap index calls it one
    indexes: int = 0  # sitemap indexes above it, one in the other
    unread: str = ""  # why its body was not read: "type image/png"; "" if it was

    @classmethod
    def of(cls, content: bytes, **fields: Any) -> Self:
        """A page of this content."""
        return cls(body=content, **fields)

    def packed(self) -> Self:
        """Page in the form for a queue: compressed if that pays. A reader in this process does not need it."""
        if self.is_packed or len(self.body) <= PACKED_FROM:
            return self
        body = _zstd().compressor.compress(self.body)
        return replace(self, body=body, is_packed=True) if len(body) < len(self.body) else self

    def __repr__(self) -> str:
        """Return the page in one line, without its body: `<Page 200 https://example.org/ text/html, 13,009 bytes>`."""
        kind = media_type(self.content_type) or "of no type"
        packed = ", compressed" if self.is_packed else ""
        return f"<Page {self.status_code} {self.url} {kind}, {counted(len(self.body), 'byte')}{packed}>"

    @lazy
    def content(self) -> bytes:
        """The body, decoded."""
        if not self.is_packed:
            return self.body
        size = zstandard.frame_content_size(self.body)
        if not 0 <= size <= MAX_CONTENT:  # before room is made for it: what says so came over the network
            raise WireError(f"page {self.url}: a body of {size} bytes unpacked; at most {MAX_CONTENT} and a stated size are taken")
        return bytes(_zstd().decompressor.decompress(self.body))

    @lazy
    def headers(self) -> Headers:
        return Headers(self.header_pairs)

    @lazy
    def content_type(self) -> str:
        """Content-Type as sent; of several the one that counts by the Fetch standard; "" if there is none."""
        return combined(self.headers.get_all("content-type"))

    @property
    def location(self) -> str | None:
        """Target of a redirect, absolute, without fragment. None: it is no redirect, or its target cannot be crawled."""
        if self.status_code not in REDIRECTS:
            return None
        from crawler.web.urls import join

        target = next(iter(self.headers.get_all("location")), "").strip()
        # A header is bytes, shown as Latin-1. Those beyond ASCII are UTF-8 or not; either way they are sent back as they are.
        return join(self.url, quote(target.encode("latin-1", "replace"), safe=punctuation + " ")) if target else None

    @property
    def elapsed(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    @property
    def ok(self) -> bool:
        return self.status_code < 400

    @property
    def text(self) -> str:
        return self._decoded[0]

    @property
    def encoding(self) -> str:
        """WHATWG name, lower case."""
        return self._decoded[1]

    @lazy
    def _decoded(self) -> tuple[str, str]:
        from crawler.web.encoding import decode

        return decode(self.content, self.content_type)

    def json(self) -> Any:
        """Raises ValueError: it is no JSON."""
        return json.loads(self.content)

    def urljoin(self, url: str) -> str | None:
        """Return an href absolute, from the page's base, without fragment; None if it is no URL, or not http(s)."""
        from crawler.web.joins import in_page_encoding
        from crawler.web.urls import join

        return join(self.html.base, in_page_encoding(url, self.html.encoding))

    @lazy
    def html(self) -> Html:
        """The page as the built-in parser reads it."""
        from crawler.web.html import Html

        return Html(self.content, self.url, self.content_type)

    @lazy
    def sitemap(self) -> Sitemap | None:
        """Page read as a sitemap or feed, gzipped or not; None if it is none.

        The content decides, whatever its type. A page that a robots.txt, an index or a person calls a sitemap may be a list of URLs
        of any type; one that a robots.txt or an index calls so is one, if it is not HTML.
        """
        if not self.is_sitemap and _HTML.match(self.content):  # what nearly all begin with, and no sitemap does
            return None
        from crawler.web.sitemap import is_list, is_sitemap, read

        if not self.is_sitemap and not is_sitemap(self.content, self.content_type, is_named=self.is_seed):
            return None
        found = read(self.content, self.url, self.content_type)
        if not self.is_sitemap:
            return found if is_list(found) else None
        return None if not found.urls and self._looks_like_html else found

    @property
    def _looks_like_html(self) -> bool:
        from crawler.web.encoding import is_html

        return is_html("", self.content)

    @lazy
    def soup(self) -> BeautifulSoup:
        """The page in BeautifulSoup. Comfortable, and some hundred times the work of `html`."""
        from bs4 import BeautifulSoup

        return BeautifulSoup(self.text, "html.parser")

    @property
    def links(self) -> list[Link]:
        return self.html.links

    def css(self, selector: str) -> list[str]:
        """Return all that a selector of `[stages.parse.fields]` finds: `h1`, `.price::text`, `a::attr(href)`.

        Raises ValueError if it takes too long on this page.
        """
        from crawler.web.fields import Fields, FieldSpec

        def told(_: str, trouble: str, reason: str) -> None:
            if trouble == "failed":
                raise ValueError(f"{selector}: {reason}")

        found: list[str] = Fields({"css": FieldSpec(css=selector, many=True)}).read(self.html, told)["css"]
        return found


class _Zstd(threading.local):
    """Compressor of one thread: two threads must not use one at once, and making one costs more than a page."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=1)
        self.decompressor = zstandard.ZstdDecompressor()


@cache
def _zstd() -> _Zstd:
    return _Zstd()


class _Shape(TypedDict):
    """Built-in keys of a Record. A value is None if the page does not tell."""

    url: str
    final_url: str  # where the content came from: differs where a client followed redirects itself
    status: int
    content_type: str  # the header, as sent
    encoding: str | None  # WHATWG name, lower case; None: not text
    title: str | None
    description: str | None
    canonical: str | None  # where the page says it really lives
    language: str | None  # as declared, e.g. "en-GB"
    links: list[str]  # absolute URLs without fragment, each once, in the page's order
    depth: int  # links followed from a seed
    referrer: str  # the page that linked here first; "" for a seed
    fetched_at: str  # ISO 8601, UTC
    elapsed: float  # s from the request to the last byte
    bytes: int  # of the content, decoded
    sha256: str  # of the content, decoded; hexadecimal
    location: str | None  # of a redirect: where to, absolute
    problem: NotRequired[str | None]  # why there is nothing in it: its body was not read, the sitemap has no URL


class Record(dict[str, Any]):
    """A page's row: a dict with the keys of `Record.NAMES`, then those that `[stages.parse]` adds.

    `url`, `final_url`, `status`, `content_type`, `encoding`, `title`, `description`, `canonical`, `language`, `links`, `depth`,
    `referrer`, `fetched_at`, `elapsed`, `bytes`, `sha256`, `location`, `problem`; then the declared fields, `text` and metadata,
    each under its own name. It is the same row in a stage, in `crawler parse` and in the output. `title`, `description`,
    `canonical`, `language`, `encoding`, `location` and `problem` are None where the page has none.
    """

    NAMES: ClassVar[tuple[str, ...]] = tuple(_Shape.__annotations__)

    @classmethod
    def of(cls, row: Any) -> Self:
        """Return a row as a Record. Raises msgspec.ValidationError if a built-in key is missing or its value has the wrong type."""
        convert(row, _Shape)
        return cls(row)


KINDS[Page] = Kind("a page", "a Page", lambda item: "url" in item and "status_code" in item)
KINDS[Record] = Kind("a record", "a dict", lambda item: item.keys() >= set(Record.NAMES[:3]), Record.of)
KINDS[Visit] = Kind("a URL to fetch", "a Visit", lambda item: "url" in item and item.keys() <= set(Visit.__struct_fields__))
