from __future__ import annotations

import pytest

from crawler.run.processes.growth import BUSY, WINDOW, Growth

ENOUGH = BUSY * WINDOW + 0.01  # s of CPU of one process in a window


def looks(growth: Growth, *seen: tuple[float, float | None]) -> list[bool]:
    """Of looks at these times: whether one more process was needed."""
    return [growth.needs_one(cpu, now) for now, cpu in seen]


def test_a_process_that_was_busy_all_the_time_gets_another_one() -> None:
    growth = Growth(1, 2)

    assert looks(growth, (0.0, 1.0), (WINDOW / 2, 1.0 + ENOUGH / 2), (WINDOW, 1.0 + ENOUGH)) == [False, False, True]
    assert growth.processes == 2


def test_one_that_waited_does_not_however_often_it_is_looked_at() -> None:
    growth = Growth(1, 2)

    assert not any(looks(growth, *[(place * WINDOW / 4, place * BUSY * WINDOW / 4 * 0.95) for place in range(50)]))


def test_a_quiet_beginning_is_forgotten_and_so_is_a_short_burst() -> None:
    growth = Growth(1, 2)

    assert looks(growth, (0.0, 0.0), (WINDOW, 0.1), (2 * WINDOW, 0.1 + ENOUGH)) == [False, False, True]
    assert looks(Growth(1, 2), (0.0, 0.0), (1.0, 1.0), (WINDOW, 1.0), (WINDOW + 1, 2.0), (2 * WINDOW, 2.0)) == [False] * 5


def test_two_have_to_be_busy_both_before_there_is_a_third_and_there_are_never_more_than_allowed() -> None:
    growth = Growth(2, 3)

    assert looks(growth, (0.0, 0.0), (WINDOW, ENOUGH), (2 * WINDOW, 3 * ENOUGH)) == [False, False, True]
    assert looks(growth, (20.0, 0.0), (20.0 + WINDOW, 9 * ENOUGH)) == [False, False]
    assert growth.processes == 3


@pytest.mark.parametrize("between", [None, 0.0])
def test_where_the_time_of_one_is_not_known_or_it_was_started_again_a_new_window_begins(between: float | None) -> None:
    growth = Growth(1, 2)

    assert looks(growth, (0.0, 3.0), (4.0, between), (5.0, 0.0), (5.0 + WINDOW, 2 * ENOUGH)) == [False, False, False, True]
