"""A page speaks the words of requests, and travels small."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
import zstandard

from crawler.errors import WireError
from crawler.web.page import MAX_CONTENT, Page

HTML = b"<title>Tea</title><a href='/a'>a</a><p class=price>12</p>" + b"<p>steam</p>" * 500


def travelled(page: Page) -> Page:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(page.packed()), type=Page)


def test_a_page_arrives_as_it_was_sent() -> None:
    page = travelled(
        Page.of(
            HTML,
            url="http://h/x/",
            status_code=200,
            header_pairs=[("Content-Type", "text/html; charset=utf-8")],
            depth=2,
            referrer="http://h/",
            history=("http://h/old",),
            is_seed=True,
            fetched_at=1.5,
            seconds=0.25,
        )
    )

    assert (page.url, page.status_code, page.ok, page.content) == ("http://h/x/", 200, True, HTML)
    assert (page.depth, page.referrer, page.history, page.is_seed) == (2, "http://h/", ("http://h/old",), True)
    assert (page.elapsed, page.fetched_at, page.encoding) == (timedelta(seconds=0.25), 1.5, "utf-8")
    assert len(page.body) < len(HTML) / 5


@pytest.mark.parametrize("content", [b"", b"short", bytes(range(256)) * 2])
def test_what_does_not_shrink_travels_as_it_is(content: bytes) -> None:
    page = travelled(Page.of(content, url="http://h/", status_code=204))

    assert (page.body, page.content) == (content, content)


def test_a_page_is_packed_once_and_only_to_travel() -> None:
    page = Page.of(HTML, url="http://h/", status_code=200)

    assert (page.body, page.content, page.is_packed) == (HTML, HTML, False)
    assert page.packed().packed().content == HTML
    assert travelled(travelled(page)).content == HTML
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(page), type=Page).content == HTML  # by who knows nothing of this


def test_headers_are_found_in_any_case_and_twice() -> None:
    pairs = [("X-A", "1"), ("x-a", "2"), ("Content-Type", "a/b"), ("content-type", "c/d")]
    page = Page(url="u", status_code=200, header_pairs=pairs)

    assert page.headers["x-A"] == "1, 2"
    assert page.headers.get_all("X-a") == ["1", "2"]
    assert page.headers.get("missing") is None
    assert (list(page.headers), len(page.headers)) == (["X-A", "Content-Type"], 2)
    assert page.content_type == "c/d"
    assert Page(url="u", status_code=200).content_type == ""


def test_a_page_reads_itself() -> None:
    page = Page.of(HTML, url="http://h/x/", status_code=404, header_pairs=[("Content-Type", "text/html")])

    assert page.soup.title is not None
    assert page.soup.title.text == page.html.title == "Tea"
    assert [link.url for link in page.links] == ["http://h/a"]
    assert page.css(".price::text") == ["12"]
    assert page.urljoin("b") == "http://h/x/b"
    assert page.text.startswith("<title>")
    assert not page.ok


def test_json() -> None:
    assert Page.of(b'{"a": [1]}', url="u", status_code=200).json() == {"a": [1]}


def test_a_body_that_claims_to_be_huge_is_not_unpacked() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(MAX_CONTENT + 1))

    with pytest.raises(WireError, match=str(MAX_CONTENT)):
        _ = Page(url="u", status_code=200, body=bomb, is_packed=True).content
