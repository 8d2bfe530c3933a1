"""A parse stage and pages for it, as tests use them."""

from __future__ import annotations

from typing import Any

import msgspec

from crawler import Page, Record, Report, To
from crawler_stages.parse import Parse

URL = "http://example.org/a/"
SHOP = """<html lang=en><title>Hats</title><meta name=description content="All hats"><link rel=canonical href=/hats>
<h1>Blue hat</h1><p class=price>€ 12,50</p><a href=b>b</a> <a href=c rel=nofollow>c</a> <a href=b#2>b</a>"""


def page(html: str = SHOP, /, content_type: str = "text/html; charset=utf-8", **fields: Any) -> Page:
    pairs = [("Content-Type", content_type), *fields.pop("header_pairs", [])]
    return Page.of(html.encode(), **{"url": URL, "status_code": 200, "header_pairs": pairs, **fields})


def stage(cls: type[Parse] = Parse, **options: Any) -> Parse:
    """Return a stage that is not opened: `process` is a function to a test."""
    return cls(msgspec.convert(options, cls.Options))


def outputs(parse: Parse, page: Page) -> tuple[list[Any], list[str]]:
    """Return what went on to be kept, and the URLs that went back to the frontier."""
    items = list(parse.process(page))
    kept = [item for item in items if not isinstance(item, To | Report)]
    return kept, [visit.url for item in items if isinstance(item, To) for visit in item.item]


def added(record: Record) -> dict[str, Any]:
    """Return what a record has beside the built-in keys."""
    return {name: value for name, value in record.items() if name not in Record.NAMES}
