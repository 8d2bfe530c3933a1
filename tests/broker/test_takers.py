"""Values that are taken off a queue for a person, and what others than admins may put: on every kind of broker."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest
from hands import QUEUES, TTL, Hand, House, put, queue

from crawler.broker.clock import ManualClock
from crawler.broker.contract import TAKER, Broker, Quota
from crawler.broker.sqlite import quotas
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.quotas import TASK_BYTES
from crawler.errors import QueueFull
from crawler.items import New, Verdict

Usage = namedtuple("Usage", "total used free")


def test_what_a_taker_leaves_behind_is_there_again_as_if_it_had_never_been_leased(
    broker: Broker, hand: Hand, clock: ManualClock
) -> None:
    put(broker, "result", b"a", b"b", b"c")
    taker = Hand(broker, f"{TAKER}1")
    first, _, _ = taker.lease("result", 3)
    taker.complete(first)

    clock.advance(TTL + 1)

    assert [(lease.item, lease.attempt) for lease in hand.lease("result", 5)] == [(b"b", 1), (b"c", 1)]
    assert queue(broker, "result").suspects == 0


def test_a_taker_gets_what_a_worker_died_of(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a", b"b")
    a, b = hand.lease("task", 2)
    broker.expire("w", "was killed by SIGSEGV", begun=[a.token, b.token], at_work=[a.token])

    assert {lease.item for lease in Hand(broker, f"{TAKER}1").lease("task", 5)} == {b"a", b"b"}


def test_a_taker_is_no_worker_of_the_queue(broker: Broker) -> None:
    put(broker, "task", b"a")
    Hand(broker, f"{TAKER}1").lease("task")

    assert not broker.stats().workers


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteBroker]:
    broker = SqliteBroker(str(tmp_path / "hub.sqlite3"), QUEUES)
    yield broker
    broker.close()


@pytest.mark.parametrize(
    ("quota", "items", "is_put"),
    [
        (Quota(), [b"x" * 10_000], True),
        (Quota(queue_bytes=10_000), [b"x" * 5_000], True),
        (Quota(queue_bytes=10_000), [b"x" * 9_801], False),
        (Quota(queue_bytes=10_000), [b"x" * 5_000, b"y" * 5_000], False),
        (Quota(queue_bytes=10_000), [b""] * (10_000 // TASK_BYTES), True),
        (Quota(queue_bytes=10_000), [b""] * (10_000 // TASK_BYTES + 1), False),
        (Quota(queue_bytes=1), [], True),
    ],
)
def test_no_more_is_put_from_outside_than_the_quota(store: SqliteBroker, quota: Quota, items: list[bytes], is_put: bool) -> None:
    new = [New("result", item) for item in items]
    if is_put:
        assert store.put(new, "p", 1, quota) == [Verdict.ACCEPTED] * len(new)
    else:
        with pytest.raises(QueueFull, match=r"queue 'result' is full: 0 bytes wait there, .* hub.producer_bytes; take some off it"):
            store.put(new, "p", 1, quota)
        assert queue(store, "result").accepted == 0, "nothing of the call was kept"


def test_a_quota_is_of_what_waits_on_one_queue(store: SqliteBroker) -> None:
    quota = Quota(queue_bytes=10_000)
    for name in ("result", "task"):
        store.put([New(name, b"x" * 9_000)], quota=quota)
    with pytest.raises(QueueFull):
        store.put([New("result", b"x" * 900)], quota=quota)

    store.put([New("result", b"of an admin" * 10_000)])
    assert len(store.take("result", 2)) == 2
    assert store.put([New("result", b"x" * 900)], quota=quota) == [Verdict.ACCEPTED]


def test_a_repeated_put_is_answered_as_before_whatever_has_come_since(store: SqliteBroker) -> None:
    quota = Quota(queue_bytes=1_000)
    assert store.put([New("result", b"x" * 700)], "p", 1, quota) == [Verdict.ACCEPTED]
    assert store.put([New("result", b"x" * 700)], "p", 1, quota) == [Verdict.ACCEPTED]

    with pytest.raises(QueueFull):
        store.put([New("result", b"x" * 700)], "p", 2, quota)


@pytest.mark.parametrize(("free", "total", "asked", "is_put"), [
    (999, 100_000, 1_000, False), (1_000, 100_000, 1_000, True), (999, 9_000, 1_000, True), (899, 9_000, 1_000, False),
    (0, 100_000, 0, True),
])  # fmt: skip
def test_some_of_the_disk_stays_free(
    store: SqliteBroker, monkeypatch: pytest.MonkeyPatch, free: int, total: int, asked: int, is_put: bool
) -> None:
    usage = Usage(total, total - free, free)
    monkeypatch.setattr(quotas.shutil, "disk_usage", lambda _: usage)
    if is_put:
        store.put([New("result", b"x")], quota=Quota(free=asked))
    else:
        with pytest.raises(QueueFull, match=r"the hub's disk is nearly full: .* \(hub.producer_free\)"):
            store.put([New("result", b"x")], quota=Quota(free=asked))


def test_a_restart_keeps_what_a_taker_had(durable: House) -> None:
    broker = durable.open()
    put(broker, "result", b"a", b"b")
    Hand(broker, f"{TAKER}1").lease("result", 2)

    broker = durable.reopen()
    durable.clock.advance(TTL * 2)

    assert [lease.item for lease in Hand(broker).lease("result", 5)] == [b"a", b"b"]
