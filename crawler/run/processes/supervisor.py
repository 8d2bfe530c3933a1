"""Supervision of child processes: started, watched, restarted when they die, stopped in order.

    start ──▶ running ──dies──▶ waits a little ──▶ running …          exit code 0: ended, unless it should run without end
                         │
                         └── exits with a code that a new start would not change (usage, storage): given up

A child that another process ends is started again at once and without end; so is one that crashes or that was at work (what it died
of has attempts that are counted), after a pause; one that fails by itself before it has begun to work has `TRIES` tries, one whose
stage cannot be opened two.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from crawler.errors import CrawlerError
from crawler.hub import identity
from crawler.run.processes.process import Bell, Fork, Process, private, spawn, wait_for_any
from crawler.wording.lines import ERROR, shown

log = logging.getLogger(__name__)

TRIES = 5  # failures in a row, each within SETTLED of its start, before we give up
SETTLED = 5.0  # s after which a child counts as having started well
PAUSE = 0.2  # s before the first new start after a failure, doubled with each further one
FROZEN = 15.0  # s without a sign of life after which a child is ended, unless told otherwise
LEAST_SILENCE = 5.0  # s; a busy machine may keep a process waiting
AWAY = 3.0  # s without a look after which we were not running ourselves; looks are half a second apart
ABORTING = 5.0  # s it then has to write where it is
STOPPING = 25.0  # s a child has to end after SIGTERM: its own 20 s and some
ORPHANED = 1.0  # s for children to end by themselves when the hub is gone for good
LOOK = 0.05  # s between looks at the others while some are ending, unless one of them ends
LAST_WORDS = 1.0  # s to read the last output of an ended child
FAILED = 1  # exit code for any failure of the child's own code: it says nothing about ours
UNHEARD = 205  # exit code of a child that writes to a standard output whose reader has gone
# Exit codes of a child for which a new start is useless, and what each means to a script: usage, no hub, storage, output closed.
# No convention uses these numbers, so a stage that ends its process with 2, 5 or 75 is not mistaken for one of them.
HOPELESS = {194: 2, 197: 5, 203: 75, UNHEARD: 141}
UNUSABLE = 198  # exit code of a child whose stage cannot be opened; twice in a row is enough to give up
AGAIN = "--again"  # option of the second one: it need not say why, because the first has
CRASHES = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT})  # its own doing


class ChildFailed(CrawlerError):
    """A child cannot continue, and has printed the reason on stderr. `code`: our exit code for it."""

    def __init__(self, name: str, code: int) -> None:
        """code: the child's exit code."""
        self.name = name
        self.is_hopeless = code in HOPELESS or code == UNUSABLE
        self.is_unheard = code == UNHEARD
        self.code = HOPELESS.get(code, FAILED)
        super().__init__(
            f"{name} gave up with exit code {self.code}" if self.is_hopeless else
            f"the process of {name} ended {TRIES} times in a row with exit code {code}, each time soon after its start"
        )  # fmt: skip


def silence(lease: float) -> float:
    """Return s without a sign of life after which a worker is ended whose leases last so many s: before they run out, so that the
    hub hears what it was at work on, and charges that alone."""
    return max(lease / 2, LEAST_SILENCE)


def private_code(code: int) -> int:
    """Return the exit code that a child uses to report this code to its supervisor; codes without such a meaning are unchanged."""
    return next((private for private, meant in HOPELESS.items() if meant == code), code)


