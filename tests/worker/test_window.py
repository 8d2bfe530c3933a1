"""How many tasks a worker has on their way at once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from crawler import overlap
from crawler.overlap import Window
from crawler.pool import Tempo


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the window, in s."""
    now = [1000.0]
    monkeypatch.setattr(overlap, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.mark.parametrize(
    ("worked", "arrived", "is_fed", "sizes"),
    [
        (0.03, 4, True, [32, 64, 100, 100]),     # the work waits for more of them
        (0.03, 4, False, [32, 32, 32, 32]),      # there are no more
        (0.05, 4, True, [32, 32, 32, 32]),       # more would only wait
        (0.03, 9, True, [32, 32, 32, 32]),       # of what has arrived 8 are 40 ms of work
    ],
)
def test_as_many_are_on_their_way_as_keep_the_work_going(clock, worked, arrived, is_fed, sizes):
    window, tempo = Window(100, is_fixed=False), Tempo(1)
    tempo.took(0.005)
    window.see(0, tempo, is_fed=False)

    found = [window.size]
    for _ in sizes[1:]:
        clock[0] += 0.1
        window.worked(worked)
        window.see(arrived, tempo, is_fed=is_fed)
        found.append(window.size)

    assert found == sizes


def test_of_what_arrives_faster_than_it_is_worked_on_less_is_on_its_way(clock):
    window, tempo = Window(100, is_fixed=False), Tempo(1)
    tempo.took(0.005)
    sizes = []
    for arrived in (0, 0, 9, 9, 9, 9, 9):
        clock[0] += 0.1
        window.see(arrived, tempo, is_fed=True)
        sizes.append(window.size)

    assert sizes == [64, 100, 75, 56, 42, 32, 32]


@pytest.mark.parametrize("arrived", [0, 50])
def test_what_a_person_says_is_how_many(clock, arrived):
    window, tempo = Window(100, is_fixed=True), Tempo(1)
    tempo.took(0.005)
    clock[0] += 0.1
    window.see(arrived, tempo, is_fed=True)

    assert window.size == 100
