"""Sitemaps that robots.txt, an index or a person names are read as such, whatever it is sent as."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from crawler.web.page import Page
from crawler_stages.parse import Parse

URLS = ["http://e.org/a", "http://e.org/b"]
XML = "<urlset>{}</urlset>".format("".join(f"<url><loc>{url}</loc></url>" for url in URLS)).encode()
TEXT = "\n".join(URLS).encode()
RSS = "<rss><channel>{}</channel></rss>".format("".join(f"<item><guid>{url}</guid></item>" for url in URLS)).encode()
ATOM = "<feed>{}</feed>".format("".join(f"<entry><link href='{url}'/></entry>" for url in URLS)).encode()
BODIES = {
    "xml": XML,
    "xml, gzipped": gzip.compress(XML),
    "xml, declared": b"<?xml version='1.0' encoding='utf-8'?>\n" + XML,
    "xml, after a comment": b"<!-- made by x -->\n" + XML,
    "xml in UTF-16": b"\xff\xfe" + XML.decode().encode("utf-16-le"),
    "xml without a root": b"".join(b"<url><loc>%s</loc></url>" % url.encode() for url in URLS),
    "rss": RSS,
    "rss, gzipped": gzip.compress(RSS),
    "atom": ATOM,
    "text": TEXT,
    "text, gzipped": gzip.compress(TEXT),
    "text of CRLF lines": TEXT.replace(b"\n", b"\r\n"),
    "text with a mark": b"\xef\xbb\xbf" + TEXT,
    "text in UTF-16": b"\xff\xfe" + TEXT.decode().encode("utf-16-le"),
    "text, gzipped in two members": gzip.compress(TEXT[:10]) + gzip.compress(TEXT[10:]),
    "text after blank lines": b"\n\n" + TEXT,
    "text of capitals": TEXT.replace(b"http:", b"HTTP:"),
}
KINDS = [
    "", "text/plain", "text/html", "application/octet-stream", "application/x-gzip", "application/gzip", "image/png",
    "text/xml; charset=utf-8", "bogus", "text/html, text/html", "application/pdf", "binary/octet-stream",
]  # fmt: skip


def page(body: bytes, kind: str = "", **fields: Any) -> Page:
    fields.setdefault("status_code", 200)
    return Page.of(body, url="http://e.org/s", header_pairs=[("Content-Type", kind)] if kind else [], **fields)


def record(page: Page) -> tuple[str | None, dict[str, int]]:
    """Return what its record says is wrong, and what is counted."""
    parse = Parse()
    parse.open()
    found = next(item for item in list(parse.process(page)) if isinstance(item, dict))
    return found["problem"], parse.take_counts()


@pytest.mark.parametrize("name", BODIES)
def test_what_is_called_a_sitemap_is_read_as_one(name: str) -> None:
    for kind in KINDS:
        sitemap = page(BODIES[name], kind, is_sitemap=True).sitemap

        assert sitemap is not None, kind
        assert [entry.url for entry in sitemap.urls] == URLS, kind


@pytest.mark.parametrize("name", [name for name in BODIES if name != "xml without a root"])
def test_a_seed_may_be_a_sitemap_of_any_type(name: str) -> None:
    for kind in KINDS:
        sitemap = page(BODIES[name], kind, is_seed=True).sitemap

        assert sitemap is not None, kind
        assert [entry.url for entry in sitemap.urls] == URLS, kind


PROSE = b"http://e.org/ is a page.\nIt is about tea.\nMore tea."


@pytest.mark.parametrize("body", [b"<!doctype html><html><title>x</title>", PROSE, b"tea", b"%PDF-1.7", b""])
def test_a_seed_that_is_none_is_a_page(body: bytes) -> None:
    assert page(body, "application/octet-stream", is_seed=True).sitemap is None


# What is called a sitemap and gives nothing: why
LACKS = {
    "empty": (page(b"", is_sitemap=True), "empty"),
    "missing": (page(b"<h1>no</h1>", "text/html", is_sitemap=True, status_code=404), "status 404"),
    "gone, without a body": (page(b"", is_sitemap=True, status_code=410), "status 410"),
    "a page": (page(b"<!doctype html><title>home</title>", "text/html", is_sitemap=True), "an HTML page"),
    "a page, said to be XML": (page(b"<!doctype html><html>", "text/xml", is_sitemap=True), "no sitemap"),
    "json": (page(b'{"a": 1}', "application/json", is_sitemap=True), "neither XML nor a list of URLs"),
    "prose": (page(b"Nothing here.\nNothing there.", "text/plain", is_sitemap=True), "neither XML nor a list of URLs"),
    "another xml": (page(b"<kml><a/></kml>", "text/xml", is_sitemap=True), "neither XML nor a list of URLs"),
    "a picture": (page(b"\x89PNG\r\n\x1a\n" + bytes(50), "image/png", is_sitemap=True), "neither XML nor a list of URLs"),
    "no URL": (page(b"<urlset></urlset>", is_sitemap=True), "no URL in its <urlset>"),
    "entries without loc": (page(b"<urlset><url><lastmod>2026</lastmod></url></urlset>"), "no URL in its <urlset>"),
    "locs that are none": (page(b"<urlset><url><loc>ftp://e.org/</loc></url></urlset>"), "no URL in its <urlset>"),
    "an index of nothing": (page(b"<sitemapindex><sitemap></sitemap></sitemapindex>"), "no URL in its <sitemapindex>"),
    "a feed of nothing": (page(b"<rss><channel></channel></rss>"), "no URL in its <feed>"),
    "cut": (page(b"<urlset><url><loc>http://e.org/a", is_sitemap=True), "cut short or broken"),
    "gzip cut": (page(gzip.compress(XML)[:12], is_sitemap=True), "cut short or broken"),
    "gzip broken": (page(gzip.compress(XML)[:12] + b"\xff" * 50, is_sitemap=True), "cut short or broken"),
}


@pytest.mark.parametrize("name", LACKS)
def test_a_sitemap_that_gives_nothing_says_why_in_its_record_and_is_counted(name: str) -> None:
    given, lack = LACKS[name]

    problem, counts = record(given)

    assert problem == f"not a sitemap that can be used: {lack}"
    assert counts[f"sitemaps/nothing/{lack}"] == 1


def test_a_sitemap_that_gives_less_says_so_and_one_that_is_whole_says_nothing() -> None:
    less = b"<urlset><url><loc>http://e.org/a</loc></url><url></url></urlset>"

    assert record(page(less))[0] == "1 problem, the first: a <url> without <loc>"
    assert record(page(XML)) == (None, {"sitemaps": 1})


@pytest.mark.parametrize("location", ["/other.xml", "http://f.org/"])
def test_a_redirect_of_a_sitemap_is_not_yet_a_problem(location: str) -> None:
    moved = Page.of(b"", url="http://e.org/s", status_code=301, header_pairs=[("Location", location)], is_sitemap=True)

    assert record(moved) == (None, {})


def test_an_entry_without_loc_gives_its_details_to_no_other() -> None:
    sitemap = page(b"<urlset><url><lastmod>2020</lastmod></url><url><loc>http://e.org/a</loc></url></urlset>").sitemap

    assert sitemap is not None
    assert [(entry.url, entry.lastmod) for entry in sitemap.urls] == [("http://e.org/a", "")]
