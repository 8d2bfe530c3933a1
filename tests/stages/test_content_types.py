"""A page with an odd Content-Type is read as browsers read it: fetched, parsed and followed, with each client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.oddities import FINE, Oddities, Row, ok, page
from tests.stages.test_oddities import CLIENTS, Crawl

# What is sent: one value, or several headers
READ: list[tuple[str, ...]] = [
    ("text/html",), ("TEXT/HTML",), ("text/html, text/html",), ("text/html,text/html; charset=utf-8",), ("text/html", "text/html"),
    ("text/html;;charset=utf-8",), ('text/html; charset="utf-8"',), ("text/html;",), ("*/*, text/html",),
    ("text/plain", "text/html"),
    ("text/html", "bogus"), ("bogus",), ("unknown/unknown",), ("application/unknown",), ("*/*",), ("charset=utf-8",), ("",), (),
    ("text/html charset=utf-8",), ("image/png, text/html",), ("application/xhtml+xml, application/xhtml+xml",), ("(null)",),
    ("html",),
]  # fmt: skip
NOT_READ: list[tuple[str, ...]] = [("text/plain",), ("text/html, text/plain",), ("text/html", "image/png"), ("application/pdf",)]


def row(kinds: list[tuple[str, ...]]) -> Row:
    answers = {"": ok(page(*(f"p{n}" for n in range(len(kinds))))), "next": FINE}
    for n, sent in enumerate(kinds):
        answers[f"p{n}"] = ok(page(f"t{n}"), *(f"Content-Type: {kind}" for kind in sent), kind="")
        answers[f"t{n}"] = FINE
    return Row("types", "odd content types", answers, {})


@pytest.fixture
def server() -> Iterator[Oddities]:
    with Oddities(more=[row([*READ, *NOT_READ])]) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
def test_a_page_is_read_if_its_type_is_html_or_says_nothing(server: Oddities, client: str) -> None:
    outcomes = Crawl(server, row([*READ, *NOT_READ]), client=client).outcomes

    led = [n for n in range(len(READ) + len(NOT_READ)) if outcomes.get(f"t{n}") == 200]
    assert [(READ + NOT_READ)[n] for n in led] == READ
    assert [path for path, status in outcomes.items() if status != 200] == []
