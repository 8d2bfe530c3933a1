"""R1, R2: kill -9 at random moments of a crawl, again and again."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

from crawler.errors import CrawlerError, HubError
from crawler.hub.client import HubClient
from crawler.items import Stats
from tests.faults.checker import check_books, check_gaps, check_rows
from tests.faults.processes import Bench, Gauge, children, until
from tests.faults.table import Row
from tests.faults.webs import Web

SOONEST, LATEST = 0.02, 0.5  # s from one kill, or from its being over, to the next
EARLY = 0.2  # share of kills that do not wait for the last one to be over: they hit a process that starts
BACK = 2.0  # s after which a killed hub must be at work again
HOSTS, DELAY = 40, 0.01  # s; several hundred pages a second, and every host has a delay to be kept
WORKERS = ("fetch", "parse", "store")  # started by hand
TOGETHER = ("fetch+parse", "store")  # as `crawler run` has them unless told otherwise:
APART = "stages.parse.chain=false"


class Crawl:
    """`crawler run` on a web, and what can be seen of it from outside."""

    def __init__(self, bench: Bench, seeds: Sequence[str], output: str) -> None:
        """seeds: as on the command line."""
        self.output = bench.directory / output
        self.process = bench.start("run", "run", *seeds, "-q", "-o", output)
        until((bench.data / "authkey").exists, "the crawl makes its key")
        self._socket = f"unix:{bench.data / 'hub.sock'}"
        self._client = HubClient(self._socket, bench.key, patience=0)

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def pid(self, role: str) -> int | None:
        return children(self.process.pid).get(role)

    def workers(self) -> list[int]:
        """Pids, of each role one, in the order of the roles."""
        return [pid for role, pid in sorted(children(self.process.pid).items()) if role != "hub"]

    def stats(self) -> Stats | None:
        """None: there is no hub just now."""
        try:
            return self._client.stats()
        except (HubError, CrawlerError):
            return None

    def close(self) -> None:
        self._client.close()


def done(stats: Stats) -> int:
    return sum(queue.done for queue in stats.queues)


@contextmanager
def crawling(bench: Bench, web: Web, number: int) -> Iterator[Crawl]:
    crawl = Crawl(bench, [web.seed], f"pages-{number}.jsonl")
    try:
        until(lambda: not crawl.is_running or ((stats := crawl.stats()) and done(stats)), "the crawl begins")
        yield crawl
        crawl.process.wait(120)
    finally:
        crawl.close()


def storm(row: Row, work: Path, kills: int, pages: int, seed: int, strike: Callable[[Row, Crawl, Random], bool]) -> None:
    """Crawl after crawl until there were so many kills; each crawl must end by itself with everything in its file."""
    dice = Random(seed)
    crawls = 0
    gaps: list[float] = []
    while row.rounds < kills and not row.broken:
        with Web(pages, hosts=HOSTS, seed=seed + crawls) as web, Bench(
            work / f"{row.id}-{crawls}", [f"frontier.delay={DELAY}", *web.settings, *([APART] if crawls % 2 else [])]
        ) as bench:  # fmt: skip
            with crawling(bench, web, crawls) as crawl, Gauge(partial(crawl.pid, "hub")) as gauge:
                while row.rounds < kills and crawl.is_running:
                    row.rounds += strike(row, crawl, dice)
            code = crawl.process.returncode
            row.expect(code == 0, f"crawl {crawls} ended with {code}: {bench.log('run')[-600:]}")
            check_rows(row, crawl.output, web.urls)
            check_report(row, bench)
            gaps += web.gaps()
            row.rss, row.threads = max(row.rss or 0, gauge.rss), max(row.threads or 0, gauge.threads)
            row.cpu = (row.cpu or 0.0) + gauge.cpu
        crawls += 1
    row.notes.append(f"{crawls} crawls of {pages:,} pages on {HOSTS} hosts, every other one with fetch and parse apart")
    check_gaps(row, gaps, DELAY)


def check_report(row: Row, bench: Bench) -> None:
    """No task died of being in the wrong hands again and again."""
    file = bench.data / "report.json"
    dead = json.loads(file.read_text())["dead"] if file.exists() else {}
    row.expect(not dead, f"innocent tasks are dead: {dead}")


def strike_hub(row: Row, crawl: Crawl, dice: Random) -> bool:
    """One kill of the hub, and how long it took until tasks were finished again. False: the crawl was over first."""
    is_early = dice.random() < EARLY
    until(lambda: not crawl.is_running or (crawl.pid("hub") and (is_early or crawl.stats())), "there is a hub")
    time.sleep(dice.uniform(SOONEST, LATEST))
    pid = crawl.pid("hub")
    if pid is None or not kill(pid):
        return False
    struck = time.monotonic()
    if is_early:
        return True
    after = until(lambda: crawl.stats() or not crawl.is_running, "the hub answers again")
    if isinstance(after, Stats):
        check_books(row, after)
        until(lambda: not crawl.is_running or ((stats := crawl.stats()) and done(stats) > done(after)), "tasks are finished again")
    if crawl.is_running:
        row.recovery = [*row.recovery, time.monotonic() - struck]
    return True


def strike_worker(row: Row, crawl: Crawl, dice: Random) -> bool:
    """One kill of a worker, and how long the tasks it had stayed in its dead hands."""
    time.sleep(dice.uniform(SOONEST, LATEST))
    workers = crawl.workers()
    pid = dice.choice(workers) if workers else None
    if pid is None or not kill(pid):
        return False
    struck, mark = time.monotonic(), f":{pid}:"
    if held(crawl, mark):
        until(lambda: not crawl.is_running or held(crawl, mark) == 0, "its tasks are taken from it")
        row.redelivery = [*row.redelivery, time.monotonic() - struck]
    if (stats := crawl.stats()) is not None:
        check_books(row, stats)
    return True


def held(crawl: Crawl, mark: str) -> int | None:
    """Tasks of the worker with this mark in its name; None: the hub does not say."""
    stats = crawl.stats()
    return None if stats is None else sum(worker.leased for worker in stats.workers if mark in worker.name)


def kill(pid: int) -> bool:
    """False: it had ended before."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def kill_hub(work: Path, kills: int, pages: int, seed: int = 1) -> Row:
    """R1"""
    row = Row(
        "R1", "kill -9 of the hub", f"0 lost, 0 twice, tasks are finished again in under {BACK:g} s",
        others="a manager's queue loses all that is in it and its clients fail for ever; queuelib (Scrapy JOBDIR) keeps 0 of 300, "
        "Redis by default 0 of 3,117, with appendonly 4,015 of 4,015 (all measured)",
    )  # fmt: skip
    storm(row, work, kills, pages, seed, strike_hub)
    slow = [seconds for seconds in row.recovery if seconds >= BACK]
    row.expect_in_time(
        not slow, f"{len(slow)} of {len(row.recovery)} times it took {BACK:g} s or more, {max(slow, default=0):.1f} s at worst"
    )
    return row


def kill_workers(work: Path, kills: int, pages: int, seed: int = 2) -> Row:
    """R2"""
    row = Row(
        "R2", "kill -9 of a random worker", "0 lost, 0 twice, no innocent task dead",
        others="a manager's queue loses one item a kill, huey as well; a blocked reader of Redis none, Celery and dramatiq wait "
        "for a timeout of 1 h and 60 s (measured, and their documentation)",
    )  # fmt: skip
    storm(row, work, kills, pages, seed, strike_worker)
    row.notes.append(f"{len(row.redelivery)} of the killed held tasks at that moment")
    return row
