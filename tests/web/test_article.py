"""The main content of a page, as trafilatura finds it."""

from __future__ import annotations

import importlib.util

import pytest

from crawler.errors import ConfigError
from crawler.web import article
from crawler.web.html import Html
from crawler_stages.parse import Parse

WORDS = "The blue whale is the largest animal that is known to have lived on this planet, and it feeds on krill alone."
PAGE = (
    "<title>Whales</title><div class=menu><a href=/>Home</a> <a href=/shop>Shop</a></div>"
    f"<div class=post><h1>Whales</h1><p>{WORDS}</p><p>{WORDS} They live in all oceans.</p></div>"
    "<div class=footer>All rights reserved. <a href=/imprint>Imprint</a></div>"
)


def test_an_article_is_the_text_without_boilerplate() -> None:
    pytest.importorskip("trafilatura")

    found = Html(PAGE, "http://e.org/").text("article")

    assert "They live in all oceans." in found
    assert "Shop" not in found
    assert "Imprint" not in found


@pytest.mark.parametrize("page", ["<p>short", f"<p>{'word ' * 50_000}", "<script>" + "x" * 300_000 + "</script><p>short"])
def test_a_page_without_an_article_or_too_long_for_it_gets_its_text(page: str) -> None:
    pytest.importorskip("trafilatura")

    assert Html(page).text("article").startswith(("short", "word"))


def test_an_article_is_refused_where_its_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(article, "find_spec", lambda name: None if name == "trafilatura" else found(name))

    with pytest.raises(ConfigError, match=r"stages\.parse\.text = \"article\" needs trafilatura, .*pip install"):
        Parse.check(Parse.Options(text="article"), "stages.parse")

    Parse.check(Parse.Options(text="markdown"), "stages.parse")
