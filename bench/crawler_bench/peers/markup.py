"""Title and links of a page by lxml, which Scrapy brings along: less work than its selectors and link extractors."""

from __future__ import annotations

from typing import Final

from lxml import etree

_PARSER: Final = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, collect_ids=False)
_HREFS: Final = etree.XPath("//a/@href", smart_strings=False)
_TITLE: Final = etree.XPath("normalize-space(/html/head/title)", smart_strings=False)


def read(body: bytes) -> tuple[str, list[str]]:
    """Title and hrefs."""
    tree = etree.fromstring(body, _PARSER)
    return str(_TITLE(tree)), list(map(str, _HREFS(tree)))
