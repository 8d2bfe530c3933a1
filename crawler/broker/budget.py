"""Limits of a whole crawl that are counted, not known beforehand: nothing more is leased once one is reached.

    counters of the stages (bytes), and of the hub (time in which a queue had work) ──spent──▶ the budget that is used up

The counters are part of the store, so a crawl that is resumed goes on counting where it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from crawler.broker.contract import Budget

_TIME: Final = "/milliseconds"  # in the name of a counter, after the queue: time in which it had unfinished tasks


def time_counter(queue: str) -> str:
    """Return the name of the counter for the milliseconds in which a queue had work. It is kept if a budget names it."""
    return f"{queue}{_TIME}"


def spent(budgets: Iterable[Budget], counters: Mapping[str, int]) -> str:
    """Return the name of a budget that is used up; "" if none is."""
    for budget in budgets:
        if sum(counters.get(name, 0) for name in budget.counters) >= budget.most:
            return budget.name
    return ""
