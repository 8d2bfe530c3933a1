"""A crawl in one thread of one process, so that breakpoints, debuggers, profilers and `print` work as in any program.

    for each stage in turn, the last one first:  lease ──▶ handle ──▶ hand in

The queues are those of the crawl's own store, opened here instead of in a hub. Politeness, attempts and the end of the crawl work
as usual, and a crawl can be resumed with or without a debugger. `DebugCrawl` takes the place of `crawl.Crawl`.
"""

from __future__ import annotations

import logging
import threading
import time
from bdb import BdbQuit
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from crawler.broker.contract import Broker
from crawler.errors import StageUnusable, StorageError, StorageFull
from crawler.items import Lease, Stats, Step
from crawler.machine.room import Room
from crawler.run.processes.prints import to_stderr
from crawler.run.processes.process import Bell, wait_for_any
from crawler.stage import Stage
from crawler.worker.handler import Outcome
from crawler.worker.hooked import HookedHandler, Hooks
from crawler.worker.loop import worker_name
from crawler.worker.opening import closing, opening
from crawler.worker.routing import Routes
from crawler.worker.shared_notes import SharedNotes
from crawler.worker.tally import counters_of

if TYPE_CHECKING:
    from asyncio import Runner

log = logging.getLogger(__name__)
WORKER_LOG = logging.getLogger("crawler.worker")

LEASE = 1e8  # s; a person may stay at a breakpoint as long as they like
ROOM = 1.0  # s between attempts while the disk is full
T = TypeVar("T")


class DebuggerLeft(StorageError):
    """Raised when the person quits the debugger: nothing is wrong with the current task."""


class DebugHandler(HookedHandler):
    """A handler that releases its task when the person quits the debugger in the middle of it."""

    def _failed(self, ready: Sequence[tuple[Lease, Any]], error: BaseException) -> list[Outcome]:
        if isinstance(error, BdbQuit):
            error = DebuggerLeft("the debugger was left")
        return super()._failed(ready, error)


class Bench:
    """A stage of the crawl with everything it needs to handle a task."""

    def __init__(
        self, stage: Stage, schema: Any, is_async: bool, router: Routes, input: str, hooks: Hooks, *, writes_rows: bool
    ) -> None:
        """writes_rows: to standard output."""
        self.name = router.name
        self.stage = stage
        self.input = input
        self.writes_rows = writes_rows
        self.worker = worker_name(self.name)
        self.calls = 0
        self.room = Room(self.name)
        self._handler = DebugHandler(stage, schema, router, hooks)
        self._is_async = is_async

    def handle(self, leases: Sequence[Lease], runner: Callable[[], Runner]) -> list[Outcome]:
        if not self._is_async:
            return self._handler.handle(leases)
        return runner().run(self._handler.handle_async(leases))

    def counters(self, outcomes: Sequence[Outcome]) -> dict[str, int]:
        return counters_of(self.stage, self.name, outcomes)[0]


