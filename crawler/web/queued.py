"""Visits as they are on a queue, for commands that show the items of a stage."""

from __future__ import annotations

from crawler.codec.bodies import fitting
from crawler.web.page import Visit
from crawler.web.urls import is_crawlable


def visit(body: bytes) -> Visit | None:
    """Return the visit in an item; None if it is none, or its URL is not one that can be crawled."""
    found = fitting(body, Visit)
    return found if found is not None and is_crawlable(found.url) else None
