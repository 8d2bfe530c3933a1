"""Hooks around tasks: one call before, one after, whatever way a task takes through the worker. Their errors cost nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from crawler import Drop, GiveUp, Hook, Interrupted, MachineShort, Result, Retry, Stage, StorageError, Task
from crawler.items import Lease
from crawler.pipeline.plugins import item_schema
from crawler.stage import Pending
from crawler.worker import loop
from crawler.worker.chain import Chain
from crawler.worker.chain_link import Link
from crawler.worker.handler import Outcome
from crawler.worker.hooked import HookedHandler, Hooks
from crawler.worker.loop import StageHung
from crawler.worker.routing import Router
from tests.workshop import TIME, Now, Running, Told, Watched, ended

Call = tuple[str, str, Any, str]  # method, stage, item, and how it ended


class Keeps(Hook):
    """Keeps what it is told, in a list that hooks may share."""

    def __init__(self, calls: list[Call] | None = None, name: str = "") -> None:
        self.calls: list[Call] = [] if calls is None else calls
        self.tasks: list[Task] = []
        self.name = name
        self.changed = threading.Condition()

    def before(self, task: Task) -> None:
        self._keep("before", task, "")

    def after(self, task: Task, result: Result) -> None:
        self._keep("after", task, f"{result.outcome}: {result.reason}".removesuffix(": "))

    def failed(self, task: Task, error: BaseException) -> None:
        self._keep("failed", task, f"{type(error).__name__}: {error}".removesuffix(": "))

    def _keep(self, method: str, task: Task, how: str) -> None:
        with self.changed:
            self.tasks.append(task)
            self.calls.append((self.name + method, task.stage, task.item, how))
            self.changed.notify_all()

    def wait_for(self, n: int) -> list[Call]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.calls) >= n, TIME), self.calls
        return self.calls


ERRORS: list[tuple[BaseException, tuple[str, str]]] = [
    (ValueError("odd"), ("failed", "ValueError: odd")),
    (Retry("later", after=3), ("failed", "Retry: later")),
    (Retry("later", after=float("nan")), ("failed", "Retry: later")),
    (GiveUp("never"), ("failed", "GiveUp: never")),
    (SystemExit(3), ("failed", "SystemExit: 3")),
    (RecursionError("deep"), ("failed", "RecursionError: deep")),
    (Drop("dull"), ("after", "dropped: dull")),
    (Interrupted(), ("after", "released")),
    (StorageError("no disk"), ("after", "released: no disk")),
    (MachineShort("memory", "low", "add some"), ("after", "released")),
]
NAMES = [f"{type(error).__name__}-{n}" for n, (error, _) in enumerate(ERRORS)]


class Plain(Stage):
    error: BaseException | None = None

    def process(self, n: int) -> Any:
        if self.error is not None:
            raise self.error
        return n


class Late(Plain):
    """Raises only after it has given something."""

    def process(self, n: int) -> Any:
        yield n
        yield super().process(n)


class Async(Plain):
    async def process(self, n: int) -> Any:
        return Plain.process(self, n)


class AsyncLate(Plain):
    async def process(self, n: int) -> AsyncIterator[Any]:
        yield n
        yield Plain.process(self, n)


class Begins(Plain):
    overlap = 4

    def begin(self, item: int) -> Pending | None:
        return Now(lambda: self.process(item))


class BeginsBadly(Plain):
    overlap = 4

    def begin(self, item: int) -> Pending | None:
        self.process(item)
        return Now(lambda: None)


class StartsBadly(Plain):
    overlap = 4

    def begin(self, item: int) -> Pending | None:
        def start(then: Any) -> bool:
            self.process(item)
            then(lambda: None)()
            return True

        return Told(start)


class StartsNever(Plain):
    overlap = 4

    def begin(self, item: int) -> Pending | None:
        return Told(lambda then: False)


class PreparesBadly(Plain):
    overlap = 4

    def prepare(self, item: int) -> bool:
        self.process(item)
        return False


class OneByOne(Plain):
    batch = 5

    def process(self, items: list[int]) -> Any:  # type: ignore[override]  # as batch stages take a list
        if self.error is not None and 7 in items:
            raise self.error


WAYS: list[type[Stage]] = [Plain, Late, Async, AsyncLate, Begins, BeginsBadly, StartsBadly, StartsNever, PreparesBadly, OneByOne]


def lease(n: int, token: int = 1) -> Lease:
    return Lease(token, token, 2, "in", msgspec.msgpack.encode(n), None, "", 0)


def handled(stage: Stage, hooks: Hooks, *leases: Lease) -> list[Outcome]:
    """Do with these tasks as a pool does."""
    schema, is_async = item_schema(type(stage))
    handler = HookedHandler(stage, schema, Router("it", ("out",), {}), hooks)
    if is_async:
        return asyncio.run(handler.handle_async(leases))
    if not stage.overlap:
        return handler.handle(leases)
    found: list[Outcome] | None = ended(handler.begin(leases[0]))
    return found or handler.prepare(leases[0])[1] or handler.handle(leases)


def made(kind: type[Stage], error: BaseException | None) -> Stage:
    return type(kind.__name__, (kind,), {"error": error})()


@pytest.mark.parametrize(("error", "end"), ERRORS, ids=NAMES)
@pytest.mark.parametrize("kind", WAYS)
def test_a_hook_is_told_of_the_error_of_a_stage(kind: type[Stage], error: BaseException, end: tuple[str, str]) -> None:
    hook = Keeps()

    outcomes = handled(made(kind, error), Hooks([("keeps", hook)]), lease(7))

    (before, told), (method, how) = hook.calls, end
    assert before == ("before", "it", 7, "")
    assert told[:3] == (method, "it", 7)
    assert told[3].startswith(how)
    assert hook.tasks[0] is hook.tasks[1]
    assert (hook.tasks[0].queue, hook.tasks[0].attempt) == ("in", 2)
    assert len(outcomes) == 1


@pytest.mark.parametrize("kind", WAYS)
def test_a_hook_is_told_that_a_task_is_done(kind: type[Stage]) -> None:
    hook = Keeps()

    handled(made(kind, None), Hooks([("keeps", hook)]), lease(7))

    assert hook.calls == [("before", "it", 7, ""), ("after", "it", 7, "done")]


def test_each_task_of_a_batch_is_told_of_once_although_they_are_tried_again_one_by_one() -> None:
    hook = Keeps()

    handled(made(OneByOne, ValueError("odd")), Hooks([("keeps", hook)]), *(lease(n, n) for n in (6, 7, 8)))

    assert hook.calls == [
        ("before", "it", 6, ""), ("before", "it", 7, ""), ("before", "it", 8, ""),
        ("after", "it", 6, "done"), ("failed", "it", 7, "ValueError: odd"), ("after", "it", 8, "done"),
    ]  # fmt: skip


def test_an_item_that_cannot_be_put_is_a_failure_of_its_task() -> None:
    class Gives(Stage):
        def process(self, n: int) -> Any:
            return [n, object()]

    hook = Keeps()
    handled(Gives(), Hooks([("keeps", hook)]), lease(7))

    assert [(call[0], call[3].partition(":")[0]) for call in hook.calls] == [("before", ""), ("failed", "Misgiven")]


def test_no_hook_is_told_of_an_item_that_no_stage_sees() -> None:
    hook = Keeps()
    handler = HookedHandler(Plain(), int, Router("it", ("out",), {}), Hooks([("keeps", hook)]))

    outcomes = handler.handle([Lease(1, 1, 1, "in", b"\xc1", None, "", 0)])

    assert outcomes[0].failed is not None
    assert hook.calls == []


def test_hooks_are_asked_in_their_order_before_a_task_and_in_the_opposite_one_after_it() -> None:
    calls: list[Call] = []

    hooks = Hooks([("a", Keeps(calls, "a ")), ("b", Keeps(calls, "b "))])
    handled(Plain(), hooks, lease(7))
    handled(made(Plain, ValueError()), hooks, lease(7))

    assert [call[0] for call in calls] == [
        "a before",
        "b before",
        "b after",
        "a after",
        "a before",
        "b before",
        "b failed",
        "a failed",
    ]


class Breaks(Hook):
    """Raises in every method."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def before(self, task: Task) -> None:
        raise self.error

    def after(self, task: Task, result: Result) -> None:
        raise self.error

    def failed(self, task: Task, error: BaseException) -> None:
        raise self.error


