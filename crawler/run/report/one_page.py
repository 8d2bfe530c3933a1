"""Explain in one sentence why a finished crawl has a single page, or error pages only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crawler.wording.counting import agree

# By status: what a person can do. Only for crawls in which no page has another status.
REFUSED: Final = {
    "401": "it wants a password: write user:password@ before the host in the URL, or set stages.fetch.auth",
    "403": "the server refuses this crawler; stages.fetch.user_agent and stages.fetch.headers set what it says of itself",
    "404": "look at the address",
}
BYTES: Final = "fetch/bytes"  # counters of the fetch stage
NOT_READ: Final = "fetch/body/skipped"


def why_small(report: Mapping[str, Any]) -> str:
    """Return the sentence; "" if there is nothing to explain, or other lines of the summary do."""
    statuses = {status: n for status, n in report["statuses"].items() if not status.startswith("3")}
    n = sum(statuses.values())
    if not n or report["dead"] or any(report["left"].values()):
        return ""
    pages = agree(n, "the only page", f"all {n:,} pages")
    if len(statuses) == 1 and (status := next(iter(statuses))) in REFUSED:
        return f"{pages} {agree(n, 'answers', 'answer')} {status}: {REFUSED[status]}"
    if n > 1 or "200" not in statuses or report["skipped"]:
        return ""
    counters = report["counters"]
    if counters.get(NOT_READ):
        return f"{pages} is of a type that is not read; see stages.fetch.content_types"
    if not counters.get(BYTES):
        return f"{pages} is empty"
    is_led_to = n < sum(report["statuses"].values())
    led = "; a redirect led to it, perhaps to a login: see `location` in the other row" if is_led_to else ""
    return f"{pages} has no links to follow (JavaScript is not run){led}"
