"""The worker: one loop, lease → process → step, and nothing else in it.

    hub ──step──▶ leases ──▶ pool (handler: decode, process, route) ──▶ finished ──step──▶ hub

Heart-beats, hung tasks and stopping live beside the loop. The worker is handed its broker; it does not know of what kind it is.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from crawler.broker.contract import Broker
from crawler.errors import CrawlerError, HubError, HubLost, HubUnreachable, StorageError, StorageFull
from crawler.items import Failed, Lease, Pace, Step, Stepped, Verdict
from crawler.machine.room import LOG_HUB, Room, in_short
from crawler.stage import NOT_SLOW, Stage
from crawler.wording.counting import counted
from crawler.wording.texts import about_body
from crawler.worker.handler import Handler, Outcome
from crawler.worker.held import Held
from crawler.worker.marks import Marks
from crawler.worker.opening import closing, opening
from crawler.worker.overlap import BEHIND, LINGER, OverlapPool, Window, until_told
from crawler.worker.pool import MOST_THREADS, Finished, Pool, Tempo, ThreadPool
from crawler.worker.routing import Routes, pace
from crawler.worker.shared_notes import SharedNotes
from crawler.worker.strain import Strain  # not when it is needed: a module is a file to open
from crawler.worker.stuck import Watch
from crawler.worker.tally import Late, Tally, counters_of

if TYPE_CHECKING:
    from crawler.worker.hooked import Hooks

log = logging.getLogger(__name__)

POLL = 0.3  # s; longest wait at the hub before we look at stop
IDLE = 0.1  # s between looks for work while tasks are in process and there is room for more
GATHER = 0.02  # s the same where items are taken in batches: more of them come meanwhile
GRACE = 17.0  # s from the wish to stop until unfinished tasks are released; with CLOSING, and all that takes: 20 s.
#                       A stage may have less for what only waits: see `Stage.grace`
CLOSING = 2.0  # s more for tasks still in process then, or after an error: the stage must not be closed while it works
ROOM = 1.0  # s between tries while a disk is full
LOOK = 1.0  # s between calls of `Stage.slow`
LOOK_FULL = 0.2  # s the same while there is no room for more tasks: slow ones give up their places
WAITING = 2  # tasks that may wait for a thread, for each thread
HEARTBEATS = 3  # per lease time: two may get lost


class StageHung(CrawlerError):
    """Raised if a task did not come back from `process` in time; only ending the process frees its thread."""


def worker_name(stage: str) -> str:
    """Return a name no other worker has, and that a person can find: stage, host, process."""
    return f"{stage}@{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


class Worker:
    """Runs one stage against a broker until it is stopped."""

    def __init__(
        self, stage: Stage, schema: Any, is_async: bool, router: Routes, *, name: str = "", broker: Broker, side: Broker,
        input: str, shared: SharedNotes, worker: str, concurrency: int = 0, lease: float = 30.0, tally: Tally | None = None,
        on_lost: Callable[[], None] = lambda: None, marks: Marks | None = None, is_probe: bool = False, hooks: Hooks | None = None,
    ) -> None:  # fmt: skip
        """broker: for the loop alone. side: a second connection, for heart-beats, which must not wait behind a long poll.

        name: of the stage, under which its tasks are counted; the default is the router's name.
        concurrency: items in process at once, 0: what the stage's class says. lease: s a task is ours between heart-beats.
        tally: counts what was done; other threads may read it. on_lost: called once the hub is given up, before the stage is
        closed, so that nothing else waits for it. marks: written for each task begun, for the process that supervises this one.
        is_probe: take only quarantined tasks, one at a time: their worker died. hooks: told of each task; None: there are none.
        """
        self._name = name or router.name
        self._stage = stage
        self._broker = broker
        self._side = side
        self._input = input
        self._worker = worker
        self._shared = shared
        self._lease = lease
        self._tally = tally or Tally()
        self._on_lost = on_lost
        self._router = router
        self._held = Held(marks)
        self._is_probe = is_probe
        self._finished = Finished()
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._call = 0
        self._store = 0
        self._epoch = 0
        self._give_up_at = math.inf  # monotonic time; while a disk is full, and once we must stop
        self._hub_room, self._output_room = Room(self._name, LOG_HUB), Room(self._name)
        self.has_leftovers = False  # threads are still in `process`: only the end of the process ends them
        self._facts = stage.facts  # read again once the stage is open
        self._chosen = concurrency
        self._concurrency = concurrency or self._facts.concurrency
        self._window = Window(self._concurrency, is_fixed=True)
        self._slow = NOT_SLOW
        self._is_dry = False  # the hub had fewer tasks than we asked for
        self._next_hung = 0.0  # monotonic time at which hung tasks are looked for
        self._next_look = 0.0  # monotonic time of the next call of `Stage.slow`
        self._pool: Pool | None = None  # with a loop of its own, beside which few tasks have a thread
        self._tempo = Tempo(self._concurrency)
        self._handler = _handler(stage, schema, router, hooks)
        self._is_async = is_async
        self._late = Late(input)
        self._watch = Watch(router.name, stage, is_async, self._held)
        self._strain: Strain | None = None  # made when this machine first lacks something

    def stop(self) -> None:
        """Lease no more; finish or give back within `GRACE`. May be called from a signal handler."""
        self._give_up_at = min(self._give_up_at, time.monotonic() + GRACE)
        self._stop.set()
        self._finished.wake()

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    @property
    def holds_tasks(self) -> bool:
        return len(self._held) > 0

    def run(self) -> None:
        """Work until stopped. Raises what made it impossible to go on: HubError, StorageError, StageHung, or open()'s error."""
        if not self._is_opened():
            return
        pool = self._make_pool()
        threading.Thread(target=self._beat, name="heart", daemon=True).start()
        try:
            self._loop(pool)
            self._hand_back(pool)
            self._leave()
        except (HubLost, HubUnreachable):
            self._on_lost()
            raise
        finally:
            self._ended.set()
            self.has_leftovers = not pool.close(CLOSING)
            if not self.has_leftovers:  # else it still uses what close() would take away, or holds its locks
                with closing(self._name):
                    self._stage.close()

    def _is_opened(self) -> bool:
        """Open the stage, after a wait for disk space if need be. Returns False if the worker was stopped before there was any."""
        while True:
            try:
                with opening(self._name):
                    self._stage.open()
            except StorageFull as full:
                if self._stop.is_set():
                    return False
                self._tell(full)
                self._wait_for_room(self._output_room, full)
            else:
                self._output_room.is_there()
                return True

    def _make_pool(self) -> Pool:
        self._facts = self._handler.facts = self._watch.facts = self._stage.facts  # `open` may have set some
        self._held.starts_work = not (self._facts.overlap or self._is_async)
        self._stage.on_work = self._held.thread_works
        if self._facts.overlap:
            self._window = Window(self._chosen or self._facts.overlap, is_fixed=bool(self._chosen))
            self._tempo = Tempo(1)
            self._pool = OverlapPool(self._handler, self._held, self._finished, self._tempo, self._window, self._concurrency)
            return self._pool
        if not self._is_async:
            return ThreadPool(self._handler, self._held, self._finished, self._tempo, self._concurrency)
        from crawler.worker.async_pool import TaskPool  # here, because a stage that is not async has no use for asyncio

        return TaskPool(self._handler, self._held, self._finished, self._tempo, self._concurrency)

    # ---- the loop

    def _loop(self, pool: Pool) -> None:
        while not self._stop.is_set():
            busy = len(self._held)
            if busy or (self._strain is not None and self._strain.is_pausing()):
                room = self._room()
                self._finished.wait(*self._patience(busy, room), IDLE if busy < room else POLL)
            # One round trip: hand in finished tasks, lease as many as there is room for. If we die before this line
            # the leases run out and another worker does the tasks again. Twice is fine, never is not.
            answer = self._step(self._finished.take(), wait=0.0 if busy else POLL)
            self._begin(pool, answer.leases)
            self._look_for_hung()
            self._watch.look(time.monotonic())
            self._look_for_slow(pool)
            if len(self._held) > 2 * self._room():  # quick tasks have become slow: other workers may do the waiting ones
                self._give_back(pool)

    def _room(self) -> int:
        """Tasks to hold, in process or next."""
        full = self._full_room()
        if self._strain is None or not self._strain.is_on:
            return full
        return min(full, self._strain.size * (self._facts.batch or 1) + self._held.beyond())

    def _full_room(self) -> int:
        """Return how many tasks to hold on a machine that lacks nothing."""
        if self._is_probe:
            return 1
        if self._facts.overlap:
            # Arrived tasks wait for this worker and need no place; a slow one leaves its place to another.
            return self._window.size + self._held.beyond() + self._slow.items
        slow = self._slow.items + max(self._slow.items - self._concurrency, 0)
        threads = min(self._concurrency + slow, max(self._concurrency, MOST_THREADS))
        return (self._facts.batch or 1) * threads + max(self._facts.prefetch, self._tempo.ahead())

    def _look_for_slow(self, pool: Pool) -> None:
        """Ask the stage at intervals which tasks are slow, and add threads for them."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._slow = self._stage.slow()
        pool.widen(self._slow)
        self._next_look = now + (LOOK if self._want() else LOOK_FULL)

    def _patience(self, busy: int, room: int) -> tuple[int, float]:
        """(n, seconds): report after n finished tasks, or seconds after the first."""
        if self._facts.batch:
            return self._facts.batch, GATHER
        busy = max(busy - self._slow.items, 0)  # no news is expected of slow tasks
        if not self._facts.overlap:
            return max(1, min(busy, room // 2)), LINGER
        return until_told(busy, self._held.beyond(), self._tempo, is_dry=self._is_dry)

    def _want(self) -> int:
        """Tasks to ask for. With much arrived and not worked on we ask for none: others may have them."""
        if self._facts.overlap and self._held.beyond() > max(1, self._tempo.ahead(BEHIND)):
            return 0
        if self._strain is not None and self._strain.is_pausing():
            return 0
        room = max(self._room() - len(self._held), 0)
        # What would only wait here for a thread may be had by others.
        return room if self._pool is None else min(room, max(WAITING * self._concurrency - self._pool.waiting(), 0))

    def _step(self, finished: Sequence[Outcome], wait: float | None = None) -> Stepped:
        """wait: s for a task, if there is none; None: no task is asked for."""
        untouched = self._held.untouched(finished)
        held = len(self._held)
        self._handler.settle(finished)
        outcomes = self._held.end(finished)
        self._feel_strain(outcomes, held)
        self._call += 1
        step = self._build(outcomes, untouched, 0 if wait is None else self._want(), wait or 0.0)
        answer, asked_at = self._ask(step)
        if answer.store != self._store:
            self._begin_anew(answer.store)
        if answer.epoch != self._epoch:  # after a power cut it may have lost what it answered
            self._epoch = answer.epoch
            self._router.known.clear()
            self._shared.clear()
        self._router.known.trust(answer.durable)
        self._shared.advance(answer.notes)
        self._held.add(answer.leases, asked_at + self._lease)
        if step.want:
            self._is_dry = len(answer.leases) < step.want
        if self._facts.overlap:
            self._window.see(self._held.beyond(), self._tempo, is_fed=0 < step.want <= len(answer.leases))
        self._learn(outcomes, answer)
        self._tally.see(answer, len(self._held), self._output_room.trouble or self._note())
        trouble = next((outcome.trouble for outcome in outcomes if outcome.trouble is not None), None)
        if isinstance(trouble, StorageFull):
            self._wait_for_room(self._output_room, trouble)
        elif trouble is not None:
            self._release_all()
            raise trouble
        elif any(outcome.done is not None for outcome in outcomes):
            self._output_room.is_there()
        return answer

    def _note(self) -> str:
        """Return the worker's trouble, for people: what the machine lacks, or which slow tasks hold its places."""
        lack = self._strain.trouble if self._strain is not None else ""
        return lack or self._slow.note or self._watch.note(time.monotonic())

    def _feel_strain(self, outcomes: Sequence[Outcome], held: int) -> None:
        """Hold fewer tasks if this machine lacks something, and more again later. held: tasks before these were at their end."""
        short = next((outcome.short for outcome in outcomes if outcome.short is not None), None)
        if short is not None:
            if self._strain is None:
                self._strain = Strain(self._name)
            self._strain.met(short, held)
        if self._strain is not None and self._strain.is_on:
            self._strain.see(self._full_room(), has_answer=any(outcome.done or outcome.failed for outcome in outcomes))

    def _ask(self, step: Step) -> tuple[Stepped, float]:
        """Return the hub's answer, and when it was asked. While the hub's disk is full the step is repeated: no part of it was
        kept."""
        while True:
            asked_at = time.monotonic()
            try:
                answer = self._broker.step(step)
            except StorageFull as full:
                if asked_at > self._give_up_at:
                    raise
                self._wait_for_room(self._hub_room, full)
            else:
                self._hub_room.is_there()
                return answer, asked_at

    def _wait_for_room(self, room: Room, full: StorageFull) -> None:
        """Wait a little, because a disk is full, the hub's or a sink's, until a person frees some space."""
        room.is_full(full)
        self._tally.trouble = room.trouble
        self._ended.wait(ROOM)  # not for `stop`: the outcomes must still be handed in

    def _tell(self, full: StorageFull) -> None:
        """Tell the hub that the stage cannot be opened for lack of room."""
        self._call += 1
        with suppress(StorageError):  # its own disk is full too, and it says so itself
            self._broker.step(Step(self._worker, self._call, trouble=in_short(full)))

    def _build(self, outcomes: list[Outcome], untouched: set[int], want: int, wait: float) -> Step:
        given_back = [outcome.lease.token for outcome in outcomes if outcome.is_released]
        counters, of_each = counters_of(self._stage, self._name, outcomes)
        return Step(
            self._worker, self._call, self._input, want, self._lease, wait, is_probe=self._is_probe,
            done=[outcome.done for outcome in outcomes if outcome.done is not None],
            failed=[outcome.failed for outcome in outcomes if outcome.failed is not None],
            released=[token for token in given_back if token not in untouched],
            returned=[token for token in given_back if token in untouched],
            arrived=self._held.arrivals(),
            paces=[*self._told(), *(pace for outcome in outcomes for pace in outcome.paces)],
            counters=counters,
            of_each=of_each,
            trouble=next((in_short(each.trouble) for each in outcomes if isinstance(each.trouble, StorageFull)),
                         self._note()),
        )  # fmt: skip

    def _told(self) -> list[Pace]:
        """Return the stage's facts about hosts, without those the hub would refuse."""
        paces = []
        for given in self._stage.take_paces():
            try:
                paces.append(pace(given))
            except ValueError as wrong:
                log.warning("%s told something that is not possible, and it is left out: %s", self._name, wrong)
        return paces

    def _begin_anew(self, store: int) -> None:
        """Forget all tasks and facts, because the hub answers from another store than before."""
        self._store = store
        if lost := sum(map(len, self._held.clear())):
            log.warning("the hub has another store now; %s of the old one forgotten", counted(lost, "task"))
        self._router.known.clear()
        self._shared.clear()

    def _learn(self, outcomes: list[Outcome], answer: Stepped) -> None:
        handed_in = [outcome for outcome in outcomes if outcome.done is not None]
        late = 0
        for outcome, verdict in zip(handed_in, answer.verdicts, strict=False):  # done ones come first
            if verdict == Verdict.DONE:
                if outcome.keys:
                    self._router.known.learn(outcome.keys, answer.commit)
            elif verdict == Verdict.STALE:
                late += 1
                self._stage.uncounted(outcome.counted.get(id(self._stage), {}))
            else:
                log.error("task %d on %s is %s: the hub could not store what it gave", outcome.lease.id, self._input, verdict)
        self._late.see(late, time.monotonic())

    def _begin(self, pool: Pool, leases: Sequence[Lease]) -> None:
        """Start the leased tasks."""
        size = self._facts.batch or 1
        pool.resume()
        for start in range(0, len(leases), size):
            pool.submit(list(leases[start : start + size]))

    # ---- beside the loop

    def _beat(self) -> None:
        """Send a heart-beat, so that the leases held do not run out."""
        while not self._ended.wait(self._lease / HEARTBEATS):
            tokens = self._held.tokens()
            if not tokens:
                continue
            started = time.monotonic()
            try:
                kept = self._side.extend(self._worker, tokens, self._lease)
            except (HubError, StorageError) as error:  # the loop meets the same, and reports it
                log.debug("no heart-beat reached the hub: %s", error)
                continue
            self._held.extend(tokens, kept, started + self._lease)

    def _look_for_hung(self) -> None:
        now = time.monotonic()
        if now < self._next_hung:  # all that is held is looked at
            return
        self._next_hung = now + min(LOOK, self._facts.hang / 10, self._facts.hang_at_work / 10)
        hung, hang = self._held.hung(self._facts.hang, self._facts.hang_at_work, self._stage.at_work)
        if not hung:
            return
        reasons = [f"still in process after {hang:g} s{self._watch.where(lease)}" for lease in hung]
        counts = {"failed": 1}
        self._finished.add(
            [Outcome(lease, failed=Failed(lease.token, reason), counts=counts) for lease, reason in zip(hung, reasons, strict=True)]
        )
        while finished := self._finished.take():
            self._step(finished)
        self._release_all()
        tasks = counted(len(hung), "task")
        what = f"{tasks} of stage {self._name!r}, the first {about_body(hung[0].item)}, {reasons[0]}"
        raise StageHung(f"{what}; this worker ends so that a new one can start")

    def _give_back(self, pool: Pool) -> None:
        """Release the tasks that are not begun, so that others can do them; no attempt is counted."""
        self._finished.add([Outcome(lease, is_released=True) for lease in pool.withdraw()])

    def _hand_back(self, pool: Pool) -> None:
        """Stop: finish the tasks in process, release the others."""
        self._give_back(pool)
        began = time.monotonic()
        interrupt_at, give_up = began + self._facts.grace, began + GRACE
        while len(self._held) and (now := time.monotonic()) < give_up:
            if now >= interrupt_at:
                interrupt_at = math.inf
                self._interrupt()
            self._finished.wait(len(self._held), LINGER, min(POLL, min(interrupt_at, give_up) - now))
            self._step(self._finished.take())
        if unfinished := len(self._held):
            log.warning("released, because not finished within %g s: %s", GRACE, counted(unfinished, "task"))
            self._release_all()

    def _leave(self) -> None:
        """Tell the hub that this worker ends, so that it is not listed as running."""
        self._late.see(0, math.inf)
        if not self._call:  # the hub does not know it
            return
        self._call += 1
        with suppress(HubError, StorageError):  # then it is listed until it has not called for a while
            self._broker.step(Step(self._worker, self._call, is_last=True))

    def _interrupt(self) -> None:
        """Give back what only waits. First it is made to end: its host is not to be asked by two at once."""
        if leases := self._held.give_up_waiting(self._stage.at_work):
            log.info("given back, because not finished in %g s: %s", self._facts.grace, counted(len(leases), "task"))
            self._stage.interrupt()
            self._release(leases)

    def _release_all(self) -> None:
        begun, untouched = self._held.clear()
        if begun or untouched:
            self._release(begun, untouched)

    def _release(self, begun: Sequence[Lease], untouched: Sequence[Lease] = ()) -> None:
        self._call += 1
        self._handler.settle([Outcome(lease, is_released=True) for lease in (*begun, *untouched)])
        released, returned = ([lease.token for lease in leases] for leases in (begun, untouched))
        self._ask(Step(self._worker, self._call, released=released, returned=returned))


def _handler(stage: Stage, schema: Any, router: Routes, hooks: Hooks | None) -> Handler:
    if hooks is None:
        return Handler(stage, schema, router)
    from crawler.worker.hooked import HookedHandler  # here, because few installations have hooks

    return HookedHandler(stage, schema, router, hooks)
