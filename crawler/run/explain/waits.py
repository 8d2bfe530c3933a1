"""Explain what the hosts of a crawl wait for: hosts that wait for the same reason are one group, and each group names its own.

by hand: paused · held back after robots.txt · no answer yet · at rest after failures · a delay: by hand, Crawl-delay, setting
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Final

from crawler.items import HostStats, Stats
from crawler.run.next_commands import Hint
from crawler.wording.counting import counted

SLOW: Final = 3.0  # s without an answer after which a host is reported
SOON: Final = 3.0  # s; no time is named for a request that is made earlier
GROUPS: Final = 3  # reasons named in one sentence
REASON: Final = 160  # characters of a failure's reason that are shown

PAUSED, HELD, ASKED, RESTING, BY_HAND, BY_HOST, BY_SETTING, BY_TABLE = (
    "paused", "held", "asked", "resting", "by hand", "by host", "by setting", "by table"
)  # fmt: skip
_BY: Final = {"hand": BY_HAND, "host": BY_HOST, "setting": BY_SETTING, "table": BY_TABLE}
# By `HostStats.delay_by`, where the delay of a host was set.
FROM: Final = {
    "hand": "set by 'crawler host delay'", "host": "its Crawl-delay", "setting": "frontier.delay", "table": "its table in [hosts]",
}  # fmt: skip


def why_hosts_wait(stats: Stats, hint: Hint, *, is_by_hand: bool = False) -> str:
    """Return the reasons why no host may be asked, the one of most URLs first; "" if a host is at work.

    is_by_hand: the hub was started with `crawler hub`, so no `crawler run` decides its settings.
    """
    groups: dict[str, list[HostStats]] = {}
    for host in stats.hosts:
        reason = reason_of(host)
        if host.ready or host.held or reason == ASKED:
            groups.setdefault(reason, []).append(host)
    if not groups or "" in groups:
        return ""
    ordered = sorted(groups.items(), key=lambda group: -_urls(group[1]))
    if len(ordered) == 1:
        [(reason, hosts)] = ordered
        unseen = stats.hosts_total - len(stats.hosts)  # only the first of many are in the list
        return told(reason, hosts, len(hosts) + max(unseen, 0), hint, is_by_hand=is_by_hand)
    parts = [
        f"{counted(_urls(hosts), 'URL')}: {told(reason, hosts, len(hosts), hint, is_by_hand=is_by_hand)}"
        for reason, hosts in ordered[:GROUPS]
    ]
    rest = sum(_urls(hosts) for _, hosts in ordered[GROUPS:])
    return " · ".join(parts) + (f" · {counted(rest, 'URL')} for other reasons" if rest else "")


def reason_of(host: HostStats) -> str:
    """Return the reason the URLs of this host wait; "" if they do not wait, or not for long."""
    if host.paused:
        return PAUSED
    if host.held > 0:
        return _BY[host.delay_by] if host.held <= host.delay else HELD
    if host.asked > SLOW:
        return ASKED
    if host.rest > 0 and (host.failures > 0 or host.rest > host.delay + 1.0):
        return RESTING
    return _BY[host.delay_by] if host.delay > 0 and (host.rest > 0 or host.leased) else ""


def told(reason: str, hosts: Sequence[HostStats], total: int, hint: Hint, *, is_by_hand: bool = False) -> str:
    """Describe what these hosts wait for. total: their number, if they are only the first of many."""
    one = hosts[0].name if total == 1 else ""
    name = one or counted(total, "host")
    slowest = max(hosts, key=lambda host: host.delay)
    if reason == PAUSED:
        resume = hint(f"host resume {one or 'HOST'}")
        return f"{name} {'is' if one else 'are'} paused; '{resume}' goes on"
    if reason == ASKED:
        return not_answered(max(hosts, key=lambda host: host.asked))
    if reason == HELD:
        return f"{name}: the pause after robots.txt (stages.fetch.pause_after_robots){_next(hosts)}"
    if reason == RESTING:
        first = min(hosts, key=lambda host: host.rest)
        after = f", after {counted(first.failures, 'failure')}: {short(first.failure)}" if first.failures else ""
        return f"{name} {'rests' if one else 'rest'} until {clock(first.rest)}{'' if one else ' or later'}{after}"
    each = one or f"each of {name}"
    if reason == BY_HAND:
        return f"one request every {slowest.delay:g} s to {each}, as set by 'crawler host delay'{_next(hosts)}"
    if reason == BY_TABLE:
        return f"one request every {slowest.delay:g} s to {each}, as set in its table in [hosts]{_next(hosts)}"
    if reason == BY_HOST:
        return f"robots.txt of {slowest.name} asks for {slowest.delay:g} s between requests (Crawl-delay){_next(hosts)}"
    way = "lower it"
    if is_by_hand:  # the setting of a stage would change nothing
        now = hint(f"host delay {one or 'HOST'} 0")
        way = f"'{now}' lowers it at once, '{hint('hub --delay 0')}' for all hosts,"
    return f"one request every {slowest.delay:g} s to {each} (frontier.delay; {way} for a site of your own){_next(hosts)}"


def slowest(hosts: Sequence[HostStats], seconds: float) -> HostStats | None:
    """Return the host whose answer has been awaited longest, if for longer than this."""
    late = [host for host in hosts if host.asked > seconds and not host.held]
    return max(late, key=lambda host: host.asked, default=None)


def not_answered(host: HostStats) -> str:
    return f"waiting for {host.name} to answer for {host.asked:.0f} s"


def _urls(hosts: Sequence[HostStats]) -> int:
    return sum(host.ready or host.leased for host in hosts)


def _next(hosts: Sequence[HostStats]) -> str:
    """Return the time of the next request, if it is worth naming."""
    wait = min(host.held or host.rest for host in hosts)
    return f"; next at {clock(wait)}" if wait >= SOON else ""


def clock(seconds: float) -> str:
    """Return the time of day in `seconds` from now, rounded up: at that time it is over."""
    return time.strftime("%H:%M:%S", time.localtime(math.ceil(time.time() + seconds)))


def short(reason: str) -> str:
    """Cut a failure's reason to what fits into a sentence."""
    return reason if len(reason) <= REASON else f"{reason[:REASON]}…"
