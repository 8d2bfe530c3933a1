"""Hosts that lead to ever more URLs: so many wait, and no more are taken from pages until some are fetched."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from hands import Hand, House, counts, host

from crawler.broker.contract import Broker, Politeness, QueueSpec
from crawler.items import New, Verdict

ACCEPTED, WAITING, DUPLICATE = Verdict.ACCEPTED, Verdict.WAITING, Verdict.DUPLICATE
SPECS = (QueueSpec("urls", keyed=True, polite=True, is_read=True, host_waiting=10), QueueSpec("pages"))


@pytest.fixture
def broker(any_house: House) -> Broker:
    return any_house.open(SPECS, Politeness(per_host=100, delay=0.0))


def found(name: str, numbers: Sequence[int]) -> list[New]:
    """URLs that a page led to."""
    urls = [f"{name}/{n}".encode() for n in numbers]
    return [New("urls", url, key=url.ljust(16), host=name, parent=b"page".ljust(16)) for url in urls]


def test_of_one_host_so_many_wait_and_of_others_as_many(broker: Broker) -> None:
    both = [new for pair in zip(found("a", range(15)), found("b", range(15)), strict=True) for new in pair]

    verdicts = broker.put(both)

    assert verdicts == [ACCEPTED] * 20 + [WAITING] * 10
    assert (host(broker, "a").ready, host(broker, "b").ready) == (10, 10)


def test_once_some_are_fetched_more_are_taken_and_what_was_refused_is_not_known(broker: Broker, hand: Hand) -> None:
    broker.put(found("a", range(12)))
    for lease in hand.lease("urls", 5):
        hand.complete(lease)

    verdicts = broker.put(found("a", [*range(5), *range(10, 17)]))

    assert verdicts == [DUPLICATE] * 5 + [ACCEPTED] * 5 + [WAITING] * 2
    assert host(broker, "a").ready == 10


def test_what_a_person_puts_is_taken_all_the_same(broker: Broker) -> None:
    broker.put(found("a", range(10)))

    assert broker.put([New("urls", b"seed", key=b"seed".ljust(16), host="a")]) == [ACCEPTED]
    assert broker.put(found("a", [3, 99])) == [DUPLICATE, WAITING]


def test_what_a_step_gives_beyond_is_counted_with_its_reason_and_told_once(
    broker: Broker, hand: Hand, caplog: pytest.LogCaptureFixture
) -> None:
    broker.put([New("urls", b"1", key=b"1" * 16, host="b"), New("urls", b"2", key=b"2" * 16, host="b")])
    first, second = hand.lease("urls", 2)
    with caplog.at_level(logging.WARNING, "crawler.broker.sqlite.insert"):
        hand.complete(first, *found("a", range(25)))
        hand.complete(second, *found("a", range(25, 30)))

    assert counts(broker, "urls") == (10, 0, 0, 0, 2)
    assert broker.stats().counters == {"urls/skipped/too many waiting": 20}
    assert caplog.messages == [
        "a has 10 URLs waiting: no more are taken from pages until some are fetched (see frontier.max_waiting); it may make up "
        "URLs without end"
    ]


def test_without_a_limit_all_are_taken(any_house: House) -> None:
    broker = any_house.open((QueueSpec("urls", keyed=True, polite=True, is_read=True),))

    assert broker.put(found("a", range(1_000))) == [ACCEPTED] * 1_000
