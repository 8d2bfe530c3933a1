"""Requests for which hardly a byte comes: how they are known, what is said of them, which sites have more than their share."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from crawler import Guard, Url
from crawler_stages.clients import sockets
from crawler_stages.clients.contract import GRACE, PutOff, TimedOut
from crawler_stages.clients.sockets import SLOW, Attempt
from crawler_stages.fetch.slow import SHARE, crowded, places_note
from tests.peer import LIMITS

NOW = 1_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [NOW]
    monkeypatch.setattr(sockets, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def attempt(**limits: float) -> Attempt:
    values = {name: getattr(LIMITS, name) for name in LIMITS.__struct_fields__} | {"timeout": 900.0} | limits
    return Attempt(Url.parse("http://a.example/"), type(LIMITS)(**values), Guard(lambda host: True))


def request(host: str, received: int = 10, lasted: float = 10.0) -> Any:
    return SimpleNamespace(host=host, start=time.monotonic() - lasted, received=received)


@pytest.mark.parametrize(("rates", "slow"), [
    ([0, 0], [True, True]),                        # silent
    ([1, 1], [True, True]),                        # dripping
    ([SLOW * 2, SLOW * 2], [False, False]),
    ([SLOW * 2, 1, SLOW * 2], [False, True, False]),   # it stalls, and goes on
])  # fmt: skip
def test_a_request_is_slow_by_what_came_of_late(clock, rates, slow):
    ours = attempt()
    found = []
    for rate in rates:
        clock[0] += 1.0
        ours.received += int(rate)
        found.append(ours.is_slow(clock[0]))

    assert found == slow
    assert ours.is_slow(clock[0] + 0.1) == slow[-1]  # asked again at once: as before


def test_the_minimum_rate_counts_from_some_time_after_the_first_byte(clock):
    ours = attempt(min_rate=100.0)
    clock[0] += 10 * GRACE
    ours.remaining()  # the server thinks
    ours.received = 50
    ours.remaining()
    clock[0] += GRACE
    ours.remaining()
    clock[0] += 1

    with pytest.raises(TimedOut, match=r"a\.example: 50 bytes in 21 s, under 100 a second; see stages\.fetch\.min_rate"):
        ours.remaining()
    ours.received = 50_000
    ours.remaining()


def test_a_request_that_is_put_off_ends_at_the_next_look(clock):
    ours = attempt()
    ours.remaining()
    ours.put_off()

    with pytest.raises(PutOff):
        ours.remaining()


def test_a_site_has_its_share_over_all_its_hosts_and_an_address_its_own():
    of_one = [request(f"h{n}.bad.example:8000") for n in range(SHARE)]
    of_many = [request(f"www.site{n}.example") for n in range(SHARE)]
    of_addresses = [request(f"10.0.0.{n}") for n in range(SHARE)]

    assert crowded([*of_one, *of_many, *of_addresses]) == {"bad.example"}
    assert crowded(of_one[1:] + of_many) == frozenset()


@pytest.mark.parametrize(("slow", "running", "is_told"), [(240, 256, True), (15, 15, False), (100, 256, False), (16, 32, True)])
def test_who_holds_most_of_the_places_is_told(slow, running, is_told):
    requests = [request("slow.example", received=1_000)] * (slow - 1) + [request("slowest.example", received=45, lasted=45.0)]

    note = places_note(requests, running, time.monotonic())

    assert bool(note) == is_told
    if is_told:
        which = "the slowest: slowest.example (1 bytes/s for 45 s)"
        assert note.startswith(f"{slow} of {running} places are held by hosts slower than 1,000 bytes/s, {which}")
