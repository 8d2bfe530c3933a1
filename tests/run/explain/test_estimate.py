from __future__ import annotations

import pytest

from crawler.items import HostStats, QueueStats, Stats
from crawler.run.explain.estimate import estimate, lasting


def urls(ready: int) -> QueueStats:
    return QueueStats("urls", ready, ready, 0, 0, 0, 0, 0, keyed=True, polite=True, is_read=True)


def host(name: str, ready: int, delay: float = 1.0, paused: bool = False, rest: float = 0.0) -> HostStats:
    return HostStats(name, ready=ready, leased=0, delay=delay, rest=rest, paused=paused)


def of(*hosts: HostStats, hosts_open: int = 0) -> str:
    ready = sum(host.ready for host in hosts)
    return estimate(Stats(1.0, 2.0, [urls(ready)], [], hosts, len(hosts), {}, is_drained=False, hosts_open=hosts_open))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (of(host("a", 529)), "529 URLs known, one request every 1 s: about 9 min for these"),
        (of(host("a", 1, delay=60.0)), "1 URL known, one request every 60 s: about 60 s for these"),
        (of(host("a", 20), host("b", 100, 3.0)), "120 URLs known, 100 of b, one request every 3 s: about 5 min for these"),
        (of(host("a", 5)), ""),  # over soon
        (of(host("a", 529, delay=0.0)), ""),  # it is not the delay that takes the time
        (of(host("a", 529), hosts_open=1), ""),  # a host may be asked now
        (of(host("a", 529, paused=True)), ""),  # nobody knows
        (of(), ""),
    ],
)
def test_it_is_that_of_the_host_that_takes_longest(said, expected):
    assert said == expected


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (45, "45 s"), (89, "89 s"), (540, "9 min"), (7_800, "2 h 10 min"), (7_200, "2 h"), (260_000, "3 days")],
)
def test_times_are_told_as_people_say_them(seconds, words):
    assert lasting(seconds) == words
