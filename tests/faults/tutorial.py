"""The same faults done to what the tutorial builds, a queue of the standard library behind a manager: what stands beside ours.

python -m tests.faults.tutorial      a hub as the tutorial has it; prints its port
"""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.managers import BaseManager
from queue import Empty, Queue

from tests.faults.processes import ROOT, Look, look, until
from tests.faults.table import MIB

KEY = b"abc"
ITEMS = 300
tasks: Queue[int] = Queue()


class QueueManager(BaseManager):
    """As in the tutorial."""


def the_queue() -> Queue[int]:
    return tasks


def serve(port: int) -> None:
    QueueManager.register("get_task_queue", callable=the_queue)
    server = QueueManager(("127.0.0.1", port), KEY).get_server()
    print(server.address[1], flush=True)  # type: ignore[index]  # noqa: T201 - how who started us learns the port
    server.serve_forever()


@contextmanager
def served(prefix: Sequence[str] = (), port: int = 0) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "tests.faults.tutorial", str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def connected(port: int) -> QueueManager:
    QueueManager.register("get_task_queue")
    manager = QueueManager(("127.0.0.1", port), KEY)
    manager.connect()
    return manager


def queue_at(port: int) -> Queue[int]:
    queue: Queue[int] = connected(port).get_task_queue()  # type: ignore[attr-defined]  # made by register
    return queue


def seen(process: subprocess.Popen[bytes]) -> Look:
    found = look(process.pid)
    assert found is not None
    return found


def kill_hub() -> str:
    """R1: what is left of its queue, and can its clients go on."""
    with served() as (_, port):
        queue = queue_at(port)
        for number in range(ITEMS):
            queue.put(number)
    with served(port=port):
        try:
            queue.qsize()
            old = "goes on"
        except (OSError, EOFError) as error:
            old = type(error).__name__
        left = subprocess.run(
            [sys.executable, "-c", f"from tests.faults.tutorial import queue_at; print(queue_at({port}).qsize())"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    return f"in this run: of {ITEMS} items put {left} are left, and a client that was connected gets {old}"


def kill_worker(kills: int = 5) -> str:
    """R2: workers that wait in `get` and are killed; how many items come to the one that lives."""
    with served() as (_, port):
        for _ in range(kills):
            code = f"from tests.faults.tutorial import queue_at; queue = queue_at({port}); print(flush=True); queue.get()"
            with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as worker:
                assert worker.stdout is not None
                worker.stdout.readline()
                threading.Event().wait(0.5)  # nobody can see from outside when its call has arrived
                worker.kill()
        queue = queue_at(port)
        for number in range(2 * kills):
            queue.put(number)
        got = 0
        try:
            while True:
                queue.get(timeout=0.5)
                got += 1
        except Empty:
            lost = 2 * kills - got
    return f"in this run: {kills} workers killed while they wait in `get`, {lost} of {2 * kills} items put then are lost"


def stay_silent(connections: int) -> str:
    """S1"""
    with served() as (process, port):
        before = seen(process)
        began = time.monotonic()
        silent = [socket.create_connection(("127.0.0.1", port), 120) for _ in range(connections)]
        made = time.monotonic() - began
        until(lambda: seen(process).threads > connections * 0.9, "they are all accepted")
        after = seen(process)
        for one in silent:
            one.close()
    grown = (after.rss - before.rss) / MIB
    return (
        f"in this run: {connections:,} silent connections take {made:.1f} s to be made, {after.threads:,} threads, "
        f"{grown:.0f} MiB more"
    )


def exhaust_files(connections: int, limit: int = 64) -> str:
    """S5"""
    with served(["prlimit", f"--nofile={limit}", "--"]) as (process, port):
        crowd = []
        with suppress(TimeoutError):  # what its full backlog does to us once its descriptors are used up
            for _ in range(connections):
                crowd.append(socket.create_connection(("127.0.0.1", port), 5))
        cpu, began = seen(process).cpu, time.monotonic()
        threading.Event().wait(2.0)
        share = (seen(process).cpu - cpu) / (time.monotonic() - began)
        for one in crowd:
            one.close()
    return f"in this run: {share:.0%} of a core"


if __name__ == "__main__":
    serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
