"""What every broker promises of calls that are repeated, overtaken, or wait."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hands import QUEUES, TTL, Hand, House, bodies, counts, put, until

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Broker
from crawler.errors import CallRefused
from crawler.items import Done, New, Step, Verdict

ACCEPTED, DUPLICATE = Verdict.ACCEPTED, Verdict.DUPLICATE


# ---- repeated and overtaken


def test_a_repeated_step_changes_nothing_and_is_answered_as_before(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a", b"b", b"c")
    lease = hand.lease_one("task")
    first = hand.step("task", 1, done=[Done(lease.token, [New("result", b"child")])], counters={"n": 1})

    again = hand.repeat()

    assert (list(again.verdicts), list(again.leases)) == (list(first.verdicts), list(first.leases))
    assert counts(broker, "task") == (1, 0, 1, 0, 1)
    assert broker.stats().counters == {"n": 1}
    assert bodies(broker, "result") == [b"child"]


def test_the_first_call_may_have_any_number(broker: Broker) -> None:
    put(broker, "task", b"a")

    assert len(broker.step(Step("w", 0, "task", 1)).leases) == 1
    assert list(broker.put([New("task", b"b")], "p", 0)) == [ACCEPTED]


def test_a_call_that_was_overtaken_by_a_later_one_is_refused(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a")
    overtaken = Step("w", 1, "task", 1, counters={"n": 1})
    hand.call = 1
    hand.step(counters={"n": 1})

    with pytest.raises(CallRefused, match="out of date"):
        broker.step(overtaken)

    broker.put([New("task", b"b")], "p", 7)
    with pytest.raises(CallRefused, match="out of date"):
        broker.put([New("task", b"c")], "p", 6)
    assert counts(broker, "task") == (2, 0, 0, 0, 0)
    assert broker.stats().counters == {"n": 1}


def test_a_repeated_put_stores_nothing_and_is_answered_as_before(broker: Broker) -> None:
    batch = [New("task", b"a"), New("urls", b"u"), New("urls", b"u")]

    first = list(broker.put(batch, "p", 1))

    assert list(broker.put(batch, "p", 1)) == first == [ACCEPTED, ACCEPTED, DUPLICATE]
    assert counts(broker, "task") == (1, 0, 0, 0, 0)


def test_puts_and_steps_of_one_name_are_numbered_apart(broker: Broker, hand: Hand) -> None:
    broker.put([New("task", b"a")], "w", 1)

    assert hand.lease_one("task").item == b"a"
    assert [worker.name for worker in broker.stats().workers] == ["w"]


def test_repeated_calls_are_known_after_a_restart(durable: House) -> None:
    broker = durable.open()
    broker.put([New("task", b"a"), New("task", b"b")], "p", 3)
    hand = Hand(broker)
    lease = hand.lease_one("task")
    first = hand.step("task", 1, done=[Done(lease.token, [New("result", b"child")])])

    hand.broker = broker = durable.reopen()

    again = hand.repeat()
    assert (list(again.verdicts), list(again.leases)) == (list(first.verdicts), list(first.leases))
    assert list(broker.put([New("task", b"a"), New("task", b"b")], "p", 3)) == [ACCEPTED, ACCEPTED]
    assert counts(broker, "task") == (0, 0, 1, 0, 1)
    assert counts(broker, "result") == (1, 0, 0, 0, 0)


@pytest.mark.slow
def test_a_worker_goes_on_with_what_it_held_before_a_restart(durable: House) -> None:
    hand = Hand(durable.open())
    put(hand.broker, "task", b"a", b"b")
    done, lost = hand.lease("task", 2)

    hand.broker = durable.reopen()

    assert hand.complete(done, New("result", b"r")) == Verdict.DONE
    durable.clock.advance(TTL + 1)
    assert hand.complete(lost) == Verdict.STALE
    assert hand.lease_one("task").attempt == 2


# ---- waiting


def test_a_waiting_worker_is_woken_by_the_task_that_arrives(broker: Broker, hand: Hand) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(hand.lease, "task", 1, wait=20.0)
        until(lambda: bool(broker.stats().workers))

        put(broker, "task", b"at last")

        assert [lease.item for lease in waiting.result()] == [b"at last"]


def test_few_tasks_are_shared_with_the_workers_that_wait(broker: Broker, hand: Hand, other: Hand) -> None:
    put(broker, "task", b"a")
    first = hand.lease_one("task")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other.lease, "task", 32, wait=20.0)
        until(lambda: len(broker.stats().workers) == 2)

        answer = hand.step("task", 32, done=[Done(first.token, [New("task", b"%d" % n) for n in range(5)])])

        assert len(answer.leases) == 3
        assert len(waiting.result()) == 2


def test_a_waiting_worker_is_sent_away_when_its_time_is_up(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(hand.lease, "task", 1, wait=20.0)
        until(lambda: bool(broker.stats().workers))

        clock.advance(20.1)

        assert waiting.result() == []


def test_a_waiting_worker_gets_what_a_dead_one_held(broker: Broker, hand: Hand, other: Hand) -> None:
    put(broker, "task", b"a")
    hand.lease_one("task")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other.lease, "task", 1, wait=20.0)
        until(lambda: len(broker.stats().workers) == 2)

        broker.expire("w")

        assert [lease.attempt for lease in waiting.result()] == [2]


def test_a_call_repeated_while_it_still_waits_leases_once(broker: Broker, hand: Hand) -> None:
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(hand.lease, "task", 1, wait=20.0)
        until(lambda: bool(broker.stats().workers))
        second = pool.submit(hand.repeat)

        put(broker, "task", b"a", b"b")

        assert list(second.result().leases) == first.result()
    assert counts(broker, "task") == (1, 0, 1, 0, 0)


def test_a_worker_that_asks_anew_no_longer_waits_with_its_old_call(broker: Broker, hand: Hand) -> None:
    with ThreadPoolExecutor(1) as pool:
        old = pool.submit(hand.lease, "task", 1, wait=20.0)
        until(lambda: bool(broker.stats().workers))

        hand.step()

        assert old.result() == []


def test_who_waits_for_no_queue_or_no_task_is_answered_at_once(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a")

    assert hand.lease("", 1, wait=20.0) == []
    assert hand.lease("task", 0, wait=20.0) == []


def test_the_contract_names_every_queue_it_uses(broker: Broker) -> None:
    assert [stats.name for stats in broker.stats().queues] == [spec.name for spec in QUEUES]
