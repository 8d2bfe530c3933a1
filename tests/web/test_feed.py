"""The links of feeds."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.web.feed import MAX_LINKS, Feed, Kind, read
from crawler.web.urls import join

BASE = "http://e.org/blog/feed.xml"

RSS = b"""<?xml version="1.0"?><rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:media="m"><channel>
<title>News</title><link>http://e.org/blog/</link>
<atom:link href="http://e.org/blog/feed.xml" rel="self" type="application/rss+xml"/>
<atom:link href="feed.xml?page=2" rel="next"/>
<image><url>http://e.org/logo.png</url><link>http://e.org/image</link></image>
<item><title>One &amp; only</title><link>http://e.org/1?a=1&amp;b=2</link><guid>http://e.org/1</guid>
  <enclosure url="http://e.org/1.mp3"/><media:content url="http://e.org/1.jpg"/><description><![CDATA[<a href="http://no.org/">x</a>]]></description></item>
<item><link><![CDATA[ http://e.org/2#comments ]]></link></item>
<item><guid isPermaLink="true">http://e.org/3</guid></item>
<item><guid isPermaLink="false">http://e.org/4</guid><source url="http://other.org/feed">Other</source></item>
<item><link>/5</link></item><item><link>mailto:x@e.org</link></item><item><link/></item>
</channel></rss>"""

ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom" xml:base="http://e.org/atom/">
<link href="http://e.org/"/><link rel="self" href="http://e.org/atom.xml"/><link rel="hub" href="http://hub.org/"/>
<link rel="next" href="?page=2"/>
<entry xml:base="2026/"><link rel="alternate" href="one"/><link rel="enclosure" href="one.mp3"/>
  <source><link href="http://other.org/"/></source><id>http://e.org/id</id></entry>
<entry><link href='/two?a&amp;b'/><content type="html">&lt;a href="http://no.org/"></content></entry>
</feed>"""

RDF = b"""<rdf:RDF xmlns="http://purl.org/rss/1.0/" xmlns:rdf="r"><channel rdf:about="http://e.org/rss"><link>http://e.org/</link>
<items><rdf:Seq><rdf:li resource="http://e.org/1"/></rdf:Seq></items></channel>
<item rdf:about="http://e.org/1"><link>http://e.org/1</link></item></rdf:RDF>"""


@pytest.mark.parametrize(
    ("body", "kind", "links", "problems"),
    [
        (
            RSS, "rss",
            ["http://e.org/blog/", "http://e.org/blog/feed.xml?page=2", "http://e.org/1?a=1&b=2", "http://e.org/2", "http://e.org/3",
             "http://e.org/5"],
            ["not http(s) URLs, relative without a base, or over 8192 characters: 1 link"],
        ),
        (ATOM, "atom", ["http://e.org/", "http://e.org/atom/?page=2", "http://e.org/atom/2026/one", "http://e.org/two?a&b"], []),
        (RDF, "rdf", ["http://e.org/", "http://e.org/1"], []),
    ],
    ids=["rss", "atom", "rdf"],
)  # fmt: skip
def test_the_links_of_a_feed_are_its_pages(body: bytes, kind: Kind, links: list[str], problems: list[str]) -> None:
    assert read(body, BASE) == Feed(kind, links, problems)
    assert read(gzip.compress(body), BASE) == Feed(kind, links, problems)


def test_without_a_base_only_absolute_links_are_told() -> None:
    assert read(RDF.replace(b"http://e.org/1<", b"/1<")).links == ["http://e.org/"]


def test_a_feed_that_is_cut_short_gives_what_came_before() -> None:
    feed = read(RSS[: RSS.index(b"2#comments")], BASE)

    assert feed.links[-1] == "http://e.org/1?a=1&b=2"
    assert feed.problems == ["the document is cut short: <link> is not closed"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"<urlset><url><loc>http://e.org/</loc>", b'{"version": "jsonfeed"}'])
def test_what_is_no_feed_says_so(body: bytes) -> None:
    feed = read(body, BASE)

    assert (feed.kind, feed.links) == ("", [])
    assert feed.problems[0].startswith("not a feed")


@pytest.mark.slow
def test_a_feed_without_end_is_cut_and_told() -> None:
    body = b"<rss><channel>" + b"".join(b"<item><link>/%d</link></item>" % n for n in range(MAX_LINKS + 10))

    feed = read(body, BASE)

    assert len(feed.links) == MAX_LINKS
    assert feed.problems == [f"more than {MAX_LINKS} links: the rest is left out"]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([RSS, ATOM, RDF]), st.integers(0, 1_500), st.integers(0, 1_500), st.binary(max_size=5))
