"""A disk that is full, the hub's or a stage's, is waited for."""

from __future__ import annotations

import logging
import threading

from crawler import Stage
from crawler.errors import StorageFull
from crawler.items import Step, Stepped
from crawler.worker import loop
from crawler.worker.shared_notes import SharedNotes
from tests.worker.doubles import Double
from tests.workshop import Watched


class Cramped(Stage):
    """Opens once there is room."""

    tries = 0
    needed = 3

    def open(self) -> None:
        self.tries += 1
        if self.tries < self.needed:
            raise StorageFull("no room")

    def process(self, item: int) -> int:
        return item


def test_a_stage_that_has_no_room_to_open_is_opened_once_there_is(broker, work, monkeypatch, caplog):
    monkeypatch.setattr(loop, "ROOM", 0.01)
    broker.fill("in", 7)
    stage = Cramped()

    caplog.set_level(logging.INFO)

    work(stage)

    assert broker.results(1) == [7]
    assert stage.tries == stage.needed
    told = [record.getMessage() for record in caplog.records if record.name == "crawler.machine.room"]
    assert told == ["it waits for room: no room; nothing is lost, and it goes on by itself once there is",
                    "it goes on: there is room again after 0 s"]  # fmt: skip


def test_one_that_waits_for_room_to_open_can_be_stopped(broker, work, monkeypatch):
    monkeypatch.setattr(loop, "ROOM", 0.01)
    stage = Cramped()
    stage.needed = 10**9

    work(stage).stop()

    assert not any(step.want for step, _ in broker.steps)


class Full(Watched):
    """A hub whose disk has no room for the first so many steps that hand something in."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.refused: list[Step] = []
        self.times = times

    def step(self, step: Step) -> Stepped:
        if (step.done or step.released) and len(self.refused) < self.times:
            self.refused.append(step)
            raise StorageFull("no room")
        return super().step(step)


def test_a_full_disk_of_the_hub_is_waited_for_with_the_same_call(work, monkeypatch, caplog):
    monkeypatch.setattr(loop, "ROOM", 0.01)
    broker = Full(times=3)
    broker.fill("in", 1, 2)
    caplog.set_level(logging.INFO)

    running = work(Double(), broker=broker, side=broker, shared=SharedNotes(broker))

    assert sorted(broker.results(2)) == [2, 4]
    running.stop()
    assert {step.call for step in broker.refused} == {broker.refused[0].call}
    told = [record.getMessage() for record in caplog.records if record.name == "crawler.machine.room.hub"]
    assert [words.partition(":")[0] for words in told] == ["it waits for room", "it goes on"]
    broker.close()


def test_a_worker_that_is_to_stop_does_not_wait_for_room_for_ever(work, monkeypatch):
    monkeypatch.setattr(loop, "ROOM", 0.01)
    monkeypatch.setattr(loop, "GRACE", 0.1)
    broker = Full(times=1_000_000)
    broker.fill("in", 1)
    running = work(Double(), broker=broker, side=broker, shared=SharedNotes(broker))
    while not broker.refused:
        threading.Event().wait(0.001)

    running.worker.stop()

    assert isinstance(running.ends(), StorageFull)
    broker.close()


def test_what_a_stage_has_no_room_for_is_given_back_and_costs_no_attempt(work, broker, monkeypatch):
    class Sink(Stage):
        tries = 0

        def process(self, number: int) -> int:
            self.tries += 1
            if self.tries < 8:  # more often than a task has attempts
                raise StorageFull("no room")
            return number

    monkeypatch.setattr(loop, "ROOM", 0.01)
    broker.fill("in", 7)

    work(Sink())

    assert broker.results(1) == [7]
    assert {lease.attempt for lease in broker.leased()} == {1}
