"""Parse stage: makes a record of a page, and visits of its links.

    pages: Page ──▶ Parse ──▶ records: Record
                      └─────▶ urls: Visits, all links in one; scope, depth and duplicates are the frontier's business

A sitemap or feed is a page like any other: its record has no links, and each URL it lists is visited.

To keep other things of a page, subclass it and say what:

    class Shop(Parse):
        def records(self, page, html):
            for item in html.document.select(".item") if html else ():
                yield {"url": page.url, "name": item.text}
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast

from msgspec import field

from crawler import (
    FIELD_NOTE,
    LINK_TAGS,
    Directives,
    Fields,
    FieldSpec,
    Html,
    HubError,
    Links,
    LinkTag,
    Page,
    Record,
    Report,
    Shared,
    Stage,
    To,
    Unsendable,
    Visits,
    counted,
    directives,
    is_html,
    media_type,
    misgiven,
)

if TYPE_CHECKING:
    from crawler import Sitemap

MAX_INDEXES = 2  # sitemap indexes, one in the other, that are followed; the protocol allows one, and some sites have two
# Bytes of all visits of one sitemap: the output of a task is handed in at once, and a worker hands in 24 MiB at most.
# Room for the 50,000 URLs that the protocol allows, if they and the sitemap's own have 180 characters together.
MAX_VISITS: Final = 23 << 20
_EXAMPLE: Final = 60  # characters kept of an example of a text that could not be read
_COUNTED: Final = 3  # pages of each worker on which it is counted that a field matched, or did not
_NO_RECORDS: Final = (Mapping, str, bytes)  # they can be iterated over, and what that gives is no record
_VISIT: Final = 300  # bytes of a visit beside its two URLs: key, parent, host, depth and the names of all this


class Parse(Stage):
    """Read title, links and declared fields; follow the links as far as the page and its server allow."""

    class Options(Stage.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
        fields: dict[str, str | FieldSpec] = field(default_factory=dict)  # name = selector: see `crawler.web.fields`
        follow: bool = True  # False: links are told in the record and not followed
        robots: bool = True  # meta robots, X-Robots-Tag and rel=nofollow are honoured
        agent: str = "crawler"  # the robot whose name in meta robots and X-Robots-Tag means us
        link_tags: tuple[LinkTag, ...] = LINK_TAGS  # of <link> only those that lead to pages, of <meta> refresh; img, source too
        max_links: Links = 10_000  # of one page; more are cut and counted as links/cut (Nutch 100, Scrapy none)
        text: Literal["none", "text", "markdown", "article"] = "none"  # the text to read, as field `text`
        metadata: tuple[Literal["jsonld", "opengraph"], ...] = ()  # the page's metadata, as fields of these names

    prefetch: ClassVar[int] = 16  # pages at hand while one is read: reading takes less than asking for the next

    @classmethod
    def check(cls, options: Parse.Options, table: str) -> None:
        if options.text == "article":
            from crawler import need_article  # here, because few crawls ask for it

            need_article(f"{table}.text")
        _fields(options, table)

    @classmethod
    def sends_to(cls, options: Parse.Options) -> tuple[str, ...]:
        return ("urls",) if options.follow and cls.process is Parse.process else ()

    def __init__(self, options: Options | None = None, shared: Shared | None = None) -> None:
        super().__init__(options, shared)
        self._examples: set[str] = set()  # fields, and failed selectors, for which an example has been stored
        self._fields: Fields | None = None
        self._to_count = {name: {"found": _COUNTED, "missed": _COUNTED} for name in self.options.fields}

    def open(self) -> None:
        self._compile()  # now, so that the first page need not wait for it

    def _compile(self) -> Fields:
        self._fields = _fields(self.options, "stages.parse")
        return self._fields

    def process(self, page: Page) -> Iterator[Any]:
        sitemap = page.sitemap
        html = None if sitemap else self._html(page)
        if html and html.problem:
            self.count("pages/unreadable")
            yield Report(f"not read: {html.problem}")
        if (page.is_sitemap or sitemap) and (lack := _lack(page, html)):  # few pages: the others need no call
            self.count(f"sitemaps/nothing/{lack}")
            yield Report(f"a sitemap that gives nothing: {lack}")
        wish = self._wish(page, html)
        if wish.noindex:
            self.count("skipped/noindex")
            if sitemap or not page.content or not (200 <= page.status_code < 300 or page.status_code == 304):
                self.count("noindex/no page")  # there was none to keep from the record
            yield Report("not recorded: it says noindex")
        else:
            found: Any = self.records(page, html)
            yield from found if type(found) is list else self._kept(found)
        # Not of an error page: its links are the server's, the same on each. Not of a redirect: fetch sends its target.
        # Of a 304 it has are those of the copy that is still true; without a copy it has none.
        if self.options.follow and (200 <= page.status_code < 300 or page.status_code == 304):
            if html:
                yield from self._visits(page, html, wish)
            elif sitemap:
                yield from self._listed(page, sitemap, wish)

    def records(self, page: Page, html: Html | None) -> Iterable[Any]:
        """Return the records of a page: override it to keep something else. `html` is None for a page that is not HTML.

        Not asked of a page that says noindex. Links are followed whatever is returned here.
        """
        return [self.record(page, html)]

    def _kept(self, found: Any) -> Iterator[Any]:
        """Yield what `records` returned. Raises Misgiven, with the place, if it is no list of records."""
        if isinstance(found, _NO_RECORDS) or not isinstance(found, Iterable):
            what = "None" if found is None else f"a {type(found).__name__}"
            raise misgiven(Unsendable(f"records returned {what}; yield each record, or return a list of them"), found, self.records)
        returned = yield from cast("Any", found)
        if returned is not None:
            raise misgiven(Unsendable("records yields and also returns a record; yield it"), found, self.records)

    def record(self, page: Page, html: Html | None) -> Record:
        """Return the built-in record: a dict of facts about the page, with the declared fields beside them."""
        content = page.content
        return Record(
            url=page.url,
            final_url=page.url,
            status=page.status_code,
            content_type=page.content_type,
            encoding=html.encoding if html else page.encoding if _is_text(page.content_type) else None,
            title=html.title if html else None,
            description=html.description if html else None,
            canonical=html.canonical if html else None,
            language=html.language if html else None,
            links=html.link_urls if html else [],
            depth=page.depth,
            referrer=page.referrer,
            fetched_at=datetime.fromtimestamp(page.fetched_at, UTC).isoformat(timespec="milliseconds"),
            elapsed=page.seconds,
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            location=page.location,
            problem=_problem(page, html),
            **self._declared(html),
        )

    def _html(self, page: Page) -> Html | None:
        options: Parse.Options = self.options
        if not is_html(page.content_type, page.content):
            return None
        tags, most = options.link_tags, options.max_links
        return Html(page.content, page.url, page.content_type, link_tags=tags, max_links=most)

    def _declared(self, html: Html | None) -> dict[str, Any]:
        if html is None:
            return {}
        if html.cut:  # title and the like, which have been read by now
            for name in sorted(html.cut):
                self.count(f"{name}/cut")
        fields = self._fields or self._compile()  # a test calls `process` without `open`
        values = fields.read(html, self._field_told)
        if self._to_count:
            self._count_matches(values)
        if self.options.text != "none":
            values["text"] = html.text(self.options.text)
            if html.is_text_cut:
                self.count("text/cut")
        for name in self.options.metadata:
            values[name] = html.jsonld if name == "jsonld" else html.opengraph
        return values

    def _count_matches(self, values: Mapping[str, Any]) -> None:
        """Count for the first pages whether each field matched, so that the summary can name the fields that never did."""
        for name, value in values.items():
            left = self._to_count.get(name, {})
            outcome = "missed" if value is None or value == [] else "found"
            if not left.get(outcome):
                continue
            self.count(f"fields/{name}/{outcome}")
            left[outcome] -= 1
            if not left["found"]:
                del self._to_count[name]  # it has matched often enough

    def _field_told(self, name: str, trouble: str, text: str) -> None:
        """Count what made a field null or was cut, and store one example per field for the summary."""
        key = f"{name}/{trouble}" if trouble in ("failed", "cut") else name
        self.count(f"fields/{key}")
        if key not in self._examples and trouble != "cut":
            self._examples.add(key)
            with suppress(HubError):  # an example is not worth a failure
                self.shared.set(f"{FIELD_NOTE}{key}", f"{trouble} {text[:_EXAMPLE]}".encode("utf-8", "replace"))

    def _wish(self, page: Page, html: Html | None) -> Directives:
        if not self.options.robots:
            return Directives()
        header = directives(page.headers.get_all("x-robots-tag"), self.options.agent)
        return header | html.robots(self.options.agent) if html else header

    def _visits(self, page: Page, html: Html, wish: Directives) -> Iterator[To | Report]:
        if html.has_more_links:
            self.count("links/cut")
        urls = followed = html.link_urls
        if self.options.robots and (wish.nofollow or html.nofollow_urls):
            followed = [] if wish.nofollow else [url for url in urls if url not in html.nofollow_urls]
            self.count("skipped/nofollow", len(urls) - len(followed))
        if wish.nofollow and self.options.robots:
            yield Report("links not followed: it says nofollow")
        yield from _to_frontier(followed, page)

    def _listed(self, page: Page, sitemap: Sitemap, wish: Directives) -> Iterator[To | Report]:
        """Yield visits of a sitemap's pages, then of the same in other languages; of an index its sitemaps. Depth grows by one."""
        self.count("sitemaps")
        urls = [entry.url for entry in sitemap.urls] + [other.url for entry in sitemap.urls for other in entry.alternates]
        if self.options.robots and wish.nofollow:
            self.count("skipped/nofollow", len(urls))
            yield Report("URLs not followed: its server says nofollow")
            urls = []
        if sitemap.kind == "index" and page.indexes >= MAX_INDEXES:
            self.count("skipped/index in an index", len(urls))
            yield Report(f"sitemaps not followed: it is an index below {page.indexes} others")
            urls = []
        room = MAX_VISITS
        for place, url in enumerate(urls):
            room -= len(url) + len(page.url) + _VISIT
            if room < 0:
                self.count("links/cut")
                urls = urls[:place]
                break
        yield from _to_frontier(urls, page, are_sitemaps=sitemap.kind == "index")
        problems = f"; problems: {len(sitemap.problems)}, the first: {sitemap.problems[0]}" if sitemap.problems else ""
        n = len(sitemap.urls)
        yield Report(f"{sitemap.kind} of {n} URL{'' if n == 1 else 's'}{problems}")


