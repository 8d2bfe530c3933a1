"""Hrefs joined to the page they stand on, from what was remembered of others."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.web import joins
from crawler.web.html import Html
from crawler.web.joins import join_all, joiner
from crawler.web.urls import join

URL = "http://example.org/dir/page?q=1"


BASES = st.sampled_from([
    URL, f"{URL}?other", "http://example.org", "http://example.org/dir/..", "http://example.org/dir\\x", "https://u:p@e.org/d/%2E?x",
    "http://example.org//", "http://example.org/a//b", "http://example.org/a/../b/c", "http://example.org/a/b/c/d", "http://a/.x/",
])  # fmt: skip
HREFS = st.lists(st.sampled_from([
    "a", ".", "..", "../", "/", "\\", ":", "http", "HTTPS:", "x:", "?", "#", "%2e", " ", "\t", "@", "é", "http://example.org",
]), max_size=4)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(BASES, st.lists(HREFS.map("".join), max_size=4))
def test_whatever_was_remembered_all_joined_are_as_each_by_itself(base: str, hrefs: list[str]) -> None:
    for _ in range(2):
        assert join_all(base, hrefs) == [join(base, href) or "" for href in hrefs]
        assert [joiner(base)(href) for href in hrefs] == [join(base, href) for href in hrefs]


@pytest.mark.parametrize(
    ("href", "pages"),
    [
        ("http://e.org/b/c", ["http://e.org/a/1", "http://e.org/x/y/2"]),
        ("c", ["http://e.org/b/1", "http://e.org/b/2"]),
        ("../b/c", ["http://e.org/a/1", "http://e.org/x/2", "http://e.org/3"]),
        ("../../b/c", ["http://e.org/x/y/1", "http://e.org/a/b/2", "http://e.org/a/3"]),
    ],
)
def test_an_href_is_worked_out_once_for_all_pages_where_it_means_the_same(
    href: str, pages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    worked_out: list[str] = []

    def noting(origin: str, directory: str, href: str) -> tuple[str | None, int]:
        worked_out.append(href)
        return from_root(origin, directory, href)

    from_root = joins._from_root
    monkeypatch.setattr(joins, "_from_root", noting)
    monkeypatch.setattr(joins, "_joined", joins._Memory(1_000))
    monkeypatch.setattr(joins, "_near", joins._Memory(1_000))

    assert {url for page in pages for url in join_all(page, [href])} == {"http://e.org/b/c"}
    assert worked_out == [href]


def test_what_is_remembered_of_joins_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    joined, near = joins._Memory(20), joins._Memory(20)
    monkeypatch.setattr(joins, "_joined", joined)
    monkeypatch.setattr(joins, "_near", near)

    for n in range(100):
        assert join_all(f"http://e.org/{n}/", ["a", f"../{n}", "/"]) == [
            f"http://e.org/{n}/a",
            f"http://e.org/{n}",
            "http://e.org/",
        ]
        assert len(joined) <= 20
        assert len(near) <= 20


def test_nor_do_places_add_up_where_nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    near = joins._Memory(20)
    monkeypatch.setattr(joins, "_near", near)

    for n in range(100):
        assert join_all(f"http://e.org/{n}/", ["?x"]) == [f"http://e.org/{n}/?x"]
        assert len(near) <= 20


@settings(max_examples=300, deadline=None)
@given(BASES, HREFS.map("".join))
def test_an_href_is_read_whole_whatever_its_fragment(base: str, href: str) -> None:
    joined = join(base, href)

    assert Html(f"<a href='{href}'>", base).link_urls == ([joined] if joined else [])