class Child:
    """One process and its history."""

    def __init__(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None] | None,
        is_endless: bool, fork: Fork | None = None, frozen: float = FROZEN,
    ) -> None:  # fmt: skip
        """on_line: called with each line the child writes to standard error, formatted by `lines.shown`; None: it writes to ours.

        is_endless: it should end only when we stop it; if it exits with 0, somebody else stopped it, and it is started again.
        fork: starts it the first time, if that is possible; otherwise, and later, a new interpreter is started.
        frozen: s without a sign of life after which it is ended.
        """
        self.name = name
        self.pid = 0
        self.starts = 0
        self.process: Process | None = None
        self.ending = ""  # how its last process ended, in words
        self.begun: list[int] = []  # tokens of the tasks that it had begun then, as far as is known
        self.at_work: list[int] = []  # of these, those it worked on
        self._arguments, private_settings = private(arguments)
        self._environment = {**environment, **private_settings, **identity.environment()}
        self._on_line = on_line
        self._is_endless = is_endless
        self._fork = fork
        self._reader: threading.Thread | None = None
        self._frozen_after = frozen
        self._beat = 0  # the last sign of life
        self._beat_at = 0.0  # monotonic time at which it was first seen
        self._looked_at = 0.0  # monotonic time
        self._silence = 0.0  # s without a sign of life, once that was too long
        self._aborted = 0.0  # monotonic time
        self._started = 0.0
        self._failures = 0
        self._code = 0
        self._start_at: float | None = None
        self._is_stopping = False
        self._is_unusable = False  # its stage could not be opened when it was last started

    def start(self) -> None:
        is_heard = self._on_line is not None
        copy = self._fork(self._arguments, self._environment, is_heard) if self._fork is not None and not self.starts else None
        arguments = [*self._arguments, AGAIN] if self._is_unusable else self._arguments
        self.process = copy or spawn(arguments, self._environment, is_heard)
        if copy is None:  # else at the first look: while we have no threads, others can be copied
            self._listen(self.process)
        self.pid = self.process.pid
        self._started = time.monotonic()
        self._start_at = None
        self.starts += 1

    def start_if_due(self) -> None:
        """Start the process again if `plan` has set a time for that which has come."""
        if self._start_at is not None and time.monotonic() >= self._start_at:
            self.start()

    def watch(self) -> int | None:
        """Check the process once. Returns the pid of a process that has died unasked since the last look, or None.

        After a death, call `plan`, which decides whether it is started again.
        """
        self.start_if_due()
        if self.process is None:
            return None
        self._listen(self.process)
        if (code := self.process.poll()) is None:
            self._look_for_life(self.process)
            return None
        pid = self.process.pid
        self.begun, self.at_work = self.process.marks.read()
        dump = self.process.marks.dump()
        self._reap(self.process)
        silence, self._silence = self._silence, 0.0
        if self._is_stopping:
            return None
        self._code, self.ending = code, _ending(code, silence, dump)
        return pid

    def _look_for_life(self, process: Process) -> None:
        """End it if it has given no sign of life for too long: all its threads are held up, and it would not notice.

        Time in which we did not look does not count: the whole machine may have been asleep.
        """
        now = time.monotonic()
        beat, was_away = process.marks.beat(), now - self._looked_at > AWAY
        self._looked_at = now
        if beat != self._beat or was_away:
            self._beat, self._beat_at = beat, now
        if self._silence:
            if now - self._aborted > ABORTING:  # it is stopped, or cannot even write where it is
                process.signal(signal.SIGKILL)
        elif beat and now - self._beat_at > self._frozen_after:
            self._silence, self._aborted = now - self._beat_at, now
            process.abort()

    @property
    def has_ended(self) -> bool:
        """Return whether it does not run and will not be started again: it came to its end, was asked to, or has given up."""
        return self.process is None and self._start_at is None

    def terminate(self) -> None:
        """Ask it to end."""
        self._is_stopping = True
        self._start_at = None
        if self.process is not None:
            self.process.signal(signal.SIGTERM)

    def cpu(self) -> float | None:
        """Return the s of CPU that its process has used; None if there is no process now, or the system does not tell."""
        return None if self.process is None else self.process.cpu()

    def wait(self, seconds: float, level: int = logging.WARNING) -> None:
        """Wait until it has ended; after `seconds` it is killed, which is logged at this level."""
        if self.process is None:
            return
        if self.process.wait(seconds) is None:
            log.log(level, "%s did not end in time and was killed", self.name)
            self.process.signal(signal.SIGKILL)
            self.process.wait(math.inf)
        self._reap(self.process)

    def plan(self, at: str | None) -> None:
        """Decide whether a process that died is started again. Raises ChildFailed if not.

        at: the task it worked on, "" if it is not known which; None: it was not at work, as far as is known.
        """
        code = self._code
        if code == 0 and not self._is_endless:
            return
        if code in HOPELESS or (code == UNUSABLE and self._is_unusable):
            raise ChildFailed(self.name, code)
        self._is_unusable = code == UNUSABLE
        if at is not None or time.monotonic() - self._started > SETTLED:
            self._failures = 0
        is_its_own = code > 0 or -code in CRASHES
        if is_its_own:
            self._failures += 1
        if code > 0 and self._failures >= TRIES:
            raise ChildFailed(self.name, code)
        if not self._is_unusable:  # that has been said, and is tried only once more
            is_news = code <= 0 or at is not None or self._failures == 1
            log.log(logging.WARNING if is_news else logging.DEBUG,
                    "%s %s%s; starting it again", self.name, self.ending, f" while at {at}" if at else "")  # fmt: skip
        self._start_at = time.monotonic() + (PAUSE * 2 ** (min(self._failures, TRIES) - 1) if is_its_own else 0.0)

    def _listen(self, process: Process) -> None:
        if process.stderr is not None and self._reader is None:
            self._reader = threading.Thread(target=self._read, args=(process.stderr,), daemon=True)
            self._reader.start()

    def _read(self, lines: IO[bytes]) -> None:
        tell = self._on_line or log.warning
        with lines:
            for line in lines:
                tell(shown(self.name, line.decode("utf-8", "replace").rstrip("\n")))

    def _reap(self, process: Process) -> None:
        """Close a process that has ended, after reading its last output, which may say why."""
        self._listen(process)
        if self._reader is not None:
            self._reader.join(LAST_WORDS)
        process.close()
        self.process = self._reader = None


