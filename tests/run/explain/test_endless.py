from __future__ import annotations

import threading

import pytest

from crawler.cli import status
from crawler.errors import StorageError
from crawler.items import HostStats, QueueStats, Stats
from crawler.run.explain.endless import MANY, MOST, TIMES, endless, watched


def host(ready: int, fetched: int, name: str = "cal.example") -> HostStats:
    return HostStats(name, ready, 1, 1.0, 0.0, paused=False, accepted=ready + 1 + fetched)


def stats_of(*hosts: HostStats) -> Stats:
    urls = QueueStats("urls", 400_000, 399_000, 0, 1, 0, 999, 1_000, polite=True, keyed=True, is_read=True)
    return Stats(1.0, 100.0, [urls], [], hosts, len(hosts), {}, is_drained=False)


@pytest.mark.parametrize(
    ("ready", "fetched", "is_told"),
    [
        (1_000_981, 22, True), (312_609, 11_202, True), (MANY, 0, True), (MANY, MANY // TIMES, True),
        (MANY - 1, 0, False), (MANY, MANY // TIMES + 1, False), (100_000, 20_000, False), (0, 0, False),
    ],
)  # fmt: skip
def test_a_host_that_grows_much_faster_than_it_is_fetched_is_told(ready: int, fetched: int, is_told: bool) -> None:
    lines = endless([host(ready, fetched)], set())

    assert bool(lines) == is_told
    assert not lines or lines[0].startswith(f"cal.example has {ready:,} URLs waiting and {fetched:,} fetched: ")


def test_each_host_is_told_once_and_few_of_many() -> None:
    told: set[str] = set()
    many = [host(10 * MANY, 0, f"h{n}") for n in range(2 * MOST)]

    assert len(endless(many[:2], told)) == 2
    assert len(endless(many, told)) == MOST - 2
    assert endless(many, told) == []


def test_a_hub_logs_each_host_once_until_it_stops(caplog: pytest.LogCaptureFixture) -> None:
    looks: list[int] = []
    looked_twice = threading.Event()

    def stats() -> Stats:
        looks.append(1)
        if len(looks) > 2:
            looked_twice.set()
        return stats_of(host(1_000_981, 22), host(5, 0, "small.example"))

    with watched(stats, every=0.001):
        assert looked_twice.wait(30)

    assert [record.getMessage().split(":")[0] for record in caplog.records if record.levelname == "WARNING"] == [
        "cal.example has 1,000,981 URLs waiting and 22 fetched"
    ]


def test_a_hub_whose_store_fails_ends_the_look_at_its_hosts() -> None:
    asked = threading.Event()

    def stats() -> Stats:
        asked.set()
        raise StorageError("the store is closed")

    with watched(stats, every=0.001):
        assert asked.wait(30)


def test_status_tells_of_hosts_without_end(capsys: pytest.CaptureFixture[str]) -> None:
    status.show(stats_of(host(312_609, 11_202)), "", lambda command: command)

    assert "cal.example has 312,609 URLs waiting and 11,202 fetched: it may make up URLs without end" in capsys.readouterr().out
