"""Report the progress of a stage's workers to a person: a line when they connect, one every ten seconds, one at the end.

    parse: 2 workers at 127.0.0.1:8000, reading pages
    parse: 120 done (12.0/s), 3 failed
    parse: 480 done (0.0/s), 3 failed; nothing to do: no tasks on pages       (not again while that is so)
    parse: 480 done (0.0/s), 3 failed; the hub at 127.0.0.1:8000 has been gone for 12 s
    parse: ended after 65 s: 480 done, 3 failed

Workers that are processes of one command send it their counts, and it reports the sums.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from msgspec import structs

from crawler.errors import HubError, StorageError
from crawler.items import QueueStats, Stats
from crawler.machine.room import LACKS, SAFE, SHORT_SAFE, is_note
from crawler.wording.counting import agree, counted
from crawler.wording.lines import COUNTS

log = logging.getLogger(__name__)

STDERR = 2
EVERY = 10.0  # s between two lines, as in `crawler run`
COUNTS_EVERY = 1.0  # s between two reports of counts to the parent process


class Counts(Protocol):
    """The counts that are reported: a `tally.Tally`, or the sum of several."""

    @property
    def done(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def is_idle(self) -> bool: ...
    @property
    def trouble(self) -> str: ...


class Sum:
    """The sum of the counts that several workers last reported."""

    def __init__(self, name: str) -> None:
        """name: of the stage."""
        self._name = name
        self._counts: dict[str, tuple[int, int, bool, str]] = {}
        self._earlier = [0, 0]  # done and failed of processes that have died, and were started again with counts of 0

    def report(self, worker: str, text: str) -> None:
        """Store a worker's counts. text: the result of `in_words` in its process; anything else is ignored.

        That workers wait for room, or lack something, is logged when the first does, and when none does any more.
        """
        before = self._what_stops()
        *numbers, rest = f"{text} ".split(" ", 3)
        if len(numbers) == 3 and all(part.isdecimal() for part in numbers):
            done, failed, is_idle = map(int, numbers)
            last_done, last_failed, *_ = self._counts.get(worker, (0, 0))
            if done < last_done or failed < last_failed:
                self._earlier = [self._earlier[0] + last_done, self._earlier[1] + last_failed]
            self._counts[worker] = done, failed, bool(is_idle), rest.strip()
        trouble = self._what_stops()
        if trouble and not before:
            log.warning("%s %s; %s", self._name, trouble, SHORT_SAFE if trouble.startswith(LACKS) else SAFE)
        elif before and not trouble:
            is_short = before.startswith(LACKS)
            there = "what this machine lacked is there" if is_short else "there is room"
            log.info("%s goes on: %s again", self._name, there)

    @property
    def done(self) -> int:
        return self._earlier[0] + sum(done for done, *_ in self._counts.values())

    @property
    def failed(self) -> int:
        return self._earlier[1] + sum(failed for _, failed, *_ in self._counts.values())

    @property
    def is_idle(self) -> bool:
        return all(is_idle for _, _, is_idle, _ in self._counts.values())

    def _what_stops(self) -> str:
        """Return the trouble to report when it begins and when it is over."""
        return next((trouble for *_, trouble in self._counts.values() if trouble and not is_note(trouble)), "")

    @property
    def trouble(self) -> str:
        return next((trouble for *_, trouble in self._counts.values() if trouble), "")


def in_words(counts: Counts) -> str:
    """Return the counts as text for `Sum.report` in another process."""
    return f"{counts.done} {counts.failed} {int(counts.is_idle)} {counts.trouble}".strip()


def connected(name: str, workers: int, address: str, queue: str) -> None:
    """Log the first line."""
    log.info("%s: %s at %s, reading %s", name, counted(workers, "worker"), address, queue)


class Talk:
    """A thread that logs every `EVERY` s how the workers are doing, if it has changed, and once at the end. A context manager."""

    def __init__(self, name: str, counts: Counts, why_idle: Callable[[], str], every: float = EVERY,
                 trouble: Callable[[], str] = lambda: "") -> None:  # fmt: skip
        """why_idle: called when the workers have nothing to do; returns the reason or "", and may raise what a broker raises.
        trouble: the reason they cannot work, such as a lost hub; "" if there is none.
        """
        self._name = name
        self._counts = counts
        self._why_idle = why_idle
        self._trouble = trouble
        self._every = every
        self._began = time.monotonic()
        self._before = 0
        self._said = ""  # why they do not work, in the last line
        self._told: tuple[int, int, str] | None = None  # counts and reason of the last line, if they had nothing to do
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="talk", daemon=True)

    def __enter__(self) -> Talk:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        elapsed = time.monotonic() - self._began
        log.info("%s: ended after %.0f s: %d done, %d failed", self._name, elapsed, self._counts.done, self._counts.failed)

    def line(self) -> str:
        """Return the current progress; the rate is measured since the last call."""
        done = self._counts.done
        rate, self._before = (done - self._before) / self._every, done
        failed = f", {self._counts.failed} failed" if self._counts.failed else ""
        self._said = self._why()
        return f"{self._name}: {done} done ({rate:.1f}/s){failed}{self._said}"

    def _why(self) -> str:
        """Return the end of the line: what keeps the workers from working, or why they have nothing to do."""
        if trouble := self._trouble() or self._counts.trouble:
            return f"; {trouble}"
        try:
            reason = self._why_idle() if self._counts.is_idle else ""
        except (HubError, StorageError) as error:  # the worker meets the same error and handles it
            log.debug("the hub was not asked why there is nothing to do: %s", error)
            reason = ""
        return f"; nothing to do: {reason}" if reason else ""

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            if line := self.news():
                log.info("%s", line)

    def news(self) -> str:
        """Return the current progress, or "" if the workers still have nothing to do, for the reason that was told before."""
        line = self.line()
        state = (self._counts.done, self._counts.failed, self._said) if self._counts.is_idle else None
        is_told, self._told = state is not None and state == self._told, state
        return "" if is_told else line


@contextmanager
def telling(counts: Counts, fd: int = STDERR, every: float = COUNTS_EVERY) -> Iterator[None]:
    """Send counts to the process that reads this descriptor, whenever they change and once at the end."""
    ended = threading.Event()

    def run() -> None:
        said = ""
        is_over = False
        while not is_over:
            is_over = ended.wait(every)
            if (words := in_words(counts)) != said:
                with suppress(OSError):  # its reader has gone
                    os.write(fd, f"{COUNTS}{words}\n".encode())
                said = words

    thread = threading.Thread(target=run, name="counts", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def why_idle(stats: Stats, queue: str, of_frontier: Callable[[Stats], str]) -> str:
    """Return why a stage that reads this queue has nothing to do, or "". of_frontier: explains it for a polite queue with tasks."""
    ours = {each.name: each for each in stats.queues}.get(queue)
    if ours is None:
        return ""
    if ours.full and ours.ready:
        return f"{queue} waits, because {ours.full} is full"
    if stats.is_short or (ours.polite and ours.ready + ours.delayed):
        return of_frontier(stats)
    if ours.delayed and not ours.ready:
        return f"{counted(ours.delayed, 'task')} on {queue} {'waits' if ours.delayed == 1 else 'wait'} to be tried again"
    return "" if ours.ready else f"no tasks on {queue}"


def why_unended(stats: Stats, queue: str, upstream: Sequence[str], why: str, explain: Callable[[Stats], str]) -> str:
    """Return why a stage that ends once its queues can get no more tasks has not ended, and how to go on.

    why: why it has nothing to do. upstream: the queues whose tasks may lead to tasks on `queue`. explain: `idle_reason`.
    """
    left = [each for each in stats.queues if each.name in upstream and each.ready + each.delayed + each.leased]
    if not left:
        return why  # it ends now, or a queue that this pipeline does not know is meant
    reason = explain(structs.replace(stats, queues=left))
    if not reason:
        reason = "; ".join(f"{_tasks(each)} left on {each.name}" for each in left)
    first = "" if reason.startswith(why) or why.startswith(reason) else f"{why}; " if why else ""
    return f"{first}before this stage can end, {reason} (Ctrl-C ends it now; what is left stays on its queue)"


def _tasks(queue: QueueStats) -> str:
    n = queue.ready + queue.delayed + queue.leased
    return f"{counted(n, 'task')} {agree(n, 'is', 'are')}"