def _ending(code: int, silence: float, dump: str) -> str:
    """Describe how a process ended. silence: s without a sign of life, if it was ended for that. dump: its places at a crash."""
    if code >= 0:
        return f"ended with exit code {code}"
    from crawler.wording.places import in_dump  # here, because few ends need it

    at = f" at {place}" if (place := in_dump(dump)) else ""
    if silence:
        return f"gave no sign of life for {silence:.0f} s{at} and was ended"
    return f"was killed by {_signal(-code)}{at}"


def _signal(number: int) -> str:
    """Name a signal."""
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"


class Supervisor:
    """All children."""

    def __init__(
        self, on_death: Callable[[Child, int], str | None] = lambda child, pid: None, on_line: Callable[[str], None] | None = None,
        fork: Fork | None = None, frozen: float = FROZEN,
    ) -> None:  # fmt: skip
        """on_death: called for each process that died unasked, with its pid, before it is started again. It returns what
        the process was at: see `Child.plan`.

        on_line, fork, frozen: see `Child`.
        """
        self._frozen = frozen
        self._children: list[Child] = []
        self._on_death = on_death
        self._on_line = on_line
        self._fork = fork
        self._told: set[str] = set()  # error lines of children

    def start(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None, *, is_endless: bool = False
    ) -> Child:
        on_line = self._once if self._on_line is not None else None
        child = Child(name, arguments, environment or {}, on_line, is_endless, self._fork, self._frozen)
        self._children.append(child)
        child.start()
        return child

    def _once(self, line: str) -> None:
        """Pass a line on; an error message only once, though several workers of a stage may end with it."""
        if self._on_line is None or line in self._told:
            return
        if line.startswith(ERROR):
            self._told.add(line)
        self._on_line(line)

    def watch(self) -> None:
        """Look after all of them once. Raises ChildFailed."""
        for child in self._children:
            pid = child.watch()
            if pid is not None:
                child.plan(self._on_death(child, pid))
                child.start_if_due()  # at once if it was killed; whether it has died again is seen at the next look

    def wait(self, seconds: float, bell: Bell | None = None) -> None:
        """Wait until a child ends, the bell is rung, or the time is over."""
        wait_for_any(_running(self._children), seconds, bell)

    def stop(
        self, children: Sequence[Child] | None = None, within: float = STOPPING, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """End these (None: all), together, and wait for them; after `within` s they are killed. meanwhile: called until they have.

        The others are looked after meanwhile: those that end may need them to hand in what they have. Raises ChildFailed if
        one of the others gives up; then the ending ones are waited for no longer than `ORPHANED`, and have ended too.
        """
        chosen = list(self._children) if children is None else list(children)
        for child in chosen:
            child.terminate()
        give_up = time.monotonic() + within
        level = logging.WARNING if within > ORPHANED else logging.DEBUG  # there is no hub for it to hand its tasks in to
        try:
            while _running(chosen) and (left := give_up - time.monotonic()) > 0:
                meanwhile()
                self.wait(min(LOOK, left))
                self.watch()
        except ChildFailed:
            give_up = min(give_up, time.monotonic() + ORPHANED)
            level = logging.DEBUG
            raise
        finally:
            for child in chosen:
                child.wait(max(give_up - time.monotonic(), 0.0), level)
                self._children.remove(child)

    def kill(self) -> None:
        """End all of them at once, without order, and wait until they have ended. May be called from a signal handler."""
        running = _running(self._children)
        for process in running:
            process.signal(signal.SIGKILL)
        for process in running:
            process.wait(LAST_WORDS)

    def restarts(self) -> dict[str, int]:
        """Return how often each child had to be started again."""
        return {child.name: child.starts - 1 for child in self._children if child.starts > 1}


def _running(children: Sequence[Child]) -> list[Process]:
    return [child.process for child in children if child.process is not None]
