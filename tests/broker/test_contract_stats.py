"""Counts that explain why nothing goes on, of every broker: back-off, failures, resting hosts, old leases, idle workers."""

from __future__ import annotations

import pytest
from hands import FRONTIER, QUEUES, TTL, Hand, House, host, put, queue, seed

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Broker, Politeness
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.items import Failed, Pace, Step


@pytest.fixture
def polite(any_house: House) -> Broker:
    return any_house.open(FRONTIER, Politeness(per_host=1, delay=1.0))


def test_of_delayed_tasks_the_next_and_the_last_failure_are_known(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    put(broker, "task", b"a", b"b")
    first, second = hand.lease("task", 2)

    hand.fail(first, "refused", after=9.0)
    hand.fail(second, "timed out", after=5.0)
    clock.advance(2)

    seen = queue(broker, "task")
    assert (seen.due, seen.failure) == (3.0, "timed out")
    assert (queue(broker, "urls").due, queue(broker, "urls").failure) == (0.0, "")


def test_a_worker_that_has_said_that_it_ends_is_listed_no_more(broker: Broker, hand: Hand) -> None:
    hand.step()
    before = [worker.name for worker in broker.stats().workers]

    broker.step(Step(before[0], 1_000, is_last=True))

    assert len(before) == 1
    assert broker.stats().workers == []


@pytest.mark.parametrize("any_house", ["memory", "file"], indirect=True)  # over a wire it is the hub that sees it break
def test_a_worker_whose_connection_broke_is_not_taken_for_one_at_work(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a")
    hand.lease_one("task")
    [before] = broker.stats().workers
    assert isinstance(broker, SqliteBroker)

    broker.lost(before.name)
    [after] = broker.stats().workers
    broker.step(Step(before.name, 1_000))

    assert (before.is_heard, after.is_heard, after.leased) == (True, False, 1)
    assert [worker.is_heard for worker in broker.stats().workers] == [True]


def test_a_host_that_fails_has_its_failures_counted_until_it_answers(any_house: House, polite: Broker) -> None:
    hand, clock = Hand(polite), any_house.clock
    seed(polite, a=4)
    for reason in ("refused", "timed out"):
        hand.fail(hand.lease_one("urls"), reason, after=0.0)
        clock.advance(1)

    assert (host(polite, "a").failures, host(polite, "a").failure) == (2, "timed out")

    hand.complete(hand.lease_one("urls"))

    assert (host(polite, "a").failures, host(polite, "a").failure) == (0, "")


def test_a_worker_that_dies_is_no_failure_of_the_host(polite: Broker) -> None:
    hand = Hand(polite)
    seed(polite, a=2)
    hand.lease_one("urls")

    polite.expire("w")

    assert host(polite, "a").failures == 0
    assert "the lease ran out" in queue(polite, "urls").failure


def test_whose_wish_a_delay_is_is_known(polite: Broker) -> None:
    seed(polite, ours=1, slow=1, quick=1, fixed=1)

    polite.pace([Pace("slow", delay=30.0), Pace("quick", delay=0.5), Pace("fixed", delay=30.0, fixed=0.2)])

    found = {each.name: (each.delay, each.delay_by) for each in polite.stats().hosts}
    assert found == {"ours": (1.0, "setting"), "slow": (30.0, "host"), "quick": (1.0, "setting"), "fixed": (0.2, "hand")}


def test_a_host_is_known_whose_task_in_process_waits_before_it_asks(polite: Broker, any_house: House) -> None:
    seed(polite, a=2, b=2)
    polite.pace([Pace("a", held=30.0), Pace("b", held=30.0)])
    assert (host(polite, "a").held, host(polite, "a").rest <= 0) == (0.0, True), "nothing of it is in process"
    hand = Hand(polite)
    leases = hand.lease("urls", 1)

    assert (host(polite, leases[0].host).held, host(polite, leases[0].host).asked) == (30.0, 0.0)
    any_house.clock.advance(29.0)
    assert (host(polite, leases[0].host).held, host(polite, leases[0].host).asked) == (1.0, 29.0)
    any_house.clock.advance(1.5)
    assert host(polite, leases[0].host).held == 0.0
    hand.step(arrived=[leases[0].token])
    assert host(polite, leases[0].host).asked == 0.0


def test_hosts_of_which_a_task_could_be_leased_are_counted(polite: Broker) -> None:
    seed(polite, a=2, b=1, c=1, d=1)
    polite.pace([Pace("c", paused=True), Pace("d", rest=60.0)])

    assert (polite.stats().hosts_open, polite.stats().hosts_total) == (2, 4)

    Hand(polite).lease("urls", 2)

    assert polite.stats().hosts_open == 0


def test_the_oldest_lease_of_a_queue_and_its_worker_are_known(broker: Broker, hand: Hand, other: Hand, clock: ManualClock) -> None:
    put(broker, "task", b"a", b"b")
    assert queue(broker, "task").longest == 0.0
    first = hand.lease_one("task")
    clock.advance(7)
    other.lease_one("task")
    clock.advance(3)
    hand.extend(first)

    assert (queue(broker, "task").longest, queue(broker, "task").holder) == (10.0, "w")

    hand.complete(first)

    assert (queue(broker, "task").longest, queue(broker, "task").holder) == (3.0, "other")


def test_a_worker_is_listed_with_the_queue_it_asks(broker: Broker, hand: Hand, other: Hand) -> None:
    hand.lease("pages", 1)
    other.step()

    assert {worker.name: worker.queue for worker in broker.stats().workers} == {"w": "pages", "other": ""}


def test_a_worker_of_an_earlier_run_is_listed_only_while_it_holds_something(durable: House) -> None:
    broker = durable.open(QUEUES)
    put(broker, "task", b"a")
    Hand(broker, "holds").lease("task")
    Hand(broker, "idle").lease("pages")

    again = durable.reopen()

    assert [(worker.name, worker.leased) for worker in again.stats().workers] == [("holds", 1)]
    again.step(Step("idle", 9, "pages", 1, ttl=TTL))
    assert sorted(worker.name for worker in again.stats().workers) == ["holds", "idle"]


@pytest.mark.slow
def test_a_list_of_dead_tasks_ends_where_a_message_would_be_too_large(broker: Broker, hand: Hand) -> None:
    put(broker, "task", *(b"." * (5 << 20) for _ in range(4)))
    while leases := hand.lease("task", 4):
        hand.step(failed=[Failed(lease.token, "no", final=True) for lease in leases])

    first = broker.dead("task")
    rest = broker.dead("task", after=first[-1].id)

    assert (len(first), len(rest)) == (2, 2)
    assert broker.dead("task", after=rest[-1].id) == []


def test_the_rate_is_that_of_the_last_seconds(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    put(broker, "task", *(b"%d" % n for n in range(20)))
    for lease in hand.lease("task", 20):
        hand.complete(lease)

    assert queue(broker, "task").rate > 0
    clock.advance(20)
    assert queue(broker, "task").rate == 0
