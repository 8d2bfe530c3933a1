"""What single hosts are granted: delay, requests at a time and number of tasks of their own."""

from __future__ import annotations

import pytest
from hands import Hand, House, queue

from crawler.broker.contract import Politeness, QueueSpec
from crawler.config.load import load
from crawler.items import Done, New, Pace, Verdict
from crawler.run.making import politeness

QUEUES = (QueueSpec("urls", keyed=True, polite=True, is_read=True, host_limit=3),)


def granted(*sets: str) -> Politeness:
    return politeness(load(None, list(sets), {}).settings)


def url(host: str, n: int) -> New:
    return New("urls", b"x", f"{host}{n}".encode().ljust(16), host)


def test_a_host_with_a_delay_of_its_own_waits_for_that_one(any_house: House) -> None:
    broker = any_house.open(QUEUES, granted("frontier.delay=1", "hosts.slow.test.delay=5", "hosts.fast.test.delay=0"))
    hand = Hand(broker)
    broker.put([url(host, n) for host in ("slow.test", "fast.test", "a.test") for n in range(3)])
    found = {host.name: (host.delay, host.delay_by) for host in broker.hosts()}
    assert found == {"slow.test": (5.0, "table"), "fast.test": (0.0, "table"), "a.test": (1.0, "setting")}
    hand.step(done=[Done(lease.token) for lease in hand.lease("urls", 9)])

    any_house.clock.advance(2)

    assert sorted(lease.host for lease in hand.lease("urls", 9)) == ["a.test", "fast.test"]


def test_a_crawl_delay_that_is_longer_and_a_delay_by_hand_count_more(any_house: House) -> None:
    broker = any_house.open(QUEUES, granted("hosts.a.test.delay=2", "hosts.b.test.delay=2"))
    broker.put([url("a.test", 1), url("b.test", 1)])

    broker.pace([Pace("a.test", delay=9.0), Pace("b.test", fixed=0.5)])

    assert {host.name: (host.delay, host.delay_by) for host in broker.hosts()} == {"a.test": (9.0, "host"), "b.test": (0.5, "hand")}


def test_a_host_may_be_asked_more_at_a_time_than_others(any_house: House) -> None:
    broker = any_house.open(QUEUES, granted("frontier.delay=0", "hosts.a.test.per_host=3"))
    broker.put([url(host, n) for host in ("a.test", "b.test") for n in range(3)])

    hosts = [lease.host for lease in Hand(broker).lease("urls", 9)]

    assert (hosts.count("a.test"), hosts.count("b.test")) == (3, 1)


@pytest.mark.parametrize(("sets", "taken"), [
    ([], {"a.test": 3, "b.a.test": 3, "c.test": 3}),
    (["hosts.a.test.max_pages=1"], {"a.test": 1, "b.a.test": 3, "c.test": 3}),
    (["hosts.a.test.max_pages=0"], {"a.test": 5, "b.a.test": 3, "c.test": 3}),
    (["hosts.*.a.test.max_pages=4"], {"a.test": 3, "b.a.test": 4, "c.test": 3}),
    (["hosts.a.test.delay=2"], {"a.test": 3, "b.a.test": 3, "c.test": 3}),
])  # fmt: skip
@pytest.mark.parametrize("is_one_by_one", [False, True])
def test_a_host_has_as_many_tasks_as_its_own_limit_says(
    any_house: House, sets: list[str], taken: dict[str, int], is_one_by_one: bool
) -> None:
    broker = any_house.open(QUEUES, granted("frontier.delay=0", *sets))
    tasks = [url(host, n) for host in taken for n in range(5)]

    verdicts = [broker.put([task])[0] for task in tasks] if is_one_by_one else broker.put(tasks)

    accepted = [task.host for task, verdict in zip(tasks, verdicts, strict=True) if verdict == Verdict.ACCEPTED]
    assert {host: accepted.count(host) for host in taken} == taken
    assert queue(broker, "urls").accepted == sum(taken.values())


def test_a_limit_of_one_host_alone_is_kept_too(any_house: House) -> None:
    broker = any_house.open((QueueSpec("urls", keyed=True, polite=True, is_read=True),), granted("hosts.a.test.max_pages=1"))

    verdicts = broker.put([url("a.test", 1), url("a.test", 2), url("b.test", 1), url("b.test", 2)])

    assert [str(verdict) for verdict in verdicts] == ["accepted", "over the limit", "accepted", "accepted"]


def test_the_tables_hold_after_a_restart_and_may_be_others_then(durable: House) -> None:
    broker = durable.open(QUEUES, granted("hosts.a.test.delay=5"))
    broker.put([url("a.test", 1)])
    durable.close()

    broker = durable.open(QUEUES, granted("hosts.a.test.delay=7"))

    assert [host.delay for host in broker.hosts()] == [7.0]
