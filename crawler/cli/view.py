"""Progress of a running crawl: a live table on a terminal, a log line every ten seconds elsewhere. All on stderr."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Self, TextIO

from crawler.cli.printing import cell, console, pass_on, tell
from crawler.run.next_commands import Hint
from crawler.wording.counting import counted, sized
from crawler.wording.texts import coloured, escaped

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from crawler.config.load import Config
    from crawler.items import HostStats, Stats
    from crawler.run.explain.idle import Explain
    from crawler.run.session import View

# Modules that show counts are imported when there are some: the stages of a crawl start before that.

log = logging.getLogger(__name__)

LOG_EVERY = 10.0  # s between log lines
FIRST = 3.0  # s until the first line: the estimate is wanted early
WIDE = 100  # columns from which tables have more of them
LONGEST = 140  # columns of a sentence; longer lines are hard to read
DUMB = ("", "dumb", "unknown")  # values of TERM: it cannot move its cursor
UNWRAPPED = 10_000  # columns of a sentence if there is no terminal: a command in it can then be copied whole
NO_LIMIT = 1_000  # lines: not a terminal
SAFE = "Ctrl-C is safe, the same command resumes"
SHORT = 1.0  # s; a hub started just now, or a store without one, has no rates
RATE_OVER = 5.0  # s over which a rate is taken: long enough to be read, short enough to be true


class Rates:
    """The number of tasks done per second, by queue, over the last seconds."""

    def __init__(self, over: float = RATE_OVER) -> None:
        self._over = over
        self._seen: list[tuple[float, dict[str, int]]] = []

    def of(self, stats: Stats) -> dict[str, float]:
        now = time.monotonic()
        done = {queue.name: queue.done for queue in stats.queues}
        self._seen = [*[each for each in self._seen if each[0] > now - self._over][-200:], (now, done)]
        since, before = self._seen[0]
        return {name: max(n - before.get(name, 0), 0) / max(now - since, 0.1) for name, n in done.items()}


def make_view(config: Config, hint: Hint, *, quiet: bool, is_live: bool = True) -> View:
    """Return the view that fits stderr: a terminal or not."""

    def explain(stats: Stats) -> str:
        from crawler.run.explain.idle import explainer

        return explainer(config, hint, starts_stages=True)(stats)

    has_rows = config.settings.stages.get("store", {}).get("output") == "-" and is_drawable(sys.__stdout__)  # rows would break it
    return Live(explain) if is_live and is_drawable(sys.stderr) and not has_rows and not quiet else Lines(explain, quiet=quiet)


def is_drawable(stream: TextIO | None) -> bool:
    """Tell whether a live view can be drawn there: it is a terminal that can move its cursor."""
    return stream is not None and stream.isatty() and (os.name == "nt" or os.environ.get("TERM", "") not in DUMB)


class Lines:
    """Log lines."""

    every = 1.0  # for the rates, and for the outlook

    def __init__(self, explain: Explain, *, quiet: bool) -> None:
        self._explain = explain
        self._quiet = quiet
        self._rates = Rates()
        self._next = time.monotonic() + FIRST
        self.on_line: Callable[[str], None] | None = self._pass_on

    def _pass_on(self, line: str) -> None:
        """Show a line of a child process, which has decided whether it is worth showing."""
        pass_on(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def say(self, line: str) -> None:
        if not self._quiet:
            tell(line)

    def show(self, stats: Stats) -> None:
        rates = self._rates.of(stats)
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LOG_EVERY
        log.info("%s", line(stats, rates, self._explain(stats)))


class Live:
    """A table that renews itself."""

    every = 0.25

    def __init__(self, explain: Explain, advice: str = SAFE, *, stderr: bool = True) -> None:
        """advice: shown after an estimate. stderr: draw on standard error; otherwise on standard output."""
        from crawler.cli.paint import Painter

        self._explain = explain
        self._advice = advice
        self._rates = Rates()
        self._painter = Painter(console(stderr=stderr))
        self._open = ExitStack()
        self.on_line: Callable[[str], None] | None = self._pass_on

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self._painter)
            undo.enter_context(logged_to(self.say))
            self._open = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def say(self, line: str) -> None:
        from rich.text import Text

        self._painter.say(Text(escaped(line)))

    def _pass_on(self, line: str) -> None:
        """Show a line of a child process, with its colours."""
        from rich.text import Text

        self._painter.say(Text.from_ansi(coloured(line)))

    def show(self, stats: Stats) -> None:
        self._painter.draw(render(stats, self._rates.of(stats), self._explain(stats), self._advice))


@contextmanager
def logged_to(say: Callable[[str], None]) -> Iterator[None]:
    """Send log lines of this process to `say` instead of standard error while the context is active: they would break the view."""
    from crawler.cli.paint import Above

    handlers = [each for each in logging.root.handlers if isinstance(each, logging.StreamHandler) and each.stream is sys.stderr]
    for handler in handlers:
        handler.setStream(Above(say))
    try:
        yield
    finally:
        for handler in handlers:
            handler.setStream(sys.stderr)


def line(stats: Stats, rates: dict[str, float], reason: str) -> str:
    """Return the state of the hub in one line."""
    queues = []
    for queue in stats.queues:
        if queue.accepted:
            waiting = queue.ready + queue.delayed
            rest = f", {waiting} waiting" if waiting or queue.polite else ""
            queues.append(f"{queue.name}: {queue.done} done ({rates.get(queue.name, 0.0):.1f}/s){rest}")
    from crawler.run.explain.estimate import estimate

    left = estimate(stats, is_brief=True) if stats.uptime > SHORT else ""
    return "; ".join(part for part in (*queues, reason, left) if part)


def render(stats: Stats, rates: dict[str, float], reason: str, advice: str = "", *, is_wrapped: bool = True) -> Screen:
    """Return the state of the hub as tables: queues, hosts, fetched pages, and the reason if the crawl is idle.

    is_wrapped: sentences are wrapped to the width there is.
    """
    return Screen(stats, rates, reason, advice, is_wrapped=is_wrapped)


class Screen:
    """Counts in tables, with a width and detail that fit the terminal."""

    def __init__(self, stats: Stats, rates: dict[str, float], reason: str, advice: str = "", *, is_wrapped: bool = True) -> None:
        self._is_wrapped = is_wrapped
        self._stats = stats
        self._rates = rates
        self._reason = reason
        self._advice = advice

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        stats, width = self._stats, options.max_width
        narrower = options.update(width=_measure(width) if self._is_wrapped else UNWRAPPED)
        above: list[RenderableType] = [queue_table(stats, self._rates, width)]
        if stats.uptime > SHORT:
            above.insert(0, Fitted(self._facts(), narrower))
        room = (console.height - 1 if console.is_terminal else NO_LIMIT) - _height(console, options, *above)
        notes = Fitted(self._notes(is_brief=False), narrower)
        hosts = min(room - _height(console, options, notes) - 1, 5 if width < WIDE else 10 if width < 150 else 20)
        if hosts < 0:  # a small terminal: the reason why nothing happens takes the place of counts
            notes = Fitted(self._notes(is_brief=True), narrower)
        yield from above
        if stats.hosts and hosts > 0:
            yield host_table(stats.hosts[:hosts], stats.hosts_total, width)
        yield notes

    def _facts(self) -> RenderableType:

        from crawler.run.explain.estimate import lasting

        return cell("  ".join(("running for " + lasting(self._stats.uptime), *_rows(self._stats))))

    def _notes(self, *, is_brief: bool) -> RenderableType:
        """is_brief: only why the crawl is idle, and how long it will take."""
        from rich.console import Group

        from crawler.run.explain.estimate import estimate
        from crawler.run.report.summary import skipped_lines
        from crawler.run.report.totals import STATUS, skipped

        counters = self._stats.counters
        notes: list[RenderableType] = []
        statuses = {name.removeprefix(STATUS): n for name, n in counters.items() if name.startswith(STATUS)}
        if statuses and not is_brief:
            notes.append(cell("fetched  " + "  ".join(f"{status}: {n:,}" for status, n in sorted(statuses.items()))))
        notes += [cell(line) for line in skipped_lines(skipped(counters))] if not is_brief else []
        if self._reason:
            notes.append(cell(self._reason, style="yellow"))
        if self._stats.uptime > SHORT and (left := estimate(self._stats)):  # nothing progresses without a hub
            notes.append(cell(f"{left}; {self._advice}" if self._advice else left))
        return Group(*notes)


class Fitted:
    """Renderable with a width of its own."""

    def __init__(self, what: RenderableType, options: ConsoleOptions) -> None:
        self._what = what
        self._options = options

    def __rich_console__(self, console: Console, _: ConsoleOptions) -> RenderResult:
        yield from console.render(self._what, self._options)


def _height(console: Console, options: ConsoleOptions, *what: RenderableType) -> int:
    """Return how many lines these take, one below the other."""
    return sum(len(console.render_lines(each, options, pad=False)) for each in what)


def _measure(width: int) -> int:
    """Return the width for sentences. It leaves some room: a terminal made slightly narrower then does not wrap what was drawn,
    which would push a part of it out of reach."""
    return min(width - width // 10, LONGEST)


def _rows(stats: Stats) -> Iterator[str]:
    """List the number of stored rows in each output."""
    from crawler.run.report.outputs import COUNTERS

    for name, n in stats.counters.items():
        _, mark, output = name.partition(COUNTERS)
        if mark:
            yield f"{counted(n, 'row')} {'on standard output' if output == '-' else f'in {output}'}"


def queue_table(stats: Stats, rates: dict[str, float], width: int = 80) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    narrow = width < WIDE
    for heading in ("queue", "ready", "delayed", "leased", "done", "dead", *(() if narrow else ("size",)), "per s"):
        table.add_column(heading, justify="left" if heading == "queue" else "right", min_width=5 if narrow else 7)
    for queue in stats.queues:
        if queue.accepted:
            held = f" (held back: {queue.full} is full)" if width >= WIDE else " (held back)"
            name = queue.name + (held if queue.full else "")
            counts = (queue.ready, queue.delayed, queue.leased, queue.done, queue.dead)
            rate = f"{rates[queue.name]:.1f}" if queue.name in rates else "·"
            size = () if narrow else (sized(queue.bytes) if queue.bytes else "·",)
            table.add_row(cell(name), *(f"{n:,}" if n else "·" for n in counts), *size, rate)
    return table


def host_table(hosts: Sequence[HostStats], total: int, width: int = 80, *, is_long: bool = False) -> RenderableType:
    """Return the hosts as a table. is_long: also say what set the delay of each."""
    from rich.table import Table

    from crawler.run.explain.waits import FROM

    table = Table(box=None, pad_edge=False)
    narrow = width < WIDE
    has_failures = not narrow and any(host.failures for host in hosts)
    table.add_column(f"host ({total} with work)", min_width=18 if narrow else 24, max_width=24 if narrow else max(width // 3, 24),
                     no_wrap=True, overflow="ellipsis")  # fmt: skip
    for heading in ("ready", "leased", "delay", "next"):
        table.add_column(heading, justify="right", min_width=5 if narrow else 7, no_wrap=True)
    if is_long:
        table.add_column("delay from", no_wrap=True)
    if has_failures:
        table.add_column("last failure", no_wrap=True, overflow="ellipsis")
    for host in hosts:
        wait = host.held or host.rest
        next_one = "paused" if host.paused else "now" if wait <= 0 else f"in {wait:.1f} s"
        cells = [f"{host.ready:,}", str(host.leased), f"{host.delay:g} s", next_one]
        source = [cell(FROM.get(host.delay_by, host.delay_by))] if is_long else []
        failure = [cell(f"{host.failures} in a row: {host.failure}" if host.failures else "")] if has_failures else []
        table.add_row(cell(host.name), *cells, *source, *failure)
    return table
