"""What a person sees of a running crawl: a live table on a terminal, a log line every ten seconds elsewhere. All on stderr."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, Self

from crawler.report import STATUS, skipped
from crawler.run.hints import Hint
from crawler.run.idle import Explain, explainer

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


def make_view(config: Config, hint: Hint, *, quiet: bool, is_live: bool = True) -> View:
    """The view for where stderr goes."""
    explain = explainer(config, hint)
    return Live(explain) if is_live and sys.stderr.isatty() and not quiet else Lines(explain, quiet=quiet)


class Lines:
    """Log lines."""

    on_line: Callable[[str], None] | None = None
    every = 1.0       # for the rates, and for the outlook

    def __init__(self, explain: Explain, *, quiet: bool) -> None:
        self._explain = explain
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
        reason = self._explain(stats)
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

    def __init__(self, explain: Explain) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._explain = explain
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
        self._live.update(render(stats, self._rates.of(stats), self._explain(stats)))


def render(stats: Stats, rates: dict[str, float], reason: str) -> Group:
    """The whole hub as tables: queues, hosts, what was fetched, and the reason why it is idle if it is."""
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
    if reason:
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
            rate = f"{rates[queue.name]:.1f}" if queue.name in rates else "·"
            table.add_row(name, *(f"{n:,}" if n else "·" for n in counts), rate)
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
