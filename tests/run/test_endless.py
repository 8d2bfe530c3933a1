from __future__ import annotations

import pytest

from crawler.items import HostStats
from crawler.run.endless import MANY, MOST, TIMES, endless


def host(ready: int, fetched: int, name: str = "cal.example") -> HostStats:
    return HostStats(name, ready, 1, 1.0, 0.0, paused=False, accepted=ready + 1 + fetched)


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