def test_whatever_is_read_nothing_is_raised(body: bytes, start: int, end: int, noise: bytes) -> None:
    for mangled in (body[:start] + noise + body[end:], body[start:end]):
        assert all(link.startswith(("http://", "https://")) for link in read(mangled, BASE).links)


ITEMS = {
    "a guid alone": ("<item><guid>http://e.org/a</guid></item>", ["http://e.org/a"]),
    "said to be an address": ('<item><guid isPermaLink="true">http://e.org/a</guid></item>', ["http://e.org/a"]),
    "said in capitals": ('<item><guid isPermaLink="TRUE">http://e.org/a</guid></item>', ["http://e.org/a"]),
    "said to be none": ('<item><guid isPermaLink="false">http://e.org/a</guid></item>', []),
    "a link after it": ("<item><guid>http://e.org/a</guid><link>http://e.org/b</link></item>", ["http://e.org/b"]),
    "a link before it": ("<item><link>http://e.org/b</link><guid>http://e.org/a</guid></item>", ["http://e.org/b"]),
    "both, and said": ('<item><guid isPermaLink="true">http://e.org/a</guid><link>http://e.org/b</link></item>', ["http://e.org/b"]),
    "both the same": ("<item><guid>http://e.org/a</guid><link>http://e.org/a</link></item>", ["http://e.org/a"]),
    "an empty link": ("<item><link></link><guid>http://e.org/a</guid></item>", ["http://e.org/a"]),
    "an empty link after it": ("<item><guid>http://e.org/a</guid><link/></item>", ["http://e.org/a"]),
    "a number": ("<item><guid>12345</guid></item>", []),
    "a tag": ("<item><guid>tag:e.org,2026:1</guid></item>", []),
    "a path": ("<item><guid>/a</guid></item>", []),
    "in CDATA": ("<item><guid><![CDATA[http://e.org/a]]></guid></item>", ["http://e.org/a"]),
    "two items, one of each": (
        "<item><guid>http://e.org/a</guid></item><item><guid>x</guid><link>http://e.org/b</link></item>",
        ["http://e.org/a", "http://e.org/b"],
    ),
    "two items of guids": ("<item><guid>http://e.org/a</guid></item><item><guid>http://e.org/b</guid></item>", ["http://e.org/a", "http://e.org/b"]),
    "a link, then a guid in the next": (
        "<item><link>http://e.org/a</link></item><item><guid>http://e.org/b</guid></item>", ["http://e.org/a", "http://e.org/b"],
    ),
    "two guids": ("<item><guid>http://e.org/a</guid><guid>http://e.org/b</guid></item>", ["http://e.org/b"]),
    "not of an item": ("<guid>http://e.org/a</guid>", []),
    "the item is not closed": ("<item><guid>http://e.org/a</guid>", ["http://e.org/a"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ITEMS)
def test_a_guid_is_the_address_of_an_item_without_link_unless_it_says_no(name: str) -> None:
    items, links = ITEMS[name]

    assert read(f"<rss><channel>{items}</channel></rss>".encode()).links == links


def test_the_bases_around_a_link_are_resolved_once_not_for_each_link(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counting(base: str, href: str) -> str | None:
        calls.append(href)
        return join(base, href)

    monkeypatch.setattr("crawler.web.feed.join", counting)
    around = "<a xml:base='b/'>" * 80
    links = '<entry><link href="x"/></entry>' * 500

    found = read(f"<feed>{around}{links}".encode(), BASE)

    assert found.links == [f"http://e.org/blog/{'b/' * 80}x"]
    assert len(calls) == 80 + 500


@pytest.mark.parametrize(
    ("rel", "leads"),
    [
        ("http://www.iana.org/assignments/relation/alternate", True), ("http://www.iana.org/assignments/relation/next", True),
        ("https://www.iana.org/assignments/relation/alternate", True), ("Alternate", True), (" alternate ", True),
        ("http://www.iana.org/assignments/relation/self", False), ("http://www.iana.org/assignments/relation/enclosure", False),
        ("http://e.org/alternate", False), ("self", False), ("http:alternate", False),
    ],
)  # fmt: skip
def test_the_relation_of_an_atom_link_is_a_name_or_its_address(rel: str, leads: bool) -> None:
    feed = f'<feed xmlns="http://www.w3.org/2005/Atom"><entry><link rel="{rel}" href="/a"/></entry></feed>'

    assert read(feed.encode(), "http://e.org/").links == (["http://e.org/a"] if leads else [])
