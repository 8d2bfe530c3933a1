"""Counters are part of the fenced step: what was counted for a task that somebody else has by now is not added."""

from __future__ import annotations

import pytest
from hands import TTL, Hand, put
from msgspec import msgpack

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Broker
from crawler.items import Done, Failed


def of_each(*counts: object) -> bytes:
    return msgpack.encode(list(counts))


def test_a_late_answer_is_not_counted(broker: Broker, hand: Hand, other: Hand, clock: ManualClock) -> None:
    put(broker, "task", b"a", b"b", b"c", b"d")
    a, b, c, d = hand.lease("task", 4)
    broker.extend("w", [c.token, d.token], 10 * TTL)
    clock.advance(TTL + 1)
    other.step("task", 2, done=[])  # so that the leases of a and b have ended

    hand.step(
        done=[Done(a.token), Done(c.token)], failed=[Failed(b.token, "no"), Failed(d.token, "no")],
        counters={"status/200": 2, "bytes": 30, "failed": 2, "connections": 5},
        of_each=of_each({"status/200": 1, "bytes": 10}, {"status/200": 1, "bytes": 20}, {"failed": 1}, {"failed": 1}),
    )  # fmt: skip

    assert broker.stats().counters == {"status/200": 1, "bytes": 20, "failed": 1, "connections": 5}


def test_a_repeated_answer_is_counted_once(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a")
    lease = hand.lease_one("task")
    hand.step(done=[Done(lease.token)], counters={"n": 1}, of_each=of_each({"n": 1}))
    hand.repeat()

    assert broker.stats().counters == {"n": 1}


@pytest.mark.parametrize("junk", [
    b"", b"\xc1", b"\xc0", b"\x90", b"\x01", b"\x91" * 2_000 + b"\xc0", b"\x91\x81\xa1n\xa1x", b"\x91\x81\xa1n\xcf" + b"\xff" * 8,
    b"\x91\x81\xa1n\xd3\x80" + b"\0" * 7, b"\x91\x80\x91",
])  # fmt: skip
def test_a_worker_that_does_not_say_what_is_of_which_task_is_counted_whole(
    broker: Broker, hand: Hand, clock: ManualClock, junk: bytes
) -> None:
    put(broker, "task", b"a")
    lease = hand.lease_one("task")
    clock.advance(TTL + 1)
    hand.step("task", 1)
    hand.step(done=[Done(lease.token)], counters={"n": 7}, of_each=junk)

    assert broker.stats().counters == {"n": 7}
