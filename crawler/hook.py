"""Interface of a hook, which is told of every task that a worker's stages handle, for the author of a plugin.

    class Timing(Hook):
        def before(self, task: Task) -> None: ...
        def after(self, task: Task, result: Result) -> None: ...
        def failed(self, task: Task, error: BaseException) -> None: ...

A hook looks on: it measures, counts, reports. What it does changes no outcome, and neither does an error in it.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

__all__ = ["Hook", "Result", "Task"]


class Task(Struct, frozen=True, eq=False):
    """A task in the hands of a stage. The calls for one attempt get the same object, which may be the key of a dict."""

    stage: str  # name of the stage in the configuration
    queue: str  # that it was taken from
    item: Any  # as `process` gets it; not to be changed
    attempt: int  # 1 on the first delivery


class Result(Struct, frozen=True):
    """Outcome of a task that has not failed."""

    outcome: Literal["done", "dropped", "released"]  # released: given back for another worker or another time, nothing counted
    reason: str = ""  # why it was dropped or released, if a reason is known


class Hook:
    """Subclass it, write one or more of the methods, and register the class under the entry point group `crawler.hooks`.

    Each worker process makes one object of the class, without arguments, once it runs. Its methods are called in the threads
    that handle tasks, several at once, and the task waits for them: they should be quick. After `before` comes `after` or `failed`,
    once, unless the process is killed. As tasks may be done twice, one that was done here may be handled by another worker as well.
    """

    def before(self, task: Task) -> None:
        """Called when a stage is about to begin with a task."""

    def after(self, task: Task, result: Result) -> None:
        """Called when the task is done, dropped or released. Hooks are asked in the order opposite to that of `before`."""

    def failed(self, task: Task, error: BaseException) -> None:
        """Called in place of `after` when an attempt has failed. error: what the stage raised, also Retry and GiveUp; TimeoutError
        if the task hangs."""
