"""Reading a page: links, base, title and the rest, on good pages, odd pages and hostile pages."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.web.directives import Directives, directives
from crawler.web.html import LINK_TAGS, MAX_LINKS, Html, base_url, links, meta_refresh
from crawler.web.links import MAX_LINK_TEXT

URL = "http://example.org/dir/page?q=1"


def urls(html: str, **options: Any) -> list[str]:
    return [link.url for link in Html(html, URL, **options).links]


# Links


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("a", "http://example.org/dir/a"),
        ("../a", "http://example.org/a"),
        ("/a", "http://example.org/a"),
        ("//other.org/a", "http://other.org/a"),
        ("?p=2", "http://example.org/dir/page?p=2"),
        ("#top", URL),
        ("", URL),
        ("  a\n b ", "http://example.org/dir/a%20b"),
        ("a\\b", "http://example.org/dir/a/b"),
        ("http:a", "http://example.org/dir/a"),
        ("a #b", "http://example.org/dir/a%20"),
        ("a\t#b", "http://example.org/dir/a"),
        (" #b", URL),
        ("?a #b", "http://example.org/dir/page?a%20"),
        ("http:?x", "http://example.org/dir/page?x"),
        ("HTTP://EXAMPLE.org:80/A#b", "http://example.org/A"),
        ("a&amp;b?c&#61;d", "http://example.org/dir/a&b?c=d"),
    ],
)
def test_an_href_becomes_the_url_a_browser_would_fetch(href: str, url: str) -> None:
    assert urls(f'<a href="{href}">x</a>') == [url]
    assert urls(f'<a href="{href}">x</a>') == [url]  # and again, from what was remembered


def test_what_was_remembered_for_one_page_is_right_for_the_next() -> None:
    page = '<a href="x"></a><a href="/x"></a><a href="?x"></a><a href="http:?y"></a><a href="#"></a>'

    assert [link.url for link in links(page, "http://a.org/one/p")] == [
        "http://a.org/one/x", "http://a.org/x", "http://a.org/one/p?x", "http://a.org/one/p?y", "http://a.org/one/p",
    ]  # fmt: skip
    assert [link.url for link in links(page, "http://a.org/one/q")][2:] == [
        "http://a.org/one/q?x", "http://a.org/one/q?y", "http://a.org/one/q",
    ]  # fmt: skip
    assert [link.url for link in links(page, "https://a.org/two/q")][:2] == ["https://a.org/two/x", "https://a.org/x"]


@pytest.mark.parametrize(
    "href", ["mailto:a@b.org", "javascript:void(0)", "tel:1", "data:,x", "http://[", "http://a:b/", "ftp://a/"]
)
def test_what_is_no_web_page_is_no_link(href: str) -> None:
    assert urls(f'<a href="{href}">x</a>') == []


def test_links_are_told_in_the_order_of_the_page_and_each_once() -> None:
    page = """<link rel=next href=1><a href=2>two</a><area href=3><iframe src=4></iframe>
              <a href=2#part>again</a><a>none</a><a name=x></a><p><a href=5>five"""

    found = links(page, "http://e.org/")

    assert [(link.url, link.tag, link.text) for link in found] == [
        ("http://e.org/1", "link", ""),
        ("http://e.org/2", "a", "two"),
        ("http://e.org/3", "area", ""),
        ("http://e.org/4", "iframe", ""),
        ("http://e.org/5", "a", "five"),
    ]


def test_frames_are_links_too() -> None:
    assert urls("<frameset><frame src=a><frame src=b></frameset>") == ["http://example.org/dir/a", "http://example.org/dir/b"]


@pytest.mark.parametrize(
    ("attributes", "is_link"),
    [
        ("rel=next", True),
        ("rel='Prev'", True),
        ("rel=alternate hreflang=de", True),
        ("rel=alternate type='text/html; charset=utf-8'", True),
        ("rel=alternate type=application/rss+xml", False),
        ("rel='alternate stylesheet'", False),
        ("rel=stylesheet", False),
        ("rel=icon", False),
        ("", False),
    ],
)
def test_a_link_element_counts_if_it_leads_to_a_page(attributes: str, is_link: bool) -> None:
    assert bool(urls(f"<link href=x {attributes}>")) is is_link


def test_pictures_are_links_when_asked_for() -> None:
    page = "<img src=a srcset='b 1x, c 2x'><picture><source srcset='d 100w'></picture><a href=e></a>"

    assert urls(page, link_tags=("a",)) == ["http://example.org/dir/e"]
    assert [url[-1] for url in urls(page, link_tags=("a", "img", "source"))] == ["a", "b", "c", "d", "e"]


def test_nofollow_is_told_unless_the_same_url_is_also_linked_without() -> None:
    found = links("<a href=a rel='External NoFollow'>1</a><a href=b rel=nofollow>2</a><a href=b>3</a>", "http://e.org/")

    assert [(link.url[-1], link.is_nofollow, link.text) for link in found] == [("a", True, "1"), ("b", False, "3")]


