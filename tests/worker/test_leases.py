"""What is in a worker's hands, and whose it is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from crawler.errors import HubLost, StorageError
from crawler.items import Verdict
from tests.worker.doubles import held
from tests.workshop import TIME, Watched


def test_a_worker_that_lost_its_lease_writes_nothing_twice(broker, work):
    first, second = held(), held()
    broker.fill("in", "a")
    work(first, "w1")
    first.begun.acquire(timeout=TIME)
    broker.expire("w1")
    work(second, "w2")
    second.begun.acquire(timeout=TIME)

    first.go.set()
    broker.wait_until(lambda: any(Verdict.STALE in answer.verdicts for _, answer in broker.steps))
    second.go.set()

    assert broker.results(1) == ["A"]
    assert broker.counts("in").done == 1
    assert broker.counts("out").accepted == 1


@pytest.mark.slow
def test_heart_beats_keep_a_long_task(broker, work):
    stage = held()
    broker.fill("in", "a")
    work(stage, lease=0.3)
    stage.begun.acquire(timeout=TIME)

    broker.wait_until(lambda: broker.beats == 5)  # one every 0.1 s: the lease is over without them
    stage.go.set()

    assert broker.results(1) == ["A"]
    assert len(broker.leased()) == 1


class Faulty:
    """A side connection whose first heart-beats fail."""

    def __init__(self, broker: Watched, *errors: Exception) -> None:
        self._broker = broker
        self._errors = list(errors)

    def extend(self, worker: str, tokens: Sequence[int], ttl: float) -> list[bool]:
        if self._errors:
            raise self._errors.pop()
        return self._broker.extend(worker, tokens, ttl)


def test_a_heart_beat_that_fails_is_not_the_last(broker, work):
    stage = held()
    broker.fill("in", "a")
    work(stage, lease=0.09, side=Faulty(broker, StorageError("full"), HubLost("here")))
    stage.begun.acquire(timeout=TIME)

    broker.wait_until(lambda: broker.beats)

    stage.go.set()
