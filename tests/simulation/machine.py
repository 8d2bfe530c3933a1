"""The hub's machine: a broker of the package over a real file, a disk that can fail, and what is left after a crash.

request ──▶ task ──▶ SqliteBroker ──▶ a turn of this task or another's ──▶ COMMIT ──▶ referee ──▶ answer
                                                         │ fdatasync, now and then
                                                         ╰──▶ what a power cut leaves of the log
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.callers import FORGET
from crawler.errors import CallRefused, StorageError
from crawler.hub import classic, verbs
from tests.simulation.referee import Referee
from tests.simulation.scheduler import Process, Scheduler

NO_LIMIT = 1 << 30  # pages of a database file: more than any run needs
COMMIT_TIME = 0.0001  # s at most, before a commit is one and after that
BALLAST = 16  # pages that the ballast is worth here
Answer = Callable[[bytes | None], None]


class Clock:
    """The clocks of the hub's machine: `wall` can be set by somebody, `monotonic` cannot."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.offset = 1_700_000_000.0  # s
        self.went_ahead = False  # by a day or more, at some time

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.offset += seconds
        self.went_ahead = self.went_ahead or seconds >= FORGET

    def wall(self) -> float:
        return self._scheduler.now + self.offset

    def monotonic(self) -> float:
        return self._scheduler.now

    def patience(self, seconds: float) -> float:
        return max(seconds, 0.0)

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Time passes by itself here."""


class Disk:
    """`os` for the engine: knows how much of each file is safe from a power cut, and can fail to make more of it so."""

    def __init__(self) -> None:
        self.is_broken = False  # what is to be put on it cannot be
        self.is_full = False
        self.has_ballast = False
        self._paths: dict[int, str] = {}
        self.safe: Counter[str] = Counter()  # bytes at the beginning of each file

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: str, *args: Any, **kwargs: Any) -> int:
        descriptor = os.open(path, *args, **kwargs)
        self._paths[descriptor] = str(path)
        return descriptor

    def close(self, descriptor: int) -> None:
        self._paths.pop(descriptor, None)
        os.close(descriptor)

    def fdatasync(self, descriptor: int) -> None:
        if self.is_broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.safe[self._paths[descriptor]] = os.fstat(descriptor).st_size

    def forget_descriptors(self) -> None:
        """The process that had them is gone."""
        for descriptor in list(self._paths):
            self.close(descriptor)


class Ballast:
    """The engine's, as a number: it has no need of 16 MiB in each run."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    @property
    def is_there(self) -> bool:
        return self._hub.disk.has_ballast

    def make(self) -> None:
        if self._hub.disk.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._hub.disk.has_ballast = True

    def release(self) -> bool:
        had, self._hub.disk.has_ballast = self._hub.disk.has_ballast, False
        if had and self._hub.disk.is_full:
            self._hub.limit(BALLAST)
        return had


class Watched(sqlite3.Connection):
    """Tells the referee of each commit, before anybody else can know of it. A commit takes its time: others come meanwhile."""

    referee: Referee
    scheduler: Scheduler
    is_closed = False

    def close(self) -> None:
        self.is_closed = True
        super().close()

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            self.scheduler.sleep(self.scheduler.random.uniform(0, COMMIT_TIME))
        cursor = super().execute(sql, *args)
        if sql == "COMMIT":
            self.referee.committed(self)
            self.scheduler.sleep(self.scheduler.random.uniform(0, COMMIT_TIME))
        return cursor


class Sqlite:
    """`sqlite3` for the engine's `schema`: its connections are watched."""

    def __init__(self, scheduler: Scheduler, referee: Referee) -> None:
        self._scheduler = scheduler
        self._referee = referee
        self.opened: list[Watched] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(sqlite3, name)

    def connect(self, path: str, **options: Any) -> Watched:
        connection = sqlite3.connect(path, factory=Watched, **options)
        connection.referee = self._referee
        connection.scheduler = self._scheduler
        self.opened.append(connection)
        return connection


