"""Call hooks around the tasks of a worker. Only a worker with hooks imports this.

    _decode ──▶ before ──▶ begin, prepare, process ──┬─▶ after    done, dropped, or released
                                                     └─▶ failed   any other error

An error of a hook is logged with the hook's name. Nothing of it reaches the task.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from crawler.errors import StorageError
from crawler.hook import Hook, Result, Task
from crawler.items import Lease
from crawler.machine.shortage import machine_short
from crawler.stage import Drop, Interrupted, Stage
from crawler.wording.places import told
from crawler.wording.texts import words
from crawler.worker import forked
from crawler.worker.chain_link import NoRoom
from crawler.worker.failure_log import FailureLog
from crawler.worker.handler import Handler, Outcome
from crawler.worker.routing import Incomplete, Routes

log = logging.getLogger(__name__)

T = TypeVar("T")


class Hooks:
    """The hooks of a worker, in the order of their names. Thread-safe as far as the hooks themselves are."""

    def __init__(self, hooks: Sequence[tuple[str, Hook]]) -> None:
        self._before = [(name, hook.before) for name, hook in hooks if type(hook).before is not Hook.before]
        self._after = [(name, hook.after) for name, hook in reversed(hooks) if type(hook).after is not Hook.after]
        self._failed = [(name, hook.failed) for name, hook in reversed(hooks) if type(hook).failed is not Hook.failed]
        self._failures = FailureLog()

    def before(self, task: Task) -> None:
        for name, call in self._before:
            self._tell(name, "before", call, task)

    def after(self, task: Task, result: Result) -> None:
        for name, call in self._after:
            self._tell(name, "after", call, task, result)

    def failed(self, task: Task, error: BaseException) -> None:
        for name, call in self._failed:
            self._tell(name, "failed", call, task, error)

    def raised(self, task: Task, error: BaseException) -> None:
        """Report the end of a task at which a stage has raised an error: some errors are no failure of the task."""
        if isinstance(error, Drop):
            self.after(task, Result("dropped", words(str(error.reason))))
        elif isinstance(error, StorageError | Interrupted | NoRoom) or machine_short(error) is not None:
            self.after(task, Result("released", words(str(error))))
        else:
            self.failed(task, error.error if isinstance(error, Incomplete) else error)

    def around(self, stage: str, queue: str, item: Any, work: Callable[[], T]) -> T:
        """Return what the work on an item returns that was handed on in this process, and report its beginning and end."""
        task = Task(stage, queue, item, 1)
        self.before(task)
        try:
            result = work()
        except BaseException as error:
            self.raised(task, error)
            raise
        self.after(task, Result("done"))
        return result

    def _tell(self, name: str, method: str, call: Callable[..., object], *arguments: object) -> None:
        try:
            call(*arguments)
        except BaseException as error:  # noqa: BLE001  a panic in a library or its sys.exit() must not cost a task either
            level, rest = self._failures.level(error, name)
            log.log(level, "hook %s failed in %s: %s%s", name, method, told(error), rest and "; more like this are shown with -v")
        finally:
            forked.end_if_copy(f"hook {name}")


class HookedHandler(Handler):
    """A handler that reports each task to hooks: once when it begins, and once when it ends, whatever way it takes in between."""

    def __init__(self, stage: Stage, schema: Any, router: Routes, hooks: Hooks) -> None:
        super().__init__(stage, schema, router)
        self._hooks = hooks
        self._begun: dict[int, Task] = {}  # by the token of the lease

    def _decode(self, leases: Sequence[Lease]) -> tuple[list[tuple[Lease, Any]], list[Outcome]]:
        ready, refused = super()._decode(leases)
        for lease, item in ready:
            if lease.token not in self._begun:  # else it had to wait for something, or its batch failed
                task = self._begun[lease.token] = Task(self._name, lease.queue, item, lease.attempt)
                self._hooks.before(task)
        return ready, refused

    def _conclude(self, ready: Sequence[tuple[Lease, Any]], process: Callable[[], Any]) -> list[Outcome]:
        outcomes = super()._conclude(ready, process)
        self.settle(outcomes)
        return outcomes

    async def _conclude_async(self, ready: Sequence[tuple[Lease, Any]]) -> list[Outcome]:
        outcomes = await super()._conclude_async(ready)
        self.settle(outcomes)
        return outcomes

    def _failed(self, ready: Sequence[tuple[Lease, Any]], error: BaseException) -> list[Outcome]:
        outcomes = super()._failed(ready, error)
        for lease, _ in ready:
            if task := self._begun.pop(lease.token, None):
                self._hooks.raised(task, error)
        return outcomes

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            task = self._begun.pop(outcome.lease.token, None)
            if task is None:
                continue
            if outcome.failed is not None:
                self._hooks.failed(task, TimeoutError(outcome.failed.reason))
            else:
                self._hooks.after(task, Result("released" if outcome.is_released else "done"))
