"""R5, R6, R11: a network that breaks, answers that are lost, deliveries that come twice."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from crawler.hub.client import HubClient
from crawler.items import Done, New, Step, Verdict
from tests.faults import proxy as network
from tests.faults.checker import check_end, check_rows
from tests.faults.kills import WORKERS
from tests.faults.processes import PATIENCE, Bench, Gauge, until
from tests.faults.proxy import Fault, Proxy
from tests.faults.table import Row
from tests.faults.webs import Web

FAST = ("frontier.delay=0", "frontier.per_host=16")
DEADLINE = 40.0  # s until a call over a link that says nothing is known to be lost: its own limit, 30 s, and some


@contextmanager
def by_hand(work: Path, web: Web, *settings: str) -> Iterator[tuple[Bench, Proxy]]:
    """A hub, and a network before it. Stages are the caller's to start."""
    with Bench(work, [*FAST, *web.settings, *settings]) as bench:
        bench.start_hub()
        with Proxy(bench.port) as proxy:
            yield bench, proxy


def start_stages(bench: Bench, address: str) -> None:
    for stage in WORKERS:
        bench.start_stage(stage, *(["-o", "pages.jsonl"] if stage == "store" else []), hub=address)


def drain(bench: Bench, client: HubClient, patience: float = 120.0) -> None:
    """Until nothing is left; asked past the network that is broken."""
    until(client.drained, f"the crawl in {bench.directory} is drained", patience)


def progress(client: HubClient) -> int:
    return sum(queue.done for queue in client.stats().queues)


def finish(row: Row, bench: Bench, client: HubClient, web: Web) -> None:
    """The crawl is over: look whether all is there, and end the workers."""
    drain(bench, client)
    check_end(row, client.stats())
    for name in bench.running():
        if name != "hub":
            code = bench.terminate(name)
            row.expect(code == 0, f"{name} ended with {code}: {bench.log(name)[-300:]}")
    check_rows(row, bench.directory / "pages.jsonl", web.urls)


def break_network(work: Path, rounds: int, pages: int, *, is_full: bool) -> Row:
    """R5"""
    row = Row(
        "R5", "the network breaks", f"a call fails within {DEADLINE:g} s, is repeated, and nothing is lost or there twice",
        others="a call of a manager's proxy over a link that was cut without a word blocks for ever (measured)",
    )  # fmt: skip
    dice = Random(5)
    with (
        Web(pages, seed=5) as web,
        by_hand(work / "R5", web, "hub.lease=5") as (bench, proxy),
        Gauge(lambda: bench.pid("hub")) as gauge,
    ):
        client = bench.client()
        start_stages(bench, proxy.address)
        bench.start("put", "put", "urls", web.seed, "--hub", bench.address).wait(PATIENCE)
        until(lambda: progress(client), "the crawl begins")
        until(lambda: {worker.name.partition("@")[0] for worker in client.stats().workers} >= set(WORKERS),
              "all are at work: who has never reached the hub gives up at once")  # fmt: skip
        if is_full:
            for name, fault in (("half-open", network.silence), ("a byte a second", network.drip(1.0))):
                took = strike(row, proxy, client, fault, DEADLINE)
                row.notes.append(f"{name} for {DEADLINE:g} s: at work again {took:.1f} s after it was over")
        for _ in range(rounds):
            strike(row, proxy, client, network.reset_after(20_000, dice), 1.0)
            strike(row, proxy, client, network.late(0.2), 1.0)
            row.rounds += proxy.cut_all() > 0
        finish(row, bench, client, web)
        row.notes.append(f"{proxy.cuts:,} links were cut")
        row.rss, row.threads, row.cpu = gauge.rss, gauge.threads, gauge.cpu
    return row


def strike(row: Row, proxy: Proxy, client: HubClient, fault: Fault, seconds: float) -> float:
    """A bad network for so long; s from its end until tasks are finished again."""
    proxy.fault = fault
    threading.Event().wait(seconds)
    proxy.fault = network.nothing
    over, before = time.monotonic(), progress(client)
    until(lambda: progress(client) > before or client.drained(), "tasks are finished again")
    row.rounds += 1
    row.recovery = [*row.recovery, time.monotonic() - over]
    return row.recovery[-1]