@pytest.mark.parametrize(
    "raised", [ValueError("mine"), SystemExit(1), Drop(), Retry(), StorageError("x"), MemoryError(), KeyboardInterrupt()]
)
@pytest.mark.parametrize("error", [None, ValueError("odd"), Drop("dull")])
@pytest.mark.parametrize("kind", WAYS)
def test_an_error_of_a_hook_changes_no_outcome_and_no_other_hook(
    kind: type[Stage], error: BaseException | None, raised: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    hook = Keeps()
    caplog.set_level(logging.CRITICAL, "crawler.worker")
    alone = handled(made(kind, error), Hooks([]), lease(7))

    with caplog.at_level(logging.WARNING, "crawler.worker"):
        outcomes = handled(made(kind, error), Hooks([("broken", Breaks(raised)), ("keeps", hook)]), lease(7))

    assert [(one.done, one.failed, one.is_released) for one in outcomes] == [
        (one.done, one.failed, one.is_released) for one in alone
    ]
    assert len(hook.calls) == 2
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("hook ")]
    assert [line.partition(":")[0] for line in said] == [
        "hook broken failed in before", f"hook broken failed in {'failed' if isinstance(error, ValueError) else 'after'}"
    ]  # fmt: skip


def test_a_hook_that_fails_at_every_task_is_told_of_a_few_times(caplog: pytest.LogCaptureFixture) -> None:
    hooks = Hooks([("broken", Breaks(ValueError("mine")))])

    with caplog.at_level(logging.WARNING, "crawler.worker"):
        for token in range(100):
            handled(Plain(), hooks, lease(7, token))

    lines = [record.getMessage() for record in caplog.records]
    assert 5 <= len(lines) <= 10
    assert lines[0].startswith("hook broken failed in before: ValueError: mine at ")
    assert any(line.endswith("; more like this are shown with -v") for line in lines)


