"""How often a host is asked: granted with the lease, by every broker alike, and remembered."""

from __future__ import annotations

from random import Random

import pytest
from hands import FRONTIER, TTL, Hand, House, Longest, granted, host, put, queue, seed

from crawler.broker.backoff import backoff
from crawler.broker.clock import ManualClock
from crawler.broker.contract import Broker, Politeness, QueueSpec
from crawler.items import Done, Failed, New, Pace

HOUR = 3600.0
DECADE = 10 * 365 * 24 * HOUR


@pytest.fixture
def broker(any_house: House) -> Broker:
    """One task of a host at a time, a second apart."""
    return any_house.open(FRONTIER, Politeness(per_host=1, delay=1.0))


def test_a_host_is_asked_again_a_delay_after_the_end_of_the_last_task(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    seed(broker, a=3)
    lease = hand.lease_one("urls")
    clock.advance(5)
    assert granted(hand) == []

    hand.complete(lease)
    clock.advance(0.9)
    assert granted(hand) == []

    clock.advance(0.2)
    assert granted(hand) == [b"a/1"]


@pytest.mark.parametrize("end", ["failed", "released", "expired"])
def test_however_a_task_ends_its_host_has_its_rest(broker: Broker, hand: Hand, clock: ManualClock, end: str) -> None:
    seed(broker, a=2)
    lease = hand.lease_one("urls")
    if end == "failed":
        hand.fail(lease, after=100.0)
    elif end == "released":
        hand.release(lease)
    else:
        broker.expire("w")

    assert granted(hand) == []
    clock.advance(1.1)
    assert len(granted(hand)) == 1


@pytest.mark.cost  # of a host that is not in memory the turn that was given back is not known
def test_a_lease_that_is_given_back_unbegun_leaves_no_trace(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    seed(broker, a=2, b=2, c=2)
    hand.complete(hand.lease_one("urls"))
    clock.advance(0.3)
    before = [host(broker, name).rest for name in "abc"]

    leases = hand.lease("urls", 10)
    assert [lease.item for lease in leases] == [b"b/0", b"c/0"]
    hand.give_back(*leases)

    assert [host(broker, name).rest for name in "abc"] == before
    assert granted(hand) == [b"b/0", b"c/0"]


def test_a_host_that_was_told_to_rest_meanwhile_keeps_its_rest(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    seed(broker, a=2)
    lease = hand.lease_one("urls")
    broker.pace([Pace("a", rest=60.0)])
    hand.give_back(lease)
    clock.advance(59.0)

    assert granted(hand) == []


def test_a_lease_given_back_unbegun_does_not_take_the_rest_after_another_that_ended_in_the_same_moment(any_house: House) -> None:
    broker, clock = any_house.open(FRONTIER, Politeness(per_host=2, delay=1.0)), any_house.clock
    hand, other = Hand(broker), Hand(broker, "other")
    seed(broker, a=4)
    first = hand.lease_one("urls")
    clock.advance(1.1)
    second = other.lease_one("urls")
    hand.complete(first)  # it was asked until now, and the clock of the hub has not moved since the second lease
    other.give_back(second)

    assert granted(hand) == []
    clock.advance(0.9)
    assert granted(hand) == []
    clock.advance(0.2)
    assert len(granted(hand)) == 1


@pytest.mark.cost  # of a host that is not in memory the turn that was given back is not known
def test_giving_back_what_was_not_begun_costs_no_host_its_turn(any_house: House) -> None:
    """A hundred hosts a second apart; each time all are leased, one is done, and the others are given back."""
    broker = any_house.open(FRONTIER, Politeness(per_host=1, delay=1.0))
    hand = Hand(broker)
    seed(broker, **{f"h{n}": 2 for n in range(100)})

    for done in range(100):
        leases = hand.lease("urls", 200)
        assert len(leases) == 100 - done
        hand.step(done=[Done(leases[0].token)], returned=[lease.token for lease in leases[1:]])


def test_as_many_tasks_of_a_host_as_allowed_are_lent_at_once(any_house: House) -> None:
    broker = any_house.open(FRONTIER, Politeness(per_host=3, delay=0.0))
    hand = Hand(broker)
    seed(broker, a=5, b=1)

    leases = hand.lease("urls", 100)

    assert sorted(lease.item for lease in leases) == [b"a/0", b"a/1", b"a/2", b"b/0"]
    assert (host(broker, "a").leased, host(broker, "a").ready) == (3, 2)
    hand.complete(leases[0])
    assert len(granted(hand)) == 1


def test_several_at_a_time_start_a_delay_apart(any_house: House) -> None:
    broker = any_house.open(FRONTIER, Politeness(per_host=2, delay=1.0))
    hand = Hand(broker)
    seed(broker, a=5)

    assert len(granted(hand)) == 1
    assert granted(hand) == []
    any_house.clock.advance(0.9)
    assert granted(hand) == []
    any_house.clock.advance(0.2)
    assert len(granted(hand)) == 1
    any_house.clock.advance(10)
    assert granted(hand) == []


@pytest.mark.parametrize(
    ("attempt", "longest"),
    [(1, 1.0), (2, 2.0), (5, 16.0), (12, 2048.0), (13, HOUR), (14, HOUR), (61, HOUR), (1_000, HOUR), (10**9, HOUR)],
)
def test_the_wait_after_a_failure_doubles_up_to_an_hour(attempt: int, longest: float) -> None:
    assert backoff(attempt, Longest()) == longest


def test_a_slow_host_keeps_nobody_waiting(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    seed(broker, slow=50, a=2, b=2)
    broker.pace([Pace("slow", rest=HOUR)])

    assert sorted(granted(hand, 2)) == [b"a/0", b"b/0"]


def test_hosts_take_turns_the_longest_waiting_first(any_house: House) -> None:
    broker = any_house.open(FRONTIER, Politeness(per_host=1, delay=0.0))
    hand = Hand(broker)
    seed(broker, a=3, b=3, c=3)

    order = []
    for _ in range(9):
        lease = hand.lease_one("urls")
        order.append(lease.host)
        any_house.clock.advance(0.1)
        hand.complete(lease)

    assert sorted(order[:3]) == sorted(order[3:6]) == sorted(order[6:]) == ["a", "b", "c"]


def test_a_host_that_does_not_fit_into_the_answer_does_not_lose_its_turn(any_house: House) -> None:
    broker = any_house.open(FRONTIER, Politeness(per_host=1, delay=100.0))
    hand = Hand(broker)
    broker.put([New("urls", letter * (5 << 20), host=letter.decode()) for letter in (b"a", b"b")])

    assert [lease.host for lease in hand.lease("urls", 2)] == ["a"]
    assert [lease.host for lease in hand.lease("urls", 2)] == ["b"]


def test_retry_after_rests_the_host_from_the_step_that_heard_of_it(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    seed(broker, a=2)
    lease = hand.lease_one("urls")
    hand.step(done=[Done(lease.token)], paces=[Pace("a", rest=120.0)])

    assert host(broker, "a").rest == pytest.approx(120.0)
    clock.advance(119)
    assert granted(hand) == []

    clock.advance(2)
    assert granted(hand) == [b"a/1"]


@pytest.mark.parametrize("end", ["done", "failed", "released", "arrived"])
def test_a_delay_heard_of_with_the_end_of_a_task_holds_for_the_gap_after_it(
    broker: Broker, hand: Hand, clock: ManualClock, end: str
) -> None:
    seed(broker, a=2)
    token = hand.lease_one("urls").token
    ended = {"done": [Done(token)], "failed": [Failed(token, "no", after=0.0)]}.get(end, [token])

    hand.step(**{end: ended}, paces=[Pace("a", delay=30.0)])

    clock.advance(29)
    assert granted(hand) == []
    clock.advance(2)
    assert len(granted(hand)) == 1


def test_a_host_may_ask_for_more_patience_than_ours_not_for_less(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    seed(broker, strict=2, eager=2)
    broker.pace([Pace("strict", delay=30.0), Pace("eager", delay=0.0)])

    for lease in hand.lease("urls", 2):
        hand.complete(lease)

    assert (host(broker, "strict").delay, host(broker, "eager").delay) == (30.0, 1.0)
    clock.advance(1.1)
    assert granted(hand) == [b"eager/1"]
    clock.advance(29)
    assert granted(hand) == [b"strict/1"]


def test_a_paused_host_is_left_alone_until_it_is_resumed(broker: Broker, hand: Hand) -> None:
    broker.pace([Pace("a", paused=True)])  # before anybody heard of it
    seed(broker, a=1, b=1)

    assert granted(hand) == [b"b/0"]
    assert host(broker, "a").paused is True

    broker.pace([Pace("a", paused=False)])
    assert granted(hand) == [b"a/0"]


def test_priority_orders_the_tasks_of_one_host(broker: Broker, hand: Hand) -> None:
    put(broker, "urls", b"later", host="a")
    put(broker, "urls", b"first", host="a", priority=9)

    assert granted(hand) == [b"first"]


@pytest.mark.parametrize("is_reopened", [False, True])
def test_a_host_with_many_tasks_lends_them_in_order_whatever_comes_or_comes_back(durable: House, is_reopened: bool) -> None:
    broker = durable.open(FRONTIER, Politeness(per_host=3, delay=0.0))
    hand = Hand(broker)
    put(broker, "urls", *(b"%d" % n for n in range(9)), host="a")
    first, second, third = hand.lease("urls", 3)
    if is_reopened:
        hand.broker = broker = durable.reopen()
    put(broker, "urls", b"idle", host="a", priority=-1)
    hand.complete(first)
    assert granted(hand, 9) == [b"3"]

    put(broker, "urls", b"urgent", host="a", priority=1)
    hand.release(second)
    hand.complete(third)
    leases = hand.lease("urls", 9)
    assert [lease.item for lease in leases] == [b"urgent", b"1"]

    order = []
    while leases:
        hand.complete(leases.pop(0))
        more = hand.lease("urls", 9)
        order += [lease.item for lease in more]
        leases += more
    assert order == [b"4", b"5", b"6", b"7", b"8", b"idle"]


@pytest.mark.parametrize("chance", range(10))
def test_of_the_many_tasks_of_a_host_none_is_passed_over(chance: int, any_house: House) -> None:
    random = Random(chance)
    broker = any_house.open(FRONTIER, Politeness(per_host=5, delay=0.0))
    hand = Hand(broker)
    ready: list[tuple[int, int]] = []  # (-priority, number): in the order in which they are due
    put_so_far = 0
    for is_over in [False] * 60 + [True] * 60:
        for _ in range(0 if is_over else random.randint(0, 4)):
            priority = random.choice((0, 0, 0, 0, 1, -1))
            put(broker, "urls", b"%d" % put_so_far, host="a", priority=priority)
            ready.append((-priority, put_so_far))
            put_so_far += 1
        ready.sort()
        want = random.randint(1, 5)
        leases = hand.lease("urls", want)
        due, ready = ready[:want], ready[want:]
        assert [int(lease.item) for lease in leases] == [number for _, number in due]
        for lease, place in zip(leases, due, strict=True):
            if not is_over and random.random() < 0.2:
                hand.release(lease)
                ready.append(place)
            else:
                hand.complete(lease)

    assert ready == []
    assert broker.drained(["urls"])


def test_what_a_host_is_owed_survives_a_restart(durable: House) -> None:
    broker = durable.open(FRONTIER, Politeness(per_host=1, delay=1.0))
    hand = Hand(broker)
    seed(broker, crawl_delay=2, resting=1, paused=1, busy=2)
    broker.pace([Pace("crawl_delay", delay=30.0), Pace("resting", rest=60.0), Pace("paused", paused=True)])
    by_host = {lease.host: lease for lease in hand.lease("urls", 10)}
    hand.complete(by_host["crawl_delay"])

    hand.broker = broker = durable.reopen()

    assert granted(hand) == []
    assert hand.extend(by_host["busy"]) is True
    durable.clock.advance(29)
    assert (granted(hand), hand.extend(by_host["busy"], 100.0)) == ([], True)
    durable.clock.advance(2)
    assert granted(hand) == [b"crawl_delay/1"]
    durable.clock.advance(31)
    assert b"resting/0" in granted(hand)
    assert host(broker, "paused").paused is True


@pytest.mark.parametrize("jump", [HOUR, -HOUR, DECADE, -DECADE])
def test_a_jump_of_the_wall_clock_neither_frees_nor_freezes_a_lease(
    broker: Broker, hand: Hand, other: Hand, clock: ManualClock, jump: float
) -> None:
    seed(broker, a=1, b=1)
    broker.pace([Pace("b", rest=10.0)])
    lease = hand.lease_one("urls")

    clock.set_wall(clock.wall() + jump)
    clock.advance(9)

    assert granted(other) == []
    assert hand.extend(lease) is True
    clock.advance(2)
    assert granted(other) == [b"b/0"]
    clock.advance(TTL + 1)
    assert granted(other) == []  # both leases ran out now, and each host has its second
    clock.advance(1.1)
    assert len(granted(other)) == 1  # one after the other, as their workers may have died of them


@pytest.mark.parametrize("jump", [HOUR, -HOUR, DECADE, -DECADE])
def test_nor_does_one_while_the_hub_was_down(durable: House, jump: float) -> None:
    broker = durable.open(FRONTIER, Politeness(per_host=1, delay=1.0))
    hand, other = Hand(broker), Hand(broker, "other")
    seed(broker, a=1)
    lease = hand.lease_one("urls")

    durable.clock.set_wall(durable.clock.wall() + jump)
    hand.broker = other.broker = durable.reopen()

    durable.clock.advance(9)
    assert (granted(other), hand.extend(lease)) == ([], True)
    durable.clock.advance(TTL + 1)
    assert granted(other) == []  # the host's second from the moment the lease ran out
    durable.clock.advance(1.1)
    assert granted(other) == [b"a/0"]


def test_a_queue_may_become_polite_or_stop_being_it(durable: House) -> None:
    plain, polite = (QueueSpec("urls"),), (QueueSpec("urls", polite=True),)
    broker = durable.open(polite, Politeness(per_host=1, delay=1.0))
    seed(broker, a=3, b=2)
    Hand(broker).lease("urls", 2)
    durable.close()

    hand = Hand(durable.open(plain), "second")
    assert len(granted(hand)) == 3
    hand.broker.expire(None)
    assert (queue(hand.broker, "urls").ready, queue(hand.broker, "urls").suspects) == (0, 5)
    durable.close()

    hand = Hand(durable.open(polite, Politeness(per_host=9, delay=0.0)), "third")
    assert len(granted(hand)) == 5
