"""Handling of one task by a stage: decode, process, and make the outcome. No hub, no threads of its own.

    Lease ──decode──▶ item ──process──▶ items, Report, Pace   ──route──▶ Outcome(Done + children)
                                      └▶ Retry, any exception ─────────▶ Outcome(Failed)
                                      └▶ GiveUp ───────────────────────▶ Outcome(Failed, for the last time)
                                      └▶ Drop ─────────────────────────▶ Outcome(Done, nothing else)
                                      └▶ StorageError, MachineShort ───▶ Outcome(released): this machine's fault, not the task's

Every lease gets an outcome, whatever a stage does: a task without one would be held for ever.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec

from crawler.codec.bodies import decoder, unfit
from crawler.errors import MachineShort, StorageError
from crawler.items import Done, Failed, Lease, Name, New, Pace, Tried
from crawler.machine.shortage import machine_short
from crawler.stage import Drop, GiveUp, Interrupted, Over, Pending, Retry, Stage, counting
from crawler.wording import places
from crawler.wording.places import trace
from crawler.wording.texts import about, about_body, words
from crawler.worker import forked
from crawler.worker.drops import Drops
from crawler.worker.failure_log import FailureLog
from crawler.worker.gathered import Gathered
from crawler.worker.given import NOTHING, is_item
from crawler.worker.routing import (
    MAX_GIVEN,
    Incomplete,
    Misgiven,
    Routes,
    many,
    misgiven,
    seconds,
    size,
)
from crawler.worker.seed_log import SeedLog

log = logging.getLogger(__name__)


class Outcome(msgspec.Struct):
    """Result of one task; exactly one of done, failed and is_released is set."""

    lease: Lease
    done: Done | None = None
    failed: Failed | None = None
    is_released: bool = False
    trouble: StorageError | None = None  # the worker cannot go on; with StorageFull not now
    short: MachineShort | None = None  # the worker is to hold fewer tasks
    paces: list[Pace] = msgspec.field(default_factory=list)
    counts: Mapping[str, int] = msgspec.field(default_factory=dict)
    counted: Mapping[int, Mapping[str, int]] = msgspec.field(default_factory=dict)  # what stages counted for it: see `stage`
    keys: list[tuple[str, Name]] = msgspec.field(default_factory=list)  # known to the hub once it accepts this
    size: int = 0  # bytes of its children, about


class Handler:
    """A stage with its item type and its router."""

    def __init__(self, stage: Stage, schema: Any, router: Routes) -> None:
        forked.watch()
        self._name = router.name
        self._stage = stage
        self.facts = stage.facts  # the worker sets it again once the stage is open
        self._schema = schema
        self._decoder = decoder(schema)
        self._router = router
        self._names = tuple(f"{name}: " for name in (router.name, *router.later))
        self._failures = FailureLog()
        self._seeds = SeedLog()
        self._drops = Drops()

    def handle(self, leases: Sequence[Lease]) -> list[Outcome]:
        """Process one task, or for a batch stage all of these at once."""
        ready, outcomes = self._decode(leases)
        if not ready:
            return outcomes
        return outcomes + self._finish(ready, lambda: self._process(ready))

    def begin(self, lease: Lease) -> Pending | None:
        """Prepare one task that needs no thread, as `Stage.begin` does: the result finishes with outcomes, and raises nothing.
        Returns None if the task needs a thread, and `handle`."""
        ready, outcomes = self._decode([lease])
        pending: Pending | None = None
        if ready:
            try:
                pending = self._stage.begin(ready[0][1])
            except BaseException as error:  # noqa: BLE001  as in `_finish`
                outcomes = self._failed(ready, error)
        return _Begun(self, ready, pending, outcomes) if pending is not None or outcomes else None

    def prepare(self, lease: Lease) -> tuple[bool, list[Outcome]]:
        """Wait for what `begin` needs, as `Stage.prepare` does. Returns whether to call `begin` again, and the outcomes if the task
        is over."""
        ready, outcomes = self._decode([lease])
        if not ready:
            return False, outcomes
        try:
            return self._stage.prepare(ready[0][1]), []
        except BaseException as error:  # noqa: BLE001  as in `_finish`
            return False, self._failed(ready, error)

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Note that these tasks have ended, in this handler or without it. Nothing is to be done where no hook is told of it."""

    def _finish(self, ready: Sequence[tuple[Lease, Any]], process: Callable[[], Any]) -> list[Outcome]:
        counted: dict[int, dict[str, int]] = {}
        before = counting.set(counted)
        try:
            outcomes = self._conclude(ready, process)
        finally:
            counting.reset(before)
        return self._told(_with_counts(outcomes, counted))

    def _conclude(self, ready: Sequence[tuple[Lease, Any]], process: Callable[[], Any]) -> list[Outcome]:
        try:
            try:
                gathered = self._gather(process(), len(ready))
            except Incomplete as rest:
                gathered = self._gather(iter(rest.taken), len(ready))
                gathered.refused_item = rest.error
            finally:
                forked.end_if_copy(self._name)
        except BaseException as error:  # noqa: BLE001  a panic in a library or its sys.exit() is a verdict on the task as well
            if _is_final(ready, error):
                return self._failed(ready, error)
            return self._one_by_one(ready)
        if gathered.refused_item is None:
            return _done(ready, gathered)
        if len(ready) > 1:
            return self._one_by_one(ready)
        return self._done_in_part(ready, gathered, gathered.refused_item)

    def _told(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Return outcomes with the stage's name before its reports, if they will stand in the story of another stage's task.

        That is so for a task without a key, whose story is not kept: the hub adds them to that of the task from which it came.
        """
        for outcome in outcomes:
            if outcome.done is not None and outcome.done.report and outcome.lease.key is None:
                lines = outcome.done.report.split("\n")
                report = "\n".join(line if line.startswith(self._names) else f"{self._names[0]}{line}" for line in lines)
                outcome.done = msgspec.structs.replace(outcome.done, report=report)
        return outcomes

    def _one_by_one(self, ready: Sequence[tuple[Lease, Any]]) -> list[Outcome]:
        """Process the items of a batch again, each for itself."""
        _forget_counts()
        return [outcome for lease, _ in ready for outcome in self.handle([lease])]

    async def handle_async(self, leases: Sequence[Lease]) -> list[Outcome]:
        """Handle tasks as `handle` does, for a stage whose `process` is async."""
        ready, outcomes = self._decode(leases)
        if not ready:
            return outcomes
        counted: dict[int, dict[str, int]] = {}
        before = counting.set(counted)
        try:
            found = await self._conclude_async(ready)
        finally:
            counting.reset(before)
        return outcomes + self._told(_with_counts(found, counted))

    async def _conclude_async(self, ready: Sequence[tuple[Lease, Any]]) -> list[Outcome]:
        try:
            result = self._process(ready)
            if isinstance(result, AsyncIterator):
                gathered = self._gather(iter([item async for item in result]), len(ready))
            else:
                gathered = self._gather(await result, len(ready))
            forked.end_if_copy(self._name)
        except BaseException as error:
            forked.end_if_copy(self._name)
            if _is_ours(error):
                raise
            if _is_final(ready, error):
                return self._failed(ready, error)
        else:
            if gathered.refused_item is None:
                return _done(ready, gathered)
            if len(ready) == 1:
                return self._done_in_part(ready, gathered, gathered.refused_item)
        _forget_counts()
        return [outcome for lease, _ in ready for outcome in await self.handle_async([lease])]

    def _done_in_part(self, ready: Sequence[tuple[Lease, Any]], gathered: Gathered, error: Misgiven) -> list[Outcome]:
        """Return the outcome of a task of which some items cannot be put: the others are put, and the task is given up.

        It is done, and put on its queue once more as a dead task: a failed task has no children. Where the queue takes a key once
        or is paced by host, that cannot be; there the task fails.
        """
        lease, _ = ready[0]
        failures = self._failed(ready, error)
        failed = failures[0].failed
        back = New(lease.queue, lease.item, depth=lease.depth, tried=Tried(failed.reason, final=True)) if failed else None
        if back is None or not gathered.children or lease.key is not None or lease.host:
            return failures
        if gathered.size + size([back]) > MAX_GIVEN:
            return failures
        gathered.add(back)
        gathered.counts["failed"] += 1
        return _done(ready, gathered)

    def _decode(self, leases: Sequence[Lease]) -> tuple[list[tuple[Lease, Any]], list[Outcome]]:
        ready: list[tuple[Lease, Any]] = []
        refused: list[Outcome] = []
        for lease in leases:
            try:
                ready.append((lease, self._decoder.decode(lease.item)))
            except Exception as error:  # noqa: BLE001  it came over a network: however it cannot be read, it is the item
                reason = words(str(unfit(error, self._name, self._schema, lease.item)))
                level, rest = self._failures.level(error)
                log.log(level, "%s cannot take %s: %s%s", self._name, about_body(lease.item), reason, rest)
                refused.append(Outcome(lease, failed=Failed(lease.token, reason, final=True), counts={"failed": 1}))
        return ready, refused

    def _process(self, ready: Sequence[tuple[Lease, Any]]) -> Any:
        if self.facts.batch:
            return self._stage.process([item for _, item in ready])
        return self._stage.process(ready[0][1])

    def _failed(self, ready: Sequence[tuple[Lease, Any]], error: BaseException) -> list[Outcome]:
        """Return the outcomes of an exception that `process` raised, for the tasks it was given."""
        if isinstance(error, StorageError):
            return [Outcome(lease, is_released=True, trouble=error) for lease, _ in ready]
        if (short := machine_short(error)) is not None:
            return [Outcome(lease, is_released=True, short=short) for lease, _ in ready]
        if isinstance(error, Interrupted):
            return [Outcome(lease, is_released=True) for lease, _ in ready]
        lease, item = ready[0]
        if isinstance(error, Drop):
            self._seeds.dropped(lease, item, error)
            done = Done(lease.token, report=words(f"dropped: {error.reason}"))
            counts = {"dropped": 1} if lease.host else self._drops.counters(error.reason)  # for URLs the stage counts them
            return [Outcome(lease, done=done, counts=counts)]
        if isinstance(error, Retry):
            try:
                return [self._retried(lease, item, error)]
            except ValueError as wrong:
                error = Misgiven(wrong, places.place(error))
        is_final = isinstance(error, GiveUp) or (isinstance(error, Misgiven) and error.is_final)
        which = f"attempt {lease.attempt}{', given up' if is_final else ', the last' if lease.is_last else ''}"
        level, rest = self._failures.level(error, "" if is_final or lease.is_last else "again")
        log.log(level, "%s failed at %s (%s): %s%s", self._name, about(item), which, reason(error), rest,
                exc_info=error if log.isEnabledFor(logging.DEBUG) else None)  # fmt: skip
        kept = trace(error) if lease.is_last and not isinstance(error, GiveUp | Misgiven) else ""
        failed = Failed(lease.token, reason(error), final=is_final, trace=kept)
        return [Outcome(lease, failed=failed, counts={"failed": 1})]

    def _retried(self, lease: Lease, item: Any, retry: Retry) -> Outcome:
        """Return the outcome of a Retry. Raises ValueError if the stage asked for an impossible time."""
        rest = seconds("Retry with a rest", retry.rest)
        paces = [Pace(lease.host, rest=rest)] if rest is not None and lease.host else []
        again = Failed(lease.token, words(str(retry.reason)), seconds("Retry with an after", retry.after))
        self._seeds.retried(lease, item, retry)
        return Outcome(lease, failed=again, paces=paces, counts={"retried": 1})

    def _gather(self, result: Any, items: int) -> Gathered:
        """Take what the stage gave for this number of items."""
        gathered = Gathered()
        has_given = not self._router.outputs
        for item in many(result, self._stage.process):
            has_given = has_given or is_item(item)
            try:
                gathered.add(self._router.take(item))
            except StorageError:
                raise
            except Exception as error:
                wrong = misgiven(error, result, self._stage.process)
                if not wrong.is_of_item:
                    raise wrong from error
                gathered.refused_item = gathered.refused_item or wrong
        if not has_given:
            gathered.counts[NOTHING] += items
        return gathered


class _Begun(Pending):
    """A task of which the stage has begun the item, or that was over before: then it has outcomes."""

    __slots__ = ("_handler", "_outcomes", "_pending", "_ready")

    def __init__(
        self, handler: Handler, ready: Sequence[tuple[Lease, Any]], pending: Pending | None, outcomes: list[Outcome]
    ) -> None:  # fmt: skip
        self._handler = handler
        self._ready = ready
        self._pending = pending
        self._outcomes = outcomes

    def start(self, over: Over) -> bool:
        if self._pending is not None:
            try:
                return self._pending.start(over)
            except BaseException as error:  # noqa: BLE001  as in `_finish`
                self._outcomes = self._handler._failed(self._ready, error)
        over()()
        return True

    def finish(self) -> list[Outcome]:
        if self._outcomes or self._pending is None:
            return self._outcomes
        return self._handler._finish(self._ready, self._pending.finish)


def _with_counts(outcomes: list[Outcome], counted: Mapping[int, Mapping[str, int]]) -> list[Outcome]:
    """Return outcomes with what the stage has counted for them. What was counted for a batch goes in with its first task."""
    if counted:
        outcomes[0].counted = counted
    return outcomes


def _forget_counts() -> None:
    """Drop what was counted for the tasks in hand: they are processed again."""
    counts = counting.get()
    if counts is not None:
        counts.clear()


def _is_final(ready: Sequence[tuple[Lease, Any]], error: BaseException) -> bool:
    """Return whether retrying is pointless. If not, one item of the batch is at fault, and the others are tried without it."""
    return len(ready) == 1 or isinstance(error, StorageError) or machine_short(error) is not None


def _done(ready: Sequence[tuple[Lease, Any]], gathered: Gathered) -> list[Outcome]:
    """Make the outcomes of finished tasks. A batch's output goes in with its first task: they were leased in one step and are
    extended in one heart-beat, so they are all still ours or none is."""
    first, *others = [lease for lease, _ in ready]
    outcome = Outcome(
        first, done=Done(first.token, gathered.children, gathered.report),
        paces=gathered.paces, counts=gathered.counts, keys=gathered.keys, size=gathered.size,
    )  # fmt: skip
    return [outcome, *(Outcome(lease, done=Done(lease.token, report=gathered.report)) for lease in others)]


def reason(error: BaseException) -> str:
    """Return in one line why an attempt failed: the stage's own reason, or the exception with the line of the author's code."""
    if isinstance(error, GiveUp | Retry):
        return words(str(error.reason))
    return words(str(error)) if isinstance(error, Misgiven) else places.told(error)


def _is_ours(error: BaseException) -> bool:
    """Return whether we are cancelling this asyncio task ourselves; its outcome is not used."""
    import asyncio  # here, because it takes a tenth of a start, and only async stages have use for it

    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, GeneratorExit)
