"""The embedded engine: the verbs of `broker.contract`, each as one function of the ledger that is run in a turn at the store.

`turns` says whose thread runs it: one at a time. `:memory:` is the same engine without a file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from random import Random
from typing import Literal, TypeVar

from crawler.broker import arguments
from crawler.broker.clock import Clock, SystemClock
from crawler.broker.contract import MAX_DRAINED_WAIT, MAX_WAIT, Politeness, QueueSpec, Quota, all_pages, is_taker
from crawler.broker.sqlite import hand_in, inbox, insert, inspection, lend, schema
from crawler.broker.sqlite.ballast import Ballast
from crawler.broker.sqlite.calls import Call, Kind, Waiting
from crawler.broker.sqlite.commits import Writer
from crawler.broker.sqlite.disk import Disk
from crawler.broker.sqlite.place import store_path as store_path
from crawler.broker.sqlite.state import Ledger
from crawler.errors import StorageError, StorageFull
from crawler.items import Dead, Found, HostStats, Lease, New, Note, Pace, Stats, Step, Stepped, Story, Verdict

NOBODY = ""  # holds a task in the moment between lease and completion of a classic get; no worker has this name
T = TypeVar("T")


class SqliteBroker:
    """See `broker.base.Broker`. Closing it commits and closes the file; killing it at any moment loses nothing acknowledged."""

    def __init__(
        self,
        path: str,
        queues: Sequence[QueueSpec],
        politeness: Politeness | None = None,
        durability: Literal["normal", "full"] = "normal",
        clock: Clock | None = None,
        random: Random | None = None,
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        """Open or make the store at `path`. Raises UsageError if another hub has it, StorageError if it is no store of ours.

        on_failure is called, in the thread that has the turn, when the disk failed in a way that no later call can succeed.
        """
        clock = clock or SystemClock()
        self._path = path
        ballast = None if path == schema.MEMORY else Ballast(f"{path}-ballast")

        def attempt() -> tuple[sqlite3.Connection, Ledger]:
            db = schema.connect(path)
            return db, _begin(Ledger(db, queues, politeness or Politeness(), clock, random or Random()), path)  # noqa: S311  (jitter, no secret)

        try:
            db, ledger = attempt()
        except StorageFull:  # of a hub that was killed on a disk that filled up: it has left its ballast for this
            if ballast is None or not ballast.release():
                raise
            db, ledger = attempt()
        try:
            log_file = None if path == schema.MEMORY else os.open(f"{path}-wal", os.O_RDONLY)
            disk = Disk(db, path, log_file, ballast)
            disk.record_start()
        except OSError as error:
            db.close()
            raise schema.refusal(path, error) from error
        self._uptime = _since(clock)
        self._writer = Writer(db, path, ledger, clock, disk, durability == "full", on_failure)
        self._writer.start()

    @property
    def failure(self) -> StorageError | None:
        """Set once the file cannot be trusted any more: every call is refused."""
        return self._writer.failure

    # ---- what producers and workers call

    def put(self, items: Sequence[New], caller: str = "", call: int = 0, quota: Quota | None = None) -> list[Verdict]:
        """quota: raise QueueFull rather than pass it."""
        arguments.tasks(items)
        arguments.whole("a call number", call)

        def run(ledger: Ledger) -> list[Verdict]:
            ledger.check(items)
            if caller:
                last = ledger.callers.last(caller, call, is_worker=False)
                if last.call == call:
                    return last.verdicts
            if quota is not None:
                from crawler.broker.sqlite import quotas  # here, because a hub without other roles than admins has none

                quotas.check(ledger.queues, items, quota, self._path)
            verdicts = insert.insert(ledger, items)
            if caller:
                ledger.callers.remember(caller, call, verdicts, ledger.now, is_worker=False)
            return verdicts

        return self._call(run, Kind.BRINGS)

    def step(self, step: Step) -> Stepped:
        arguments.step(step)
        may_wait = bool(step.queue) and step.want > 0 and step.wait > 0

        def arrive(ledger: Ledger) -> Stepped | None:
            stepped = run(ledger)
            hand_in.heard(ledger, step.worker)
            return stepped

        def again(ledger: Ledger) -> Stepped | None:
            return run(ledger, was_here=True)

        def run(ledger: Ledger, was_here: bool = False) -> Stepped | None:
            queue = ledger.queue(step.queue) if step.queue else None
            last = ledger.callers.last(step.worker, step.call, is_worker=True)
            is_new = last.call != step.call
            if is_new:
                verdicts, leases = hand_in.hand_in(ledger, step), []
                self._writer.dismiss(step.worker)
            else:  # repeated, or tried again after a wait: the same answer, and a lease if it had none
                if not was_here:
                    call.is_repeated = True
                    self._writer.repeated(step.worker)
                verdicts, leases = last.verdicts, lend.leased_between(ledger, step.worker, last.first, last.last)
            lent: list[Lease] = []
            if queue is not None and not leases:
                want = queue.share(step.want, 0 if step.is_probe else self._writer.waiting(step.queue, step.worker))
                lent = lend.lend(ledger, queue, step.worker, want, step.ttl, is_probe=step.is_probe)
            if is_new or lent:
                ledger.callers.remember(
                    step.worker,
                    step.call,
                    verdicts,
                    ledger.now,
                    is_worker=True,
                    leases=lent,
                    ttl=step.ttl,
                    queue="" if is_taker(step.worker) else step.queue,
                )
            ledger.callers.set_trouble(step.worker, step.trouble)
            if step.is_last:
                ledger.callers.leave(step.worker)
            if may_wait and not (leases or lent or verdicts):
                return None
            return answer(ledger, verdicts, leases or lent)

        def empty(ledger: Ledger) -> Stepped:
            return answer(ledger, (), ())

        def answer(ledger: Ledger, verdicts: Sequence[Verdict], leases: Sequence[Lease]) -> Stepped:
            commit, durable = self._writer.commits()
            return Stepped(verdicts, leases, ledger.store, ledger.epoch, ledger.notes_version, commit, durable)

        call = Waiting(arrive, again, empty, step.queue, step.worker, step.wait, is_probe=step.is_probe)
        return self._writer.ask(call)

    def extend(self, worker: str, tokens: Sequence[int], ttl: float) -> list[bool]:
        arguments.lifetime(ttl)

        def run(ledger: Ledger) -> list[bool]:
            hand_in.heard(ledger, worker)
            ledger.callers.touch(worker, ledger.now)
            return [ledger.leases.extend(token, worker, ledger.now + ttl) for token in tokens]

        return self._call(run)

    def expire(self, worker: str | None, reason: str = "", begun: Sequence[int] = (), at_work: Sequence[int] = ()) -> int:
        arguments.tokens(begun)
        arguments.tokens(at_work)

        def run(ledger: Ledger) -> int:
            self._writer.dismiss(worker)
            chosen = list(ledger.leases.workers()) if worker is None else [worker]
            leases = [lease for name in chosen for lease in ledger.leases.of(name)]
            for lease in leases:
                ledger.leases.end(lease.token, lease.worker)
            return hand_in.expire(ledger, leases, reason, set(begun), set(at_work))

        return self._call(run)

    def claim(self, worker: str, digest: bytes) -> bool:
        """Store a digest for a worker's name, unless there is one. Returns False if there is another. Forgotten with the worker."""
        return self._call(lambda ledger: ledger.callers.claim(worker, digest, ledger.now))

    def lost(self, worker: str) -> None:
        """Note that a worker's last connection broke: it has some seconds to come back, and no longer waits for tasks."""

        def run(ledger: Ledger) -> None:
            self._writer.dismiss(worker)
            hand_in.lost(ledger, worker)

        self._call(run)

    def pace(self, paces: Sequence[Pace]) -> None:
        arguments.paces(paces)
        self._call(lambda ledger: hand_in.set_paces(ledger, paces) and None)

    def note(self, notes: Sequence[Note], *, is_remade: bool = False, part: float = 1.0) -> int:
        """is_remade: a power cut may undo it, as it may undo a step. part: of the room for notes that these may be in."""
        return self._call(lambda ledger: inspection.note(ledger, notes, part), Kind.STEPS if is_remade else Kind.KEEPS)

    def notes(self, prefix: str, since: int = 0, after: str | None = None) -> list[Note]:
        arguments.whole("a version", since)

        def page(since: int, after: str) -> list[Note]:
            return self._call(lambda ledger: inspection.notes(ledger, prefix, since, after), Kind.ASKS)

        return all_pages(page, since) if after is None else page(since, after)

    def forget(self, notes: Sequence[str] = (), counters: Sequence[str] = ()) -> int:
        return self._call(lambda ledger: inspection.forget(ledger, notes, counters), Kind.KEEPS)

    def take(self, queue: str, n: int, wait: float = 0.0) -> list[bytes]:
        arguments.whole("a number of tasks", n)
        arguments.seconds("a wait", wait)

        def run(ledger: Ledger) -> list[bytes] | None:
            leases = lend.lend(ledger, ledger.queue(queue), NOBODY, n, MAX_WAIT)
            if not leases and n > 0 and wait > 0:
                return None
            ended = [ledger.leases.end(lease.token, NOBODY) for lease in leases]
            hand_in.finish(ledger, [(each, "taken") for each in ended if each is not None])
            return [lease.item for lease in leases]

        return self._writer.ask(Waiting(run, run, lambda _: [], queue, NOBODY, wait))

    def run(self, call: Callable[[Ledger], T]) -> T:
        """Run a function of the ledger in a transaction: for work on a store that no hub serves, such as `review`."""

        def run(ledger: Ledger) -> T:
            inbox.empty_inbox(ledger)
            return call(ledger)

        return self._call(run)

    # ---- what people ask

    def dead(self, queue: str | None = None, limit: int = 100, after: int = 0) -> list[Dead]:
        arguments.whole("a task's number", after)
        return self._call(lambda ledger: inspection.dead(ledger, queue, limit, after), Kind.ASKS)

    def revive(self, ids: Sequence[int]) -> int:
        return self._call(lambda ledger: inspection.revive(ledger, ids))

    def drop(self, ids: Sequence[int]) -> int:
        return self._call(lambda ledger: inspection.drop(ledger, ids))

    def stats(self) -> Stats:
        return self._call(lambda ledger: inspection.stats(ledger, self._uptime()), Kind.ASKS)

    def hosts(self, names: Sequence[str] = ()) -> list[HostStats]:
        return self._call(lambda ledger: inspection.hosts(ledger, names), Kind.ASKS)

    def why(self, queue: str, key: bytes) -> Story | None:
        return self._call(lambda ledger: inspection.why(ledger, queue, key), Kind.ASKS)

    def held(self, worker: str, tokens: Sequence[int] = ()) -> list[str]:
        arguments.tokens(tokens)
        return self._call(lambda ledger: inspection.held(ledger, worker, set(tokens)), Kind.ASKS)

    def find(self, url: str) -> list[Found]:
        return self._call(lambda ledger: inspection.find(ledger, url), Kind.ASKS)

    def drained(self, queues: Sequence[str] | None = None, wait: float = 0.0) -> bool:
        arguments.seconds("a wait", wait)

        def ask(ledger: Ledger) -> bool | None:
            return inspection.drained(ledger, queues) or None

        if not wait:
            return self._call(ask, Kind.ASKS) is True
        return self._writer.ask(Waiting(ask, ask, lambda _: False, "", NOBODY, min(wait, MAX_DRAINED_WAIT), kind=Kind.ASKS)) is True

    def close(self) -> None:
        self._writer.close()

    def _call(self, run: Callable[[Ledger], T], kind: Kind = Kind.STEPS) -> T:
        return self._writer.ask(Call(run, kind))


def _begin(ledger: Ledger, path: str) -> Ledger:
    """The first transaction of a run."""
    try:
        ledger.db.execute("BEGIN IMMEDIATE")
        ledger.open(is_new_epoch=True)
        ledger.flush()
        ledger.db.execute("COMMIT")
    except sqlite3.Error as error:
        ledger.db.close()
        raise schema.refusal(path, error) from error
    return ledger


def _since(clock: Clock) -> Callable[[], float]:
    started = clock.monotonic()
    return lambda: clock.monotonic() - started
