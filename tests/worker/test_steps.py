"""What goes through a worker, and what becomes of it."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from crawler import Drop, Pace, Report, Retry, Stage, To
from crawler.items import New, Step
from crawler.worker import loop, pool
from tests.worker.doubles import Double
from tests.workshop import Watched


def test_items_go_through_and_counters_arrive_with_the_steps(broker, work):
    broker.fill("in", 1, 2, 3)
    stage = Double()
    running = work(stage)

    assert sorted(broker.results(3)) == [2, 4, 6]

    running.stop()
    assert stage.is_closed
    assert broker.counts("in").done == 3
    assert broker.stats().counters == {"it/doubled": 3}


def test_a_thousand_quick_tasks_take_far_fewer_round_trips(broker, work):
    broker.fill("in", *range(1000))
    running = work(Double())

    assert sorted(broker.results(1000)) == list(range(0, 2000, 2))

    running.stop()
    assert len(broker.steps) < 100


def test_what_a_stage_tells_of_a_host_is_heard_while_the_task_is_in_process(broker, work):
    is_heard = threading.Event()

    class Telling(Stage):
        def process(self, item: str) -> None:
            self.tell(Pace(item, delay=-1e300))  # not possible: left out
            self.tell(Pace(item, delay=30.0, held=30.0))
            is_heard.wait(30.0)

    broker.fill("in", "example.org")
    running = work(Telling())
    broker.wait_until(lambda: any(step.paces for step, _ in broker.steps))

    assert [pace for step, _ in broker.steps for pace in step.paces] == [Pace("example.org", delay=30.0, held=30.0)]
    assert broker.counts("in").leased == 1
    is_heard.set()
    running.stop()


class Witness(Stage):
    """Sees how many tasks would lose an attempt if it died of the one in hand."""

    prefetch = 16

    def __init__(self, broker: Watched) -> None:
        super().__init__()
        self.broker = broker
        self.at_risk: list[int] = []

    def process(self, item: Any) -> None:
        self.at_risk.append(self.broker.counts("in").leased)


class WitnessOfMany(Witness):
    batch = 8

    def process(self, item: list[Any]) -> None:
        super().process(item)


class WitnessOfMuch(Witness):
    concurrency = 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Witness, WitnessOfMany, WitnessOfMuch])
def test_what_a_worker_was_at_work_on_when_it_died_is_begun_alone(broker, work, kind):
    broker.fill("in", *range(8))
    leases = broker.step(Step("dead", 1, "in", 8)).leases
    broker.expire("dead", "was killed", at_work=[lease.token for lease in leases])
    witness = kind(broker)

    work(witness)
    broker.wait_until(lambda: broker.counts("in").done == 8)

    assert witness.at_risk == [1] * 8


def test_what_has_a_host_is_not_hoarded(broker, work):
    broker.fill("in", *range(20))
    polite = [msgspec.structs.replace(lease, host="example.org") for lease in broker.step(Step("x", 1, "in", 20)).leases]
    tempo = loop.Tempo(1)
    for lease in polite:
        tempo.note([lease], 0.0)

    assert tempo.ahead() == 0


@pytest.mark.slow
def test_quick_tasks_that_become_slow_are_given_back_for_others_to_do(broker, work, monkeypatch):
    monkeypatch.setattr(pool, "AHEAD", 0.02)

    class Moody(Stage):
        def process(self, seconds: float) -> None:
            time.sleep(seconds)

    broker.fill("in", *[0.0] * 200, *[0.03] * 30)

    running = work(Moody())
    broker.wait_until(lambda: broker.drained(["in"]))

    running.stop()
    assert any(len(step.returned) > 10 for step, _ in broker.steps)
    assert broker.counts("in").done == 230


def test_an_async_stage_works_on_several_at_once(broker, work):
    class Meeting(Stage):
        concurrency = 2

        def open(self) -> None:
            self.arrived: list[int] = []
            self.all_here = asyncio.Event()

        async def process(self, number: int) -> AsyncIterator[int]:
            self.arrived.append(number)
            if len(self.arrived) == 2:  # neither ends before the other has begun
                self.all_here.set()
            await self.all_here.wait()
            yield number
            yield -number

    broker.fill("in", 1, 2)
    work(Meeting())

    assert sorted(broker.results(4)) == [-2, -1, 1, 2]


def test_one_poisonous_item_of_a_batch_is_dead_and_the_others_are_done(broker, work):
    class Sum(Stage):
        batch = 10

        def process(self, numbers: list[int]) -> Iterator[int]:
            if 13 in numbers:
                raise ValueError("unlucky")
            yield sum(numbers)

    broker.fill("in", 1, 13, 2)
    work(Sum())
    broker.wait_until(lambda: broker.counts("in").dead)

    assert broker.results(2) == [1, 2]
    (dead,) = broker.dead()
    assert dead.attempt == 5
    assert re.fullmatch(r"ValueError: unlucky at tests/worker/test_steps.py:\d+ in process", dead.reason)
    assert dead.trace.startswith("Traceback (most recent call last):\n")
    assert dead.trace.endswith("\nValueError: unlucky")


def test_a_retry_is_an_attempt_and_the_last_one_is_the_end(broker, work):
    class Never(Stage):
        def process(self, item: str) -> None:
            raise Retry("not yet", after=0.0)

    broker.fill("in", "a")
    work(Never())
    broker.wait_until(lambda: broker.counts("in").dead)

    assert [(task.attempt, task.reason) for task in broker.dead()] == [(5, "not yet")]
    assert broker.stats().counters == {"it/retried": 5}


def test_what_does_not_fit_the_annotation_is_dead_at_once_and_says_why(broker, work):
    broker.fill("in", "three")
    broker.put([New("in", b"\xa1\xff")])  # text that is no UTF-8: not an error of msgpack's own kind
    work(Double())
    broker.wait_until(lambda: broker.counts("in").dead == 2)

    first, second = broker.dead()
    assert first.reason == "not an item of stage 'it': Expected `int`, got `str`; the annotation of process says what it takes"
    assert first.attempt == second.attempt == 1


def test_report_and_drop_are_in_the_life_story(broker, work):
    class Teller(Stage):
        def process(self, item: str) -> Iterator[Report]:
            if item == "bad":
                raise Drop("of no use")
            yield Report("seen\nand done")

    broker.put([New("seen", msgspec.msgpack.encode(item), key=item.encode()) for item in ("good", "bad")])
    work(Teller(), input="seen")
    broker.wait_until(lambda: broker.counts("seen").done == 2)

    stories = [broker.why("seen", key) for key in (b"good", b"bad")]
    assert [story.report for story in stories if story] == ["seen\\nand done", "dropped: of no use"]


def test_what_a_stage_gives_that_cannot_be_stored_is_one_tasks_fault(broker, work):
    class Careless(Stage):
        def process(self, item: str) -> Iterator[Any]:
            if item == "key":
                yield To("", "x", key="text")  # type: ignore[arg-type]  # wrong on purpose
            elif item == "wait":
                raise Retry("later", after=float("nan"))
            elif item == "words":
                raise ValueError("\ud800\x1b[2J")
            yield item

    broker.fill("in", "key", "wait", "words", "good")
    running = work(Careless())
    broker.wait_until(lambda: broker.counts("in").dead == 3)

    assert broker.results(1) == ["good"]
    running.stop()
    where = r" \(?at tests/worker/test_steps.py:\d+ in process\)?"
    assert [re.sub(where, "", task.reason) for task in broker.dead()] == [
        "To(key='text'): a key is bytes, 16 of them, or None",
        "Retry with an after of nan is not possible; give a number of seconds up to 1000000000",
        "ValueError: \\ud800\\x1b[2J",
    ]
    assert all(re.search(where, task.reason) for task in broker.dead())