class Hub:
    """The hub's process, again and again."""

    def __init__(
        self, scheduler: Scheduler, referee: Referee, folder: Path, queues: tuple[QueueSpec, ...], delay: float, durability: Any
    ) -> None:
        self._scheduler = scheduler
        self._referee = referee
        self._folder = folder
        self._queues = queues
        self._delay = delay
        self._durability = durability
        self.clock = Clock(scheduler)
        self.disk = Disk()
        self.sqlite = Sqlite(scheduler, referee)
        self.bad_boots = 0.0  # how often the power goes again right after a start
        self._is_doomed = False  # the power goes right after the next step that is answered
        self._runs = 0
        self.broker: SqliteBroker | None = None
        self._process = Process("hub 0")
        self._unanswered: dict[Answer, None] = {}

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._runs}.sqlite3"

    def start(self) -> None:
        self._process = Process(f"hub {self._runs}")
        self._scheduler.spawn(self._process, self._open)

    def _open(self) -> None:
        try:
            self.broker = SqliteBroker(
                str(self._path), self._queues, Politeness(1, self._delay), self._durability, self.clock,
                Random(self._scheduler.random.random()), on_failure=self.crash,
            )  # fmt: skip
        except StorageError as error:  # the disk is full: somebody starts it again
            self._referee.note(f"the hub cannot start: {error}")
            self.crash()
        if self._scheduler.random.random() < self.bad_boots:
            self._scheduler.at(self._scheduler.random.uniform(0, 0.1), lambda: self.crash(loses_power=True))

    def crash(self, loses_power: bool = False) -> None:
        """The process ends at once, and starts again on what it left; without power also what was not synced is gone."""
        if self._process.is_dead:
            return
        self._scheduler.kill(self._process)
        self._scheduler.at(0.0, lambda: self._recover(loses_power))

    def _recover(self, loses_power: bool) -> None:
        random = self._scheduler.random
        self.broker = None
        unanswered, self._unanswered = self._unanswered, {}
        for answer in unanswered:
            if random.random() < 0.8:  # else the peer hears nothing at all: the machine is off
                self._scheduler.at(random.uniform(0, 0.1), lambda answer=answer: answer(None))  # type: ignore[misc]  # a lambda without types
        before, log = self._path, Path(f"{self._path}-wal")
        self._runs += 1
        if before.exists():  # else it died before it did anything
            shutil.copyfile(before, self._path)
        if log.exists():
            content = log.read_bytes()
            safe = min(self.disk.safe[str(log)], len(content))
            if loses_power:
                content = content[: random.choice([safe, random.randint(safe, len(content))])]
                safe = len(content)
            Path(f"{self._path}-wal").write_bytes(content)
            self.disk.safe[f"{self._path}-wal"] = safe
        self._let_go()
        before.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        self.disk.is_broken = False
        if self.clock.went_ahead:
            self._referee.forget_calls()
        if loses_power:
            self._referee.lost_power()
        self._scheduler.at(random.uniform(0.01, 2.0), self.start)

    def _let_go(self) -> None:
        """What the kernel does for a process that has ended."""
        self.disk.forget_descriptors()
        for connection in self.sqlite.opened:
            connection.close()
        self.sqlite.opened.clear()

    def shut(self) -> None:
        """The run is over."""
        self._let_go()

    def cut_power_after_a_step(self) -> None:
        """When its worker has heard that it is done, and the disk has not."""
        self._is_doomed = True

    def fill_disk(self) -> None:
        """No page more than there are now."""
        self.disk.is_full = True
        self.limit(0)

    def free_disk(self) -> None:
        self.disk.is_full = False
        self.limit(NO_LIMIT)

    def limit(self, more: int) -> None:
        """The database may have so many pages more than it has."""
        for connection in [each for each in self.sqlite.opened if not each.is_closed]:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + more}")

    def receive(self, body: bytes, caller: Process, answer: Answer) -> None:
        """A request has arrived; None for an answer: the connection broke."""
        if self.broker is None or self._process.is_dead:
            answer(None)
            return
        self._unanswered[answer] = None
        self._scheduler.spawn(self._process, self._serve, body, caller, answer, self.broker)

    def _serve(self, body: bytes, caller: Process, answer: Answer, broker: SqliteBroker) -> None:
        call = verbs.read_call(bytearray(body))
        arguments = verbs.read_arguments(call)
        self._referee.asked(call.verb, arguments)
        reply: tuple[Any, ...]
        try:
            result = getattr(broker, call.verb)(*arguments)
        except (CallRefused, StorageError) as error:
            self._referee.note(f"hub: {call.verb} is refused: {error}")
            reply = (call.number, *classic.failure(error))
        else:
            self._referee.answered(call.verb, arguments, result)
            reply = (call.number, verbs.OK, result)
            if call.verb == "step" and caller.is_dead and result.leases:
                broker.lost(arguments[0].worker)  # as the hub does when the connection is gone by now
            if self._is_doomed and call.verb == "step" and arguments[0].done:
                self._is_doomed = False
                self._scheduler.at(self._scheduler.random.uniform(0, 0.1), lambda: self.crash(loses_power=True))
        self._unanswered.pop(answer, None)
        answer(bytes(verbs.frame(reply)[4:]))

    def lost(self, worker: str) -> None:
        """The worker's last connection broke."""
        if self.broker is not None and not self._process.is_dead:
            self._scheduler.spawn(self._process, self._lose, worker, self.broker)

    def _lose(self, worker: str, broker: SqliteBroker) -> None:
        try:
            broker.lost(worker)
        except StorageError as error:
            self._referee.note(f"hub: lost is refused: {error}")
