"""Count what one worker has done: its tasks by the hub's answers, and what its stage counts for the hub."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import msgpack

from crawler.items import Stepped, Verdict
from crawler.limits import COUNTERS_AT_ONCE, OF_EACH, OTHERS
from crawler.wording.counting import agree, counted
from crawler.wording.texts import words

if TYPE_CHECKING:
    from crawler.stage import Stage
    from crawler.worker.handler import Outcome

log = logging.getLogger(__name__)
_encode: Final = msgpack.Encoder().encode

FAILED = (Verdict.RETRY, Verdict.DEAD)
LATE_EVERY: Final = 10.0  # s between two lines about tasks that were finished too late


class Tally:
    """The counts of one worker. The worker's loop writes them; other threads may read them."""

    def __init__(self) -> None:
        self.done = 0
        self.failed = 0  # attempts, not tasks
        self.is_idle = True  # the hub had no task at the last request, and the worker holds none
        self.trouble = ""  # what keeps it from working: a full disk

    def see(self, answer: Stepped, held: int, trouble: str = "") -> None:
        """Add the hub's answer. held: tasks that the worker holds after it. trouble: see `Tally.trouble`."""
        if answer.verdicts:
            verdicts = list(answer.verdicts)
            self.done += verdicts.count(Verdict.DONE)
            self.failed += sum(map(verdicts.count, FAILED))
        self.is_idle = not held
        self.trouble = trouble


class Late:
    """Tells of tasks that were finished after their leases had run out: a frozen worker has many of them at once."""

    def __init__(self, queue: str) -> None:
        """queue: of these tasks."""
        self._queue = queue
        self._n = 0  # not told yet
        self._told_at = -math.inf  # monotonic time

    def see(self, n: int, now: float) -> None:
        """Count n more. now: monotonic time, s."""
        self._n += n
        if self._n and now - self._told_at >= LATE_EVERY:
            log.warning("%s on %s %s finished too late: %s had run out, and what they gave is not used", counted(self._n, "task"),
                        self._queue, agree(self._n, "was", "were"), agree(self._n, "its lease", "their leases"))  # fmt: skip
            self._n, self._told_at = 0, now


def counters_of(stage: Stage, name: str, outcomes: Sequence[Outcome]) -> tuple[dict[str, int], bytes]:
    """Return what a step adds to the hub's counters, and how much of it is of each task in its done and failed: see `items.Step`.

    name: of the stage. Counts for a released task belong to no task: the work was done all the same.
    """
    counts = {_named(counter): n for counter, n in stage.counters(name).items()}
    done: list[dict[str, int]] = []
    failed: list[dict[str, int]] = []
    for outcome in outcomes:
        own = {_named(counter): n for counter, n in stage.counted(name, outcome.counted).items()} if outcome.counted else {}
        for counter, n in outcome.counts.items():
            full = _named(f"{name}/{counter}")
            own[full] = own.get(full, 0) + n
        for full, n in own.items():
            counts[full] = counts.get(full, 0) + n
        if not outcome.is_released:
            (failed if outcome.done is None else done).append(own)
    if len(counts) > COUNTERS_AT_ONCE:  # a stage may count anything: what one call cannot name is counted together
        rest = sum(list(counts.values())[COUNTERS_AT_ONCE - 1 :])
        return dict(list(counts.items())[: COUNTERS_AT_ONCE - 1]) | {OTHERS: rest}, b""
    of_each = _encode(done + failed) if counts else b""
    return counts, of_each if len(of_each) <= OF_EACH else b""


@lru_cache(maxsize=1_000)
def _named(counter: str) -> str:
    """Return the name of a counter as the hub has it."""
    return words(counter)
