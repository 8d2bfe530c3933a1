from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from crawler import Drop, GiveUp, LocalShared, Pace, Report, Retry, Stage, StorageError, To, Visits
from crawler.config.settings import FrontierSettings
from crawler.items import Lease
from crawler.pipeline.plugins import item_schema
from crawler.web.frontier import Frontier
from crawler.wording.texts import words
from crawler.worker.handler import Handler, Outcome
from crawler.worker.routing import CHILD_BYTES, MAX_GIVEN, Router


def lease(item: Any, token: int = 1, host: str = "", key: bytes | None = None) -> Lease:
    return Lease(token, token, 1, "in", msgspec.msgpack.encode(item), key, host, 0)


def handle(stage: Stage, *leases: Lease) -> list[Outcome]:
    schema, is_async = item_schema(type(stage))
    handler = Handler(stage, schema, Router("it", ("out", "more"), {"more": lambda item: "too deep" if item < 0 else str(item)}))
    return asyncio.run(handler.handle_async(leases)) if is_async else handler.handle(leases)


def given(outcomes: Sequence[Outcome]) -> list[tuple[str, Any]]:
    return [(new.queue, msgspec.msgpack.decode(new.item)) for each in outcomes if each.done for new in each.done.children]


def raising(error: BaseException) -> Stage:
    class Raising(Stage):
        def process(self, item: Any) -> None:
            raise error

    return Raising()


def raising_async(error: BaseException) -> Stage:
    class Raising(Stage):
        async def process(self, item: Any) -> None:
            raise error

    return Raising()


class One(Stage):
    def process(self, n: int) -> int | None:
        return n or None


class Many(Stage):
    def process(self, n: int) -> Iterator[Any]:
        yield n
        yield To("out", [n, n])
        yield None


class OneAsync(Stage):
    async def process(self, n: int) -> int:
        return n


class ManyAsync(Stage):
    async def process(self, n: int) -> AsyncIterator[int]:
        yield n
        yield n + 1


class ReturnsAnIterator(Stage):
    async def process(self, n: int) -> Iterator[int]:
        return iter((n, n + 1))


@pytest.mark.parametrize(
    ("stage", "item", "items"),
    [
        (One, 3, [3]), (One, 0, []), (Many, 3, [3, [3, 3]]),
        (OneAsync, 3, [3]), (ManyAsync, 3, [3, 4]), (ReturnsAnIterator, 3, [3, 4]),
    ],
)  # fmt: skip
def test_what_a_stage_gives_goes_to_its_output(stage, item, items):
    outcomes = handle(stage(), lease(item))

    assert [each.done is not None for each in outcomes] == [True]
    assert given(outcomes) == [("out", each) for each in items]


def test_an_output_the_stage_does_not_have_fails_the_task_and_names_those_it_has():
    class Astray(Stage):
        def process(self, item: str) -> Iterator[To]:
            yield To("out", item)
            yield To("pges", item)

    (outcome,) = handle(Astray(), lease("a"))

    assert outcome.done is None  # nor is what it gave before that kept
    assert outcome.failed is not None
    assert "'pges'; its outputs are out, more" in outcome.failed.reason


@pytest.mark.parametrize("kind", [raising, raising_async])
@pytest.mark.parametrize(
    "error",
    [ValueError("no"), SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), BaseException("a panic"), StopIteration()],
)
def test_whatever_a_stage_raises_is_a_failed_attempt(kind, error):
    (outcome,) = handle(kind(error), lease(1))

    assert outcome.failed is not None
    assert not outcome.failed.final
    assert outcome.counts == {"failed": 1}


def test_an_error_that_cannot_say_what_it_is_fails_by_its_name():
    class Mute(Exception):
        def __str__(self) -> str:
            raise TypeError

    (outcome,) = handle(raising(Mute()), lease(1))

    assert outcome.failed is not None
    assert outcome.failed.reason.startswith("Mute at tests/worker/test_handler.py:")


def test_a_retry_says_when_and_lets_the_host_rest():
    (outcome,) = handle(raising(Retry("429", after=7, rest=9)), lease(1, host="example.org"))

    assert outcome.failed is not None
    assert (outcome.failed.reason, outcome.failed.after) == ("429", 7.0)
    assert outcome.paces == [Pace("example.org", rest=9.0)]
    assert outcome.counts == {"retried": 1}


@pytest.mark.parametrize("retry", [Retry(after=float("inf")), Retry(rest=1e300), Retry(after="soon")])  # type: ignore[arg-type]  # wrong on purpose
def test_a_time_that_there_is_not_is_the_stages_fault(retry):
    (outcome,) = handle(raising(retry), lease(1, host="h"))

    assert outcome.failed is not None
    assert "give a number of seconds" in outcome.failed.reason
    assert not outcome.paces


