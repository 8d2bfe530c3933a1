"""Tasks that were held when a worker died: who is charged, what is lent alone, and at what rate the others go on."""

from __future__ import annotations

import pytest
from hands import QUEUES, TTL, Hand, House, Longest, counts, put, queue, seed

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Broker, Politeness, QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.quarantine import GROUPS, LOOKED_AT, PATIENCE, PROBED, next_apart
from crawler.broker.sqlite.state import Ledger
from crawler.items import Done, Lease, Pace, Verdict

FIVE = (QueueSpec("urls", keyed=True, polite=True, is_read=True, max_attempts=5),)


def tokens(*leases: Lease) -> list[int]:
    return [lease.token for lease in leases]


@pytest.fixture
def hosts(any_house: House) -> Broker:
    """A hundred hosts of three pages, a second apart."""
    broker = any_house.open(FIVE, Politeness(per_host=1, delay=1.0))
    seed(broker, **{f"h{n}": 3 for n in range(100)})
    return broker


# ---- who is charged


def test_only_what_a_dead_worker_was_at_work_on_is_charged(broker: Broker, hand: Hand, other: Hand) -> None:
    put(broker, "task", b"a", b"b", b"c")
    a, b, _ = hand.lease("task", 3)

    assert broker.expire("w", "was killed by SIGSEGV", begun=tokens(a, b), at_work=tokens(b)) == 3

    assert [(lease.item, lease.attempt) for lease in other.lease("task", 5)] == [(b"a", 1), (b"c", 1)]
    assert (queue(broker, "task").suspects, queue(broker, "task").quarantined) == (1, 1)
    assert queue(broker, "task").failure == "its worker was killed by SIGSEGV"


def test_what_was_begun_is_charged_where_nothing_was_at_work(broker: Broker, hand: Hand, other: Hand) -> None:
    put(broker, "task", b"a", b"b", b"c")
    a, b, _ = hand.lease("task", 3)

    broker.expire("w", begun=tokens(a, b))

    assert (queue(broker, "task").suspects, queue(broker, "task").quarantined) == (2, 0)
    assert sorted((lease.item, lease.attempt) for lease in other.lease("task", 5)) == [(b"a", 2), (b"b", 2), (b"c", 1)]


