"""Counts that a worker gives to the hub, and what it tells a person of tasks that were finished too late."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from msgspec import msgpack

from crawler import Drop, GiveUp, Retry, Stage
from crawler.items import Lease
from crawler.worker.chain import Chain
from crawler.worker.chain_link import Link
from crawler.worker.handler import Handler, Outcome
from crawler.worker.routing import Known, Router
from crawler.worker.tally import LATE_EVERY, Late, counters_of


class Counting(Stage):
    def process(self, number: int) -> Iterator[int]:
        self.count("seen")
        yield number
        self.count("bytes", number)
        if number == 13:
            raise Retry("unlucky")
        if number == 14:
            raise GiveUp("no")
        if number == 15:
            raise Drop("not wanted")
        if number == 16:
            raise ValueError


class Batch(Stage):
    batch = 10

    def process(self, numbers: list[int]) -> None:
        for number in numbers:
            self.count("seen")
            if number == 13:
                raise Retry("unlucky")


class Async(Stage):
    async def process(self, number: int) -> AsyncIterator[int]:
        self.count("seen")
        await asyncio.sleep(0)
        self.count("bytes", number)
        yield number


class Threaded(Stage):
    def process(self, number: int) -> None:
        thread = threading.Thread(target=self.count, args=("elsewhere",))
        thread.start()
        thread.join()


def lease(number: Any, token: int = 1) -> Lease:
    return Lease(token, token, 1, "in", msgpack.encode(number), None, "", 0)


def handler(stage: Stage) -> Handler:
    return Handler(stage, int, Router("it", ("out",), {}, Known(), input="in"))


def told(stage: Stage, outcomes: list[Outcome]) -> tuple[dict[str, int], Any]:
    counters, of_each = counters_of(stage, "it", outcomes)
    return counters, msgpack.decode(of_each)


@pytest.mark.parametrize(
    ("number", "counted"),
    [
        (5, {"it/seen": 1, "it/bytes": 5}),
        (13, {"it/seen": 1, "it/bytes": 13, "it/retried": 1}),
        (14, {"it/seen": 1, "it/bytes": 14, "it/failed": 1}),
        (15, {"it/seen": 1, "it/bytes": 15, "it/dropped": 1, "it/dropped/not wanted": 1}),
        (16, {"it/seen": 1, "it/bytes": 16, "it/failed": 1}),
    ],
)
def test_what_is_counted_for_a_task_goes_with_it(number: int, counted: dict[str, int]) -> None:
    stage = Counting()

    counters, of_each = told(stage, handler(stage).handle([lease(number)]))

    assert set(counters) >= {"it/seen", "it/bytes"}
    assert counters["it/bytes"] == counted["it/bytes"]
    assert of_each == [counters]


def test_done_tasks_come_before_failed_ones_as_in_a_step() -> None:
    stage = Counting()
    one = handler(stage)

    outcomes = [outcome for n, number in enumerate([13, 5]) for outcome in one.handle([lease(number, n)])]
    stage.count("opened")
    counters, of_each = told(stage, outcomes)

    assert counters == {"it/seen": 2, "it/bytes": 18, "it/retried": 1, "it/opened": 1}
    assert of_each == [{"it/seen": 1, "it/bytes": 5}, {"it/seen": 1, "it/bytes": 13, "it/retried": 1}]


def test_a_batch_counts_with_its_first_task_and_once_where_it_is_done_one_by_one() -> None:
    stage = Batch()
    one = handler(stage)

    whole = told(stage, one.handle([lease(n, n) for n in (1, 2, 3)]))
    apart = told(stage, one.handle([lease(n, n) for n in (1, 13, 3)]))

    assert whole[0]["it/seen"] == 3
    assert whole[1] == [whole[0], {}, {}]
    assert apart[0]["it/seen"] == 3, "the attempt of all together is not counted as well"
    assert [each.get("it/seen") for each in apart[1]] == [1, 1, 1]


def test_async_tasks_of_one_thread_are_told_apart() -> None:
    stage = Async()
    one = handler(stage)

    async def both() -> list[list[Outcome]]:
        return await asyncio.gather(*(one.handle_async([lease(n, n)]) for n in (5, 7)))

    outcomes = [outcome for each in asyncio.run(both()) for outcome in each]

    assert told(stage, outcomes)[1] == [{"it/seen": 1, "it/bytes": 5}, {"it/seen": 1, "it/bytes": 7}]


def test_what_a_thread_of_the_stages_own_counts_is_of_no_task() -> None:
    stage = Threaded()

    counters, of_each = told(stage, handler(stage).handle([lease(1)]))

    assert counters["it/elsewhere"] == 1
    assert "it/elsewhere" not in of_each[0]


def test_the_links_of_a_chain_count_under_their_own_names() -> None:
    class Next(Stage):
        def process(self, number: int) -> int:
            self.count("seen", 10)
            return number

    chain = Chain([Link("first", Counting(), ("middle",), "middle"), Link("next", Next(), ("out",), "")])
    one = Handler(chain, int, chain.router)

    counters, of_each = told(chain, one.handle([lease(5)]))

    assert counters == {"first/seen": 1, "first/bytes": 5, "next/seen": 10}
    assert of_each == [counters]


@pytest.mark.parametrize(
    ("steps", "lines"),
    [
        ([(25, 0.0)], ["25 tasks on urls were finished too late: their leases had run out, and what they gave is not used"]),
        ([(1, 0.0)], ["1 task on urls was finished too late: its lease had run out, and what they gave is not used"]),
        ([(0, 0.0), (0, 99.0)], []),
        ([(3, 0.0), (4, 1.0), (5, 2.0), (0, LATE_EVERY)], ["3 tasks", "9 tasks"]),
        ([(3, 0.0), (4, 1.0)], ["3 tasks"]),
    ],
)
def test_many_late_tasks_are_one_line(caplog: pytest.LogCaptureFixture, steps: list[tuple[int, float]], lines: list[str]) -> None:
    late = Late("urls")
    with caplog.at_level(logging.WARNING, "crawler.worker"):
        for n, now in steps:
            late.see(n, now)

    assert len(caplog.messages) == len(lines)
    for message, line in zip(caplog.messages, lines, strict=True):
        assert message.startswith(line)
