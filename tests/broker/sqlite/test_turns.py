"""Whose turn it is at the store: one thread at a time, the others in line, and nobody waits for one who has left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from hands import until

from crawler.broker.sqlite import turns
from crawler.broker.sqlite.calls import Call, Kind
from crawler.broker.sqlite.turns import Turns
from crawler.errors import StorageError


class Store:
    """Notes who had which turn; the first turn lasts until `free` is set."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.had: list[tuple[threading.Thread, int]] = []
        self.pause: float | None = None

    def take(self, calls: list[Call[Any]]) -> float | None:
        self.had.append((threading.current_thread(), len(calls)))
        self.free.wait(10)
        for call in calls:
            call.answer = len(calls)
            call.settle()
        pause, self.pause = self.pause, None
        return pause


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def line(store: Store) -> Iterator[Turns]:
    made = Turns(store.take)
    made.start(None)
    yield made
    store.free.set()
    made.close()


def call() -> Call[Any]:
    return Call(lambda _: None, Kind.STEPS)


def closed() -> StorageError:
    return StorageError("closed")


def ask(line: Turns) -> Callable[[], Any]:
    return lambda: line.ask(call(), closed)


def test_who_finds_nobody_in_runs_the_call_itself(line: Turns, store: Store) -> None:
    store.free.set()

    assert [line.ask(call(), closed) for _ in range(3)] == [1, 1, 1]

    assert store.had == [(threading.current_thread(), 1)] * 3


def test_what_comes_while_a_turn_lasts_is_one_turn_of_the_first_of_them(line: Turns, store: Store) -> None:
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(ask(line))
        until(lambda: len(store.had) == 1)
        others = [pool.submit(ask(line)) for _ in range(4)]
        until(lambda: len(line._line) == 4)
        store.free.set()

        assert (first.result(10), [other.result(10) for other in others]) == (1, [4] * 4)
    assert [n for _, n in store.had] == [1, 4]
    assert store.had[0][0] is not store.had[1][0]


def test_no_more_than_a_batch_is_one_turn(line: Turns, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "BATCH", 2)
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(ask(line))]
        until(lambda: len(store.had) == 1)
        asked += [pool.submit(ask(line)) for _ in range(5)]
        until(lambda: len(line._line) == 5)
        store.free.set()

        assert sorted(each.result(10) for each in asked) == [1, 1, 2, 2, 2, 2]


def test_who_was_interrupted_in_line_keeps_nobody_waiting(line: Turns, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            super().wait(timeout)  # its turn has come
            raise KeyboardInterrupt

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ask(line))
        until(lambda: len(store.had) == 1)
        with monkeypatch.context() as patch:
            patch.setattr(turns, "threading", SimpleNamespace(Event=Interrupted))
            interrupted = pool.submit(ask(line))
            until(lambda: len(line._line) == 1)
        last = pool.submit(ask(line))
        until(lambda: len(line._line) == 2)
        store.free.set()

        assert (first.result(10), last.result(10)) == (1, 1)
        with pytest.raises(KeyboardInterrupt):
            interrupted.result(10)


def test_what_is_due_has_a_turn_without_a_call(line: Turns, store: Store) -> None:
    store.free.set()
    store.pause = 0.01
    line.ask(call(), closed)

    until(lambda: len(store.had) == 2)

    assert store.had[1][1] == 0
    assert store.had[1][0] is not threading.current_thread()


def test_who_pokes_while_a_turn_lasts_gets_another(line: Turns, store: Store) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask(line))
        until(lambda: len(store.had) == 1)
        line.poke()
        store.free.set()
        asked.result(10)

    until(lambda: len(store.had) == 2)


def test_what_is_in_line_is_run_before_it_closes_and_nothing_after(line: Turns, store: Store) -> None:
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask(line))]
        until(lambda: len(store.had) == 1)
        asked.append(pool.submit(ask(line)))
        until(lambda: len(line._line) == 1)
        closing = pool.submit(line.close)
        until(lambda: line._is_closed)
        store.free.set()

        assert closing.result(10) is True
        assert [each.result(10) for each in asked] == [1, 1]
    with pytest.raises(StorageError, match="closed"):
        line.ask(call(), closed)
    assert line.close() is False
