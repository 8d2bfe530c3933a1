"""Estimate how long a crawl that is limited by the delay between requests will take, in one sentence."""

from __future__ import annotations

from typing import Final

from crawler.items import HostStats, Stats
from crawler.wording.counting import counted

WORTH: Final = 20.0  # s; an estimate below this is not shown


def estimate(stats: Stats, *, is_brief: bool = False) -> str:
    """Return the time for the URLs known now at the pace of the slowest host; "" if the delay is not what limits the crawl.

    is_brief: without the number of URLs and the pace, where these are told beside it.
    The estimate is a lower bound: a crawl finds more URLs as it goes on, and a page takes time in addition to the delay.
    """
    frontier = next((queue for queue in stats.queues if queue.polite), None)
    waiting = [host for host in stats.hosts if not host.paused]
    if frontier is None or not waiting or stats.hosts_open:
        return ""
    slowest = max(waiting, key=_left)
    if _left(slowest) < WORTH:
        return ""
    if is_brief:
        return f"about {lasting(_left(slowest))} for the URLs known"
    urls = counted(frontier.ready + frontier.delayed + frontier.leased, "URL")
    if stats.hosts_total <= 1:
        what = f"{urls} known, one request every {slowest.delay:g} s"
    else:
        what = f"{urls} known, {slowest.ready + slowest.leased:,} of {slowest.name}, one request every {slowest.delay:g} s"
    return f"{what}: about {lasting(_left(slowest))} for these"


def _left(host: HostStats) -> float:
    """Return the time in s until the last known URL of a host is fetched."""
    return (host.ready + host.leased) * host.delay + max(host.rest, 0.0) if host.delay > 0 else 0.0


def lasting(seconds: float) -> str:
    """Return a duration as people write it: 45 s, 9 min, 2 h 10 min, 3 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return counted(round(hours / 24), "day")
