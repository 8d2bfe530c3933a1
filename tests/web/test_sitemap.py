"""Sitemaps as sites write them: right, odd, broken and hostile."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.web import xml
from crawler.web.sitemap import MAX_URLS, Alternate, SitemapUrl, is_sitemap, read

NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def urlset(*locations: str) -> bytes:
    entries = "".join(f"<url><loc>{location}</loc></url>" for location in locations)
    return f"{HEAD}<urlset {NAMESPACE}>{entries}</urlset>".encode()


def urls(body: bytes, base: str = "") -> list[str]:
    return [entry.url for entry in read(body, base).urls]


def test_a_sitemap_tells_its_urls_and_what_it_says_of_them() -> None:
    body = f"""{HEAD}<urlset {NAMESPACE} xmlns:xhtml="http://www.w3.org/1999/xhtml" xmlns:image="i" xmlns:news="n" xmlns:video="v">
      <url>
        <loc> http://e.org/a?x=1&amp;y=&#50; </loc>
        <lastmod>2026-01-31</lastmod><changefreq>daily</changefreq><priority>0.8</priority>
        <xhtml:link rel="alternate" hreflang="de" href="http://e.org/de/a"/>
        <xhtml:link rel='alternate' href='/relative'/>
        <xhtml:link rel="canonical" href="http://e.org/canonical"/>
        <image:image><image:loc>http://cdn.org/a.png</image:loc></image:image>
        <news:news><news:title>News</news:title></news:news>
        <video:video><video:player_loc>http://e.org/player</video:player_loc></video:video>
      </url>
      <url><priority>high</priority><loc><![CDATA[HTTP://e.org:80/b?x&amp;y#part]]></loc></url>
    </urlset>""".encode()

    sitemap = read(body)

    assert sitemap.kind == "urlset"
    assert sitemap.urls == [
        SitemapUrl("http://e.org/a?x=1&y=2", "2026-01-31", "daily", 0.8, (Alternate("http://e.org/de/a", "de"),)),
        SitemapUrl("http://e.org/b?x&amp;y"),
    ]
    assert sitemap.problems == []


def test_an_index_tells_its_sitemaps() -> None:
    body = f"<sitemapindex {NAMESPACE}><sitemap><loc>http://e.org/1.xml.gz</loc><lastmod>2026-01</lastmod></sitemap></sitemapindex>"

    sitemap = read(body.encode())

    assert (sitemap.kind, sitemap.urls) == ("index", [SitemapUrl("http://e.org/1.xml.gz", "2026-01")])


@pytest.mark.parametrize(
    "body",
    [
        b"http://e.org/a\nhttp://e.org/b\n",
        b"\xef\xbb\xbfhttp://e.org/a\r\n\r\n  http://e.org/b  ",
        "http://e.org/a\nhttp://e.org/b".encode("utf-16"),
    ],
)
def test_a_text_sitemap_is_a_url_a_line(body: bytes) -> None:
    sitemap = read(body)

    assert (sitemap.kind, sitemap.problems) == ("text", [])
    assert [entry.url for entry in sitemap.urls] == ["http://e.org/a", "http://e.org/b"]


def test_a_line_that_is_no_url_is_left_out_and_told() -> None:
    sitemap = read(b"http://e.org/a\nwords\nhttp://e.org/b c\nwww.e.org\n", "http://e.org/")

    assert ([entry.url for entry in sitemap.urls], len(sitemap.problems)) == (["http://e.org/a"], 3)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'<rss version="2.0"><channel><item><link>http://e.org/a</link></item></channel></rss>', "feed"),
        (b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="http://e.org/a"/></entry></feed>', "feed"),
        (gzip.compress(b"http://e.org/a\n"), "text"),
        (gzip.compress(urlset("http://e.org/a")), "urlset"),
        (gzip.compress(urlset("http://e.org/a")[:60]) + gzip.compress(urlset("http://e.org/a")[60:]) + b"\0" * 100, "urlset"),
    ],
    ids=["rss", "atom", "text.gz", "xml.gz", "members and padding"],
)
def test_feeds_and_gzipped_documents_are_sitemaps_too(body: bytes, kind: str) -> None:
    sitemap = read(body)

    assert (sitemap.kind, [entry.url for entry in sitemap.urls], sitemap.problems) == (kind, ["http://e.org/a"], [])


@pytest.mark.parametrize(
    "document",
    [
        "<urlset><url><loc>{}</loc></url></urlset>",
        "<urlset xmlns='http://www.google.com/schemas/sitemap/0.84'><url><loc>{}</loc></url></urlset>",
        "<urlset xmlns='nonsense'><url><loc>{}</loc></url></urlset>",
        "<s:urlset xmlns:s='x'><s:url><s:loc>{}</s:loc></s:url></s:urlset>",
        "<URLSET><URL><LOC>{}</LOC></URL></URLSET>",
        "\n\n  <?xml version='1.0'?><!-- <url><loc>http://no.org/</loc></url> --><urlset><url><loc>{}</loc></url></urlset>",
        "\ufeff<?xml version='1.0'?><?xml-stylesheet href='x'?><urlset><url><loc>{}</loc></url></urlset>",
        "<!DOCTYPE urlset [<!ENTITY x 'y'>]><urlset><url><loc>{}</loc></url></urlset>",
        "<urlset><url><loc>{}<loc></url></urlset>",
        "<urlset><url><loc>{}</url></urlset>",
        "<urlset><loc>{}</loc></urlset>",
        "<urlset><url/><url></url></stray><url><loc\n>\n{}\n</loc ></url></urlset>",
        "<urls><url><loc>{}</loc></url></urls>",
        "<br />\n<b>Warning</b>: no such table <urlset><url><loc>{}</loc></url></urlset>",
        "Warning: no such table\n<urlset><url><loc>{}</loc></url></urlset>",
        "<urlset a='>' b=\"</url>\" c='><url title=it's><loc>{}</loc></url></urlset>",
    ],
)
def test_what_sites_write_wrong_is_read_as_they_meant_it(document: str) -> None:
    assert urls(document.format("http://e.org/a").encode()) == ["http://e.org/a"]


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("http://e.org/?a=1&b=2&copy=3", "http://e.org/?a=1&b=2&copy=3"),  # bare: not the © of HTML
        ("http://e.org/&#x2F;&#233;&nbsp;", "http://e.org//%C3%A9&nbsp;"),
        ("http://e.org/&#0;&#xD800;&#x110000;", "http://e.org/%EF%BF%BD%EF%BF%BD%EF%BF%BD"),
        ("http://e.org/ä b", "http://e.org/%C3%A4%20b"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("HTTPS://E.org", "https://e.org/"),
    ],
)
def test_a_location_becomes_the_url_a_browser_would_fetch(location: str, url: str) -> None:
    assert urls(urlset(location)) == [url]


@pytest.mark.parametrize("location", ["/a", "a.html", "mailto:a@e.org", "", "http://", "ftp://e.org/", "javascript:1"])
def test_what_is_no_web_page_is_left_out_and_told(location: str) -> None:
    sitemap = read(urlset(location, "http://e.org/b"))

    assert [entry.url for entry in sitemap.urls] == ["http://e.org/b"]
    assert len(sitemap.problems) == 1


def test_a_relative_location_is_a_link_for_who_knows_where_the_sitemap_was() -> None:
    assert urls(urlset("/a", "b"), "http://e.org/maps/sitemap.xml") == ["http://e.org/a", "http://e.org/maps/b"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "iso-8859-1", "windows-1252"])
def test_a_document_is_read_in_the_encoding_it_declares(encoding: str) -> None:
    declared = encoding.removesuffix("-sig").removesuffix("-le")
    body = f"<?xml version='1.0' encoding='{declared}'?><urlset><url><loc>http://e.org/é</loc></url></urlset>".encode(encoding)

    assert urls(body) == ["http://e.org/%C3%A9"]


def test_a_url_that_stands_twice_is_told_once_in_its_first_place() -> None:
    assert urls(urlset("http://e.org/b", "http://e.org/a", "http://e.org/b#x")) == ["http://e.org/b", "http://e.org/a"]


# Cut, broken and hostile


def test_a_document_that_is_cut_short_gives_what_came_before_at_every_length() -> None:
    whole = urlset("http://e.org/a", "http://e.org/b", "http://e.org/c")

    told = [urls(whole[:length]) for length in range(len(whole) + 1)]

    assert told[0] == []
    assert told[-1] == ["http://e.org/a", "http://e.org/b", "http://e.org/c"]
    assert all(shorter == longer[: len(shorter)] for shorter, longer in pairwise(told))  # never half a URL
    assert read(whole.removesuffix(b"</url></urlset>")).problems == ["the document is cut short: <url> is not closed"]


@pytest.mark.slow
def test_a_gzip_stream_that_is_cut_or_broken_gives_what_came_before() -> None:
    body = urlset(*(f"http://e.org/{zlib.crc32(b'%d' % n)}" for n in range(15_000)))
    packed = gzip.compress(body)

    cut, broken = read(packed[:-20_000]), read(packed[:-20_000] + b"\xff" * 20_000)

    for sitemap in (cut, broken):
        assert 1_000 < len(sitemap.urls) < 15_000
        assert sitemap.problems[0].startswith("the gzip stream is")
        # Of a broken stream some bytes come out wrong before zlib sees it.
        assert [entry.url for entry in sitemap.urls][:1_000] == urls(body)[:1_000]


@pytest.mark.slow
def test_past_the_limit_of_the_protocol_the_rest_is_left_out_and_told() -> None:
    sitemap = read(gzip.compress(urlset(*(f"http://e.org/page/{n}" for n in range(MAX_URLS + 5)))))

    assert len(sitemap.urls) == MAX_URLS
    assert sitemap.problems == ["more than 50000 URLs, or 67108864 characters of them: the rest is left out"]
    assert urls(urlset(*(f"http://e.org/page/{n}" for n in range(MAX_URLS))))[-1] == f"http://e.org/page/{MAX_URLS - 1}"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"\x1f\x8b", b"\x1f\x8b\x08", b"hello", b"<html><a>", b"<!doctype html><p>404", b"\xff\xfe", b"\0" * 9, b"<",
        b"<urlset", b"<urlset>", b"<rss>", b"%PDF-1.7", b'{"url": "http://e.org/"}', b"<svg><url><loc/></url></svg>",
    ],
)  # fmt: skip
def test_what_holds_no_url_gives_none_and_says_why(body: bytes) -> None:
    sitemap = read(body)

    assert sitemap.urls == []
    assert sitemap.problems or sitemap.kind


def test_no_entity_of_a_document_is_expanded_or_fetched() -> None:
    bomb = b"<!DOCTYPE urlset [<!ENTITY a 'http://e.org/'><!ENTITY b '&a;&a;&a;&a;'><!ENTITY f SYSTEM 'file:///etc/passwd'>]>"

    assert urls(bomb + b"<urlset><url><loc>http://e.org/&b;</loc></url><url><loc>http://e.org/?&f;</loc></url></urlset>") == [
        "http://e.org/&b;", "http://e.org/?&f;",
    ]  # fmt: skip


SIZE = 256 << 10


@pytest.mark.parametrize(
    "piece",
    [b"<", b"<a>", b"<a/>", b"<!--", b"<![CDATA[", b"<!DOCTYPE x [", b"<?", b"<!>", b'<a "', b"<a '\"", b"<loc>", b"</a>", b"a ",
     b"&", b"\n", b"<url><loc>", b"<url><loc>http://e.org/&amp;</loc>",
     b"<link " + b"a=b " * 5_000 + b"/>", b"<x " + b"a" * 9_999 + b"/>"],
)  # fmt: skip
def test_a_hostile_document_ends(piece: bytes) -> None:
    sitemap = read(b"<urlset><url><loc>http://e.org/</loc></url><url>" + piece * (SIZE // len(piece)))

    assert sitemap.urls[0].url == "http://e.org/"
    assert len(sitemap.problems) <= 100


def test_a_gzip_bomb_is_cut() -> None:
    bomb = gzip.compress(urlset("http://e.org/a")[:-9] + b" " * (30 << 20))

    document, problem = xml.unpack(bomb)

    assert len(document) <= max(xml.FREE_BYTES, xml.MAX_RATIO * len(bomb))
    assert problem.startswith("more than 52428800 bytes, or 200 times what was sent")
    assert urls(bomb) == ["http://e.org/a"]


MARKUP = st.sampled_from(
    [b"<urlset>", b"<url>", b"<loc>", b"</loc>", b"</url>", b"http://e.org/", b"<!--", b"-->", b"<![CDATA[", b"]]>",
     b"<!DOCTYPE x [", b"]>", b"<?xml encoding='utf-16'?>", b"&amp;", b"&#x", b"\xff\xfe", b"\0", b"<xhtml:link href='", b"'/>",
     b"<rss><channel><link>", b"<feed>", b" ", b"<"]
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(MARKUP, st.binary(max_size=3)), max_size=30).map(b"".join), st.booleans())
def test_whatever_is_read_nothing_is_raised(body: bytes, is_packed: bool) -> None:
    body = gzip.compress(body) if is_packed else body

    for base in ("", "http://e.org/"):
        assert all(entry.url.startswith(("http://", "https://")) for entry in read(body, base, "text/xml; charset=x").urls)
    assert is_sitemap(body) in (True, False)


# Recognised by content


@pytest.mark.parametrize(
    ("body", "content_type", "answer"),
    [
        (urlset(), "text/html", True),
        (gzip.compress(urlset("http://e.org/")), "application/octet-stream", True),
        (b"\n<!-- a --><sitemapindex>", "", True),
        ("<?xml version='1.0' encoding='utf-16'?><urlset>".encode("utf-16"), "application/xml", True),
        (b"<rss>", "application/xml", True),
        (b"<feed xmlns='x'>", "application/atom+xml", True),
        (b"<rdf:RDF>", "", True),
        (b"http://e.org/\n", "text/plain; charset=utf-8", True),
        (b"http://e.org/\n", "", False),
        (b"see http://e.org/\n", "text/plain", False),
        (b"<!doctype html><html>", "application/xml", False),
        (b"<html><body>&lt;urlset>", "text/html", False),
        (b"<svg>", "image/svg+xml", False),
        (gzip.compress(b"ustar"), "application/gzip", False),
        (b"", "application/xml", False),
    ],
)
def test_a_sitemap_is_known_by_its_content(body: bytes, content_type: str, answer: bool) -> None:
    assert is_sitemap(body, content_type) is answer
