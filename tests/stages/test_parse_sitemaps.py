"""Sitemaps, feeds and lists of URLs, as the parse stage reads them."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from crawler import Page, Record, Report, To, Visits
from tests.stages.parsing import URL, added, outputs, page, stage

SITEMAP = """<?xml version="1.0"?><urlset xmlns:xhtml="x"><url><loc>http://example.org/1</loc>
<xhtml:link rel="alternate" hreflang="de" href="http://example.org/de/1"/></url><url><loc>/2</loc></url></urlset>"""
PAGES = ["http://example.org/1", "http://example.org/2", "http://example.org/de/1"]
INDEX = "<sitemapindex><sitemap><loc>http://example.org/a.xml.gz</loc></sitemap></sitemapindex>"
RSS = "<rss><channel><item><link>http://example.org/1</link></item></channel></rss>"


@pytest.mark.parametrize(
    ("body", "content_type", "followed", "report"),
    [
        (SITEMAP, "application/xml", PAGES, "urlset of 2 URLs"),
        (SITEMAP, "text/html", PAGES, "urlset of 2 URLs"),
        (INDEX, "", ["http://example.org/a.xml.gz"], "index of 1 URL"),
        (RSS, "application/rss+xml", ["http://example.org/1"], "feed of 1 URL"),
        ("\n".join(PAGES), "text/plain", PAGES, "text of 3 URLs"),
    ],
)
def test_a_sitemap_or_feed_is_recorded_without_links_and_each_of_its_urls_is_a_visit(
    body: str, content_type: str, followed: list[str], report: str
) -> None:
    parse = stage(metadata=["jsonld"], fields={"a": "a"}, text="text")

    record, *rest = parse.process(page(body, content_type, depth=1))

    assert (record["title"], record["links"], added(record), record["bytes"]) == (None, [], {}, len(body.encode()))
    visits = Visits(followed, depth=2, referrer=URL, are_sitemaps=body == INDEX, indexes=int(body == INDEX))
    assert rest == [To("urls", visits), Report(report)]
    assert parse.take_counts() == {"sitemaps": 1}


@pytest.mark.parametrize(
    ("body", "indexes", "below"),
    [(INDEX, 0, 1), (INDEX, 1, 2), (INDEX, 2, None), (INDEX, 3, None), (SITEMAP, 2, 2), (SITEMAP, 0, 0)],
)
def test_an_index_in_an_index_is_followed_and_one_further_down_is_not(body: str, indexes: int, below: int | None) -> None:
    parse = stage()

    _, *rest = parse.process(page(body, "application/xml", indexes=indexes))

    if below is None:
        assert rest == [Report(f"sitemaps not followed: it is an index below {indexes} others"), Report("index of 1 URL")]
        assert parse.take_counts() == {"sitemaps": 1, "skipped/index in an index": 1}
    else:
        assert [visit.indexes for to in rest if isinstance(to, To) for visit in to.item] == [below] * len(rest[0].item.urls)


def test_a_gzipped_sitemap_is_read_whatever_it_is_sent_as() -> None:
    pairs = [("Content-Type", "application/x-gzip")]
    fetched = Page.of(gzip.compress(SITEMAP.encode()), url=URL, status_code=200, header_pairs=pairs)

    (record,), urls = outputs(stage(), fetched)

    assert (record["encoding"], record["links"]) == (None, [])
    assert len(urls) == 3


@pytest.mark.parametrize(
    ("status", "options", "header", "is_kept", "count"),
    [
        (200, {}, "noindex", False, 3),
        (200, {}, "nofollow", True, 0),
        (200, {"robots": False}, "none", True, 3),
        (200, {"follow": False}, "", True, 0),
        (404, {}, "", True, 0),
    ],
)
def test_a_sitemap_is_followed_as_its_server_allows(
    status: int, options: dict[str, Any], header: str, is_kept: bool, count: int
) -> None:
    parse = stage(**options)

    items = list(parse.process(page(SITEMAP, "application/xml", status_code=status, header_pairs=[("X-Robots-Tag", header)])))

    assert any(isinstance(item, Record) for item in items) is is_kept
    assert sum(len(list(item.item)) for item in items if isinstance(item, To)) == count


@pytest.mark.parametrize("prose", ["http://example.org/ is where\nwe live\nand work", "see http://example.org/", "hello", ""])
def test_a_text_that_only_names_a_url_is_no_sitemap(prose: str) -> None:
    assert page(prose, "text/plain").sitemap is None


@pytest.mark.slow
def test_the_visits_of_the_longest_sitemap_fit_into_what_is_handed_in_at_once() -> None:
    parse = stage()
    usual = "\n".join(f"http://example.org/{'p' * 100}/{n}" for n in range(50_000))
    long = "\n".join(f"http://example.org/{'p' * 1_000}/{n}" for n in range(50_000))

    for body, counts in ((usual, {"sitemaps": 1}), (long, {"sitemaps": 1, "links/cut": 1})):
        urls = outputs(parse, page(body, "text/plain"))[1]
        assert parse.take_counts() == counts
        assert len(urls) == 50_000 or "links/cut" in counts
        assert sum(len(url) + len(URL) + 300 for url in urls) < 24 << 20