def lose_answers(work: Path, tasks: int) -> Row:
    """R6"""
    row = Row(
        "R6", "answers lost after the commit, a third of them",
        "a repeated call changes nothing: each task is accepted once, done once",
        others="dedup in NATS reaches back 2 minutes; a repeated XADD or LPUSH is a second item (documentation)",
    )  # fmt: skip
    with Bench(work / "R6") as bench, Gauge(lambda: bench.pid("hub")) as gauge:
        bench.start_hub()
        with Proxy(bench.port) as proxy:
            client = bench.client("thirds", hub=proxy.address)
            client.drained([])
            proxy.fault = network.lose_replies(1 / 3, Random(6))
            verdicts = [
                verdict for n in range(0, tasks, 10) for verdict in client.put([New("task", b"%d" % m) for m in range(n, n + 10)])
            ]
            seen = relay(client, tasks)
            proxy.fault = network.nothing
            stats = {queue.name: queue for queue in client.stats().queues}
            results = Counter(client.take("result", 2 * tasks))
            row.rounds = proxy.cuts
        row.lost = tasks - len(results)
        row.twice = results.total() - len(results) + stats["task"].accepted - tasks
        row.expect(set(verdicts) == {Verdict.ACCEPTED}, f"a repeated put was answered otherwise: {Counter(verdicts)}")
        row.expect(not row.lost and not row.twice, f"{row.lost} of {tasks} lost, {row.twice} twice")
        row.expect(stats["task"].done == tasks, f"{stats['task'].done} done of {tasks}")
        row.notes.append(
            f"{tasks:,} tasks put ten at a time, done and passed on; {max(seen.values())} deliveries of a task at most"
        )
        row.rss, row.threads, row.cpu = gauge.rss, gauge.threads, gauge.cpu
    return row


def relay(client: HubClient, tasks: int) -> Counter[int]:
    """Do all tasks, passing each on; how often each was delivered."""
    seen: Counter[int] = Counter()
    done: list[Done] = []
    for call in range(1, 20 * tasks):
        answer = client.step(Step("thirds", call, "task", 7, 30.0, 0.0, done=done))
        done = [Done(lease.token, [New("result", lease.item)]) for lease in answer.leases]
        seen.update(lease.id for lease in answer.leases)
        if not done:
            return seen
    raise AssertionError(f"{tasks} tasks were not done in {call} calls")


def deliver_twice(work: Path, pages: int, share: float = 0.2) -> Row:
    """R11"""
    row = Row(
        "R11", f"{share:.0%} of what each stage gets comes twice, leases run out at will", "what is stored is the same",
        others="at-least-once systems leave this to the user's code",
    )  # fmt: skip
    dice, over = Random(11), threading.Event()
    with (
        Web(pages, seed=11) as web,
        by_hand(work / "R11", web, "hub.max_attempts=1000") as (bench, _),
        Gauge(lambda: bench.pid("hub")) as gauge,
    ):
        client = bench.client()
        meddlers = [
            threading.Thread(target=copying, args=(bench.client("copier"), queue, share, dice, over, row))
            for queue in ("pages", "records")
        ]
        meddlers.append(threading.Thread(target=expiring, args=(bench.client(), over, row)))
        for meddler in meddlers:
            meddler.start()
        start_stages(bench, bench.address)
        bench.start("put", "put", "urls", web.seed, "--hub", bench.address).wait(PATIENCE)
        try:
            until(lambda: progress(client), "the crawl begins")
            drain(bench, client)
        finally:
            over.set()
            for meddler in meddlers:
                meddler.join(PATIENCE)
        again = Counter(hit.path for hit in web.log).total() - len(web.counts)
        finish(row, bench, client, web)
        row.notes.append(
            f"{row.rounds:,} pages and records put twice or taken back; {again:,} pages were fetched again; "
            "max_attempts = 1000 here"
        )
        row.rss, row.threads, row.cpu = gauge.rss, gauge.threads, gauge.cpu
    return row


def copying(client: HubClient, queue: str, share: float, dice: Random, over: threading.Event, row: Row) -> None:
    """A worker that gives back what it takes, some of it twice."""
    done: list[Done] = []
    me, call = f"copier of {queue}", 0
    while not over.is_set() or done:
        call += 1
        answer = client.step(Step(me, call, queue, 0 if over.is_set() else 1, 30.0, 0.0, done=done))
        copies = [2 if dice.random() < share / 0.5 else 1 for _ in answer.leases]
        done = [Done(lease.token, [New(queue, lease.item)] * n) for lease, n in zip(answer.leases, copies, strict=True)]
        row.rounds += sum(copies) - len(copies)
        over.wait(0.005)


def expiring(client: HubClient, over: threading.Event, row: Row) -> None:
    """Take from all workers what they are about to do: another gets it as well."""
    while not over.wait(0.25):
        row.rounds += client.expire(None)
