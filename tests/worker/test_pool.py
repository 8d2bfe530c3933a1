from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from crawler import Stage
from crawler.items import Lease
from crawler.worker.async_pool import TaskPool
from crawler.worker.handler import Handler, Outcome
from crawler.worker.held import Held
from crawler.worker.pool import Finished, Tempo, ThreadPool
from crawler.worker.routing import Router

NEVER = float("inf")


def lease(token: int) -> Lease:
    return Lease(token, token, 1, "in", b"\x01", None, "", 0)


class Gate(Stage):
    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()

    def process(self, item: int) -> None:
        self.begun.release()
        assert self.go.wait(10)


class AsyncGate(Gate):
    async def process(self, item: int) -> None:  # type: ignore[override]  # the pool is told which it is
        import asyncio

        self.begun.release()
        while not self.go.is_set():  # noqa: ASYNC110  it is set in another thread
            await asyncio.sleep(0.001)


class Pool:
    def __init__(self, kind: type[ThreadPool] | type[TaskPool], stage: Gate, concurrency: int = 1) -> None:
        self.stage, self.held, self.finished = stage, Held(), Finished()
        self.pool = kind(Handler(stage, int, Router("it", (), {})), self.held, self.finished, Tempo(1), concurrency)
        self.taken = 0

    def submit(self, *tokens: int, until: float = NEVER) -> None:
        for token in tokens:
            each = lease(token)
            self.held.add([each], until)
            self.pool.submit([each])


@pytest.fixture(params=[(ThreadPool, Gate), (TaskPool, AsyncGate)], ids=["threads", "tasks"])
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    kind, stage = request.param
    pool = Pool(kind, stage())
    yield pool
    pool.stage.go.set()
    pool.pool.close(10)


def test_a_thread_is_made_when_one_is_needed():
    pool, before = Pool(ThreadPool, Gate(), 3), threading.active_count()

    counts = [threading.active_count() - before]
    for token in range(1, 6):
        pool.submit(token)
        counts.append(threading.active_count() - before)
    pool.stage.go.set()
    while pool.taken < 5:
        pool.finished.wait(1, 0.0, 10)
        pool.taken += len(pool.finished.take())
    pool.submit(6)

    assert counts == [0, 1, 2, 3, 3, 3]
    assert threading.active_count() - before == 3
    assert pool.pool.close(10)


def test_whoever_submits_at_the_same_time_makes_no_more_threads_than_there_may_be():
    pool, before, together = Pool(ThreadPool, Gate(), 4), threading.active_count(), threading.Barrier(16)
    pool.stage.go.set()

    def submit(n: int) -> None:
        together.wait(10)
        pool.submit(*range(n * 10, n * 10 + 10))

    with ThreadPoolExecutor(16) as crowd:
        list(crowd.map(submit, range(16)))

    while pool.taken < 160:
        pool.finished.wait(1, 0.0, 10)
        pool.taken += len(pool.finished.take())
    assert threading.active_count() - before <= 4
    assert pool.pool.close(10)


def test_only_what_has_not_begun_is_withdrawn(pool):
    pool.submit(1, 2, 3)
    pool.stage.begun.acquire(timeout=10)

    back = pool.pool.withdraw()
    pool.stage.go.set()
    pool.finished.wait(1, 0.0, 10)

    assert [each.token for each in back] == [2, 3]
    assert [outcome.lease.token for outcome in pool.finished.take()] == [1]


def test_what_is_late_is_given_back_unprocessed(pool):
    pool.submit(1, until=0.0)
    pool.finished.wait(1, 0.0, 10)

    assert [outcome.is_released for outcome in pool.finished.take()] == [True]
    assert not pool.stage.begun.acquire(blocking=False)


def test_a_pool_says_whether_it_could_close():
    pool = Pool(ThreadPool, Gate())
    pool.submit(1)
    pool.stage.begun.acquire(timeout=10)

    assert not pool.pool.close(0.01)
    pool.stage.go.set()
    assert pool.pool.close(10)


def test_closing_cancels_tasks_and_leaves_no_thread():
    before = threading.active_count()
    pool = Pool(TaskPool, AsyncGate())
    pool.submit(1, 2)
    pool.stage.begun.acquire(timeout=10)

    assert pool.pool.close(10)

    assert threading.active_count() == before
    assert pool.finished.take() == []


def test_an_event_loop_that_is_blocked_does_not_block_the_close():
    class Blocking(Gate):
        async def process(self, item: int) -> None:  # type: ignore[override]  # async on purpose
            self.begun.release()
            self.go.wait(10)  # what one must not do in a coroutine

    pool = Pool(TaskPool, Blocking())
    pool.submit(1)
    pool.stage.begun.acquire(timeout=10)

    assert not pool.pool.close(0.01)
    pool.stage.go.set()
    assert pool.pool.close(10)


def test_no_more_is_taken_than_a_message_can_carry():
    finished = Finished()
    finished.add([Outcome(lease(n), size=10 << 20) for n in range(5)])

    sizes = []
    while taken := finished.take():
        sizes.append(len(taken))

    assert sizes == [2, 2, 1]


def test_a_single_outcome_is_taken_whatever_its_size():
    finished = Finished()
    finished.add([Outcome(lease(1), size=1 << 40)])

    assert len(finished.take()) == 1


def test_a_wait_ends_when_somebody_wakes_it_before_or_meanwhile():
    finished = Finished()
    waiting = threading.Thread(target=finished.wait, args=(1, 0.0, 10.0))
    waiting.start()

    finished.wake()
    waiting.join(5)

    assert not waiting.is_alive()
    finished.wait(1, 0.0, 0.001)  # and the next one waits again


def test_the_hub_decides_what_is_still_ours():
    held, ours, lost = Held(), lease(1), lease(2)
    held.add([ours, lost], NEVER)

    held.extend([1, 2, 3], [True, False, True], NEVER)

    assert held.start(ours)
    assert not held.start(lost)
    assert held.tokens() == [1, 2]


def test_a_lease_is_known_by_itself_and_not_by_its_token():
    held, old, new = Held(), lease(1), lease(1)
    held.add([old], NEVER)
    held.clear()
    held.add([new], NEVER)

    assert not held.start(old)
    assert held.end([Outcome(old), Outcome(new), Outcome(new)]) == [Outcome(new)]
    assert len(held) == 0


def test_quick_tasks_are_held_ahead_and_slow_ones_are_not():
    tempo = Tempo(4)

    assert tempo.ahead() == 0
    tempo.note([lease(1)], 0.01)
    assert tempo.ahead() == 40
    for _ in range(50):
        tempo.note([lease(1)], 10.0)
    assert tempo.ahead() == 0
