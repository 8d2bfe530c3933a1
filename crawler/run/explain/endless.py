"""Notice hosts whose URLs become many more much faster than they are fetched: calendars, filters, trees of sitemaps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from crawler.errors import CrawlerError
from crawler.items import HostStats, Stats

log = logging.getLogger(__name__)

EVERY: Final = 30.0  # s between looks at the hosts

MANY: Final = 20_000  # URLs of one host that wait: fewer are no matter, whatever becomes of them
TIMES: Final = 20  # as many waiting URLs as fetched ones; most large sites stay below 10
MOST: Final = 5  # hosts that are told of in one run


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


@contextmanager
def watched(stats: Callable[[], Stats], every: float = EVERY) -> Iterator[None]:
    """Log a warning about each host like that, for a hub without a `crawler run` that says it. every: s between looks."""
    is_over = Event()
    thread = Thread(target=_watch, args=(stats, every, is_over), name="endless", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _watch(stats: Callable[[], Stats], every: float, is_over: Event) -> None:
    told = set[str]()
    while len(told) < MOST and not is_over.wait(every):
        try:
            hosts = stats().hosts
        except CrawlerError as error:  # the store is closed or cannot be read, which the hub says itself
            log.debug("the hosts cannot be looked at: %s", error)
            return
        for line in endless(hosts, told):
            log.warning("%s", line)
