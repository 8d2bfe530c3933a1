"""A disk that fills up and is emptied again under the embedded engine: real file systems of some MiB."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hands import QUEUES, TTL, Hand, bodies, counts, put, until

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Politeness
from crawler.broker.sqlite import ballast, disk
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.errors import StorageFull
from crawler.items import New, Step, Verdict
from tests.disks import SmallDisk, mounted

BIG = b"." * 100_000


@pytest.fixture(autouse=True)
def _quick_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LOOK", 0.02)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    with mounted(tmp_path / "disk", 40) as disk:
        yield disk


@pytest.fixture
def path(small: SmallDisk) -> str:
    return str(small.place / "hub.sqlite3")


@pytest.fixture
def broker(path: str) -> Iterator[SqliteBroker]:
    broker = SqliteBroker(path, QUEUES, Politeness(delay=0.0))
    yield broker
    broker.close()


def run_short(broker: SqliteBroker, small: SmallDisk) -> int:
    """Fill the disk and put until it is noticed; returns how many large tasks were accepted on `result`."""
    small.fill(leave=300_000)
    for n in range(1_000):
        try:
            put(broker, "result", BIG)
        except StorageFull:
            return n
    raise AssertionError("the disk did not fill up")


def step_until_full(broker: SqliteBroker) -> None:
    """Nothing is handed in, but each step is of a worker never heard of before, and that takes some room."""
    try:
        for n in range(100_000):
            Hand(broker, f"stranger {n}").step()
    except StorageFull:
        return
    raise AssertionError("the disk is not full")


def has_ballast(path: str) -> bool:
    return Path(f"{path}-ballast").exists()


def test_on_a_full_disk_work_from_outside_is_refused_and_what_is_in_process_is_kept(
    broker: SqliteBroker, small: SmallDisk, path: str
) -> None:
    hand = Hand(broker)
    put(broker, "urls", b"u1", b"u2")
    put(broker, "task", *(b"%d" % n for n in range(20)))
    fetched, task = hand.lease_one("urls"), hand.lease_one("task")
    kept = run_short(broker, small)

    says = r"the disk of /.*hub\.sqlite3 is full \(\d+ MiB free, 20 needed\); this call stored nothing"
    with pytest.raises(StorageFull, match=says):
        put(broker, "task", b"from outside")
    assert hand.complete(fetched, New("pages", BIG), New("urls", b"u3")) == Verdict.DONE
    assert hand.fail(task) == Verdict.RETRY
    assert hand.release(hand.lease_one("task")) == Verdict.RELEASED
    for lease in hand.lease("task", 5):
        assert hand.complete(lease, New("result", BIG)) == Verdict.DONE
    assert hand.lease("urls") == []  # its rows stay: nothing new is begun
    assert (counts(broker, "urls"), has_ballast(path)) == ((2, 0, 0, 0, 1), False)

    small.empty()
    assert [lease.item for lease in hand.lease("urls", 2, wait=20.0)] == [b"u2", b"u3"]
    assert has_ballast(path)
    assert put(broker, "task", b"from outside") == [Verdict.ACCEPTED]
    assert len(bodies(broker, "result")) == kept + 5


def test_who_waits_for_a_task_of_the_frontier_gets_it_as_soon_as_there_is_room(broker: SqliteBroker, small: SmallDisk) -> None:
    put(broker, "urls", b"u1")
    run_short(broker, small)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Hand(broker, "other").lease, "urls", 1, wait=20.0)
        until(lambda: bool(broker.stats().workers))

        small.empty()

        assert [lease.item for lease in waiting.result(10)] == [b"u1"]


def test_when_the_ballast_is_used_up_too_nothing_acknowledged_is_lost(broker: SqliteBroker, small: SmallDisk, path: str) -> None:
    hand = Hand(broker)
    put(broker, "task", b"held")
    lease = hand.lease_one("task")
    kept = run_short(broker, small)
    small.fill()  # somebody else takes what the ballast has left

    step_until_full(broker)
    with pytest.raises(StorageFull):
        hand.complete(lease, New("result", BIG))
    last = hand.last
    assert counts(broker, "task") == (0, 0, 1, 0, 0)  # questions are still answered
    assert broker.drained() is False

    small.empty()
    until(lambda: has_ballast(path))
    assert broker.step(last).verdicts == [Verdict.DONE]
    assert counts(broker, "task") == (0, 0, 0, 0, 1)
    assert len(bodies(broker, "result")) == kept + 1


def test_a_lease_that_ran_out_while_nothing_could_be_stored_is_still_the_workers(small: SmallDisk, path: str) -> None:
    clock = ManualClock()
    broker = SqliteBroker(path, QUEUES, Politeness(delay=0.0), clock=clock)
    hand = Hand(broker)
    put(broker, "task", b"held")
    lease = hand.lease_one("task")
    run_short(broker, small)
    small.fill()
    step_until_full(broker)

    clock.advance(TTL + 1)  # its heart-beats were refused
    with pytest.raises(StorageFull):
        hand.extend(lease)
    small.empty()
    until(lambda: broker.drained() or has_ballast(path))

    assert hand.extend(lease) is True
    assert hand.complete(lease) == Verdict.DONE
    broker.close()


def test_a_store_of_a_hub_that_was_killed_on_a_full_disk_opens(broker: SqliteBroker, small: SmallDisk, path: str) -> None:
    put(broker, "task", *([BIG] * 30))
    copy = small.place / "killed.sqlite3"
    for suffix in ("", "-wal", "-ballast"):
        shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
    broker.close()
    small.fill()

    opened = SqliteBroker(str(copy), QUEUES)

    assert counts(opened, "task") == (30, 0, 0, 0, 0)
    hand = Hand(opened)
    assert hand.complete(hand.lease_one("task"), New("result", BIG)) == Verdict.DONE
    opened.close()


def test_without_room_for_a_ballast_there_is_a_warning(small: SmallDisk, path: str, caplog: pytest.LogCaptureFixture) -> None:
    small.fill(leave=10 << 20)

    broker = SqliteBroker(path, QUEUES)

    assert "no 16 MiB are kept in hand" in caplog.text
    assert put(broker, "task", b"a") == [Verdict.ACCEPTED]
    small.empty()
    until(lambda: put(broker, "task", b"a") == [Verdict.ACCEPTED] and has_ballast(path))
    broker.close()
    assert not has_ballast(path)


def test_a_ballast_takes_real_room_once(small: SmallDisk) -> None:
    free = small.free
    first, again = ballast.Ballast(str(small.place / "b")), ballast.Ballast(str(small.place / "b"))

    first.make()
    again.make()

    assert free - small.free == pytest.approx(ballast.SIZE, rel=0.01)
    assert first.release() is True
    assert first.release() is False
    assert small.free == free


def test_a_disk_without_fallocate_is_given_real_bytes(small: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.posix_fallocate")
    free = small.free

    ballast.Ballast(str(small.place / "b")).make()

    assert free - small.free == pytest.approx(ballast.SIZE, rel=0.01)


def test_a_log_that_has_grown_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LOG_LIMIT", 1 << 20)
    broker = SqliteBroker(str(tmp_path / "hub.sqlite3"), QUEUES)

    put(broker, "task", *([BIG] * 20))
    broker.step(Step("w", 1))

    assert (tmp_path / "hub.sqlite3-wal").stat().st_size < 1 << 20
    assert len(bodies(broker, "task")) == 20
    broker.close()


def test_no_other_fault_of_the_ballast_stops_the_broker(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "hub.sqlite3-ballast").mkdir()

    with caplog.at_level(logging.WARNING, "crawler.broker"):
        broker = SqliteBroker(str(tmp_path / "hub.sqlite3"), QUEUES)

    assert put(broker, "task", b"a") == [Verdict.ACCEPTED]
    assert "cannot be given up" in caplog.text
    broker.close()
