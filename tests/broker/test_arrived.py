"""A page has arrived and is still in process: its host is free again, and of its task nothing changes. Of every broker alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hands import FRONTIER, TTL, Hand, House, granted, host, put, queue, seed, until

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Broker, Politeness
from crawler.errors import CallRefused
from crawler.items import Done, Failed, Verdict


@pytest.fixture
def broker(any_house: House) -> Broker:
    """One task of a host at a time, a second apart."""
    return any_house.open(FRONTIER, Politeness(per_host=1, delay=1.0))


def test_a_host_is_asked_again_a_delay_after_its_page_has_arrived(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    seed(broker, a=3)
    lease = hand.lease_one("urls")

    clock.advance(5)
    hand.step(arrived=[lease.token])
    clock.advance(0.9)
    assert granted(hand) == []
    clock.advance(0.2)
    assert granted(hand) == [b"a/1"]

    assert hand.extend(lease) is True
    assert (host(broker, "a").leased, queue(broker, "urls").leased) == (1, 2)
    assert hand.complete(lease) == Verdict.DONE
    clock.advance(10)
    assert granted(hand) == []  # the slot of the second is not given back with the first


def test_slots_that_are_given_back_are_lent_in_the_same_step(any_house: House) -> None:
    broker = any_house.open(FRONTIER, Politeness(per_host=2, delay=0.0))
    hand = Hand(broker)
    seed(broker, a=4)
    first, second = hand.lease("urls", 4)

    leases = hand.step("urls", 4, arrived=[first.token, second.token]).leases

    assert [lease.item for lease in leases] == [b"a/2", b"a/3"]
    assert (host(broker, "a").leased, queue(broker, "urls").leased) == (2, 4)


@pytest.mark.parametrize("end", ["done", "failed", "released", "expired", "died"])
def test_however_a_task_ends_that_had_arrived_its_slot_is_given_back_once(
    broker: Broker, hand: Hand, other: Hand, clock: ManualClock, end: str
) -> None:
    seed(broker, a=3)
    lease = hand.lease_one("urls")
    hand.step(arrived=[lease.token])
    clock.advance(1.1)
    (second,) = other.lease("urls", 9)

    if end == "done":
        hand.complete(lease)
    elif end == "failed":
        hand.fail(lease)
    elif end == "released":
        hand.release(lease)
    elif end == "expired":
        clock.advance(20)
        other.extend(second)
        clock.advance(TTL - 20)
    else:
        broker.expire("w")

    assert (host(broker, "a").leased, granted(other)) == (1, [])
    clock.advance(1.1)
    assert granted(other) == []
    other.complete(second)
    assert host(broker, "a").leased == 0
    clock.advance(1.1)
    assert granted(other) == [b"a/0" if end in ("failed", "released") else b"a/2"]  # what its worker died of is lent apart


def test_what_arrives_and_ends_in_one_step_gives_its_slot_back_once(any_house: House) -> None:
    broker = any_house.open(FRONTIER, Politeness(per_host=3, delay=0.0))
    hand = Hand(broker)
    seed(broker, a=9)
    done, failed, released = (lease.token for lease in hand.lease("urls", 3))

    arrived = [done, failed, released, done]
    leases = hand.step(
        "urls", 9, done=[Done(done)], failed=[Failed(failed, "x", 60.0)], released=[released], arrived=arrived
    ).leases

    assert (len(leases), host(broker, "a").leased) == (3, 3)


def test_a_token_that_is_not_current_or_arrived_before_frees_no_host(
    broker: Broker, hand: Hand, other: Hand, clock: ManualClock
) -> None:
    seed(broker, a=3, b=1)
    put(broker, "pages", b"page")
    lease, ended = hand.lease("urls", 2)
    hand.complete(ended)
    (page,) = hand.lease("pages")

    other.step(arrived=[lease.token])
    hand.step(arrived=[ended.token, page.token, 12345])
    clock.advance(1.1)
    assert (host(broker, "a").leased, granted(other)) == (1, [])

    hand.step(arrived=[lease.token])
    clock.advance(1.1)
    assert granted(other) == [b"a/1"]
    hand.step(arrived=[lease.token])
    clock.advance(1.1)
    assert (host(broker, "a").leased, granted(other)) == (1, [])
    assert hand.complete(page) == Verdict.DONE


def test_a_repeated_step_frees_a_host_once(any_house: House) -> None:
    broker = any_house.open(FRONTIER, Politeness(per_host=1, delay=0.0))
    hand = Hand(broker)
    seed(broker, a=3)
    lease = hand.lease_one("urls")
    first = hand.step("urls", 1, arrived=[lease.token])

    again = hand.repeat()

    assert [each.item for each in again.leases] == [each.item for each in first.leases] == [b"a/1"]
    assert (host(broker, "a").leased, queue(broker, "urls").leased) == (1, 2)


def test_who_waits_is_lent_what_an_arrival_has_freed(any_house: House) -> None:
    broker = any_house.open(FRONTIER, Politeness(per_host=1, delay=0.0))
    hand, other = Hand(broker), Hand(broker, "other")
    seed(broker, a=2)
    lease = hand.lease_one("urls")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other.lease, "urls", 1, wait=20.0)
        until(lambda: len(broker.stats().workers) == 2)

        hand.step(arrived=[lease.token])

        assert [each.item for each in waiting.result()] == [b"a/1"]


def test_after_a_restart_all_that_is_leased_takes_its_slot_again(durable: House) -> None:
    broker = durable.open(FRONTIER, Politeness(per_host=2, delay=0.0))
    hand = Hand(broker)
    seed(broker, a=9)
    one, two = hand.lease("urls", 2)
    three, four = hand.step("urls", 9, arrived=[one.token, two.token]).leases

    hand.broker = broker = durable.reopen()

    assert (host(broker, "a").leased, granted(hand)) == (4, [])
    hand.complete(three)
    hand.complete(four)
    assert (host(broker, "a").leased, granted(hand)) == (2, [])
    hand.step(arrived=[one.token])  # what was said before is not remembered: it may be said again
    assert granted(hand) == [b"a/4"]
    assert [hand.complete(lease) for lease in (one, two)] == [Verdict.DONE] * 2
    assert host(broker, "a").leased == 1


def test_no_hub_gives_out_a_token_below_nothing(broker: Broker, hand: Hand) -> None:
    with pytest.raises(CallRefused, match="a token of -1 is not possible"):
        hand.step(arrived=[-1])
