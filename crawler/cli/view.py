"""What a person sees of a running crawl: a live table on a terminal, a log line every ten seconds elsewhere. All on stderr."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, Self

from crawler.report import STATUS, skipped

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from crawler.config import Config
    from crawler.items import HostStats, Stats

log = logging.getLogger("crawler.run")

LOG_EVERY = 10.0      # s between log lines
HOSTS_SHOWN = 5
RATE_OVER = 5.0       # s over which a rate is taken: long enough to be read, short enough to be true


class View(Protocol):
    """Somewhere to show a crawl."""

    on_line: Callable[[str], None] | None      # what a child's line on stderr goes to; None: to ours as it is
    every: float                               # s between counts that it can show

    def say(self, line: str) -> None: ...
    def show(self, stats: Stats) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class Rates:
    """Tasks done a second, by queue, over the last `RATE_OVER` seconds."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, dict[str, int]]] = []

    def of(self, stats: Stats) -> dict[str, float]:
        now = time.monotonic()
        done = {queue.name: queue.done for queue in stats.queues}
        self._seen = [*[each for each in self._seen if each[0] > now - RATE_OVER][-200:], (now, done)]
        since, before = self._seen[0]
        return {name: max(n - before.get(name, 0), 0) / max(now - since, 0.1) for name, n in done.items()}


def idle_reason(stats: Stats, delay: float) -> str:
    """Why nothing much happens, or "". Says which setting it is, when it is one."""
    if stats.is_short:
        return "no room on the hub's disk: nothing new is begun until there is"
    for queue in stats.queues:
        if queue.full and queue.ready:
            return f"{queue.name} waits: {queue.full} is full"
    frontier = next((queue for queue in stats.queues if queue.polite), None)
    if frontier is None or not frontier.ready + frontier.delayed:
        return ""
    if not frontier.ready:
        return f"{frontier.delayed:,} URLs wait to be tried again"
    waiting = [host for host in stats.hosts if host.ready and (host.rest > 0 or host.leased or host.paused)]
    if len(waiting) < stats.hosts_total:
        return ""
    return _why_hosts_wait(waiting, stats.hosts_total, frontier.ready, delay)


def _why_hosts_wait(waiting: Sequence[HostStats], total: int, ready: int, delay: float) -> str:
    """All hosts with work are waited for: paused by hand, in back-off, slow by their own wish, or by our politeness."""
    if all(host.paused for host in waiting):
        return f"{ready:,} URLs wait for {total} paused host(s); 'crawler host resume' goes on"
    resting = [host for host in waiting if host.rest > host.delay + 1.0]
    if len(resting) == len(waiting):
        until = time.strftime("%H:%M:%S", time.localtime(time.time() + min(host.rest for host in resting)))
        return f"{ready:,} URLs wait for {total} host(s) in back-off until {until}"
    slowest = max(waiting, key=lambda host: host.delay)
    if slowest.delay > delay:
        return f"{ready:,} URLs wait for {total} host(s); {slowest.name} is asked once in {slowest.delay:g} s"
    if delay > 0:
        return (
            f"{ready:,} URLs wait for {total} host(s), one request each {delay:g} s: "
            "that is frontier.delay; lower it for a site of your own"
        )
    return ""


def make_view(config: Config, *, quiet: bool) -> View:
    """The view for where stderr goes."""
    delay = config.settings.frontier.delay
    return Live(delay) if sys.stderr.isatty() and not quiet else Lines(delay, quiet=quiet)


class Lines:
    """Log lines."""

    on_line: Callable[[str], None] | None = None
    every = 1.0       # for the rates, and for the outlook

    def __init__(self, delay: float, *, quiet: bool) -> None:
        self._delay = delay
        self._quiet = quiet
        self._rates = Rates()
        self._next = time.monotonic() + LOG_EVERY

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, line: str) -> None:
        if not self._quiet:
            print(line, file=sys.stderr, flush=True)

    def show(self, stats: Stats) -> None:
        rates = self._rates.of(stats)
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LOG_EVERY
        reason = idle_reason(stats, self._delay)
        log.info(
            "%s%s",
            "; ".join(
                f"{queue.name}: {queue.done} done ({rates[queue.name]:.1f}/s), {queue.ready + queue.delayed} waiting"
                for queue in stats.queues if queue.accepted
            ),
            f"; {reason}" if reason else "",
        )  # fmt: skip


class Live:
    """A table that renews itself."""

    every = 0.25

    def __init__(self, delay: float) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._delay = delay
        self._rates = Rates()
        self._console = Console(stderr=True, highlight=False)
        self._live = RichLive(console=self._console, refresh_per_second=4, transient=True)
        self.on_line: Callable[[str], None] | None = self.say

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        from rich.text import Text

        self._console.print(Text.from_ansi(line), soft_wrap=True)     # colours stay; what moves the cursor does not

    def show(self, stats: Stats) -> None:
        self._live.update(render(stats, self._rates.of(stats), self._delay))


def render(stats: Stats, rates: dict[str, float], delay: float) -> Group:
    """The whole hub as tables: queues, hosts, what was fetched, and why it is idle if it is."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [queue_table(stats, rates)]
    if stats.hosts:
        parts.append(host_table(stats.hosts[:HOSTS_SHOWN], stats.hosts_total))
    statuses = {name.removeprefix(STATUS): n for name, n in stats.counters.items() if name.startswith(STATUS)}
    if statuses:
        parts.append(Text("fetched  " + "  ".join(f"{status}: {n}" for status, n in sorted(statuses.items()))))
    if missed := skipped(stats.counters):
        parts.append(Text("skipped  " + "  ".join(f"{reason}: {n}" for reason, n in list(missed.items())[:6])))
    if reason := idle_reason(stats, delay):
        parts.append(Text(reason, style="yellow"))
    return Group(*parts)


def queue_table(stats: Stats, rates: dict[str, float]) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("queue", "ready", "delayed", "leased", "done", "dead", "per s"):
        table.add_column(heading, justify="left" if heading == "queue" else "right", min_width=7)
    for queue in stats.queues:
        if queue.accepted:
            name = f"{queue.name} (held back: {queue.full} is full)" if queue.full else queue.name
            counts = (queue.ready, queue.delayed, queue.leased, queue.done, queue.dead)
            table.add_row(name, *(f"{n:,}" if n else "·" for n in counts), f"{rates.get(queue.name, 0.0):.1f}")
    return table


def host_table(hosts: Sequence[HostStats], total: int) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column(f"host ({total} with work)", min_width=24)
    for heading in ("ready", "leased", "delay", "next"):
        table.add_column(heading, justify="right", min_width=7)
    for host in hosts:
        next_one = "paused" if host.paused else "now" if host.rest <= 0 else f"in {host.rest:.1f} s"
        table.add_row(Text(host.name), f"{host.ready:,}", str(host.leased), f"{host.delay:g} s", next_one)
    return table
