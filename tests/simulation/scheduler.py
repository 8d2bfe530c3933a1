"""Processes and their threads on one thread, in virtual time, in an order that a seed decides.

    at(delay, action) ──▶ heap of (time, order) ──▶ action, one after the other; in between no time passes
                               ▲                       │
                               ╰── wait(timeout) ◀── a task runs until it waits

A task is a greenlet: code that knows nothing of this runs in it unchanged, as long as what it waits with comes from `primitives`.
A process is a set of tasks that freeze and die together. The same seed gives the same run, to the last event.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from greenlet import getcurrent, greenlet

JITTER = 0.0002  # s at most between a task being woken and its running: what else happens then, happens in any order
MANY, SHORT = 2_000, 0.2  # events in s: a busy second has some hundred


class Killed(BaseException):
    """What a task hears when its process is killed; code that catches it anyway hears it again where it waits next."""


class Process:
    """Tasks with one fate."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.thaws_at = 0.0  # virtual time until which nothing of it runs
        self.tasks: dict[greenlet, None] = {}  # in the order of their start


class Waiter:
    """A task that waits, once."""

    __slots__ = ("is_over", "process", "task", "was_woken")

    def __init__(self, task: greenlet, process: Process) -> None:
        self.task = task
        self.process = process
        self.is_over = False
        self.was_woken = False


class Scheduler:
    """The only clock and the only source of chance of a run."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0  # s since the run began
        self.is_spinning = False  # much happens and no time passes: somebody looks again and again
        self._looked_at = (0, 0.0)  # events so far, and the time, when we last asked ourselves that
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._main = getcurrent()
        self._processes: dict[greenlet, Process] = {}

    @property
    def process(self) -> Process:
        """Whose task is running."""
        return self._processes[getcurrent()]

    def at(self, delay: float, action: Callable[[], object]) -> None:
        """Have something happen, `delay` s from now."""
        heapq.heappush(self._events, (self.now + delay, next(self._order), action))

    def run(self, until: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Let everything happen up to a moment, or to when it is over."""
        while self._events and self._events[0][0] <= until and not is_over():
            self.now, order, action = heapq.heappop(self._events)
            action()
            self._look_for_spin(order)
        if not is_over():
            self.now = until

    def _look_for_spin(self, events: int) -> None:
        before, then = self._looked_at
        if events - before >= MANY:
            self.is_spinning = self.is_spinning or self.now - then < SHORT
            self._looked_at = (events, self.now)

    def spawn(self, process: Process, function: Callable[..., object], *args: Any) -> None:
        """Start a task of a process."""
        task = greenlet(partial(self._task, process, function, args), self._main)
        self._processes[task] = process
        process.tasks[task] = None
        self._soon(Waiter(task, process))

    def _task(self, process: Process, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            function(*args)
        except Killed:
            if not process.is_dead:
                raise
        finally:
            process.tasks.pop(getcurrent(), None)
            self._processes.pop(getcurrent(), None)

    def wait(self, timeout: float | None, waiters: list[Waiter] | None = None) -> bool:
        """The running task waits: for `wake` on what is added to `waiters` (True), or until time is up (False)."""
        process = self.process
        if process.is_dead:
            raise Killed
        waiter = Waiter(getcurrent(), process)
        if waiters is not None:
            waiters.append(waiter)
        if timeout is not None:
            self.at(max(timeout, 0.0), partial(self._resume, waiter, False))
        self._main.switch()
        if waiters is not None and not waiter.was_woken and waiter in waiters:
            waiters.remove(waiter)
        return waiter.was_woken

    def sleep(self, seconds: float) -> None:
        self.wait(seconds)

    def wake(self, waiters: list[Waiter], n: int | None = None) -> None:
        """End the wait of the first n (None: of all)."""
        chosen = waiters[:n]
        del waiters[:n]
        for waiter in chosen:
            waiter.was_woken = True
            self._soon(waiter)

    def _soon(self, waiter: Waiter) -> None:
        self.at(self.random.uniform(0, JITTER), partial(self._resume, waiter, True))

    def _resume(self, waiter: Waiter, is_wake: bool) -> None:
        if waiter.is_over or waiter.process.is_dead or (waiter.was_woken and not is_wake):
            return
        if waiter.process.thaws_at > self.now:
            self.at(waiter.process.thaws_at - self.now, partial(self._resume, waiter, is_wake))
            return
        waiter.is_over = True
        waiter.task.switch()

    def freeze(self, process: Process, seconds: float) -> None:
        """Nothing of it runs for a while; time goes on."""
        process.thaws_at = max(process.thaws_at, self.now + seconds)

    def kill(self, process: Process) -> None:
        """Nothing of it runs any more. Called by one of its own tasks, that one ends where it waits next."""
        if not process.is_dead:
            process.is_dead = True
            self.at(0.0, partial(self._bury, process))

    def shut(self) -> None:
        """The run is over: all tasks unwind."""
        for process in {process.name: process for process in self._processes.values()}.values():
            process.is_dead = True
            self._bury(process)

    def _bury(self, process: Process) -> None:
        for task in list(process.tasks):
            if task:  # it has begun, and not ended
                task.throw(Killed)
            self._processes.pop(task, None)
        process.tasks.clear()
