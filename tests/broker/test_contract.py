"""What every broker promises of the life of a task, over the protocol alone: in memory, in a file, and over the hub's wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hands import TTL, Hand, bodies, counts, put

from crawler.broker.clock import ManualClock
from crawler.broker.contract import MAX_BODY, Broker
from crawler.errors import CallRefused
from crawler.items import Done, Failed, New, Verdict

ACCEPTED, DUPLICATE = Verdict.ACCEPTED, Verdict.DUPLICATE


# ---- in


def test_tasks_are_lent_first_come_first_served_within_a_priority(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a", b"b")
    put(broker, "task", b"urgent", b"urgent too", priority=5)
    put(broker, "task", b"idle", priority=-1)

    assert [lease.item for lease in hand.lease("task", 10)] == [b"urgent", b"urgent too", b"a", b"b", b"idle"]


def test_a_key_is_accepted_once_and_known_for_good(broker: Broker, hand: Hand) -> None:
    twice = New("urls", b"same", key=b"1" * 16)

    assert list(broker.put([twice, twice])) == [ACCEPTED, DUPLICATE]
    hand.complete(hand.lease_one("urls"))

    assert list(broker.put([twice])) == [DUPLICATE]
    assert counts(broker, "urls") == (0, 0, 0, 0, 1)


def test_without_a_key_the_body_is_the_key_of_a_keyed_queue_alone(broker: Broker) -> None:
    assert put(broker, "urls", b"x", b"x") == [ACCEPTED, DUPLICATE]
    assert put(broker, "task", b"x", b"x") == [ACCEPTED, ACCEPTED]


def test_a_body_that_is_too_big_is_not_stored(broker: Broker) -> None:
    assert put(broker, "task", b"." * (MAX_BODY + 1)) == [Verdict.TOO_BIG]
    assert counts(broker, "task") == (0, 0, 0, 0, 0)


def test_a_task_is_dead_if_what_it_gave_rise_to_cannot_be_stored(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a")
    lease = hand.lease_one("task")

    verdict = hand.complete(lease, New("result", b"fits"), New("result", b"." * (MAX_BODY + 1)))

    assert verdict == Verdict.DEAD
    assert counts(broker, "result") == (0, 0, 0, 0, 0)
    assert str(MAX_BODY + 1) in broker.dead("task")[0].reason


def test_a_delayed_task_waits_for_its_time(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    put(broker, "task", b"later", delay=5.0)
    assert counts(broker, "task") == (0, 1, 0, 0, 0)

    clock.advance(4.9)
    assert hand.lease("task") == []

    clock.advance(0.2)
    assert hand.lease_one("task").item == b"later"


def test_a_task_brings_its_host_and_depth_along(broker: Broker, hand: Hand) -> None:
    broker.put([New("urls", b"u", key=b"u" * 16, depth=3)])

    lease = hand.lease_one("urls")

    assert (lease.queue, lease.key, lease.depth, lease.attempt) == ("urls", b"u" * 16, 3, 1)


@pytest.mark.parametrize("name", ["put", "lease", "child", "take", "dead", "drained", "why"])
def test_an_unknown_queue_is_refused_with_the_names_of_those_there_are(broker: Broker, hand: Hand, name: str) -> None:
    put(broker, "task", b"a")
    lease = hand.lease_one("task")
    calls: dict[str, Callable[[], Any]] = {
        "put": lambda: broker.put([New("task", b"not kept"), New("pges", b"x")]),
        "lease": lambda: hand.lease("pges"),
        "child": lambda: hand.complete(lease, New("pges", b"x")),
        "take": lambda: broker.take("pges", 1),
        "dead": lambda: broker.dead("pges"),
        "drained": lambda: broker.drained(["pges"]),
        "why": lambda: broker.why("pges", b"k" * 16),
    }

    with pytest.raises(CallRefused, match=r"no queue 'pges' on this hub; it has pages, .*, urls; did you mean 'pages'\?"):
        calls[name]()

    assert counts(broker, "task") == (0, 0, 1, 0, 0)
    assert hand.complete(lease) == Verdict.DONE


@pytest.mark.parametrize("odd", [{"delay": float("nan")}, {"delay": 1e300}, {"priority": 1 << 62}, {"depth": -1 << 62}])
def test_a_number_that_cannot_be_stored_is_refused_and_harms_nobody(broker: Broker, hand: Hand, odd: dict[str, Any]) -> None:
    put(broker, "task", b"a")
    lease = hand.lease_one("task")

    with pytest.raises(CallRefused):
        put(broker, "task", b"x", **odd)
    with pytest.raises(CallRefused):
        hand.complete(lease, New("task", b"x", **odd))

    assert hand.complete(lease) == Verdict.DONE
    assert counts(broker, "task") == (0, 0, 0, 0, 1)


@pytest.mark.parametrize("ttl", [0.0, -1.0, float("nan"), float("inf")])
def test_a_lease_that_would_never_or_at_once_run_out_is_refused(broker: Broker, hand: Hand, ttl: float) -> None:
    with pytest.raises(CallRefused, match=r"a lease of|ttl"):
        hand.lease("task", ttl=ttl)


# ---- out and back


def test_a_late_complete_changes_nothing(broker: Broker, hand: Hand, other: Hand, clock: ManualClock) -> None:
    put(broker, "task", b"a")
    first = hand.lease_one("task")
    clock.advance(TTL + 1)
    second = other.lease_one("task")

    assert hand.complete(first, New("result", b"from the dead")) == Verdict.STALE

    assert other.complete(second, New("result", b"ok")) == Verdict.DONE
    assert bodies(broker, "result") == [b"ok"]


def test_no_late_word_of_any_kind_changes_anything(broker: Broker, hand: Hand, other: Hand, clock: ManualClock) -> None:
    put(broker, "task", b"a")
    first = hand.lease_one("task")
    clock.advance(TTL + 1)
    second = other.lease_one("task")
    before = counts(broker, "task")

    assert hand.fail(first, final=True) == Verdict.STALE
    assert hand.release(first) == Verdict.STALE
    assert hand.extend(first) is False

    assert counts(broker, "task") == before
    assert second.attempt == 2
    assert other.extend(second) is True


def test_a_token_is_good_for_the_worker_it_was_given_to_alone(broker: Broker, hand: Hand, other: Hand) -> None:
    put(broker, "task", b"a")
    lease = hand.lease_one("task")

    assert other.complete(lease, New("result", b"stolen")) == Verdict.STALE
    assert other.extend(lease) is False

    assert hand.complete(lease) == Verdict.DONE
    assert counts(broker, "result") == (0, 0, 0, 0, 0)


def test_a_token_is_good_once_even_within_a_step(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a")
    lease = hand.lease_one("task")

    answer = hand.step(
        done=[Done(lease.token, [New("result", b"1")]), Done(lease.token, [New("result", b"2")])], released=[lease.token]
    )

    assert list(answer.verdicts) == [Verdict.DONE, Verdict.STALE, Verdict.STALE]
    assert bodies(broker, "result") == [b"1"]


def test_verdicts_stand_in_the_order_done_failed_released(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a", b"b", b"c", b"d")
    a, b, c, d = hand.lease("task", 4)

    answer = hand.step(
        done=[Done(a.token)], failed=[Failed(b.token, "x", 1.0), Failed(c.token, "y", final=True)], released=[d.token]
    )

    assert list(answer.verdicts) == [Verdict.DONE, Verdict.RETRY, Verdict.DEAD, Verdict.RELEASED]
    assert counts(broker, "task") == (1, 1, 0, 1, 1)


def test_a_failed_attempt_waits_longer_each_time_and_the_last_one_is_dead(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    put(broker, "task", b"a")
    for bound in (1.0, 2.0):  # s, doubled with each attempt; the tests' jitter is always the longest
        assert hand.fail(hand.lease_one("task"), after=None) == Verdict.RETRY
        clock.advance(bound - 0.1)
        assert hand.lease("task") == []
        clock.advance(0.2)

    last = hand.lease_one("task")

    assert last.attempt == 3
    assert hand.fail(last, "third time") == Verdict.DEAD
    (dead,) = broker.dead("task")
    assert (dead.item, dead.attempt, dead.reason) == (b"a", 3, "third time")


def test_a_stage_may_say_when_to_try_again(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    put(broker, "task", b"a")
    hand.fail(hand.lease_one("task"), after=100.0)

    clock.advance(99)
    assert hand.lease("task") == []
    clock.advance(2)

    assert hand.lease_one("task").attempt == 2


def test_a_worker_that_dies_with_a_task_has_used_an_attempt(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    put(broker, "task", b"poison")
    for attempt in (1, 2, 3):
        assert hand.lease_one("task").attempt == attempt
        clock.advance(TTL + 1)

    assert counts(broker, "task") == (0, 0, 0, 1, 0)
    assert "worker w died" in broker.dead()[0].reason


def test_a_task_given_back_has_used_none(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a")
    for _ in range(10):
        lease = hand.lease_one("task")
        assert lease.attempt == 1
        assert hand.release(lease) == Verdict.RELEASED


def test_a_lease_says_whether_it_is_the_last_attempt(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a")

    first = hand.lease_one("task")
    hand.fail(first, "the lease ran out of luck")
    second = hand.lease_one("task")
    broker.expire(hand.name, "was killed by SIGSEGV")
    third = hand.lease_one("task")

    assert [(lease.attempt, lease.is_last) for lease in (first, second, third)] == [(1, False), (2, False), (3, True)]
    assert list(hand.repeat().leases) == [third]


def test_a_heart_beat_keeps_a_lease(broker: Broker, hand: Hand, other: Hand, clock: ManualClock) -> None:
    put(broker, "task", b"a")
    lease = hand.lease_one("task")
    for _ in range(5):
        clock.advance(TTL - 1)
        assert hand.extend(lease) is True

    assert other.lease("task") == []
    assert hand.complete(lease) == Verdict.DONE


def test_expire_takes_back_what_a_dead_worker_held_and_nothing_else(broker: Broker, hand: Hand, other: Hand) -> None:
    put(broker, "task", b"a", b"b", b"c")
    hand.lease("task", 2)
    kept = other.lease_one("task")

    assert broker.expire("w") == 2
    assert broker.expire("w") == 0

    assert [lease.attempt for lease in other.lease("task", 5)] == [2, 2]
    assert other.complete(kept) == Verdict.DONE
    assert broker.expire(None) == 2