def test_a_reason_that_is_no_text_is_told_as_text():
    (outcome,) = handle(raising(Retry(OSError("reset"))), lease(1))  # type: ignore[arg-type]  # wrong on purpose

    assert outcome.failed is not None
    assert outcome.failed.reason == "reset"


def test_a_drop_is_done_with_nothing_to_show():
    (outcome,) = handle(raising(Drop("robots.txt")), lease(1))

    assert outcome.done is not None
    assert (outcome.done.children, outcome.done.report) == ((), "it: dropped: robots.txt")
    assert outcome.counts == {"dropped": 1, "dropped/robots.txt": 1}


def test_reports_paces_and_what_a_gatekeeper_skips_are_gathered():
    class Busy(Stage):
        def process(self, item: int) -> Iterator[Any]:
            yield Report("200 text/html")
            yield Pace("example.org", delay=3)
            yield To("more", -1)
            yield To("more", -2)

    (outcome,) = handle(Busy(), lease(1, key=b"k" * 16))
    (of_another,) = handle(Busy(), lease(1))

    assert outcome.done is not None
    assert of_another.done is not None
    assert outcome.done.report == "200 text/html\nnot followed: too deep"
    assert of_another.done.report == "it: 200 text/html\nit: not followed: too deep"  # the story is another stage's
    assert outcome.paces == [Pace("example.org", delay=3.0)]
    assert outcome.counts == {"skipped/too deep": 2}


