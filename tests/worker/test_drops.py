from __future__ import annotations

import pytest

from crawler import Drop, GiveUp, Retry
from crawler.worker.drops import KINDS, Drops


def test_a_reason_is_counted_whatever_numbers_are_in_it() -> None:
    drops = Drops()

    assert drops.counters("no title") == {"dropped": 1, "dropped/no title": 1}
    assert drops.counters("17 of 300 words") == drops.counters("8 of 12 words") == {"dropped": 1, "dropped/N of N words": 1}


def test_a_stage_that_gives_a_reason_of_its_own_for_each_item_makes_few_counters() -> None:
    drops = Drops()
    names = {name for letter in "abcdefghijklmnop" for name in drops.counters(f"bad {letter}")}

    assert len(names) == KINDS + 1
    assert "bad a" in str(drops.counters("bad a"))


@pytest.mark.parametrize("error", [Drop, GiveUp, Retry])
def test_a_reason_may_be_left_out(error: type[Drop | GiveUp | Retry]) -> None:
    with pytest.raises(error) as raised:
        raise error

    assert raised.value.reason == str(raised.value) != ""


def test_a_drop_without_a_reason_is_counted() -> None:
    assert Drops().counters("") == {"dropped": 1, "dropped/no reason given": 1}