class DebugCrawl:
    """The stages of one crawl, which take turns in the thread that calls `wait`. A context manager: closes stages and broker."""

    def __init__(self, broker: Broker, benches: Sequence[Bench], shared: SharedNotes) -> None:
        self.hub = broker
        self.restarts: dict[str, int] = {}
        self.pages = 0
        self._benches = tuple(benches)
        self._room = Room("the crawl")
        self._has_rows = any(bench.writes_rows for bench in benches)
        self._shared = shared
        self._open = ExitStack()
        self._runner: Runner | None = None

    def __enter__(self) -> DebugCrawl:
        self._level = WORKER_LOG.level
        WORKER_LOG.setLevel(logging.DEBUG)  # shows the whole traceback of each failure
        return self

    def __exit__(self, *_: object) -> None:
        WORKER_LOG.setLevel(self._level)
        self.stop_stages()
        self.hub.close()

    def start_hub(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Open the stages. Raises what a stage's `open` raises."""
        meanwhile()
        for bench in self._benches:
            with self._kept_off_rows(bench), opening(bench.name):
                bench.stage.open()
            self._open.callback(self._close, bench)

    def _close(self, bench: Bench) -> None:
        """Close a stage. A failure is reported and does not keep the crawl from its summary."""
        try:
            with self._kept_off_rows(bench), closing(bench.name):
                bench.stage.close()
        except StageUnusable as error:
            log.warning("%s", error)

    def _kept_off_rows(self, bench: Bench) -> AbstractContextManager[None]:
        """Return the context in which a stage runs: if rows go to standard output, only the stage that writes them may."""
        return to_stderr() if self._has_rows and not bench.writes_rows else nullcontext()

    def start_stage(self, name: str, processes: int, arguments: Sequence[str], probed: str = "") -> None:
        """Do nothing: all stages are already here, in one process."""

    def cpu(self, name: str) -> float | None:
        """Return None: the CPU time of a single stage is not known here."""
        return None

    def watch(self) -> Stats | None:
        return self.hub.stats()

    def insist(self, question: Callable[[], T]) -> T:
        return question()

    def is_drained(self, queues: Sequence[str], wait: float = 0.0) -> bool:
        """Tell whether nothing is left. wait: not used, because nothing is done while this thread waits."""
        return self.hub.drained(queues)

    def wait(self, seconds: float, bell: Bell) -> None:
        """Give each stage a turn. If none had work, wait up to `seconds`, or until the bell rings."""
        worked = False
        for bench in reversed(self._benches):  # last stage first: finish begun items before others are begun
            if bell.is_rung:
                return
            worked |= self._turn(bench, bell)
        if not worked:
            wait_for_any([], seconds, bell)

    def kill(self) -> None:
        """Do nothing: the stages end with this process."""

    def interrupt(self) -> None:
        """Make the stage at work end what it waits for. Called in a signal handler: the thread of the stages may hold a lock."""
        for bench in self._benches:
            threading.Thread(target=bench.stage.interrupt, name="interrupt", daemon=True).start()

    def stop_stages(self, *, are_idle: bool = False, meanwhile: Callable[[], None] = lambda: None) -> None:
        self._open.close()
        if self._runner is not None:
            self._runner.close()
            self._runner = None

    def _turn(self, bench: Bench, bell: Bell) -> bool:
        """Let a stage handle one batch of tasks. Returns False if there were none."""
        want = bench.stage.facts.batch or 1
        bench.calls += 1
        answer = self.hub.step(Step(bench.worker, bench.calls, bench.input, want, LEASE))
        self._shared.advance(answer.notes)
        if not answer.leases:
            return False
        with self._kept_off_rows(bench):
            outcomes = bench.handle(answer.leases, self._loop)
        self._hand_in(bench, outcomes)
        trouble = next((outcome.trouble for outcome in outcomes if outcome.trouble is not None), None)
        if isinstance(trouble, DebuggerLeft):
            bell.ring()
        elif isinstance(trouble, StorageFull):
            bench.room.is_full(trouble)
            wait_for_any([], ROOM, bell)
        elif trouble is not None:
            raise trouble
        elif (short := next((outcome.short for outcome in outcomes if outcome.short is not None), None)) is not None:
            log.warning("%s: %s; what was begun is tried again", bench.name, short)
            wait_for_any([], ROOM, bell)
        else:
            bench.room.is_there()
        return True

    def _hand_in(self, bench: Bench, outcomes: Sequence[Outcome]) -> None:
        bench.calls += 1
        step = Step(
            bench.worker, bench.calls,
            done=[outcome.done for outcome in outcomes if outcome.done is not None],
            failed=[outcome.failed for outcome in outcomes if outcome.failed is not None],
            released=[outcome.lease.token for outcome in outcomes if outcome.is_released],
            paces=[pace for outcome in outcomes for pace in outcome.paces],
            counters=bench.counters(outcomes),
        )  # fmt: skip
        while True:
            try:
                self._shared.advance(self.hub.step(step).notes)
            except StorageFull as full:  # the call changed nothing: it succeeds once there is room
                self._room.is_full(full)
                time.sleep(ROOM)
            else:
                self._room.is_there()
                return

    def _loop(self) -> Runner:
        """Return the event loop of all async stages; it is made when first needed."""
        if self._runner is None:
            import asyncio  # here, because only async stages use it

            self._runner = asyncio.Runner()
        return self._runner
