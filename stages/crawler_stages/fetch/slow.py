"""Requests whose replies hardly make progress: the text about them, and the sites that have more than their share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from crawler import site
from crawler_stages.clients.contract import Running
from crawler_stages.clients.sockets import SLOW

SHARE: Final = 64  # slow requests of one site, a registered domain, in one process
_FEW: Final = 16  # slow requests that are not worth a message


def crowded(slow: Sequence[Running]) -> frozenset[str]:
    """Return the sites that have their share of slow requests."""
    if len(slow) < SHARE:
        return frozenset()
    hosts = Counter(each.host for each in slow)
    sites: Counter[str] = Counter()
    for host, n in hosts.items():
        sites[site(host)] += n
    return frozenset(name for name, n in sites.items() if n >= SHARE)


def places_note(slow: Sequence[Running], running: int, now: float) -> str:
    """Say which sites hold the places; "" unless slow requests hold most of them. running: all requests. now: monotonic time."""
    if len(slow) < _FEW or 2 * len(slow) < running:
        return ""
    slowest = min(slow, key=lambda each: each.received / max(now - each.start, 1.0))
    lasted = now - slowest.start
    rate = slowest.received / max(lasted, 1.0)
    which = f"the slowest: {slowest.host} ({rate:,.0f} bytes/s for {lasted:.0f} s)"
    return f"{len(slow)} of {running} places are held by hosts slower than {SLOW:,.0f} bytes/s, {which}; others go on beside them"
