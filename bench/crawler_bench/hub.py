"""What it costs to move a task through the hub: lease it, complete it with one child, over TCP, by batch size.

The yardstick beside it is the queue everybody has: a manager's of the standard library, one `get` and one `put` an item.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from multiprocessing import active_children, get_context
from multiprocessing.managers import SyncManager
from pathlib import Path

from msgspec import Struct

from crawler.errors import CrawlerError
from crawler.hub.client import HubClient
from crawler.hub.key import authkey
from crawler.items import Done, New, Step, Verdict
from crawler.run.processes.process import cpu_clock
from crawler_bench.processes import environment, median

BODY = b"x" * 100  # an item of the size of a URL with its data
BATCHES = (1, 64, 256)  # tasks in a round trip
TASKS = {1: 5_000, 64: 50_000, 256: 50_000}  # a second or two each
ITEMS = 20_000  # the same for the manager's queue
QUICK = 5  # times fewer with --quick
PUTS = 1_000  # tasks put in one call beforehand
TTL = 60.0  # s; no lease runs out during a run
STARTING = 10.0  # s a hub has to say where it listens
PAUSE = 0.01  # s between looks whether it has
STOPPING = 10.0  # s it has to end


class HubFailed(CrawlerError):
    """A hub that was started for a bench did not do what it must; the figures would mean nothing."""


class HubFigures(Struct, frozen=True):
    """One way of moving tasks, measured once."""

    what: str  # "crawler hub" or "manager queue"
    batch: int
    tasks: int
    per_second: float
    hub_cpu: float  # µs a task, of the process that has the queues
    client_cpu: float  # µs a task, of the process that asks


class Hub(Struct, frozen=True):
    """A hub process and a client of it."""

    client: HubClient
    pid: int
    data: Path  # its directory


@contextmanager
def hub_process(settings: list[str]) -> Iterator[Hub]:
    """`crawler hub` as a user starts it, on a free port, with an empty store. settings: more of its command line."""
    with tempfile.TemporaryDirectory(prefix="crawler-bench-hub-") as data:
        command = [sys.executable, "-m", "crawler", "hub", "--address", "127.0.0.1:0", "--data", data, *settings]
        log = Path(data) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=data, env=environment(), stdin=subprocess.DEVNULL, stderr=output)
        try:
            address = _address(process, Path(data) / "hub.address", log)
            with HubClient(address, authkey(data, environ={}), "bench") as client:
                yield Hub(client, process.pid, Path(data))
        finally:
            process.terminate()
            process.wait(STOPPING)


def _address(process: subprocess.Popen[bytes], written: Path, log: Path) -> str:
    give_up = time.monotonic() + STARTING
    while process.poll() is None and time.monotonic() < give_up:
        if written.exists() and (address := written.read_text("utf-8").strip()):
            return address
        time.sleep(PAUSE)
    said = log.read_text("utf-8", "replace").strip()
    raise HubFailed(f"'crawler hub' said no address within {STARTING:g} s: {said or 'it says nothing'}; try it by hand")


def measure_hub(batch: int, tasks: int, settings: list[str]) -> HubFigures:
    """Move that many tasks from the queue `task` to the queue `result`, in steps of one batch."""
    room = ["-s", f"queues.result.high_water={tasks + 1}"]  # nobody reads it: back-pressure would end the run
    with hub_process([*settings, *room]) as hub:
        for begin in range(0, tasks, PUTS):
            hub.client.put([New("task", BODY)] * min(PUTS, tasks - begin))
        cpu, own = cpu_clock(hub.pid), time.process_time()
        began = time.perf_counter()
        moved = move(hub.client, "bench", "task", batch, tasks, "result")
        seconds = time.perf_counter() - began
        measured = figures("crawler hub", batch, moved, seconds, cpu_clock(hub.pid) - cpu, time.process_time() - own)
        _check(hub.client, tasks, moved)
    return measured


def move(client: HubClient, worker: str, queue: str, batch: int, tasks: int, output: str = "") -> int:
    """The loop of a worker whose work takes no time, until it has had so many tasks or there are no more; returns how many the
    hub says are done. output: where each task's only child goes; "": it has none."""
    done: list[Done] = []
    asked = moved = 0
    for call in count(1):
        stepped = client.step(Step(worker, call, queue=queue, want=min(batch, tasks - asked), ttl=TTL, done=done))
        moved += list(stepped.verdicts).count(Verdict.DONE)
        if not stepped.leases:
            break
        asked += len(stepped.leases)
        done = [Done(lease.token, (New(output, lease.item),) if output else ()) for lease in stepped.leases]
    return moved


def _check(client: HubClient, tasks: int, moved: int) -> None:
    queues = {queue.name: queue for queue in client.stats().queues}
    if not moved == tasks == queues["task"].done == queues["result"].ready:
        raise HubFailed(f"of {tasks} tasks {moved} were done and {queues['result'].ready} results are there; expected all of both")


def measure_manager(items: int) -> HubFigures:
    """The same through a manager of the standard library, in its own process, on TCP."""
    before = {child.pid for child in active_children()}
    with SyncManager(("127.0.0.1", 0), authkey=b"bench", ctx=get_context("spawn")) as manager:
        (server,) = (child.pid for child in active_children() if child.pid is not None and child.pid not in before)
        tasks, results = manager.Queue(), manager.Queue()
        for _ in range(items):
            tasks.put(BODY)
        cpu, own = cpu_clock(server), time.process_time()
        began = time.perf_counter()
        for _ in range(items):
            results.put(tasks.get())
        seconds = time.perf_counter() - began
        return figures("manager queue", 1, items, seconds, cpu_clock(server) - cpu, time.process_time() - own)


def figures(what: str, batch: int, tasks: int, seconds: float, hub_cpu: float, client_cpu: float) -> HubFigures:
    return HubFigures(what, batch, tasks, tasks / seconds, hub_cpu / tasks * 1e6, client_cpu / tasks * 1e6)


def bench(settings: list[str], *, runs: int, is_quick: bool) -> list[HubFigures]:
    """Every way of moving tasks, each the median of its runs. settings: for `crawler hub`, as on its command line."""
    share = QUICK if is_quick else 1
    ways = [partial(measure_manager, ITEMS // share)]
    ways += [partial(measure_hub, batch, TASKS[batch] // share, settings) for batch in BATCHES]
    return [median([way() for _ in range(runs)], key=lambda run: run.per_second) for way in ways]
