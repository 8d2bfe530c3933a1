"""Places are counted by progress: what hardly makes any leaves its place and its thread to others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from crawler import Slow, Stage
from crawler.broker.contract import QueueSpec
from crawler.stage import Pending
from crawler.worker import loop
from crawler.worker.loop import WAITING
from tests.workshop import TIME, Watched

THREADS = 4


class Blocks(Stage):
    """Keeps a thread for each item until the test is over; `dripping` says how many of them are slow."""

    concurrency = THREADS

    def open(self) -> None:
        self.begun = threading.Semaphore(0)
        self.over = threading.Event()
        self.dripping = 0

    def process(self, item: int) -> None:
        self.begun.release()
        assert self.over.wait(TIME)

    def slow(self) -> Slow:
        return Slow(self.dripping, self.dripping, "some places are held by hosts" if self.dripping else "")

    def has_begun(self, n: int) -> None:
        for _ in range(n):
            assert self.begun.acquire(timeout=TIME)


class Overlaps(Blocks):
    """The same with a loop of its own, which can begin nothing."""

    overlap = 100

    def begin(self, item: Any) -> Pending | None:
        return None


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "POLL", 0.02)
    monkeypatch.setattr(loop, "LOOK", 0.02)


@pytest.fixture
def broker() -> Iterator[Watched]:
    broker = Watched((QueueSpec("in", is_read=True), QueueSpec("out"), QueueSpec("urls", keyed=True)))
    broker.fill("in", *range(200))
    yield broker
    broker.close()


def opened(kind: type[Blocks]) -> Blocks:
    stage = type("OfThisTest", (kind,), {})()
    stage.open()
    stage.open = lambda: None  # type: ignore[method-assign]  # the test has opened it
    return stage


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Blocks, Overlaps])
def test_what_is_slow_leaves_its_thread_to_others(broker, work, kind):
    stage = opened(kind)
    work(stage)
    stage.has_begun(THREADS)

    stage.dripping = THREADS
    stage.has_begun(THREADS)
    stage.dripping = 2 * THREADS
    stage.has_begun(2 * THREADS)  # all there were are slow: twice as many

    broker.wait_until(lambda: any(step.trouble == "some places are held by hosts" for step, _ in broker.steps))
    assert not stage.begun.acquire(blocking=False)
    stage.over.set()


def test_a_worker_without_room_looks_for_what_is_slow_more_often(broker, work, monkeypatch):
    monkeypatch.setattr(loop, "LOOK", 3_600.0)
    monkeypatch.setattr(loop, "LOOK_FULL", 0.02)
    stage = opened(Blocks)
    work(stage)
    stage.has_begun(THREADS)

    stage.dripping = THREADS
    stage.has_begun(THREADS)

    stage.over.set()


@pytest.mark.slow
def test_no_more_is_leased_than_can_begin_soon(broker, work):
    stage = opened(Overlaps)
    work(stage)
    stage.has_begun(THREADS)
    steps = len(broker.steps)
    broker.wait_until(lambda: len(broker.steps) > steps + 5)

    assert len(broker.leased()) <= (1 + WAITING) * THREADS
    stage.over.set()
