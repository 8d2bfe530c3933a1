"""R3, R4, R12, R13: workers that are told to end, that freeze, that die of a page, and more tasks than anybody can do."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from pathlib import Path
from random import Random

from crawler.hub.client import HubClient
from crawler.items import New, Step
from tests.e2e.test_poison import POISON
from tests.faults.checker import check_books, check_rows
from tests.faults.kills import WORKERS
from tests.faults.links import by_hand, finish, progress, start_stages
from tests.faults.processes import PATIENCE, Bench, Gauge, look, until
from tests.faults.table import HUB, MIB, Row, times
from tests.faults.webs import Web
from tests.site import Site

GRACE = 20.0  # s a worker that is told to end may take
BATCH = 1000  # tasks in one call


def seed(bench: Bench, web: Web) -> None:
    bench.start("put", "put", "urls", web.seed, "--hub", bench.address).wait(PATIENCE)


def tell_to_end(work: Path, rounds: int, pages: int, *, is_full: bool) -> Row:
    """R3"""
    row = Row(
        "R3", "SIGTERM of a busy worker",
        f"it has handed in or given back all and ended within {GRACE:g} s, no attempt is counted, exit code 0",
        others="Celery waits for its visibility timeout, 1 h, unless the soft shutdown of 5.5 is on (documentation)",
    )  # fmt: skip
    dice = Random(3)
    with Web(pages, seed=3) as web, by_hand(work / "R3", web) as (bench, _), Gauge(lambda: bench.pid("hub")) as gauge:
        client = bench.client()
        start_stages(bench, bench.address)
        seed(bench, web)
        until(lambda: progress(client), "the crawl begins")
        took = []
        for number in range(rounds):
            stage = WORKERS[number % len(WORKERS)]
            before = progress(client)
            until(lambda before=before: progress(client) > before or client.drained(), "there is a load")  # type: ignore[misc]  # a lambda without types
            threading.Event().wait(dice.uniform(0, 0.1))
            took.append(end_one(row, bench, client, stage))
        row.notes.append(f"s from SIGTERM to the end: {times(took)}")
        if is_full:
            hold_on(row, bench, client, web)
        finish(row, bench, client, web)
        row.rss, row.threads, row.cpu = gauge.rss, gauge.threads, gauge.cpu
    return row


def end_one(row: Row, bench: Bench, client: HubClient, stage: str) -> float:
    """SIGTERM, and look at what the stage was about to do: all of it must be there as if it had never been lent.

    Returns the s until it has ended.
    """
    mark = f":{bench.worker(stage)}:"
    began = time.monotonic()
    bench.process(stage).send_signal(signal.SIGTERM)
    code = bench.process(stage).wait(PATIENCE)
    took = time.monotonic() - began
    row.rounds += 1
    row.expect(code == 0, f"{stage} ended with {code}: {bench.log(stage)[-300:]}")
    row.expect_in_time(took < GRACE, f"{stage} took {took:.1f} s to end")
    row.expect(not holds(client, mark), f"{stage} has ended and still holds tasks")
    queue = {"fetch": "urls", "parse": "pages", "store": "records"}[stage]
    me = f"inspector {row.rounds}"
    lent = client.step(Step(me, 1, queue, 256, 30.0)).leases
    client.step(Step(me, 2, released=[lease.token for lease in lent]))
    counted = [lease.attempt for lease in lent if lease.attempt > 1]
    row.expect(not counted, f"{len(counted)} of {len(lent)} tasks that {stage} gave back have an attempt counted")
    bench.restart(stage)
    until(lambda: any(f":{bench.worker(stage)}:" in worker.name for worker in client.stats().workers), f"{stage} is back")
    return took


def holds(client: HubClient, mark: str) -> int:
    """Tasks of the worker with this mark in its name."""
    return sum(worker.leased for worker in client.stats().workers if mark in worker.name)


def hold_on(row: Row, bench: Bench, client: HubClient, web: Web) -> None:
    """A fetch that waits for a page that does not come gives it back."""
    put_held(bench, web, "/slow")
    row.notes.append(f"a fetch whose page never came had ended after {end_one(row, bench, client, 'fetch'):.1f} s")
    web.release("/slow")


def freeze(work: Path, rounds: int) -> Row:
    """R4"""
    row = Row(
        "R4", "SIGSTOP of a worker until its tasks are another's, then SIGCONT",
        "what it hands in then is refused; nothing is there twice",
        others="Redis, NATS and Faktory accept the late acknowledgement (measured; nats-server #4786; source)",
    )  # fmt: skip
    with Web(20, seed=4) as web, by_hand(work / "R4", web, "hub.lease=1") as (bench, _), Gauge(lambda: bench.pid("hub")) as gauge:
        client = bench.client()
        start_stages(bench, bench.address)
        seed(bench, web)
        until(lambda: client.drained() and progress(client), "the web is crawled")
        name = "fetch"
        for number in range(rounds):
            path, other = f"/frozen/{number}", f"fetch-{number}"
            url = put_held(bench, web, path)
            both = (bench.pid(name), bench.worker(name))  # who looks after it, else it would be ended and started again
            for pid in both:
                os.kill(pid, signal.SIGSTOP)
            stopped = time.monotonic()
            bench.start_stage("fetch", name=other)
            web.wait_for_request(path, n=2, timeout=PATIENCE)
            row.redelivery = [*row.redelivery, time.monotonic() - stopped]
            web.release(path)
            until(lambda url=url: url in stored(bench), "another has done it")  # type: ignore[misc]  # a lambda without types
            for pid in reversed(both):
                os.kill(pid, signal.SIGCONT)
            until(lambda name=name: "finished too late" in bench.log(name), "the late worker is told so")  # type: ignore[misc]  # a lambda without types
            row.expect(bench.terminate(name) == 0, "the frozen worker did not end well")
            row.rounds += 1
            name = other
        finish(row, bench, client, web)
        row.rss, row.threads, row.cpu = gauge.rss, gauge.threads, gauge.cpu
        row.notes.append(f"each of the {rounds} late results was refused, as the workers' logs say; leases of 1 s here")
    return row


def put_held(bench: Bench, web: Web, path: str) -> str:
    """A page of its own whose answer is kept back, and somebody waits for it."""
    url = f"{web.origin(0)}{path}"
    web.pages[path] = "<h1>late</h1>"
    web.urls |= {url}
    web.hold(path)
    bench.start("put", "put", "urls", url, "--hub", bench.address).wait(PATIENCE)
    web.wait_for_request(path, timeout=PATIENCE)
    return url


def stored(bench: Bench) -> set[str]:
    file = bench.directory / "pages.jsonl"
    if not file.exists():
        return set()
    return set(re.findall(r'^\{"url":"([^"]+)"', file.read_text("utf-8"), re.MULTILINE))


def poison(work: Path, pages: int, attempts: int = 3) -> Row:
    """R12"""
    row = Row(
        "R12", "a page that kills its parser (SIGSEGV), one that hangs it",
        f"each is dead after {attempts} attempts, all others are stored",
        others="dramatiq, and Celery where it redelivers at all, try it again for ever; RabbitMQ drops it after 20 without a word "
        "(documentation)",
    )  # fmt: skip
    for path in ("/crash", "/hang"):
        eat(row, work / f"R12{path}", path, pages, attempts)
    return row


def eat(row: Row, work: Path, path: str, pages: int, attempts: int) -> None:
    """A crawl with one such page."""
    names = [f"/{n}" for n in range(pages)]
    links = "".join(f'<a href="{name}">x</a>' for name in [*names[: pages // 2], path, *names[pages // 2 :]])
    settings = ["frontier.delay=0", "frontier.per_host=16", "stages.parse.use=poison:Poisoned", f"hub.max_attempts={attempts}"]
    with Site({"/": links, path: "poison", **dict.fromkeys(names, "fine")}) as site, Bench(work, settings) as bench:
        (bench.directory / "poison.py").write_text(POISON)
        code = bench.start("run", "run", site.url, "-q", "-o", "pages.jsonl").wait(2 * PATIENCE)
        row.rounds += 1
        row.expect(code == 3, f"the crawl ended with {code}: {bench.log('run')[-600:]}")
        report = json.loads((bench.data / "report.json").read_text()) if (bench.data / "report.json").exists() else {}
        row.expect(report.get("dead") == {"urls": 1}, f"dead are {report.get('dead')}")
        restarts = sum(n for name, n in report.get("restarts", {}).items() if name.startswith("fetch+parse"))
        row.notes.append(f"{path}: the parser was started again {restarts} times")
        check_rows(row, bench.directory / "pages.jsonl", {site.link(name) for name in ["/", *names]})


def fill(work: Path, tasks: int) -> Row:
    """R13"""
    row = Row(
        "R13", "more ready tasks than memory would like", "the hub's memory does not grow with them, a call is served in under 1 s",
        others="a manager's queue keeps all in memory; a Redis list as well",
    )  # fmt: skip
    with Bench(work / "R13") as bench:
        bench.start_hub()
        client = bench.client()
        item = b'"' + b"x" * 198 + b'"'
        with Gauge(lambda: bench.pid("hub")) as gauge:
            began = time.monotonic()
            put(client, tasks // 2, item)
            early = memory(bench)
            put(client, tasks - tasks // 2, item)
            seconds = time.monotonic() - began
            began = time.monotonic()
            stats = client.stats()
            call = time.monotonic() - began
            lent = client.step(Step("one", 1, "task", 256)).leases
            lease = time.monotonic() - began - call
            until(lambda: gauge.rss, "somebody has looked")
        check_books(row, stats)
        row.lost = tasks - next(queue.ready for queue in stats.queues if queue.name == "task")
        row.expect(not row.lost, f"{row.lost} tasks are lost")
        row.expect(len(lent) == 256, f"{len(lent)} tasks were lent of 256")
        row.expect_in_time(max(call, lease) < 1.0, f"the counts took {call:.2f} s, 256 leases {lease:.2f} s")
        row.expect(gauge.rss < HUB, f"the hub has grown to {gauge.rss / MIB:.0f} MiB")
        store = sum(file.stat().st_size for file in bench.data.glob("hub.sqlite3*"))
        row.rounds, row.rss, row.threads, row.cpu = tasks, gauge.rss, gauge.threads, gauge.cpu
        row.notes.append(
            f"{tasks:,} tasks of {len(item)} bytes put in {seconds:.1f} s, {tasks / seconds:,.0f} a second; then counts in "
            f"{call * 1000:.0f} ms, 256 leases in {lease * 1000:.0f} ms; grown by {(gauge.rss - early) / MIB:.1f} MiB in the "
            f"second half; store {store / MIB:.0f} MiB"
        )
    return row


def memory(bench: Bench) -> int:
    seen = look(bench.pid("hub"))
    return seen.rss if seen is not None else 0


def put(client: HubClient, tasks: int, item: bytes) -> None:
    for begin in range(0, tasks, BATCH):
        client.put([New("task", item)] * min(BATCH, tasks - begin))
