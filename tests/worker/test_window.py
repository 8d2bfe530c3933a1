"""How many tasks a worker has on their way at once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from crawler.worker import overlap
from crawler.worker.overlap import BUSY_LINGER, LINGER, Window, until_told
from crawler.worker.pool import Tempo


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the window, in s."""
    now = [1000.0]
    monkeypatch.setattr(overlap, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.mark.parametrize(
    ("worked", "arrived", "is_fed", "sizes"),
    [
        (0.03, 4, True, [32, 64, 100, 100]),  # the work waits for more of them
        (0.03, 4, False, [32, 32, 32, 32]),  # there are no more
        (0.05, 4, True, [32, 32, 32, 32]),  # more would only wait
        (0.03, 9, True, [32, 32, 32, 32]),  # of what has arrived 8 are 40 ms of work
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


@pytest.mark.parametrize(
    ("busy", "arrived", "is_dry", "told"),
    [
        (40, 10, False, (70, BUSY_LINGER)),  # enough to do: 30 arrive, 40 end
        (5, 5, False, (5, BUSY_LINGER)),  # when all that is here is done there is no more to wait for
        (1, 1, False, (1, LINGER)),
        (40, 1, False, (39, LINGER)),  # little to do: the hub may have more
        (5, 5, True, (2, LINGER)),  # others may wait for what these lead to
        (1, 0, True, (1, LINGER)),
        (40, 20, True, (60, BUSY_LINGER)),  # but here is 100 ms of work
        (0, 3, False, (1, BUSY_LINGER)),  # all are slow
    ],
)
def test_the_hub_is_told_soon_where_work_is_scarce_and_of_many_at_once_where_there_is_enough(busy, arrived, is_dry, told):
    tempo = Tempo(1)
    tempo.took(0.005)

    assert until_told(busy, arrived, tempo, is_dry=is_dry) == told


def test_of_a_first_page_the_hub_is_told_when_it_ends():
    """How long pages take is not known yet."""
    assert until_told(1, 1, Tempo(1), is_dry=True)[0] == 1
