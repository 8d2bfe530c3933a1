"""Limits of a whole crawl that are counted while it runs: bytes and time."""

from __future__ import annotations

import pytest
from hands import Hand, House, queue

from crawler.broker.budget import time_counter
from crawler.broker.clock import ManualClock
from crawler.broker.contract import Budget, Politeness, QueueSpec
from crawler.broker.sqlite import hand_in
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.items import Done, New

NAME = "frontier.max_total_bytes = 100"
BYTES = Budget(NAME, ("fetch/bytes", "render/bytes"), 100)
TIME = Budget("frontier.max_time = 5", (time_counter("urls"),), 5_000)
EVEN = Politeness(per_host=9, delay=0.0)


def specs(*budgets: Budget) -> tuple[QueueSpec, ...]:
    return QueueSpec("urls", keyed=True, polite=True, is_read=True, budgets=budgets), QueueSpec("pages", is_read=True)


def url(n: int) -> New:
    return New("urls", b"%d" % n, b"%d" % n * 16, "a")


@pytest.mark.parametrize("counters", [{"fetch/bytes": 100}, {"fetch/bytes": 60, "render/bytes": 40}, {"fetch/bytes": 1_000}])
def test_nothing_more_is_leased_once_the_budget_is_used_up(any_house: House, counters: dict[str, int]) -> None:
    broker = any_house.open(specs(BYTES), EVEN)
    hand = Hand(broker)
    broker.put([url(n) for n in range(4)])
    first, second = hand.lease("urls", 2)

    hand.step(done=[Done(first.token)], counters=counters)

    assert hand.lease("urls", 2) == []
    assert queue(broker, "urls").spent == NAME
    assert not broker.drained(["urls"]), "one is still in process"
    hand.step(done=[Done(second.token, [New("pages", b"x")])])
    assert broker.drained(["urls"])
    assert not broker.drained(["urls", "pages"])
    assert queue(broker, "urls").ready == 2, "nothing is lost"


def test_below_the_budget_and_without_one_nothing_changes(any_house: House) -> None:
    broker = any_house.open(specs(BYTES), EVEN)
    hand = Hand(broker)
    broker.put([url(1), url(2)])

    hand.step(counters={"fetch/bytes": 99, "parse/bytes": 1_000})

    assert len(hand.lease("urls", 2)) == 2
    assert queue(broker, "urls").spent == ""


def test_a_higher_budget_at_the_next_start_lets_the_crawl_go_on(durable: House) -> None:
    broker = durable.open(specs(BYTES), EVEN)
    broker.put([url(1)])
    Hand(broker).step(counters={"fetch/bytes": 150})
    durable.close()

    broker = durable.open(specs(BYTES), EVEN)
    assert Hand(broker).lease("urls") == []
    durable.close()
    broker = durable.open(specs(Budget(NAME, BYTES.counters, 151)), EVEN)

    assert len(Hand(broker).lease("urls")) == 1


def test_time_counts_while_there_is_work_and_goes_on_in_the_next_run(durable: House) -> None:
    clock, broker = durable.clock, durable.open(specs(TIME), EVEN)
    hand = Hand(broker)
    clock.advance(60)  # nothing is there yet
    broker.put([url(1), url(2), url(3)])
    clock.advance(3)
    lease = hand.lease_one("urls")
    durable.close()
    clock.advance(3_600)  # no hub runs

    broker = durable.open(specs(TIME), EVEN)
    clock.advance(1.5)
    assert len(Hand(broker, "other").lease("urls")) == 1
    clock.advance(0.6)

    assert Hand(broker, "third").lease("urls") == []
    assert queue(broker, "urls").spent == TIME.name
    assert 5_000 <= broker.stats().counters["urls/milliseconds"] < 5_300
    assert lease.attempt == 1


def test_a_hub_whose_queue_is_spent_waits_for_no_event_of_it() -> None:
    clock = ManualClock()
    broker = SqliteBroker(":memory:", specs(TIME), EVEN, clock=clock)
    broker.put([url(1)])
    assert broker.run(lambda ledger: hand_in.next_event(ledger, [ledger.queue("urls")])) is not None

    clock.advance(6)

    assert broker.run(lambda ledger: hand_in.next_event(ledger, [ledger.queue("urls")])) is None
    broker.close()
