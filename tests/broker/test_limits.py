"""How much a queue takes, what is set for a host by hand, and what is remembered of failed attempts: of every broker alike."""

from __future__ import annotations

import pytest
from hands import Hand, House, queue
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.broker.clock import ManualClock
from crawler.broker.contract import MAX_BODY, Broker, Politeness, QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.items import Attempt, Done, New, Pace, Verdict

LIMITED = (QueueSpec("urls", keyed=True, polite=True, is_read=True, limit=4, host_limit=2), QueueSpec("pages"))
FREE = (QueueSpec("urls", keyed=True, polite=True, is_read=True), QueueSpec("pages"))


def url(host: str, n: int) -> New:
    return New("urls", f"{host}/{n}".encode(), f"{host}/{n}".encode().ljust(16), host)


def test_a_queue_takes_no_more_than_its_limit_and_no_more_of_one_host(any_house: House) -> None:
    broker = any_house.open(LIMITED, Politeness(delay=0.0))

    verdicts = broker.put([url("a", 0), url("a", 1), url("a", 2), url("b", 0), url("a", 0), url("c", 0), url("c", 1)])

    assert verdicts == [
        Verdict.ACCEPTED, Verdict.ACCEPTED, Verdict.LIMIT, Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.ACCEPTED, Verdict.LIMIT,
    ]  # fmt: skip
    assert queue(broker, "urls").accepted == 4


def test_what_is_over_the_limit_in_a_step_is_counted_and_the_step_stands(any_house: House) -> None:
    broker = any_house.open(LIMITED, Politeness(delay=0.0))
    hand = Hand(broker)
    broker.put([url("a", 0)])
    lease = hand.lease_one("urls")

    verdicts = hand.step(done=[Done(lease.token, [url("a", n) for n in range(5)])]).verdicts

    assert verdicts == [Verdict.DONE]
    assert queue(broker, "urls").accepted == 2
    assert broker.stats().counters["urls/skipped/over the limit"] == 3


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 4)), max_size=9), max_size=6),
    st.integers(0, 9), st.integers(0, 4), st.booleans(),
)  # fmt: skip
def test_tasks_put_together_are_judged_as_one_after_the_other(
    calls: list[list[tuple[str, int]]], limit: int, host_limit: int, is_keyed: bool
) -> None:
    queues = (
        QueueSpec("urls", keyed=is_keyed, polite=True, is_read=True, limit=limit, host_limit=host_limit),
        QueueSpec("pages", limit=3), QueueSpec("records"),
    )  # fmt: skip
    together, singly = SqliteBroker(":memory:", queues), SqliteBroker(":memory:", queues)

    for call in calls:
        news = [New("records", b"x"), *(url(*one) for one in call), New("pages", b"y"), New("urls", bytes(MAX_BODY + 1), host="a")]
        assert together.put(news) == [verdict for new in news for verdict in singly.put([new])]

    assert [queue.accepted for queue in together.stats().queues] == [queue.accepted for queue in singly.stats().queues]
    together.close()
    singly.close()


def test_the_limits_hold_over_a_restart(durable: House) -> None:
    broker = durable.open(LIMITED, Politeness(delay=0.0))
    broker.put([url("a", 0), url("a", 1)])

    again = durable.reopen()

    assert again.put([url("a", 2)]) == [Verdict.LIMIT]


def test_a_delay_set_by_hand_goes_before_ours_and_the_hosts_own_until_it_is_taken_back(
    any_house: House, clock: ManualClock
) -> None:
    broker = any_house.open(FREE, Politeness(delay=10.0))
    hand = Hand(broker)
    broker.put([url("a", n) for n in range(4)])
    broker.pace([Pace("a", delay=60.0)])
    hand.complete(hand.lease_one("urls"))

    broker.pace([Pace("a", fixed=2.0)])
    clock.advance(2.1)
    assert len(hand.lease("urls")) == 1
    assert broker.hosts(["a"])[0].delay == 2.0

    broker.pace([Pace("a", fixed=-1.0)])
    assert broker.hosts(["a"])[0].delay == 60.0


def test_hosts_are_listed_by_their_work_or_by_name(any_house: House) -> None:
    broker = any_house.open(FREE, Politeness(delay=0.0))
    broker.put([url("a", 0), url("b", 0), url("b", 1)])
    broker.pace([Pace("quiet", paused=True)])

    assert [host.name for host in broker.hosts()] == ["b", "a"]
    assert [(host.name, host.paused) for host in broker.hosts(["quiet", "unknown"])] == [("quiet", True)]


def test_each_failed_attempt_is_remembered_with_its_time_and_reason(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    broker.put([New("urls", b"u", b"k" * 16)])
    started = clock.wall()
    hand.fail(hand.lease_one("urls"), "first\nof two lines")
    clock.advance(5)
    hand.fail(hand.lease_one("urls"), "second", final=True)

    story = broker.why("urls", b"k" * 16)

    assert story is not None
    assert list(story.failures) == [
        Attempt(pytest.approx(started), 1, "first of two lines"), Attempt(pytest.approx(started + 5), 2, "second")
    ]  # fmt: skip
    assert broker.dead()[0].reason == "second"
