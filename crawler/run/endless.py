"""Notice hosts whose URLs become many more much faster than they are fetched: calendars, filters, trees of sitemaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from crawler.items import HostStats

MANY: Final = 20_000      # URLs of one host that wait: fewer are no matter, whatever becomes of them
TIMES: Final = 20         # as many waiting URLs as fetched ones; most large sites stay below 10
MOST: Final = 5           # hosts that are told of in one run


def endless(hosts: Sequence[HostStats], told: set[str]) -> list[str]:
    """Return what to tell a person of hosts like that, of each once. told: the names of those told before; it gets the others."""
    lines = []
    for host in hosts:
        fetched = host.accepted - host.ready - host.leased
        if host.ready < MANY or host.ready < TIMES * fetched or host.name in told or len(told) >= MOST:
            continue
        told.add(host.name)
        lines.append(
            f"{host.name} has {host.ready:,} URLs waiting and {fetched:,} fetched: it may make up URLs without end; leave some out "
            "with frontier.deny, or limit their number with frontier.max_pages_per_host"
        )
    return lines
