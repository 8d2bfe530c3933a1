"""One turn at the store: all waiting calls in one commit, and calls that find nothing to lease are parked.

calls of a turn ──▶ [ BEGIN · tick · call · call · … · COMMIT · sync? ] ──▶ answers
                          │ nothing to lease: parked
                          └──▶ tried again in every later transaction, until their time is up
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from crawler.broker.clock import Clock
from crawler.broker.sqlite import hand_in, inbox
from crawler.broker.sqlite.calls import Call, Kind, Waiting
from crawler.broker.sqlite.disk import Disk
from crawler.broker.sqlite.state import Ledger
from crawler.broker.sqlite.turns import Turns
from crawler.errors import CrawlerError, StorageError

log = logging.getLogger(__name__)

SYNC_EVERY = 0.1  # s between syncs of the log under durability "normal": what a power cut may undo
# What SQLite says when a statement or its values are at fault; everything else with a code is the disk's or the file's.
OUR_FAULTS = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_RANGE,
              sqlite3.SQLITE_TOOBIG)  # fmt: skip
T = TypeVar("T")


class Writer:
    """Runs calls on a ledger, in the thread that has the turn, from `start` to `close`."""

    def __init__(self, db: sqlite3.Connection, path: str, ledger: Ledger, clock: Clock, disk: Disk, syncs_all: bool,
                 on_failure: Callable[[], None] | None) -> None:  # fmt: skip
        """Connection and disk are closed by `close`."""
        self._db = db
        self._path = path
        self._ledger = ledger
        self._clock = clock
        self._disk = disk
        self._syncs_all = syncs_all
        self._on_failure = on_failure
        self._turns = Turns(self._take)
        self._parked: list[Waiting[Any]] = []
        self._must_reread = False
        self._stop_syncing = threading.Event()
        self.failure: StorageError | None = None  # set once the file cannot be trusted any more: every call is refused
        self._syncer = threading.Thread(target=self._sync_often, name="broker-sync", daemon=True)

    def start(self) -> None:
        self._clock.subscribe(self._turns.poke)
        self._turns.start(self._disk.patience(0.0 if inbox.coming(self._ledger) else None))
        self._syncer.start()

    def ask(self, call: Call[T]) -> T:
        """Run a call and return its answer, or raise its error. Raises StorageError if the disk failed."""
        if self.failure is not None:
            raise self.failure
        return self._turns.ask(call, self._closed)

    def commits(self) -> tuple[int, int]:
        """Return, within a call, the number of its commit and that of the last commit that is safe from a power cut."""
        return self._disk.commits + 1, self._disk.durable

    def dismiss(self, worker: str | None) -> None:
        """Drop, within a call, the parked calls of this worker (None: of all): the worker is gone and must not lease anything."""
        for call in self._parked:
            if worker is None or call.worker == worker:
                call.is_dismissed = True

    def waiting(self, queue: str, worker: str) -> int:
        """Count, within a call, the other workers that wait for ordinary tasks of this queue."""
        others = [call for call in self._parked if call.queue == queue and call.worker not in ("", worker)]
        return sum(not (call.is_probe or call.is_dismissed) and call.answer is None for call in others)

    def repeated(self, worker: str) -> None:
        """Note, within a call, that it is a repetition: parked calls of this worker get the same answer."""
        for call in self._parked:
            if call.worker == worker:
                call.is_repeated = True

    def close(self) -> None:
        """Answer the calls that have come in, dismiss the parked ones, and close the file."""
        if not self._turns.close():
            return
        self._refuse(self._parked, self._closed())
        self._stop_syncing.set()
        self._syncer.join()
        if self.failure is not None and sys.version_info >= (3, 12):  # what a disk that fails gives back goes nowhere else
            self._db.setconfig(sqlite3.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, True)
        try:
            self._disk.close()
        except OSError as error:
            raise self.failure or self._broken(error) from error
        finally:
            self._db.close()

    # ---- a turn

    def _take(self, calls: list[Call[Any]]) -> float | None:
        """Run these calls, in the thread that has the turn. Returns the seconds for which nothing can change by itself."""
        try:
            return self._disk.patience(self._handle(calls))
        except BaseException:  # whose thread was interrupted: the others in this turn are not to wait for ever
            self._refuse([call for call in calls if call not in self._parked], self._interrupted())
            raise

    def _handle(self, calls: list[Call[Any]], *, may_make_room: bool = True) -> float | None:
        """Run these calls and answer them, whatever happens. Returns the seconds in which nothing can change by itself."""
        if self.failure is not None:
            self._refuse(calls, self.failure)
            return None
        try:
            pause = self._commit(calls)
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, sqlite3.Error) and _code(error) in (None, *OUR_FAULTS):
                return self._isolate(calls, error)
            if _is_full(error) and may_make_room and self._disk.make_room():
                return self._handle(calls, may_make_room=False)
            return self._failed(calls, error)
        except Exception as error:  # noqa: BLE001  a fault of ours must not leave every caller waiting for ever
            return self._isolate(calls, error)
        try:
            self._disk.tidy()
        except sqlite3.Error as error:  # the calls are answered: it is the next ones that have to know
            if not (_is_full(error) and self._disk.make_room()):
                return self._failed([], error)
        return pause

    def _isolate(self, calls: list[Call[Any]], error: Exception) -> float | None:
        """Something is wrong with one of these calls: the others are not to suffer for it."""
        if len(calls) > 1:
            return [self._handle([call]) for call in calls][-1]
        log.error("a fault in the broker; nothing of the call was kept", exc_info=error)
        if calls:
            self._refuse(calls, error)
            return 0.0  # check the parked calls
        self._refuse(self._parked, error)
        self._parked = []
        return None

    def _failed(self, calls: Sequence[Call[Any]], error: sqlite3.Error | OSError) -> float | None:
        """Handle a fault of the disk: a full one may have room again; after any other fault the file cannot be trusted."""
        failure: StorageError
        if isinstance(error, sqlite3.Error) and _is_full(error):
            failure = self._disk.ran_out(error)
            self._answer_questions([call for call in calls if call.kind == Kind.ASKS])
        else:
            failure = self.failure = self._broken(error)
            if self._on_failure is None:  # if not, the function that is called reports it
                log.error("%s", failure)
        self._refuse([*calls, *self._parked], failure)
        self._parked = []
        if self.failure is not None and self._on_failure is not None:
            self._on_failure()
        return None

    def _answer_questions(self, calls: Sequence[Call[Any]]) -> None:
        """People want to know why nothing goes on: what only asks is answered from a transaction that is not kept."""
        try:
            self._db.execute("BEGIN")
            self._ledger.open(is_new_epoch=False)
            for call in calls:
                self._has_answer(call, is_parked=False)
        except Exception as error:  # noqa: BLE001  a question that cannot be answered is refused as the other calls are
            log.debug("nor can %s be asked: %s", self._path, error)
        else:
            for call in calls:
                call.settle()
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _commit(self, calls: list[Call[Any]]) -> float | None:
        """Run these calls and the parked ones in one transaction."""
        ledger, db = self._ledger, self._db
        self._disk.look()
        ledger.is_short = self._disk.is_short
        before = list(self._parked)
        answered: list[Call[Any]] = []
        still: list[Waiting[Any]] = []
        try:
            db.execute("BEGIN IMMEDIATE")
            if self._must_reread:
                ledger.open(is_new_epoch=False)
                self._must_reread = False
            hand_in.tick(ledger)
            if inbox.coming(ledger) and not ledger.is_short:
                inbox.put_slice(ledger)
            for call in calls:
                if self._has_answer(call, is_parked=False):
                    answered.append(call)
                elif isinstance(call, Waiting):
                    call.deadline = ledger.now + call.wait
                    self._parked.append(call)
            empty = set[str]()  # queues that had no task for a parked call: they have none for the next either
            for waiting in self._parked:  # those who came first, first
                if waiting.queue in empty and not waiting.is_probe and waiting.waits_for_tasks_alone(ledger.now):
                    still.append(waiting)
                elif self._has_answer(waiting, is_parked=True):
                    answered.append(waiting)
                else:
                    still.append(waiting)
                    # The tasks for a probe, and for any worker while there are suspects, depend on the worker.
                    if waiting.queue and not (waiting.is_probe or ledger.queue(waiting.queue).suspects):
                        empty.add(waiting.queue)
            event = hand_in.next_event(ledger, [ledger.queue(name) for name in {call.queue for call in still} - {""}])
            ledger.flush()
            db.execute("COMMIT")
        except BaseException:
            self._parked = before
            self._must_reread = True
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        self._disk.committed()
        if self._syncs_all or any(call.kind in (Kind.KEEPS, Kind.BRINGS) for call in answered):
            self._disk.sync()
        self._parked = still  # not before: if the sync fails, all of them hear of it
        for call in answered:
            call.settle()
        if inbox.coming(ledger) and not ledger.is_short:
            return 0.0
        if not still:
            return None
        times = [call.deadline for call in still]
        return self._clock.patience(min(times if event is None else [event, *times]) - ledger.now)

    def _has_answer(self, call: Call[Any], *, is_parked: bool) -> bool:
        """Run a call. Returns False if there is no answer yet and it may wait."""
        if isinstance(call, Waiting) and call.is_dismissed:
            call.answer = call.empty(self._ledger)
            return True
        if call.kind == Kind.BRINGS and self._disk.is_short:
            call.refusal = self._disk.refusal()
            return True
        run = call.again if is_parked and isinstance(call, Waiting) else call.run
        try:
            call.answer = run(self._ledger)
        except CrawlerError as refusal:  # raised before anything was changed
            call.refusal = refusal
            return True
        if call.answer is not None or not isinstance(call, Waiting):
            return True
        if is_parked and call.deadline <= self._ledger.now:
            call.answer = call.empty(self._ledger)
        return call.answer is not None

    def _refuse(self, calls: Sequence[Call[Any]], error: Exception) -> None:
        for call in calls:
            call.refuse(error)

    def _closed(self) -> StorageError:
        return StorageError(f"the store {self._path} is closed")

    def _interrupted(self) -> StorageError:
        return StorageError(f"a call to the store {self._path} was interrupted; whether this one was kept is not known, repeat it")

    def _broken(self, error: Exception) -> StorageError:
        return StorageError(
            f"the store {self._path} failed: {error}; whether this call was kept is not known, look at the disk and start again"
        )

    # ---- the disk

    def _sync_often(self) -> None:
        while not self._stop_syncing.wait(SYNC_EVERY):
            try:
                self._disk.sync_late()
            except OSError as error:
                with contextlib.suppress(StorageError):
                    self.ask(Call(_raising(error), Kind.STEPS))  # as a turn it is known what to do about it
                return


def _code(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code; None for what Python's own part of the module refuses."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _is_full(error: sqlite3.Error | OSError) -> bool:
    return isinstance(error, sqlite3.Error) and _code(error) == sqlite3.SQLITE_FULL


def _raising(error: OSError) -> Callable[[Ledger], None]:
    def run(_: Ledger) -> None:
        raise error

    return run