def _fields(options: Parse.Options, table: str) -> Fields:
    reserved = {*Record.NAMES, *options.metadata, *(["text"] if options.text != "none" else [])}
    return Fields(options.fields, frozenset(reserved), f"{table}.fields")


def _to_frontier(urls: list[str], page: Page, *, are_sitemaps: bool = False) -> Iterator[To]:
    if urls:
        yield To("urls", Visits(urls, page.depth + 1, page.url, are_sitemaps, page.indexes + are_sitemaps))


def _problem(page: Page, html: Html | None) -> str | None:
    """Return why a record is empty or incomplete; None if no reason is known."""
    if page.unread:
        return f"body not read: {page.unread}"
    if html and html.problem:
        return html.problem
    if (page.is_sitemap or page.sitemap) and (lack := _lack(page, html)):
        return f"not a sitemap that can be used: {lack}"
    problems = page.sitemap.problems if page.sitemap and page.sitemap.urls else []
    return f"{counted(len(problems), 'problem')}, the first: {problems[0]}" if problems else None


def _lack(page: Page, html: Html | None) -> str:
    """Return why a sitemap gives nothing, in stable words; "" if it gives something or the page is none and was not called one."""
    sitemap = page.sitemap
    if not (page.is_sitemap or sitemap) or page.location:
        return ""
    if page.status_code >= 400:
        return f"status {page.status_code}"
    if not page.content:
        return "empty" if page.status_code != 304 else ""
    if sitemap is None:
        return "an HTML page" if html else "no sitemap"
    return sitemap.lack


def _is_text(content_type: str) -> bool:
    kind = media_type(content_type)
    return kind.startswith("text/") or kind.endswith(("json", "xml")) or "charset=" in content_type.lower()