# ---- in a chain


class Second(Stage):
    error: BaseException | None = None

    def process(self, n: int) -> int:
        if self.error is not None:
            raise self.error
        return n * 2


@pytest.mark.parametrize("kind", [Plain, Late, Begins])
@pytest.mark.parametrize(("error", "end"), [(None, ("after", "done")), *ERRORS], ids=["done", *NAMES])
def test_a_chain_tells_of_the_items_of_each_of_its_stages(
    kind: type[Stage], error: BaseException | None, end: tuple[str, str]
) -> None:
    hook = Keeps()
    hooks = Hooks([("keeps", hook)])
    links = [Link("it", made(kind, None), ("mid",), "mid", "in"), Link("second", made(Second, error), ("out",), "", "mid")]
    chain = Chain(links, hooks=hooks)
    handler = HookedHandler(chain, int, chain.router, hooks)

    if kind is not Begins or not ended(handler.begin(lease(7))):
        handler.handle([lease(7)])

    of_second = [call for call in hook.calls if call[1] == "second"]
    assert hook.calls[0] == ("before", "it", 7, "")
    assert hook.calls[-1][:3] == ("after", "it", 7)
    assert [call[0] for call in of_second] == ["before", end[0]] * (len(of_second) // 2)
    assert all(call[3].startswith(end[1]) for call in of_second[1::2])
    assert {task.queue for task in hook.tasks} == {"in", "mid"}


# ---- in a worker


@pytest.fixture
def hook() -> Keeps:
    return Keeps()


def test_a_worker_tells_of_every_task(broker: Watched, work: Callable[..., Running], hook: Keeps) -> None:
    broker.fill("in", *range(20))

    work(Plain(), hooks=Hooks([("keeps", hook)]))
    broker.results(20)

    assert sorted(hook.wait_for(40)) == sorted(
        (method, "it", n, how) for n in range(20) for method, how in (("before", ""), ("after", "done"))
    )


class Waits(Plain):
    """Begins nothing, and prepares for as long as the test likes."""

    overlap = 4

    def open(self) -> None:
        self.go, self.is_there = threading.Event(), threading.Semaphore(0)

    def prepare(self, item: int) -> bool:
        self.is_there.release()
        self.go.wait(TIME)
        return False

    def interrupt(self) -> None:
        self.go.set()


def test_tasks_that_a_worker_gives_back_are_told_of_as_released(
    broker: Watched, work: Callable[..., Running], hook: Keeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "GRACE", 0.2)
    monkeypatch.setattr(loop, "CLOSING", 0.2)
    stage = type("OfThisTest", (Waits,), {"grace": 0.05})()
    broker.fill("in", *range(4))

    running = work(stage, hooks=Hooks([("keeps", hook)]))
    hook.wait_for(2)  # one has the thread, and the other waits for it
    running.stop()

    begun, ended = ([call for call in hook.calls if (call[0] == "before") is is_begun] for is_begun in (True, False))
    assert sorted(call[2] for call in ended) == sorted(call[2] for call in begun)
    assert {(call[0], call[3]) for call in ended} <= {("after", "released"), ("after", "done")}
    assert ("after", "released") in {(call[0], call[3]) for call in ended}


class Hangs(Plain):
    hang = 0.1
    concurrency = 1

    def open(self) -> None:
        self.go = threading.Event()

    def process(self, n: int) -> int:
        self.go.wait(TIME)
        return n


def test_a_task_that_hangs_is_told_of_as_failed(
    broker: Watched, work: Callable[..., Running], hook: Keeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CLOSING", 0.1)
    stage = Hangs()
    broker.fill("in", 7)

    error = work(stage, hooks=Hooks([("keeps", hook)])).ends()
    stage.go.set()

    assert isinstance(error, StageHung)
    assert [call[0] for call in hook.calls] == ["before", "failed"]
    assert hook.calls[1][3].startswith("TimeoutError: still in process after 0.1 s")