def test_the_text_of_a_link_is_what_the_reader_sees() -> None:
    assert links("<a href=x>  one\n<b>two</b>&nbsp;three <img alt=no></a>", "http://e.org/")[0].text == "one two three"


def test_urls_alone_are_those_of_the_links() -> None:
    page = """<a href=a rel=nofollow></a><a href=b></a><a href=a#x></a><a href=c rel='x NOFOLLOW'></a><a href=./c rel=nofollow>
              <img src=d srcset='e 1x, f 2x'><a></a><a href="mailto:x"></a><area href=g rel=nofollow><a href="g "></a><a href>"""
    html = Html(page, "http://e.org/", link_tags=("a", "area", "img"))

    assert html.link_urls == [link.url for link in html.links] == [f"http://e.org/{name}" for name in ["a", "b", "c", *"defg", ""]]
    assert html.nofollow_urls == {link.url for link in html.links if link.is_nofollow} == {"http://e.org/c"}
    assert [link.tag for link in html.links] == ["a", "a", "a", "img", "img", "img", "a", "a"]


def test_of_a_page_of_thousands_of_links_the_ends_count_as_the_beginning_does() -> None:
    many = (f"<a href={n % 3000}#{n} {'rel=nofollow' if n < 2500 or n > 3010 else ''}>" for n in range(4000))
    head = "<title>late</title><meta name=description content=later><base href=/b/>"
    html = Html(f"<a href=x rel=nofollow>{''.join(many)}<a href=./x>{head}", URL)

    assert (html.title, html.description, html.base, len(html.links)) == ("late", "later", "http://example.org/b/", 3001)
    assert html.nofollow_urls == {f"http://example.org/b/{n}" for n in range(11, 2500)}
    assert html.nofollow_urls == {link.url for link in html.links if link.is_nofollow}


@pytest.mark.parametrize("rel", ["", "rel=nofollow"])
def test_a_link_is_the_first_element_of_its_url(rel: str) -> None:
    page = "".join(f"<a href={n % 1700} {rel}>{n}</a>" for n in range(5_000))

    assert [link.text for link in links(page, URL)] == [str(n) for n in range(1_700)]


def test_a_page_that_was_read_is_let_go_at_once() -> None:
    html = Html("<meta http-equiv=refresh content='0;url=x'><a href=y rel=nofollow>", URL)
    assert (len(html.links), html.title, html.refresh) == (2, None, (0.0, "http://example.org/dir/x"))
    gone = weakref.ref(html)

    gc.disable()  # trees are large: they may not wait for a collection
    try:
        del html
        assert gone() is None
    finally:
        gc.enable()


# Base and refresh


@pytest.mark.parametrize(
    ("head", "base"),
    [
        ("", URL),
        ("<base href='/other/'>", "http://example.org/other/"),
        ("<base target=x><base href=//cdn.org/a/b><base href=/no/>", "http://cdn.org/a/b"),
        ("<base href='javascript:1'>", URL),
        ("<base href='data:,x'>", URL),
        ("<base href=''>", URL),
        ("<svg><base href=/no/></svg>", URL),
        ("<math><base href=/no/></math><base href=/yes/>", "http://example.org/yes/"),
        ("<template><div><base href=/no/></div></template>", URL),
        ("<template><base href=/no/></template><base href=/yes/>", "http://example.org/yes/"),
        ("<svg><foreignObject><base href=/yes/></foreignObject></svg>", "http://example.org/yes/"),
        ("<a href=x></a>" * 5_000 + "<template><base href=/no/></template>", URL),
        (f"<base href='/{'x' * 10_000}/'>", URL),  # a base that would make every link too long to ask for
    ],
)
def test_the_first_base_with_an_href_counts_if_it_can(head: str, base: str) -> None:
    assert base_url(head, URL) == base


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ("3; url=/next", (3.0, "http://example.org/next")),
        ("0;URL='next'", (0.0, "http://example.org/dir/next")),
        ("1;url=http://o.org/#x", (1.0, "http://o.org/")),
        ("5", None),
        ("5; url=javascript:x", None),
        ("soon; url=/x", None),
        ("-1; url=/x", None),
        (f"{'9' * 5000}; url=/x", None),
        ("1e999999999; url=http://[", None),
        ("", None),
    ],
)
def test_a_refresh_is_told_if_it_leads_somewhere_else(content: str, answer: tuple[float, str] | None) -> None:
    assert meta_refresh(f'<meta http-equiv="Refresh" content="{content}">', URL) == answer


def test_a_refresh_is_a_link() -> None:
    assert urls("<meta name=a content=b><meta http-equiv=refresh content='0;url=x'><a href=y></a>") == [
        "http://example.org/dir/x",
        "http://example.org/dir/y",
    ]


# What the page says of itself


def test_title_description_canonical_and_language_are_read() -> None:
    html = Html(
        """<html lang="en-GB"><svg><title>not this</title></svg><title> A\n title </title><title>nor this</title>
        <meta NAME="Description" content=" two  words"><link rel=canonical href="mailto:x"><link rel="CANONICAL" href="/real#x">""",
        URL,
    )

    assert (html.title, html.description, html.canonical, html.language) == (
        "A title", "two words", "http://example.org/real", "en-GB",
    )  # fmt: skip


