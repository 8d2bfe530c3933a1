"""What the package waits with, in virtual time: stand-ins for the modules `threading`, `time`, `queue` and for `Future`.

`installed` puts them into the modules that are simulated; nothing of those is changed or copied for it.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import greenlet

from tests.simulation.scheduler import Scheduler, Waiter

A_LOOK = 1e-5  # s that a look at an empty queue takes


class Lock:
    """Held by one task at a time; it may be held over a wait."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_held = False
        self._waiters: list[Waiter] = []

    def __enter__(self) -> bool:
        while self._is_held:
            self._scheduler.wait(None, self._waiters)
        self._is_held = True
        return True

    def __exit__(self, *_: object) -> None:
        self._is_held = False
        self._scheduler.wake(self._waiters, 1)


class Semaphore:
    """Held by some tasks at a time."""

    def __init__(self, scheduler: Scheduler, value: int = 1) -> None:
        self._scheduler = scheduler
        self._free = value
        self._waiters: list[Waiter] = []

    def __enter__(self) -> bool:
        while not self._free:
            self._scheduler.wait(None, self._waiters)
        self._free -= 1
        return True

    def __exit__(self, *_: object) -> None:
        self._free += 1
        self._scheduler.wake(self._waiters, 1)


class Condition:
    """A condition with a lock of its own, or with this one."""

    def __init__(self, scheduler: Scheduler, lock: Lock | None = None) -> None:
        self._scheduler = scheduler
        self._lock = lock or Lock(scheduler)
        self._sleepers: list[Waiter] = []

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__()

    def wait(self, timeout: float | None = None) -> bool:
        self._lock.__exit__()
        was_woken = self._scheduler.wait(timeout, self._sleepers)
        self._lock.__enter__()
        return was_woken

    def notify(self, n: int = 1) -> None:
        self._scheduler.wake(self._sleepers, n)

    def notify_all(self) -> None:
        self._scheduler.wake(self._sleepers)


class Event:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_set = False
        self._waiters: list[Waiter] = []

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        self._scheduler.wake(self._waiters)

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set:
            self._scheduler.wait(timeout, self._waiters)
        return self._is_set


class Thread:
    """Belongs to the process of the task that starts it."""

    def __init__(
        self, scheduler: Scheduler, target: Callable[..., object], args: tuple[Any, ...] = (), name: str = "", daemon: bool = False
    ) -> None:
        self._scheduler = scheduler
        self._target = target
        self._args = args
        self.name = name
        self.daemon = daemon
        self._ended = Event(scheduler)
        self._is_started = False

    def start(self) -> None:
        self._is_started = True
        self._scheduler.spawn(self._scheduler.process, self._run)

    def _run(self) -> None:
        try:
            self._target(*self._args)
        finally:
            self._ended.set()

    def join(self, timeout: float | None = None) -> None:
        self._ended.wait(timeout)

    def is_alive(self) -> bool:
        return self._is_started and not self._ended.is_set()


class SimpleQueue:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._items: deque[Any] = deque()
        self._waiters: list[Waiter] = []

    def put(self, item: Any) -> None:
        self._items.append(item)
        self._scheduler.wake(self._waiters, 1)

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        give_up = None if timeout is None else self._scheduler.now + timeout
        if not self._items and not block:
            self._scheduler.sleep(A_LOOK)  # so that who looks again and again is seen to spin
        while not self._items:
            left = None if give_up is None else give_up - self._scheduler.now
            if not block or (left is not None and left <= 0):
                raise queue.Empty
            self._scheduler.wait(left, self._waiters)
        return self._items.popleft()

    def empty(self) -> bool:
        return not self._items


class Future:
    def __init__(self, scheduler: Scheduler) -> None:
        self._done = Event(scheduler)
        self._value: Any = None
        self._error: BaseException | None = None

    def set_result(self, value: Any) -> None:
        self._value = value
        self._done.set()

    def set_exception(self, error: BaseException) -> None:
        self._error = error
        self._done.set()

    def done(self) -> bool:
        return self._done.is_set()

    def result(self, timeout: float | None = None) -> Any:
        if not self._done.wait(timeout):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._value


def stand_ins(scheduler: Scheduler, os_: object) -> dict[str, object]:
    """By the name a module of the package knows them by."""

    def made(kind: Callable[..., object]) -> Callable[..., object]:
        return lambda *args, **kwargs: kind(scheduler, *args, **kwargs)

    simple_queue = made(SimpleQueue)
    return {
        "threading": SimpleNamespace(
            Lock=made(Lock),
            RLock=made(Lock),
            BoundedSemaphore=made(Semaphore),
            Condition=made(Condition),
            Event=made(Event),
            Thread=made(Thread),
            current_thread=lambda: None,
            get_ident=lambda: id(greenlet.getcurrent()),
        ),
        "time": SimpleNamespace(monotonic=lambda: scheduler.now, time=lambda: scheduler.now, sleep=scheduler.sleep),
        "queue": SimpleNamespace(SimpleQueue=simple_queue, Empty=queue.Empty),
        "SimpleQueue": simple_queue,
        "Future": _Subscriptable(made(Future)),
        "random": scheduler.random,
        "os": os_,
    }


class _Subscriptable:
    """`Future[T]` stands in annotations as well."""

    def __init__(self, make: Callable[..., object]) -> None:
        self._make = make

    def __call__(self) -> object:
        return self._make()

    def __getitem__(self, _: object) -> _Subscriptable:
        return self


@contextmanager
def installed(modules: list[ModuleType], names: dict[str, object]) -> Iterator[None]:
    """Each of the modules uses the stand-ins for what it uses of the originals."""
    with ExitStack() as stack:
        for module in modules:
            for name, stand_in in names.items():
                if hasattr(module, name):
                    stack.enter_context(patch.object(module, name, stand_in))
        yield
