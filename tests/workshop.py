"""A worker at work in this process, on the real broker: what the tests of worker, pools and stages have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import msgspec

from crawler import Over, Pending, Stage
from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.items import New, QueueStats, Step, Stepped
from crawler.pipeline.plugins import item_schema
from crawler.worker.chain import Chain
from crawler.worker.loop import Worker
from crawler.worker.routing import Router, Routes
from crawler.worker.shared_notes import SharedNotes

QUEUES = (
    QueueSpec("in", is_read=True),
    QueueSpec("seen", keyed=True, is_read=True),
    QueueSpec("out"),
    QueueSpec("urls", keyed=True),
)
TIME = 10.0  # s after which a test that waits has failed


class Impatient(Random):
    """Back-off without waiting."""

    def uniform(self, a: float, b: float) -> float:
        return a


class Watched(SqliteBroker):
    """The real broker, and what workers asked it."""

    def __init__(self, queues: Sequence[QueueSpec] = QUEUES, politeness: Politeness | None = None) -> None:
        self.changed = threading.Condition()
        self.steps: list[tuple[Step, Stepped]] = []
        self.beats = 0
        super().__init__(":memory:", queues, politeness, random=Impatient())

    def step(self, step: Step) -> Stepped:
        answer = super().step(step)
        with self.changed:
            self.steps.append((step, answer))
            self.changed.notify_all()
        return answer

    def extend(self, worker: str, tokens: Sequence[int], ttl: float) -> list[bool]:
        kept = super().extend(worker, tokens, ttl)
        with self.changed:
            self.beats += 1
            self.changed.notify_all()
        return kept

    def fill(self, queue: str, *items: Any) -> None:
        self.put([New(queue, msgspec.msgpack.encode(item)) for item in items])

    def results(self, n: int, queue: str = "out") -> list[Any]:
        found: list[Any] = []
        while len(found) < n and (taken := self.take(queue, n - len(found), TIME)):
            found += [msgspec.msgpack.decode(item) for item in taken]
        assert len(found) == n
        return found

    def wait_until(self, holds: Callable[[], object]) -> None:
        with self.changed:
            assert self.changed.wait_for(holds, TIME)

    def counts(self, name: str) -> QueueStats:
        return next(queue for queue in self.stats().queues if queue.name == name)

    def leased(self) -> list[Any]:
        return [lease for _, answer in self.steps for lease in answer.leases]


class Running:
    """A worker in a thread of its own."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.worker.run()
        except BaseException as error:  # noqa: BLE001  the test looks at it
            self.error = error

    def ends(self) -> BaseException | None:
        self._thread.join(TIME)
        assert not self._thread.is_alive()
        return self.error

    def stop(self) -> None:
        self.worker.stop()
        assert self.ends() is None


@contextmanager
def workers(broker: Watched) -> Iterator[Callable[..., Running]]:
    """To start workers with; at the end all are stopped."""
    started: list[Running] = []

    def start(stage: Stage, name: str = "w1", input: str = "in", **more: Any) -> Running:
        schema, is_async = item_schema(type(stage))
        options: dict[str, Any] = {
            "broker": broker, "side": broker, "shared": SharedNotes(broker), **more,
        }  # fmt: skip
        router: Routes = Router("it", options.pop("outputs", ("out", "urls")), options.pop("gatekeepers", {}))
        if isinstance(stage, Chain):
            router = stage.router
        started.append(Running(Worker(stage, schema, is_async, router, input=input, worker=name, **options)))
        return started[-1]

    yield start
    for running in started:
        running.worker.stop()
        running.ends()


Then = Callable[..., Callable[[], None]]  # called with what finishes the item, or None; returns the work


class Told(Pending):
    """An item that a test ends as it likes, by a function."""

    def __init__(self, start: Callable[[Then], bool]) -> None:
        """start: is given the function, and returns whether the item has started."""
        self._start = start

    def start(self, over: Over) -> bool:
        def then(finish: Callable[[], Any] | None, is_free: bool = True) -> Callable[[], None]:
            self._finish = finish
            return over(finish is not None, is_free)

        return self._start(then)

    def finish(self) -> Any:
        assert self._finish is not None
        return self._finish()


class Now(Told):
    """An item that ends as soon as it is started, in the same thread."""

    def __init__(self, finish: Callable[[], Any]) -> None:
        def start(then: Then) -> bool:
            then(finish)()
            return True

        super().__init__(start)


def ended(pending: Pending | None) -> Any:
    """Return what is given for a begun item once it has ended; None if it cannot be begun, or finished."""
    found: list[Any] = []

    def over(can_finish: bool = True, is_free: bool = True) -> Callable[[], None]:
        return lambda: found.append(pending.finish() if can_finish and pending else None)

    return found[0] if pending is not None and pending.start(over) else None
