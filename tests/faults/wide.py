"""R17: a polite crawl of many hosts whose workers are killed and frozen, with pages that kill whoever reads them.

warm-up ──▶ rate before ──▶ kills and freezes ──▶ at most `RECOVERED` s ──▶ rate as before ──▶ the end of the crawl
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from crawler_bench.processes import role
from tests.faults.checker import CLOCKS, check_rows
from tests.faults.hosts import ManyHosts, Pause
from tests.faults.kills import Crawl, kill
from tests.faults.processes import Bench, child_pids, look, until
from tests.faults.table import Row

RECOVERED = 30.0  # s after the last fault in which the rate must be what it was
ENOUGH = 0.8  # of the rate of before
WINDOW = 5.0  # s over which a rate is taken
BEFORE = 10.0  # s over which the rate of before is taken
LONG = 20.0  # s of the longest freezes: a worker is given up after 15
POISON = """
import ctypes
import resource
from collections.abc import Iterator
from typing import Any

from crawler import Page
from crawler_stages.parse import Parse


class Poisoned(Parse):
    def open(self) -> None:
        super().open()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def process(self, page: Page) -> Iterator[Any]:
        if page.url.endswith({poison}):
            ctypes.string_at(0)
        yield from super().process(page)
"""


@dataclass(frozen=True)
class Plan:
    """The size of a run."""

    hosts: int
    kills: int
    freezes: int
    seconds: float  # over which these are spread
    delay: float = 1.0  # s
    client: str = "curl"
    longest: float = LONG  # s of a freeze

    @property
    def poison(self) -> int:
        """The first page that kills its worker: it comes when the rate of before has been taken."""
        return int(BEFORE / self.delay) + 6

    @property
    def pages(self) -> int:
        """Pages of each host: enough until the rate after the faults has been taken."""
        return int((BEFORE + self.seconds + self.longest + RECOVERED + 2 * WINDOW) / self.delay)


FULL = (Plan(150, kills=20, freezes=10, seconds=60.0), Plan(150, kills=20, freezes=10, seconds=60.0, client="requests"))
QUICK = (Plan(40, kills=6, freezes=3, seconds=15.0, longest=6.0),)


def survive(work: Path, *plans: Plan) -> Row:
    """R17"""
    first = plans[0]
    struck = f"{first.kills} kills and {first.freezes} freezes of any process"
    row = Row(
        "R17", f"{first.hosts} hosts, two pages that kill their worker, {struck}",
        f"{RECOVERED:g} s later the rate is above {ENOUGH:.0%} of before, the two pages are dead, nothing is lost or twice, "
        "no host has a pause shorter than the delay",
    )  # fmt: skip
    for plan in plans:
        crawl_through(row, work / f"R17-{plan.client}", plan, Random(17))
        row.rounds += plan.kills + plan.freezes
    return row


def crawl_through(row: Row, work: Path, plan: Plan, dice: Random) -> None:
    """A crawl with these faults, from its first request to its end."""
    with ManyHosts(plan.hosts, plan.pages) as web, Bench(work, settings(plan)) as bench:
        poison = [web.url(plan.hosts // 3, plan.poison), web.url(2 * plan.hosts // 3, plan.poison + 2)]
        (bench.directory / "poison.py").write_text(POISON.format(poison=tuple(url.partition("//")[2] for url in poison)))
        (bench.directory / "seeds").write_text("\n".join(web.seeds))
        crawl = Crawl(bench, ["--seeds", "seeds"], "pages.jsonl")
        try:
            until(lambda: len(web.asked) == plan.hosts, "every host is asked")
            time.sleep(2 * plan.delay)  # robots.txt, then the first page
            began = time.monotonic()
            time.sleep(BEFORE)
            before = web.rate(began, time.monotonic())
            last = strike(crawl, plan, dice)
            recover(row, crawl, web, before, last)
            code = crawl.process.wait(10 * plan.pages * plan.delay)
        finally:
            crawl.close()
        row.expect(code == 3, f"the crawl ended with {code}: {bench.log('run')[-600:]}")
        check_rows(row, crawl.output, web.urls - set(poison))
        check_dead(row, bench, poison)
        check_pauses(row, list(web.pauses()), plan.delay)
        again = web.requests() - len(web.urls) - plan.hosts
        robots = web.requests("/robots.txt")
        row.notes.append(f"{plan.client}: {len(web.urls):,} pages, {again} requests made again, {robots} for robots.txt")


def settings(plan: Plan) -> list[str]:
    return [f"frontier.delay={plan.delay}", f"stages.fetch.client={plan.client}", "stages.parse.use=poison:Poisoned"]


def strike(crawl: Crawl, plan: Plan, dice: Random) -> float:
    """Kill and freeze processes. Returns the monotonic time at which the last fault was over."""
    began = last = time.monotonic()
    strikes: list[tuple[float, Callable[[], float]]] = []
    for _ in range(plan.kills):
        strikes.append((dice.uniform(0, plan.seconds), lambda: kill_one(crawl, dice)))
    for number in range(plan.freezes):
        seconds = plan.longest if number < 2 else dice.uniform(1, plan.longest / 4)
        strikes.append((dice.uniform(0, plan.seconds), lambda seconds=seconds: freeze_one(crawl, dice, seconds)))  # type: ignore[misc]  # a lambda without types
    for at, act in sorted(strikes, key=lambda strike: strike[0]):
        time.sleep(max(began + at - time.monotonic(), 0))
        last = max(last, act())
    time.sleep(max(last - time.monotonic(), 0))
    return last


def victim(crawl: Crawl, dice: Random, *, is_hub: bool) -> int:
    """Choose one of the processes of the crawl, those that are being started included. is_hub: it may be the hub."""

    def running() -> list[int]:
        found = []
        for pid in sorted(child_pids(crawl.process.pid)):
            with suppress(FileNotFoundError, ProcessLookupError):
                found += [pid] if is_hub or role(pid) != "hub" else []
        return found

    return dice.choice(until(running, "there is a process"))


def kill_one(crawl: Crawl, dice: Random) -> float:
    kill(victim(crawl, dice, is_hub=True))
    return time.monotonic()


def freeze_one(crawl: Crawl, dice: Random, seconds: float) -> float:
    """Stop a process now and let it go on later. Returns when that will be."""
    pid = victim(crawl, dice, is_hub=seconds < LONG)
    started = look(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        if started is not None and look(pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    threading.Timer(seconds, go_on).start()
    return time.monotonic() + seconds


def recover(row: Row, crawl: Crawl, web: ManyHosts, before: float, last: float) -> None:
    """Look at the rate after the last fault."""
    took, rates = None, []
    while crawl.is_running and time.monotonic() < last + RECOVERED + WINDOW:
        time.sleep(WINDOW / 5)
        now = time.monotonic()
        if now < last + WINDOW:
            continue
        rates.append(web.rate(now - WINDOW, now))
        if took is None and rates[-1] >= ENOUGH * before:
            took = now - WINDOW - last
    row.recovery = [*row.recovery, *([] if took is None else [took])]
    row.notes.append(f"{before:.1f} pages/s before, {min(rates):.1f} to {max(rates):.1f} in the {RECOVERED + WINDOW:g} s after")
    late = web.rate(last + RECOVERED, last + RECOVERED + WINDOW)
    row.expect(late >= ENOUGH * before, f"{RECOVERED:g} s after the last fault there are {late:.1f} pages/s, {before:.1f} before")


def check_dead(row: Row, bench: Bench, poison: Sequence[str]) -> None:
    """The pages that kill are dead, with the signal and the place, and nothing else is. One of their attempts may be a fault's."""
    bench.start("dead", "dead", "list").wait(30)
    listed = [line for line in bench.log("dead").splitlines() if "http://" in line]
    found = sorted(line.split("\t")[3] for line in listed)
    row.expect(found == sorted(poison), f"dead are {found}, should be {sorted(poison)}")
    for number, url in enumerate(poison):
        bench.start(f"why-{number}", "why", url).wait(30)
        row.expect("killed by SIGSEGV at poison.py" in bench.log(f"why-{number}"), f"{url}: {bench.log(f'why-{number}')}")


def check_pauses(row: Row, pauses: Sequence[Pause], delay: float) -> None:
    short = sorted(pause for pause in pauses if pause.seconds < delay - CLOCKS)
    row.expect(not short, f"{len(short)} of {len(pauses)} pauses are too short: {short[:5]}")
    row.notes.append(f"{len(pauses):,} pauses, the shortest {min(pauses).seconds * 1000:.0f} ms of {delay * 1000:.0f}")
