"""The threads of the embedded engine: callers beside each other, waits, timed work, and the end."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from hands import QUEUES, TTL, Hand, bodies, counts, put, queue, until

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite import insert
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.callers import Batch, Callers
from crawler.broker.sqlite.leases import OpenLease, OpenLeases
from crawler.broker.sqlite.lend import REPLY_BYTES
from crawler.broker.sqlite.queues import Queue
from crawler.broker.sqlite.state import Ledger
from crawler.errors import CallRefused, StorageError
from crawler.items import Done, New, Step, Verdict


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "hub.sqlite3")


def test_a_thousand_delayed_tasks_at_once_and_some_more_all_become_ready() -> None:
    clock = ManualClock()
    broker = SqliteBroker(":memory:", QUEUES, clock=clock)
    put(broker, "task", *(b"%d" % n for n in range(2_500)), delay=1.0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(Hand(broker).lease, "result", 1, wait=20.0)
        until(lambda: bool(broker.stats().workers))
        clock.advance(2)

        until(lambda: queue(broker, "task").ready == 2_500)

        clock.advance(20)
        assert waiting.result() == []
    broker.close()


def test_closing_sends_away_who_waits_and_refuses_who_comes_later() -> None:
    broker = SqliteBroker(":memory:", QUEUES)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(broker.take, "task", 1, 20.0)
        while not waiting.running():
            pass
        broker.stats()

        broker.close()

        with pytest.raises(StorageError, match="is closed"):
            waiting.result()
    with pytest.raises(StorageError, match="is closed"):
        broker.stats()
    broker.close()


def test_calls_from_many_threads_while_it_closes_are_all_answered() -> None:
    for _ in range(20):
        broker = SqliteBroker(":memory:", QUEUES)
        barrier = threading.Barrier(5)

        def call(broker: SqliteBroker = broker, barrier: threading.Barrier = barrier) -> int:
            barrier.wait()
            done = 0
            try:
                while True:
                    broker.put([New("task", b"x")])
                    done += 1
            except StorageError:
                return done

        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(call) for _ in range(4)]
            barrier.wait()
            broker.close()
            assert all(each.result(10) >= 0 for each in calls)


def test_a_fault_of_one_call_is_not_that_of_those_committed_with_it(caplog: pytest.LogCaptureFixture) -> None:
    broker = SqliteBroker(":memory:", QUEUES)
    odd = New("urls", b"x", key=b"k", host="a", parent="no bytes, and a surrogate \ud800")  # type: ignore[arg-type]  # the fault
    with ThreadPoolExecutor(8) as pool, caplog.at_level(logging.CRITICAL, "crawler.broker"):
        sound = [pool.submit(put, broker, "task", b"%d" % n) for n in range(200)]
        faulty = [pool.submit(broker.put, [odd]) for _ in range(20)]

        assert all(each.result() == [Verdict.ACCEPTED] for each in sound)
        assert all(isinstance(each.exception(), UnicodeEncodeError) for each in faulty)
    assert counts(broker, "task") == (200, 0, 0, 0, 0)
    assert broker.failure is None
    broker.close()


def test_who_is_interrupted_in_the_middle_of_a_call_leaves_nothing_of_it_and_the_others_go_on(path: str) -> None:
    broker = SqliteBroker(path, QUEUES)

    def interrupted(ledger: Ledger) -> None:
        insert.insert(ledger, [New("task", b"half done")])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broker._call(interrupted)

    assert put(broker, "task", b"a") == [Verdict.ACCEPTED]
    assert bodies(broker, "task") == [b"a"]
    broker.close()


def test_what_arrived_in_a_transaction_that_was_undone_takes_its_slot_again() -> None:
    broker = SqliteBroker(":memory:", (QueueSpec("urls", polite=True, is_read=True),), Politeness(per_host=2, delay=0.0))
    hand = Hand(broker)
    put(broker, "urls", *(b"%d" % n for n in range(4)), host="a")
    one, two = (lease.token for lease in hand.lease("urls", 2))
    hand.step(arrived=[one])
    odd = New("urls", b"x", host="\ud800")

    with pytest.raises(UnicodeEncodeError):
        hand.step("urls", 9, done=[Done(two, [odd])], arrived=[two])

    assert (broker.hosts(["a"])[0].leased, hand.lease("urls", 9)) == (2, [])
    assert len(hand.step("urls", 9, arrived=[one, two]).leases) == 2
    broker.close()


def test_a_lost_worker_no_longer_waits_and_what_it_held_soon_comes_back() -> None:
    clock = ManualClock()
    broker = SqliteBroker(":memory:", QUEUES, clock=clock)
    hand, other = Hand(broker), Hand(broker, "other")
    put(broker, "task", b"a")
    hand.step("task", 1, ttl=24.0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(hand.lease, "task", 1, wait=20.0)
        until(lambda: hand.call == 2 and broker.stats().workers[0].leased == 1)
        until(lambda: _lost(broker) or waiting.done())
        assert waiting.result() == []

    clock.advance(11.9)  # half the lease: a heart-beat comes every third of it
    assert other.lease("task") == []
    clock.advance(0.2)
    assert other.lease_one("task").attempt == 2
    broker.close()


def test_what_a_lost_worker_holds_is_lent_again_no_later_than_without_the_loss() -> None:
    clock = ManualClock()
    broker = SqliteBroker(":memory:", QUEUES, clock=clock)
    put(broker, "task", b"a")
    Hand(broker).step("task", 1, ttl=1.0)

    broker.lost("w")
    clock.advance(1.1)

    assert Hand(broker, "other").lease_one("task").attempt == 2
    broker.close()


def test_one_answer_has_so_many_leases_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler.broker.sqlite.lend.LEASES", 5)
    broker = SqliteBroker(":memory:", QUEUES)
    put(broker, "task", *(b"%d" % n for n in range(9)))

    assert [len(Hand(broker, name).lease("task", 9)) for name in "ab"] == [5, 4]
    broker.close()


def _lost(broker: SqliteBroker) -> bool:
    broker.lost("w")
    return False


def test_a_lost_worker_that_is_heard_of_again_keeps_what_it_held() -> None:
    clock = ManualClock()
    broker = SqliteBroker(":memory:", QUEUES, clock=clock)
    hand = Hand(broker)
    put(broker, "task", b"a")
    lease = hand.lease_one("task")
    broker.lost("w")

    clock.advance(9)
    hand.step()
    clock.advance(TTL - 1)

    assert hand.extend(lease) is True
    broker.close()


def test_who_asks_for_long_leases_is_waited_for_longer_after_a_restart(path: str) -> None:
    clock = ManualClock()
    broker = SqliteBroker(path, QUEUES, clock=clock)
    hand = Hand(broker)
    put(broker, "task", b"a")
    (lease,) = hand.lease("task", ttl=120.0)
    hand.step(ttl=5.0)  # a step that leases nothing says nothing of leases
    broker.close()

    hand.broker = broker = SqliteBroker(path, QUEUES, clock=clock)
    clock.advance(59)

    assert hand.extend(lease) is True
    broker.close()


def test_a_large_item_is_there_as_long_as_its_task_and_no_longer(path: str) -> None:
    large = b"." * 50_000
    broker = SqliteBroker(path, QUEUES)
    hand = Hand(broker)
    put(broker, "task", large, large, large)
    put(broker, "urls", large, large)
    hand.complete(hand.lease_one("task"))
    hand.fail(hand.lease_one("task"), final=True)
    held = hand.lease_one("task")
    broker.close()

    broker = SqliteBroker(path, QUEUES)
    hand.broker = broker
    (dead,) = broker.dead("task", 10)
    assert (held.item, dead.item) == (large, large)
    assert broker.drop([dead.id]) == 1
    assert hand.complete(held) == Verdict.DONE
    broker.close()

    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*), sum(item IS NULL) FROM task").fetchone() == (1, 1)  # what is keyed stays known
        assert db.execute("SELECT count(*), max(length(item)) FROM body").fetchone() == (1, len(large))
    db.close()


def test_a_take_of_nothing_does_not_wait() -> None:
    broker = SqliteBroker(":memory:", QUEUES)
    put(broker, "task", b"a")

    assert broker.take("task", 0, wait=20.0) == []
    broker.close()


def test_a_worker_needs_a_name() -> None:
    broker = SqliteBroker(":memory:", QUEUES)

    with pytest.raises(CallRefused, match="a worker without a name"):
        broker.step(Step("", 1))
    broker.close()


@pytest.mark.slow
def test_a_flood_of_empty_tasks_ends_within_an_answer_too() -> None:
    broker = SqliteBroker(":memory:", QUEUES)
    broker.put([New("task", b"")] * (REPLY_BYTES // 100))

    assert 0 < len(Hand(broker).lease("task", 1 << 20)) < REPLY_BYTES // 100
    broker.close()


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as db:
        yield db


def test_what_is_kept_of_finished_leases_is_bounded_by_those_leased(database: sqlite3.Connection) -> None:
    leases, of = OpenLeases(Callers(database)), Queue(1, QUEUES[0], 0, [0] * 5, 0)
    for token in range(20_000):
        leases.add(OpenLease(token, token, of, 1, "w", 1, 0, 100.0 + token, TTL, Batch(token, None, [token]), 0.0))
        if token >= 10:
            leases.end(token - 10, "w")

    assert [len(kept) for kept in (leases._by_token, leases._by_worker["w"], leases.tasks)] == [10, 10, 10]
    assert [lease.token for lease in leases.ended(1e9)] == list(range(19_990, 20_000))
