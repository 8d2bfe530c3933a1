"""The main content of a page without boilerplate, as `trafilatura` (extra article) finds it.

It goes by length, wording and links where a page has no markup for its parts. Its time grows with the square of the page, so a page
over MAX_ARTICLE, scripts and styles left out, gets the ordinary text; so does one in which it finds nothing.
"""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from typing import Final

from turbohtml import Document

from crawler.errors import ConfigError, PageTooCostly
from crawler.web.memory import limited
from crawler.wording.extras import how_to_install

MAX_ARTICLE: Final = 200_000  # characters of HTML; with these the worst page takes 1 s, most take 0.05 s
_RATIO: Final = 4  # times the memory of our own readers that it may take
_BREAKS: Final = (ValueError, TypeError, AttributeError, LookupError, RecursionError)  # what odd pages make it raise


def need_article(setting: str) -> None:
    """Raise ConfigError if what `setting` asks for is not installed."""
    if find_spec("trafilatura") is None or find_spec("lxml_html_clean") is None:
        raise ConfigError(f'{setting} = "article" needs trafilatura, which is not installed; {how_to_install("article")}')


def article(tree: Document, url: str) -> str:
    """Return the main content, "" if none is found or the page is too long. The tree is used up."""
    from trafilatura import extract  # here, because its import takes half a second

    tree.remove("script, style, template, svg, iframe, noscript")
    html = tree.html
    if len(html) > MAX_ARTICLE:
        return ""
    with suppress(PageTooCostly, *_BREAKS):
        return limited(_RATIO * len(html), lambda: extract(html, url=url, include_comments=False)) or ""
    return ""
