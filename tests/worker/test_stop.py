"""How a worker begins and ends."""

from __future__ import annotations

import re
import threading

from crawler import Stage
from crawler.errors import StorageError
from crawler.items import Step, Verdict
from crawler.stage import Interrupted
from crawler.worker import loop
from crawler.worker.loop import StageHung, Worker
from crawler.worker.routing import Router
from crawler.worker.shared_notes import SharedNotes
from tests.worker.doubles import Double, held
from tests.workshop import TIME


def test_stop_finishes_what_is_in_process_and_gives_back_the_rest_uncounted(broker, work):
    stage = held(prefetch=2)
    broker.fill("in", "a", "b", "c")
    running = work(stage)
    stage.begun.acquire(timeout=TIME)
    broker.wait_until(lambda: broker.counts("in").leased == 3)

    running.worker.stop()
    broker.wait_until(lambda: broker.counts("in").ready == 2)
    stage.go.set()

    assert running.ends() is None
    assert broker.results(1) == ["A"]
    assert stage.is_closed
    assert [lease.attempt for lease in broker.step(Step("w2", 1, "in", 2)).leases] == [1, 1]


def test_what_does_not_end_within_the_grace_is_given_back(broker, work, monkeypatch):
    monkeypatch.setattr(loop, "GRACE", 0.05)
    monkeypatch.setattr(loop, "CLOSING", 0.05)
    stage = held()
    broker.fill("in", "a")
    running = work(stage)
    stage.begun.acquire(timeout=TIME)

    running.stop()

    assert running.worker.has_leftovers
    assert not stage.is_closed  # its thread is still at work with what close() would take away
    assert broker.counts("in").ready == 1
    stage.go.set()


def test_a_stop_before_the_start_opens_and_closes(broker):
    stage = Double()
    ready = Worker(stage, int, False, Router("it", (), {}), broker=broker, side=broker, input="in",
                   shared=SharedNotes(broker), worker="w")  # fmt: skip
    ready.stop()

    ready.run()

    assert stage.is_closed
    assert not broker.steps


def test_a_stage_that_cannot_open_leaves_no_thread(broker, work):
    class Broken(Stage):
        def open(self) -> None:
            raise StorageError("no disk")

        async def process(self, item: int) -> int:
            return item

    before = threading.active_count()

    running = work(Broken())

    assert isinstance(running.ends(), StorageError)
    assert threading.active_count() == before


def test_a_hung_task_fails_the_others_are_given_back_and_the_worker_ends(broker, work, monkeypatch):
    monkeypatch.setattr(loop, "CLOSING", 0.05)
    stage = held(prefetch=3, hang=0.01)
    broker.fill("in", "a", "b")

    error = work(stage).ends()

    assert isinstance(error, StageHung)
    assert not stage.is_closed
    step, answer = broker.steps[-2]
    (failed,) = step.failed
    assert re.fullmatch(r"still in process after 0\.01 s at tests/worker/doubles\.py:\d+ in process", failed.reason)
    assert list(answer.verdicts) == [Verdict.RETRY]
    assert sorted(lease.attempt for lease in broker.step(Step("w2", 1, "in", 2)).leases) == [1, 2]
    stage.go.set()


def test_a_disk_that_fails_ends_the_worker_and_costs_no_attempt(broker, work):
    class Full(Stage):
        batch = 2
        is_closed = False

        def process(self, items: list[str]) -> None:
            raise StorageError("no space for 'out.jsonl'")

        def close(self) -> None:
            self.is_closed = True

    broker.fill("in", "a", "b", "c")
    stage = Full()

    error = work(stage).ends()

    assert str(error) == "no space for 'out.jsonl'"
    assert stage.is_closed
    assert broker.counts("in").ready == 3
    assert {lease.attempt for lease in broker.step(Step("w2", 1, "in", 3)).leases} == {1}


def test_what_only_waits_is_interrupted_after_the_stage_s_own_grace_and_given_back_uncounted(broker, work):
    class Waiting(Stage):
        grace = 0.05
        is_closed = False

        def __init__(self) -> None:
            super().__init__()
            self.begun, self.go = threading.Semaphore(0), threading.Event()

        def process(self, item: str) -> str:
            self.begun.release()
            assert self.go.wait(TIME)
            raise Interrupted

        def interrupt(self) -> None:
            self.go.set()

        def close(self) -> None:
            self.is_closed = True

    broker.fill("in", "a")
    stage = Waiting()
    running = work(stage)
    stage.begun.acquire(timeout=TIME)

    running.stop()

    assert stage.is_closed
    assert not running.worker.has_leftovers
    assert [lease.attempt for lease in broker.step(Step("w2", 1, "in", 2)).leases] == [1]