def test_the_only_task_of_a_dead_worker_is_quarantined(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a")
    hand.lease("task")
    broker.expire("w")

    assert queue(broker, "task").quarantined == 1


def test_a_death_among_many_never_makes_a_task_dead(broker: Broker, hand: Hand) -> None:
    put(broker, "task", *(b"%d" % n for n in range(9)))
    for _ in range(2):
        hand.lease("task", 9)
        broker.expire("w")

    assert queue(broker, "task").dead == 0
    assert queue(broker, "task").quarantined == 9


def test_a_death_among_many_at_their_last_attempt_leaves_each_of_them_one_alone(broker: Broker, hand: Hand, other: Hand) -> None:
    put(broker, "task", b"a", b"b")
    for _ in range(2):
        for lease in hand.lease("task", 2):
            hand.fail(lease)
    assert [lease.attempt for lease in hand.lease("task", 2)] == [3, 3]
    broker.expire("w")

    assert (queue(broker, "task").dead, queue(broker, "task").quarantined) == (0, 2)
    (alone,) = other.lease("task", 9, is_probe=True)
    assert (alone.attempt, alone.is_last) == (3, True)
    broker.expire("other", at_work=tokens(alone))
    assert (queue(broker, "task").dead, queue(broker, "task").quarantined) == (1, 1)


@pytest.mark.cost  # of a host that is not in memory the turn that was given back is not known
def test_what_was_lent_and_not_begun_leaves_no_trace_at_its_host(hosts: Broker) -> None:
    hand = Hand(hosts)
    leases = hand.lease("urls", 100)
    hosts.expire("w", at_work=tokens(leases[0]))

    again = hand.lease("urls", 100)

    assert {lease.host for lease in again} == {lease.host for lease in leases} - {leases[0].host}
    assert {lease.attempt for lease in again} == {1}


# ---- what is lent alone


def test_a_probe_takes_what_is_quarantined_one_at_a_time_and_nothing_else(broker: Broker, hand: Hand, other: Hand) -> None:
    put(broker, "task", b"a", b"b", b"c")
    broker.expire("w", at_work=tokens(*hand.lease("task", 2)))

    (first,) = other.lease("task", 9, is_probe=True)
    assert other.lease("task", 9, is_probe=True) == []
    assert other.complete(first) == Verdict.DONE
    (second,) = other.lease("task", 9, is_probe=True)
    other.complete(second)

    assert {first.item, second.item} == {b"a", b"b"}
    assert other.lease("task", 9, is_probe=True) == []
    assert (counts(broker, "task"), queue(broker, "task").suspects) == ((1, 0, 0, 0, 2), 0)


def test_while_there_is_a_probe_no_other_worker_is_lent_what_is_quarantined(
    broker: Broker, hand: Hand, other: Hand, clock: ManualClock
) -> None:
    put(broker, "task", b"a", b"b")
    broker.expire("w", at_work=tokens(hand.lease_one("task")))
    for _ in range(5):
        broker.expire("other", at_work=tokens(*other.lease("task", 9, is_probe=True)))
        clock.advance(PATIENCE)
        leases = hand.lease("task", 9)
        assert [lease.item for lease in leases] in ([b"b"], [])

    assert queue(broker, "task").dead == 1
    assert "died" in broker.dead()[0].reason


@pytest.mark.parametrize("end", ["done", "failed"])
def test_a_task_that_ends_otherwise_than_with_its_worker_is_an_ordinary_one_again(broker: Broker, hand: Hand, end: str) -> None:
    put(broker, "task", b"a", b"b")
    broker.expire("w", at_work=tokens(hand.lease_one("task")))
    (lease,) = hand.lease("task", 1, is_probe=True)
    if end == "done":
        hand.complete(lease)
    else:
        hand.fail(lease)

    assert queue(broker, "task").suspects == 0
    assert len(hand.lease("task", 9)) == (1 if end == "done" else 2)


def test_a_quarantined_task_that_is_given_back_stays_quarantined(broker: Broker, hand: Hand, other: Hand) -> None:
    put(broker, "task", b"a", b"b")
    broker.expire("w", at_work=tokens(hand.lease_one("task")))
    (lease,) = other.lease("task", 1, is_probe=True)
    assert lease.attempt == 2
    other.release(lease)

    assert (queue(broker, "task").suspects, queue(broker, "task").delayed) == (1, 1)
    (again,) = other.lease("task", 1, is_probe=True)
    assert (again.item, again.attempt) == (b"a", 2)


def test_what_is_quarantined_is_so_after_a_restart_too(durable: House) -> None:
    broker = durable.open(QUEUES)
    hand = Hand(broker)
    put(broker, "task", b"a", b"b")
    broker.expire("w", at_work=tokens(hand.lease_one("task")))
    hand.broker = durable.reopen()

    assert queue(hand.broker, "task").quarantined == 1
    assert [lease.item for lease in hand.lease("task", 9)] == [b"b"]
    assert [lease.item for lease in Hand(hand.broker, "probe").lease("task", 9, is_probe=True)] == [b"a"]


def test_suspects_are_lent_in_groups_that_get_smaller_with_each_death(any_house: House) -> None:
    broker = any_house.open((QueueSpec("task", is_read=True, max_attempts=9),))
    hand = Hand(broker)
    put(broker, "task", *(b"%d" % n for n in range(200)))
    sizes = []
    for _ in range(4):
        lent = len(hand.lease("task", 300))
        sizes.append(lent)
        broker.expire("w")

    assert sizes[:1] == [200]
    assert queue(broker, "task").suspects == 200
    assert sizes[1:] == [GROUPS[1], GROUPS[1], GROUPS[1]]


def test_a_group_is_as_small_as_the_deaths_of_any_in_it_ask_for(any_house: House) -> None:
    broker = any_house.open((QueueSpec("task", is_read=True, max_attempts=9),))
    hand = Hand(broker)
    put(broker, "task", *(b"%d" % n for n in range(GROUPS[1] + GROUPS[2])))
    sizes = []
    for _ in range(4):
        sizes.append(len(hand.lease("task", 300)))
        broker.expire("w")

    # After the second, so many as a group of the first kind have died twice, and the others, who come first, once.
    assert sizes == [GROUPS[1] + GROUPS[2], GROUPS[1], GROUPS[2], GROUPS[2]]


# ---- without a probe


def test_an_idle_worker_takes_what_is_quarantined_at_once(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"a")
    broker.expire("w", at_work=tokens(hand.lease_one("task")))

    assert [lease.attempt for lease in hand.lease("task", 9)] == [2]


def test_a_busy_worker_stands_in_for_a_probe_that_does_not_come(
    broker: Broker, hand: Hand, other: Hand, clock: ManualClock
) -> None:
    put(broker, "task", b"poison", *(b"%d" % n for n in range(50)))
    broker.expire("w", at_work=tokens(hand.lease_one("task")))
    held = hand.lease("task", 4)

    clock.advance(PATIENCE + 0.1)
    assert hand.lease("task", 4) == [], "it finishes what it holds first"
    assert len(other.lease("task", 4)) == 4, "the others go on"
    hand.step(done=[Done(token) for token in tokens(*held)])
    (alone,) = hand.lease("task", 4)
    assert alone.item == b"poison"
    assert hand.lease("task", 4) == [], "and takes it alone"
    clock.advance(3.0)
    hand.complete(alone)

    assert len(hand.lease("task", 4)) == 4


def test_standing_in_takes_half_of_a_workers_time_at_most(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    put(broker, "task", *(b"%d" % n for n in range(200)))
    broker.expire("w", at_work=tokens(*hand.lease("task", 20)))
    clock.advance(PATIENCE)
    alone = ordinary = 0
    while queue(broker, "task").suspects:
        leases = hand.lease("task", 1)
        is_alone = queue(broker, "task").ready == 180 - ordinary
        alone, ordinary = alone + is_alone, ordinary + (not is_alone)
        clock.advance(1.0)
        hand.step(done=[Done(token) for token in tokens(*leases)])

    assert alone == 20
    assert ordinary >= 18


# ---- rates


def test_one_suspect_takes_nothing_from_the_rate_of_the_others(hosts: Broker, any_house: House) -> None:
    hand, other, clock = Hand(hosts), Hand(hosts, "other"), any_house.clock
    hosts.expire("w", at_work=tokens(hand.lease("urls", 1)[0]))
    done = lends = 0
    for _ in range(3):
        for probing in other.lease("urls", 1, is_probe=True):
            hosts.expire("other", at_work=tokens(probing))
        leases = hand.lease("urls", 200)
        lends += len(leases)
        done += len(hand.step(done=[Done(token) for token in tokens(*leases)]).verdicts)
        clock.advance(1.05)

    assert done >= 0.95 * 300 - 3
    assert lends == done


def test_a_probe_that_waits_has_the_next_turn_of_a_busy_host(any_house: House) -> None:
    clock = any_house.clock
    broker = any_house.open(FIVE, Politeness(per_host=1, delay=1.0))
    hand, probe = Hand(broker), Hand(broker, "probe")
    seed(broker, a=50)
    broker.expire("w", at_work=tokens(hand.lease_one("urls")))
    assert probe.lease("urls", 1, is_probe=True) == [], "its host rests"

    clock.advance(1.05)
    assert hand.lease("urls", 9) == []
    (lease,) = probe.lease("urls", 1, is_probe=True)
    probe.complete(lease)

    clock.advance(PROBED / 2)
    assert len(hand.lease("urls", 9)) == 1


def test_a_host_that_is_paused_has_no_turn_that_could_be_kept_for_a_probe(any_house: House) -> None:
    clock = any_house.clock
    broker = any_house.open(FIVE, Politeness(per_host=1, delay=1.0))
    hand, probe = Hand(broker), Hand(broker, "probe")
    seed(broker, a=5, b=50)
    broker.expire("w", at_work=tokens(*hand.lease("urls", 2)))
    assert probe.lease("urls", 1, is_probe=True) == [], "both hosts rest"
    clock.advance(1.05)
    broker.pace([Pace("a", paused=True)])

    assert hand.lease("urls", 9) == [], "the next turn of the other one is kept"
    (lease,) = probe.lease("urls", 1, is_probe=True)
    assert lease.host == "b"


def test_while_a_probe_is_at_work_nothing_is_kept_for_it(any_house: House) -> None:
    broker = any_house.open(FIVE, Politeness(per_host=2, delay=0.0))
    hand, probe = Hand(broker), Hand(broker, "probe")
    seed(broker, a=5)
    broker.expire("w", at_work=tokens(*hand.lease("urls", 2)))
    assert len(probe.lease("urls", 1, is_probe=True)) == 1

    assert len(hand.lease("urls", 9)) == 1


def test_a_probe_that_has_gone_reserves_nothing(any_house: House) -> None:
    clock = any_house.clock
    broker = any_house.open(FIVE, Politeness(per_host=1, delay=1.0))
    hand, probe = Hand(broker), Hand(broker, "probe")
    seed(broker, a=50)
    broker.expire("w", at_work=tokens(hand.lease_one("urls")))
    probe.lease("urls", 1, is_probe=True)

    clock.advance(PROBED + TTL)

    assert len(hand.lease("urls", 9)) == 1


def test_what_is_quarantined_keeps_the_rest_of_its_host(any_house: House) -> None:
    clock = any_house.clock
    broker = any_house.open(FIVE, Politeness(per_host=1, delay=1.0))
    hand, probe = Hand(broker), Hand(broker, "probe")
    seed(broker, a=2)
    broker.expire("w", at_work=tokens(hand.lease_one("urls")))

    clock.advance(0.9)
    assert probe.lease("urls", 1, is_probe=True) == []
    clock.advance(0.2)
    (lease,) = probe.lease("urls", 1, is_probe=True)
    assert hand.lease("urls", 9) == [], "one task of a host at a time"
    probe.complete(lease)
    assert hand.lease("urls", 9) == []
    clock.advance(1.1)
    assert len(hand.lease("urls", 9)) == 1


def test_a_gate_that_is_full_holds_back_a_probe_as_well(any_house: House) -> None:
    broker = any_house.open((QueueSpec("in", is_read=True, feeds=("out",)), QueueSpec("out", is_read=True, high_water=1)))
    hand = Hand(broker)
    put(broker, "in", b"a")
    broker.expire("w", at_work=tokens(hand.lease_one("in")))
    put(broker, "out", b"x")

    assert hand.lease("in", 1, is_probe=True) == []
    assert broker.take("out", 1) == [b"x"]
    assert len(hand.lease("in", 1, is_probe=True)) == 1


@pytest.mark.parametrize("is_probe", [True, False])
def test_suspects_of_hosts_that_rest_for_long_do_not_keep_the_others_waiting(any_house: House, is_probe: bool) -> None:
    n = LOOKED_AT + 6
    broker = any_house.open(FIVE, Politeness(per_host=1, delay=0.0))
    hand = Hand(broker)
    seed(broker, **{f"h{number}": 1 for number in range(n)})
    leases = hand.lease("urls", n)
    assert len(leases) == n
    broker.expire("w", at_work=tokens(*leases) if is_probe else ())
    broker.pace([Pace(lease.host, rest=3600.0) for lease in leases[:LOOKED_AT]])

    found = [lease.host for _ in range(3) for lease in hand.lease("urls", 1, is_probe=is_probe)]

    assert found
    assert set(found) <= {lease.host for lease in leases[LOOKED_AT:]}


def test_a_waiting_call_is_tried_again_when_the_time_for_ordinary_work_is_over() -> None:
    clock = ManualClock()
    broker = SqliteBroker(":memory:", QUEUES, clock=clock, random=Longest())
    hand = Hand(broker)
    put(broker, "task", *(b"%d" % n for n in range(10)))
    broker.expire("w", at_work=tokens(*hand.lease("task", 2)))
    clock.advance(PATIENCE + 1.0)
    (alone,) = hand.lease("task")
    clock.advance(8.0)
    hand.complete(alone)
    assert queue(broker, "task").quarantined == 1, "the other one, which has waited longer than it waits for a probe"

    def events(ledger: Ledger) -> tuple[float | None, float]:
        return next_apart(ledger, ledger.queue("task")), ledger.now

    at, now = broker.run(events)
    assert at == pytest.approx(now + 8.0, abs=0.001)
    assert hand.lease_one("task").item != b"1", "ordinary work, for as long as the quarantined task took"
    clock.advance(8.0)
    assert broker.run(events)[0] is None, "it may be lent now"
    broker.close()
