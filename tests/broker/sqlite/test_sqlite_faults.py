"""The embedded engine when its process or its disk fails: real kills, a real full disk, a sync that really fails."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from hands import QUEUES, Hand, bodies, counts, put, until

from crawler.broker.sqlite.broker import SqliteBroker
from crawler.errors import StorageError
from crawler.items import New, Verdict
from tests.disks import mounted

# Puts tasks and completes them with a child each, in three threads, and says so once it was told "ok".
VICTIM = """
import itertools, sys, threading
from hands import QUEUES, Hand
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.items import New

broker = SqliteBroker(sys.argv[1], QUEUES)
first = int(sys.argv[2])

def say(word):
    sys.stdout.write(word + "\\n")
    sys.stdout.flush()

def produce():
    for n in itertools.count(first):
        broker.put([New("task", b"%d" % n)])
        say(f"put {n}")

def work(name):
    hand = Hand(broker, name)
    while True:
        for lease in hand.lease("task", 3, wait=5.0):
            if hand.complete(lease, New("result", lease.item)) == "done":
                say(f"done {int(lease.item)}")

for target, args in ((produce, ()), (work, (f"{first}/a",)), (work, (f"{first}/b",))):
    threading.Thread(target=target, args=args).start()
"""
ROUNDS = 4


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    path, random = str(tmp_path / "hub.sqlite3"), Random(5)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    put_, done = set[int](), set[int]()
    for round_ in range(ROUNDS):
        first = round_ * 1_000_000
        victim = subprocess.Popen(
            [sys.executable, "-c", VICTIM, path, str(first)], stdout=subprocess.PIPE, text=True, env=environ, cwd=tmp_path
        )
        assert victim.stdout is not None
        for _ in range(random.randrange(1, 300)):
            _note(victim.stdout.readline(), put_, done)
        victim.kill()
        for line in victim.stdout:
            _note(line, put_, done)
        victim.wait()
        victim.stdout.close()

    broker = SqliteBroker(path, QUEUES)
    broker.expire(None)
    left, children = [int(body) for body in bodies(broker, "task")], [int(body) for body in bodies(broker, "result")]
    broker.close()

    assert len(set(left)) == len(left)
    assert len(set(children)) == len(children)
    assert put_ <= set(left) | set(children)
    assert done <= set(children)
    assert not set(left) & set(children)


def _note(line: str, put_: set[int], done: set[int]) -> None:
    if line.endswith("\n"):
        word, n = line.split()
        (put_ if word == "put" else done).add(int(n))


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Too small a file system for any ballast."""
    with mounted(tmp_path / "disk", 4) as disk:
        yield disk.place


def test_a_full_disk_refuses_what_it_cannot_keep_and_the_broker_goes_on_once_there_is_room(small: Path) -> None:
    ballast = small / "ballast"
    ballast.write_bytes(b"." * (5 << 19))  # so that the log may be moved once it is gone
    broker = SqliteBroker(str(small / "hub.sqlite3"), QUEUES)
    hand = Hand(broker)
    put(broker, "task", b"held")
    lease = hand.lease_one("task")

    kept = _fill(broker)
    with pytest.raises(StorageError, match="is full"):
        hand.complete(lease, New("result", b"." * 500_000))
    ballast.unlink()

    assert hand.repeat().verdicts == [Verdict.DONE]
    assert put(broker, "result", b"and on") == [Verdict.ACCEPTED]
    found = bodies(broker, "result")
    assert [body[:5] for body in found[:kept]] == [b"%05d" % n for n in range(kept)]
    assert (len(found), found[-1]) == (kept + 2, b"and on")
    broker.close()


def _fill(broker: SqliteBroker) -> int:
    """Put until nothing more fits; returns how many did."""
    for n in range(1_000):
        try:
            put(broker, "result", b"%05d" % n + b"." * 20_000)
        except StorageError:
            return n
    raise AssertionError("the disk did not fill up")


@pytest.mark.skipif(sys.platform != "linux", reason="finds the log's descriptor under /proc")
def test_a_disk_that_cannot_sync_ends_the_broker_and_everybody_hears_of_it(tmp_path: Path) -> None:
    path, failed = str(tmp_path / "hub.sqlite3"), []
    broker = SqliteBroker(path, QUEUES, on_failure=lambda: failed.append(True))
    put(broker, "task", b"safe")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Hand(broker).lease, "result", 1, wait=20.0)
        until(lambda: bool(broker.stats().workers))
        _break_sync_of(Path(f"{path}-wal"))

        with pytest.raises(StorageError, match="whether this call was kept is not known"):
            put(broker, "result", b"for who waits")
        with pytest.raises(StorageError):
            waiting.result()
    with pytest.raises(StorageError):
        broker.stats()
    assert (failed, isinstance(broker.failure, StorageError)) == ([True], True)
    with pytest.raises(StorageError):
        broker.close()

    opened = SqliteBroker(path, QUEUES)
    assert counts(opened, "task") == (1, 0, 0, 0, 0)
    opened.close()


@pytest.mark.skipif(sys.platform != "linux", reason="finds the log's descriptor under /proc")
def test_a_sync_that_fails_behind_the_calls_is_noticed_too(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    broker = SqliteBroker(str(path), QUEUES)
    _break_sync_of(Path(f"{path}-wal"))

    Hand(broker).step()  # a commit that is synced within a tenth of a second, not before it is answered
    until(lambda: broker.failure is not None)

    with pytest.raises(StorageError):
        broker.stats()
    with pytest.raises(StorageError):
        broker.close()


def _break_sync_of(log: Path) -> None:
    """From now on the engine's own descriptor of the log is one that cannot be synced."""
    for name in os.listdir("/proc/self/fd"):
        descriptor = int(name)
        try:
            is_ours = os.readlink(f"/proc/self/fd/{name}") == str(log)
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
        if is_ours and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            reader, writer = os.pipe()
            os.dup2(reader, descriptor)
            os.close(reader)
            os.close(writer)
            return
    raise AssertionError(f"nobody holds {log}")


def test_a_damaged_store_is_refused_when_it_was_not_closed(tmp_path: Path) -> None:
    live, copy = tmp_path / "hub.sqlite3", tmp_path / "copy.sqlite3"
    broker = SqliteBroker(str(live), QUEUES)
    put(broker, "task", *(b"%d" % n + b"." * 500 for n in range(500)))
    broker.close()
    broker = SqliteBroker(str(live), QUEUES)
    put(broker, "task", b"in the log")
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{live}{suffix}", f"{copy}{suffix}")
    broker.close()
    pages = bytearray(copy.read_bytes())
    pages[-20 * 4096 : -10 * 4096] = bytes(10 * 4096)  # sectors that were never written
    copy.write_bytes(pages)

    with pytest.raises(StorageError, match=r"copy\.sqlite3 is damaged: .*--fresh"):
        SqliteBroker(str(copy), QUEUES)