def test_a_page_that_says_nothing_has_nothing() -> None:
    for nothing in ("", b"", "text", b"\x00\xff"):
        html = Html(nothing, URL)

        assert (html.title, html.description, html.canonical, html.language, html.links) == (None, None, None, None, [])
        assert html.robots("crawler") == Directives()


def test_the_header_outranks_what_the_page_says_of_its_encoding() -> None:
    page = "<meta charset=utf-8><title>Привет</title>".encode("cp1251")

    assert Html(page, URL, "text/html; charset=windows-1251").title == "Привет"


def test_text_is_for_reading_as_plain_text_or_markdown() -> None:
    article = "<h1>Hats</h1><p>Some <b>blue</b> hats.</p><script>no()</script>"

    for page in (f"<nav>Home</nav><p>Ad</p><main>{article}<aside>Ad</aside></main>", f"<header>Top</header>{article}<nav>On</nav>"):
        html = Html(page, URL)
        assert html.text() == "Hats\n\nSome blue hats."
        assert html.text("markdown") == "# Hats\n\nSome **blue** hats."
        assert html.document.select_one("nav") is not None  # the tree that others read is whole


@pytest.mark.parametrize(
    ("lines", "wish"),
    [
        ([], Directives()),
        (["all"], Directives()),
        (["index, follow"], Directives()),
        (["NONE"], Directives(noindex=True, nofollow=True)),
        (["noindex", "nofollow"], Directives(noindex=True, nofollow=True)),
        (["noindex nofollow"], Directives(noindex=True, nofollow=True)),
        (["otherbot: none"], Directives()),
        (["crawler: nofollow"], Directives(nofollow=True)),
        (["Crawler:nofollow, otherbot: noindex"], Directives(nofollow=True)),
        (["otherbot: nofollow", "noindex"], Directives(noindex=True)),
        (["max-snippet: 20, noindex"], Directives(noindex=True)),
        (["unavailable_after: Friday, 25-Jun-2010 15:00:00 PST, nofollow"], Directives(nofollow=True)),
    ],
)
def test_directives_for_robots_are_read_as_documented(lines: list[str], wish: Directives) -> None:
    assert directives(lines, "crawler") == wish


def test_a_page_may_address_one_robot_by_name() -> None:
    html = Html("<meta name=robots content=index><meta name=Crawler content=noindex><meta name=otherbot content=none>")

    assert html.robots("crawler") == Directives(noindex=True)


# Hostile pages


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "count"),
    [
        ("".join(f"<a href=/{n}>x</a>" for n in range(500_000)), MAX_LINKS),
        ("<a href=/same>x</a>" * 300_000, 1),
        ("<div>" * 1_000_000 + "<a href=/deep>x</a>", 1),
        ("<table><td><a href=/n>" * 100_000, 1),
        (f"<base href='/{'d' * 5_000}/'>" + "".join(f"<a href={n}>x</a>" for n in range(10_000)), 835),
        (f"<a href='/{'d' * 1_000_000}'>x</a><a href=/ok>x</a>", 1),
        ("<meta name=robots content=x>" * 200_000 + "<a href=/ok>", 1),
    ],
    ids=["many", "one many times", "deep", "nested", "long base", "long", "metas"],
)
def test_a_hostile_page_ends(page: str, count: int) -> None:
    html = Html(page, URL)

    assert len(html.links) == count
    assert html.has_more_links == (count > 1)
    assert len(html.links[0].text) <= MAX_LINK_TEXT
    assert html.title is None
    assert html.robots("crawler") == Directives()
    assert isinstance(html.text("markdown"), str)


SCRAPS = st.sampled_from([
    "<a href=", "'", '"', ">", "<base href=", "http://", "//", "..", "?", "#", "1e99", "\ud800", "\0",
    "<meta http-equiv=refresh content=", "0;url=", "<title>", "</title>", "<svg>", "<table>", "<img srcset=", " 1x,",
    "<link rel=next ", "<script type=application/ld+json>", "{", "</script>", "&#", "[", "%",
    "<meta property=og:title content=",
])  # fmt: skip


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(SCRAPS, st.text(max_size=4))).map("".join), st.one_of(st.just(URL), st.text(max_size=20)))
def test_whatever_the_page_and_its_address_nothing_is_raised(page: str, url: str) -> None:
    for source in (page, page.encode("utf-8", "surrogatepass")):
        html = Html(source, url, link_tags=(*LINK_TAGS, "img", "source"))

        assert html.link_urls == [link.url for link in html.links]
        assert html.nofollow_urls == {link.url for link in html.links if link.is_nofollow}
        assert all(link.url.startswith(("http://", "https://")) and isinstance(link.text, str) for link in html.links)
        assert isinstance(links(source, url), list)
        assert isinstance(base_url(source, url), str)
        assert meta_refresh(source, url) is None or html.refresh
        assert isinstance([html.title, html.description, html.canonical, html.language, html.jsonld, html.opengraph], list)
        assert isinstance(html.text() + html.text("markdown"), str)
