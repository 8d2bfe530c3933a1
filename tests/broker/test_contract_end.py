"""Broker contract: dead tasks, back-pressure, and the end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

import pytest
from hands import Hand, counts, put, queue
from msgspec import msgpack

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Broker
from crawler.errors import CallRefused
from crawler.items import Done, Failed, New, Tried, Verdict


def test_a_revived_task_starts_again_with_all_its_attempts(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a", b"b")
    for lease in hand.lease("task", 2):
        hand.fail(lease, final=True)
    one, two = broker.dead("task")

    assert broker.dead("task", limit=1, after=one.id) == [two]
    assert broker.revive([one.id, one.id, 1 << 62, -1]) == 1

    assert hand.lease_one("task").attempt == 1
    assert queue(broker, "task").bytes == 1


def test_a_dropped_task_is_done_and_its_key_still_known(broker: Broker, hand: Hand) -> None:
    put(broker, "urls", b"u")
    hand.fail(hand.lease_one("urls"), final=True)
    (dead,) = broker.dead()

    assert broker.drop([dead.id]) == 1
    assert broker.drop([dead.id]) == 0

    assert counts(broker, "urls") == (0, 0, 0, 0, 1)
    assert put(broker, "urls", b"u") == [Verdict.DUPLICATE]


# ---- back-pressure and the end


def test_a_full_queue_holds_back_the_stage_that_feeds_it_but_refuses_nothing(broker: Broker, hand: Hand, other: Hand) -> None:
    put(broker, "pages", *(b"%d" % n for n in range(9)))
    leases = hand.lease("pages", 5)

    for lease in leases:
        assert hand.complete(lease, New("records", b"r")) == Verdict.DONE

    assert hand.lease("pages", 5) == []
    assert queue(broker, "pages").full == "records"
    assert [other.complete(lease) for lease in other.lease("records", 3)] == [Verdict.DONE] * 3
    assert len(hand.lease("pages", 9)) == 4


def test_a_queue_is_full_by_bytes_as_well_until_they_are_done(broker: Broker, hand: Hand, other: Hand) -> None:
    put(broker, "pages", b"p")
    put(broker, "records", b"." * 1_000)
    record = other.lease_one("records")

    assert hand.lease("pages") == []

    other.complete(record)
    assert hand.lease_one("pages").item == b"p"


def test_drained_is_when_no_queue_that_is_read_has_work_left(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    put(broker, "result", b"nobody reads this")
    assert broker.drained() is True
    put(broker, "task", b"a", delay=1.0)
    assert broker.drained() is False
    clock.advance(1)
    lease = hand.lease_one("task")
    assert broker.drained() is False

    hand.complete(lease)

    assert broker.drained() is True
    assert broker.drained(["task", "result"]) is False


def test_who_asks_whether_all_is_drained_may_wait_for_it(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    put(broker, "task", b"a")
    lease = hand.lease_one("task")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(broker.drained, ["task"], 1.0)
        while not wait([waiting], 0.1).done:
            clock.advance(0.3)
        assert waiting.result() is False, "the time is up"

        waiting = pool.submit(broker.drained, ["task"], 1.0)
        hand.complete(lease)
        assert waiting.result(30) is True

    with pytest.raises(CallRefused, match="pges"):
        broker.drained(["pges"], 1.0)


def test_a_dead_task_keeps_the_traceback_of_its_last_attempt_until_somebody_decides(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a", b"b", b"c")
    trace = "Traceback (most recent call last):\n" + 10_000 * "x" + "\nKeyError: 'ttle'"
    first, second, third = hand.lease("task", 3)

    hand.step(failed=[Failed(lease.token, "x", final=True, trace=trace) for lease in (first, second)])
    hand.step(failed=[Failed(third.token, "x", 0.0, trace="of an attempt that is not the last")])

    a, b = broker.dead("task")
    assert a.trace == b.trace == trace[-4_000:]
    broker.drop([a.id])
    broker.revive([b.id])
    hand.step(failed=[Failed(lease.token, "died", final=True) for lease in hand.lease("task", 3)])
    assert [task.trace for task in broker.dead("task")] == ["", ""]


def test_a_child_that_was_tried_is_delayed_or_dead_as_after_its_first_attempt(
    broker: Broker, hand: Hand, clock: ManualClock
) -> None:
    put(broker, "result", b"not tried")
    put(broker, "task", b"page")
    (lease,) = hand.lease("task", 1)
    children = [
        New("task", b"later", tried=Tried("KeyError: 'ttle'")),
        New("task", b"much later", tried=Tried("busy", after=60.0)),
        New("task", b"never", tried=Tried("of no use", final=True, trace="Traceback")),
        New("task", 5_000 * b"x", tried=Tried("of no use", final=True)),  # its body has a place of its own
    ]

    hand.step(done=[Done(lease.token, children)])

    assert counts(broker, "task") == (0, 2, 0, 2, 1)
    assert [(dead.item[:5], dead.attempt, dead.reason, dead.trace) for dead in broker.dead("task")] == [
        (b"never", 1, "of no use", "Traceback"), (b"xxxxx", 1, "of no use", ""),
    ]  # fmt: skip
    clock.advance(1.1)  # s: the first back-off is a second at most
    later = hand.lease_one("task")
    assert (later.item, later.attempt, later.is_last) == (b"later", 2, False)
    hand.step(done=[Done(later.token)])
    clock.advance(60)
    much_later = hand.lease_one("task")
    assert (much_later.item, much_later.attempt) == (b"much later", 2)


def test_how_a_worker_ended_is_the_reason_of_its_tasks(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a")
    for _ in range(3):
        hand.lease_one("task")
        assert broker.expire(hand.name, "ended with exit code 3") == 1

    (dead,) = broker.dead()

    assert dead.reason == "its worker ended with exit code 3"


def test_what_a_worker_holds_is_named_by_its_url(broker: Broker, hand: Hand) -> None:
    urls = ["http://a/", f"http://a/{'x' * 40}", f"http://a/{'é' * 200}", "http://a/" + "y" * 5_000]
    items = [msgpack.encode({"depth": 1, "url": url}) for url in urls]
    put(broker, "task", *items, b"no msgpack", msgpack.encode(["url"]))

    hand.lease("task", 6)

    assert broker.held(hand.name) == [*urls[:3], "", "", ""]
    assert broker.held("nobody") == []
