"""A worker on a machine that lacks something gives tasks back, holds fewer of them, and more again later."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace

import pytest

from crawler import Stage
from crawler.machine.shortage import NETWORK, short_of
from crawler.worker import strain
from crawler.worker.strain import CALM, GROWTH, PAUSE, Strain
from tests.workshop import TIME

FILES = short_of("files", "256")
CUT_OFF = short_of(NETWORK, "no route leads to a name server")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(strain, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


class Short(Stage):
    """Lacks open files for the first so many tasks."""

    concurrency = 4
    times = 12

    def open(self) -> None:
        self.lock = threading.Lock()

    def process(self, number: int) -> int:
        with self.lock:
            self.times -= 1
            if self.times >= 0:
                raise FILES
        return number


@pytest.mark.slow
def test_what_fails_for_lack_of_something_is_given_back_and_costs_no_attempt(broker, work, monkeypatch, caplog):
    monkeypatch.setattr(strain, "PAUSE", 0.01)
    caplog.set_level(logging.INFO)
    broker.fill("in", *range(8))

    work(Short())

    assert sorted(broker.results(8)) == list(range(8))
    assert {lease.attempt for lease in broker.leased()} == {1}
    assert not any(step.failed for step, _ in broker.steps)
    told = [record.getMessage() for record in caplog.records if record.name == "crawler.worker.strain"]
    assert [line.partition(":")[0] for line in told] == ["it is short of open files"]
    assert "ulimit -n" in told[0]
    assert any(step.trouble.startswith("is short of open files: a process may have 256") for step, _ in broker.steps)


@pytest.mark.slow
def test_a_stage_that_cannot_open_a_file_has_no_attempt_counted(broker, work, monkeypatch):
    class Opens(Short):
        times = 6

        def process(self, number: int) -> int:
            self.times -= 1
            if self.times >= 0:
                raise OSError(24, "Too many open files")
            return number

    monkeypatch.setattr(strain, "PAUSE", 0.01)
    broker.fill("in", 7)

    work(Opens())

    assert broker.results(1) == [7]
    assert {lease.attempt for lease in broker.leased()} == {1}


@pytest.mark.slow
def test_without_a_thread_tasks_are_given_back_until_there_is_one(broker, work, monkeypatch):
    start = threading.Thread.start
    refused = [3]

    def starts(thread: threading.Thread) -> None:
        if thread.name.startswith("stage-") and refused[0]:
            refused[0] -= 1
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(strain, "PAUSE", 0.01)
    monkeypatch.setattr(threading.Thread, "start", starts)  # the real one: see test_shortage
    broker.fill("in", 7)

    work(type("Doubles", (Stage,), {"process": lambda self, number: number * 2})())

    assert broker.results(1) == [14]
    assert refused == [0]


def test_fewer_are_held_at_once_and_what_fails_together_counts_once(clock):
    strained = Strain("it")

    sizes = []
    for at, held in ((0.0, 100), (0.1, 90), (0.2, 80), (PAUSE + 0.1, 70), (PAUSE + 0.2, 60)):
        clock[0] = 1000.0 + at
        strained.met(FILES, held)
        sizes.append(strained.size)

    assert sizes == [75, 75, 75, 52, 52]


@pytest.mark.parametrize("held", [0, 1, 2, 3])
def test_a_machine_that_lacks_something_still_works_on_two_tasks(clock, held):
    strained = Strain("it")
    for _ in range(5):
        strained.met(FILES, held)
        clock[0] += PAUSE + 0.1

    assert strained.size == 2


def test_a_few_more_are_held_each_second_until_it_is_over(clock, caplog):
    caplog.set_level(logging.INFO)
    strained = Strain("it")
    strained.met(FILES, 40)

    sizes = []
    while strained.is_on:
        clock[0] += GROWTH
        strained.see(40, has_answer=True)
        sizes.append(strained.size)

    assert sizes[:5] == [30, 33, 37, 41, 41]
    assert clock[0] > 1000 + CALM
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert strained.trouble == ""


def test_nothing_grows_before_a_task_has_come_to_an_end(clock):
    strained = Strain("it")
    strained.met(FILES, 40)
    for _ in range(100):
        clock[0] += GROWTH
        strained.see(40, has_answer=False)

    assert (strained.size, strained.is_on) == (30, True)


def test_without_a_network_one_task_asks_after_longer_and_longer_pauses_and_an_answer_opens_all(clock):
    strained = Strain("it")
    pauses = []
    for _ in range(8):
        strained.met(CUT_OFF, 30)
        began = clock[0]
        while strained.is_pausing():
            clock[0] += 0.5
        pauses.append(clock[0] - began)
        assert strained.size == 1

    assert pauses == [0.5, 1, 2, 4, 8, 15, 15, 15]
    sizes = []
    while strained.is_on:
        clock[0] += GROWTH
        strained.see(32, has_answer=True)
        sizes.append(strained.size)
    assert sizes[-1] == 32
    assert len(sizes) < TIME
