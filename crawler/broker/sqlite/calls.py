"""One call on its way to the store and back: the function to run there, and the thread that waits for the answer.

It is a function of the ledger that can be run again: after a rollback it has left no trace, in the tables or in itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Generic, TypeVar

from crawler.broker.contract import MAX_WAIT
from crawler.broker.sqlite.state import Ledger
from crawler.errors import CrawlerError

T = TypeVar("T")


class Kind(Enum):
    """Use a call makes of the disk."""

    ASKS = auto()  # changes nothing: it is answered even when nothing can be stored
    STEPS = auto()  # may be undone by a power cut: then it is redone
    KEEPS = auto()  # on disk before it is answered
    BRINGS = auto()  # the same, with work from outside: refused while room is short


class Call(Generic[T]):
    """Call of one thread, which waits for it or runs it itself."""

    __slots__ = ("_error", "answer", "is_settled", "kind", "refusal", "run", "turn")

    def __init__(self, run: Callable[[Ledger], T], kind: Kind) -> None:
        self.run = run
        self.kind = kind
        self.answer: T | None = None  # these two are set in the transaction, and reach the caller after the commit
        self.refusal: CrawlerError | None = None
        self.is_settled = False
        self.turn: threading.Event | None = None  # set when it is settled, or when it is this thread's turn to run calls
        self._error: Exception | None = None

    def settle(self) -> None:
        self._error = self.refusal
        self._end()

    def refuse(self, error: Exception) -> None:
        """End the call with an error, unless it is settled already."""
        if not self.is_settled:
            self._error = error
            self._end()

    def result(self) -> T:
        """Return the result of a settled call, or raise its error. May be asked once."""
        error, self._error, self.refusal = self._error, None, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback has this frame, which would hold it, and with it all that was sent
        return self.answer  # type: ignore[return-value]  # None where T is None

    def _end(self) -> None:
        """Drop the function that was to be run: it may refer to this call, and both would keep the arguments in memory until the
        garbage collector runs, which counts objects, not their bytes."""
        self.is_settled = True
        self.run = _over
        if self.turn is not None:
            self.turn.set()


class Waiting(Call[T]):
    """Call that may wait: `run` returns None if there is no answer yet, and so does `again`, which is run while it waits."""

    __slots__ = ("again", "deadline", "empty", "is_dismissed", "is_probe", "is_repeated", "queue", "wait", "worker")

    def __init__(
        self, run: Callable[[Ledger], T | None], again: Callable[[Ledger], T | None], empty: Callable[[Ledger], T],
        queue: str, worker: str, wait: float, *, is_probe: bool = False, kind: Kind = Kind.STEPS,
    ) -> None:  # fmt: skip
        """queue: whose tasks it waits for; "": it waits for something else."""
        super().__init__(run, kind)  # type: ignore[arg-type]  # None never reaches the caller: it is parked instead
        self.again = again
        self.empty = empty  # the answer when time is up
        self.queue = queue
        self.worker = worker
        self.wait = min(wait, MAX_WAIT)  # s
        self.deadline = 0.0  # hub time, once it is parked
        self.is_probe = is_probe  # other tasks are for it than for others
        self.is_repeated = False  # there is another call like it: what that is answered is the answer to this one too
        self.is_dismissed = False  # nobody waits for the answer any more: it must not lease anything

    def _end(self) -> None:
        self.again = self.empty = _over
        super()._end()

    def waits_for_tasks_alone(self, now: float) -> bool:
        """Return whether only new tasks can still answer this call."""
        return not (self.is_dismissed or self.is_repeated or self.deadline <= now)


def _over(_: Ledger) -> Any:
    """Stand in for the function of a settled call, which must not run again."""
    raise AssertionError("a settled call is not run again")