def test_visits_count_as_as_many_items_as_they_stand_for():
    class Linked(Stage):
        def process(self, item: int) -> Iterator[Any]:
            yield To("out", Visits(["u"] * item))
            yield "end"

    (outcome,) = handle(Linked(), lease(3))
    assert given([outcome]) == [("out", {"url": "u"})] * 3 + [("out", "end")]
    assert outcome.size == sum(len(new.item) + CHILD_BYTES for new in outcome.done.children)

    (outcome,) = handle(Linked(), lease(MAX_GIVEN // CHILD_BYTES))
    assert outcome.failed is not None
    assert outcome.failed.final
    assert "give fewer or smaller items" in outcome.failed.reason


def test_what_a_gate_makes_of_visits_is_counted_and_known_by_its_names():
    class Linked(Stage):
        def process(self, item: int) -> To:
            return To("urls", Visits(["http://a.org/x", "http://b.org/", "http://a.org/y", "http://c.org/"], 1, "http://a.org/"))

    frontier = Frontier(FrontierSettings(), LocalShared())
    frontier.seed("http://a.org/")
    (outcome,) = Handler(Linked(), int, Router("it", ("urls",), {"urls": frontier})).handle([lease(1)])

    assert outcome.done is not None
    assert [new.host for new in outcome.done.children] == ["a.org", "a.org"]
    assert outcome.keys == [("urls", "http://a.org/x"), ("urls", "http://a.org/y")]
    assert outcome.counts == {"skipped/out of scope": 2}


def test_a_pace_that_the_hub_would_refuse_is_the_tasks_fault():
    class Hasty(Stage):
        def process(self, item: int) -> Pace:
            return Pace("example.org", delay=float("nan"))

    (outcome,) = handle(Hasty(), lease(1))

    assert outcome.failed is not None


def test_too_much_for_one_message_is_final():
    class Flood(Stage):
        def process(self, item: int) -> Iterator[bytes]:
            while True:
                yield b"x" * (MAX_GIVEN // 2 - 1000)

    (outcome,) = handle(Flood(), lease(1))

    assert outcome.failed is not None
    assert outcome.failed.final
    assert "give fewer or smaller items" in outcome.failed.reason


def test_of_a_batch_only_the_one_whose_item_is_too_big_is_dead():
    class Grow(Stage):
        batch = 3

        def process(self, sizes: list[int]) -> Iterator[bytes]:
            yield from (b"x" * size for size in sizes)

    outcomes = handle(Grow(), lease(1, 1), lease(17 << 20, 2), lease(2, 3))

    assert [(each.lease.token, each.done is not None) for each in outcomes] == [(1, True), (2, False), (3, True)]
    assert outcomes[1].failed is not None
    assert outcomes[1].failed.final


class Partly(Stage):
    """Gives for each number one that can be sent, something that cannot, and another one."""

    def process(self, n: int) -> Iterator[Any]:
        yield n
        yield object()
        yield n + 1


class PartlyAsync(Stage):
    async def process(self, n: int) -> AsyncIterator[Any]:
        yield n
        yield object()
        yield n + 1


class PartlyBatch(Stage):
    batch = 2

    def process(self, numbers: list[int]) -> Iterator[Any]:
        yield from numbers
        if 1 in numbers:
            yield object()


@pytest.mark.parametrize("stage", [Partly(), PartlyAsync()])
def test_an_item_that_cannot_be_sent_makes_its_task_dead_and_the_others_are_put(stage: Stage) -> None:
    (outcome,) = handle(stage, lease(1))

    assert given([outcome]) == [("out", 1), ("out", 2), ("in", 1)]
    assert outcome.done is not None
    tried = outcome.done.children[-1].tried
    assert tried is not None
    assert tried.final
    assert tried.reason.startswith("stage 'it' gave an item that cannot be sent: an object of type object; give plain data")
    assert outcome.counts["failed"] == 1


def test_of_a_batch_the_task_is_dead_that_gave_an_item_that_cannot_be_sent() -> None:
    outcomes = handle(PartlyBatch(), lease(1, 1), lease(2, 2))

    assert given(outcomes) == [("out", 1), ("in", 1), ("out", 2)]


def test_a_task_of_a_paced_queue_fails_as_a_whole_for_it_could_not_be_put_there_again() -> None:
    (outcome,) = handle(Partly(), lease(1, host="a"))

    assert outcome.failed is not None
    assert outcome.failed.final


class Total(Stage):
    batch = 5

    def process(self, numbers: list[int]) -> Iterator[int]:
        yield sum(numbers)
        if 13 in numbers:
            raise ValueError("unlucky")


class TotalAsync(Stage):
    batch = 5

    async def process(self, numbers: list[int]) -> int:
        if 13 in numbers:
            raise ValueError("unlucky")
        return sum(numbers)


@pytest.mark.parametrize("stage", [Total, TotalAsync])
def test_a_batch_is_done_together_and_its_children_go_in_once(stage):
    outcomes = handle(stage(), lease(1, 1), lease("x", 2), lease(4, 3))

    assert given(outcomes) == [("out", 5)]
    assert sorted(each.lease.token for each in outcomes if each.done) == [1, 3]
    assert [each.failed.final for each in outcomes if each.failed] == [True]


@pytest.mark.parametrize("stage", [Total, TotalAsync])
def test_a_poisonous_item_does_not_spoil_its_batch(stage):
    outcomes = handle(stage(), lease(1, 1), lease(13, 2), lease(4, 3))

    assert given(outcomes) == [("out", 1), ("out", 4)]
    assert [each.lease.token for each in outcomes if each.failed] == [2]


@pytest.mark.parametrize("kind", [raising, raising_async])
def test_a_failed_disk_is_not_the_tasks_fault(kind):
    (outcome,) = handle(kind(StorageError("full")), lease(1))

    assert outcome.is_released
    assert str(outcome.trouble) == "full"


def test_foreign_words_become_one_plain_line():
    assert words("naïve 正方形") == "naïve 正方形"
    assert words("a\nb\x1b[31m\u202e\ud800") == "a\\nb\\x1b[31m\\u202e\\ud800"
    assert len(words("x" * 10_000)) == 500


@pytest.mark.parametrize("kind", [raising, raising_async])
def test_a_task_that_is_given_up_is_dead_at_once_with_the_reason_alone(kind):
    (outcome,) = handle(kind(GiveUp("too big\nfor us")), lease("a"))

    assert outcome.failed is not None
    assert (outcome.failed.final, outcome.failed.reason) == (True, "too big\\nfor us")
    assert outcome.counts == {"failed": 1}


class Forgets(Stage):
    def process(self, record: dict[str, Any]) -> None:
        record["x"] = 1


class ForgetsAsync(Stage):
    async def process(self, record: dict[str, Any]) -> None:
        record["x"] = 1


@pytest.mark.parametrize("stage", [Forgets(), ForgetsAsync()])
def test_an_item_for_which_a_stage_gave_nothing_is_counted_unless_it_has_no_output(stage: Stage) -> None:
    (outcome,) = handle(stage, lease({}))

    assert outcome.counts == {"gave nothing": 1}
    schema, is_async = item_schema(type(stage))
    if not is_async:
        (outcome,) = Handler(stage, schema, Router("it", (), {})).handle([lease({})])
        assert outcome.counts == {}


def test_an_item_that_a_generator_returns_is_a_failure() -> None:
    class Both(Stage):
        def process(self, item: int) -> Iterator[int]:
            yield item
            return "text"

    (outcome,) = handle(Both(), lease(1))

    assert outcome.failed is not None
    assert outcome.failed.final
    assert outcome.failed.reason.startswith("process yields and also returns 'text'; yield it (at tests/worker/test_handler.py:")
