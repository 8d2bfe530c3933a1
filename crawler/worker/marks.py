"""Marks of the tasks that a worker process has begun, in memory that its parent can read after the worker's death.

    parent: MarkMemory ──path, in the environment──▶ worker: Marks ──begin, work, over──▶ parent, after the end: read

The worker writes a mark before it does the work, so that a death in the middle of it leaves the mark. There is such memory on Linux
only; elsewhere it is not known what a dead worker was doing.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from threading import get_ident
from typing import NamedTuple

VARIABLE = "CRAWLER_MARKS"  # of the environment: where a worker finds the memory
SLOTS = 4_096  # tasks begun at once; of more, nothing is known of any
WORD = 8  # bytes
MARK = 3  # words of each task: its token, what is done with it, and the thread that does it
PULSE = SLOTS * MARK * WORD  # place of the last sign of life
SIZE = PULSE + WORD  # bytes; what follows is where its threads were when it crashed: see `pulse`
DUMP = 64 << 10  # bytes of that which are read
FREE, BEGUN, AT_WORK, TOO_MANY = range(4)


class MarkMemory:
    """Parent's end of the memory, from before the worker's start until after its end."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        with suppress(OSError, AttributeError):  # no descriptors left; not Linux
            self._descriptor = os.memfd_create("crawler-marks")
            os.ftruncate(self._descriptor, SIZE)

    @property
    def descriptors(self) -> set[int]:
        """The descriptors that are open for it."""
        return set() if self._descriptor is None else {self._descriptor}

    @property
    def environment(self) -> dict[str, str]:
        """The variables that tell the worker where the memory is."""
        return {} if self._descriptor is None else {VARIABLE: f"/proc/{os.getpid()}/fd/{self._descriptor}"}

    def read(self) -> tuple[list[int], list[int]]:
        """Return the tokens of the tasks that were begun, and those at work among them. Both are empty if nothing is known.

        If it is known which thread crashed, only what that was at work on counts as at work.
        """
        if self._descriptor is None:
            return [], []
        words = memoryview(os.pread(self._descriptor, SIZE, 0)).cast("Q")
        states = words[1:-1:MARK].tolist()
        if not any(states) or TOO_MANY in states:  # the former after nearly every end of a worker
            return [], []
        marks = list(zip(words[:-1:MARK].tolist(), states, words[2:-1:MARK].tolist(), strict=True))
        at_work = [(token, thread) for token, state, thread in marks if state == AT_WORK]
        crashed = _crashed(self.dump())
        culprits = [token for token, thread in at_work if thread == crashed] or [token for token, _ in at_work]
        return [token for token, state, _ in marks if state != FREE], culprits

    def beat(self) -> int:
        """Return a number that is another after each sign of life; 0: the worker has given none yet, or nothing is known."""
        return 0 if self._descriptor is None else int.from_bytes(os.pread(self._descriptor, WORD, PULSE), sys.byteorder)

    def dump(self) -> str:
        """Return what the worker wrote when it crashed: the places of its threads; "" if it wrote nothing."""
        return "" if self._descriptor is None else os.pread(self._descriptor, DUMP, SIZE).decode("utf-8", "replace")

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Marks:
    """Worker's end of the memory. The caller ensures that no two threads use it at once."""

    def __init__(self, words: memoryview | None = None) -> None:
        """words: as `given` by the parent; None: nobody reads the marks."""
        self._words = words if words is not None else memoryview(bytearray(SIZE)).cast("Q")
        self._free = list(range(MARK * (SLOTS - 1), -1, -MARK))
        self._places: dict[int, int] = {}  # by token

    def begin(self, token: int, *, is_work: bool) -> None:
        """Mark a task as begun by this thread, or as at work at once."""
        if not self._free:
            self._words[1] = TOO_MANY
            return
        place = self._places.get(token)
        words = self._words
        if place is None:
            place = self._places[token] = self._free.pop()
            words[place] = token
        words[place + 2] = get_ident()
        words[place + 1] = AT_WORK if is_work else BEGUN

    def work(self, token: int, *, is_work: bool = True) -> None:
        """Mark a task that was begun as at work in this thread, or as waiting again."""
        place = self._places.get(token)
        if place is None:
            return
        if is_work:
            self._words[place + 2] = get_ident()
            self._words[place + 1] = AT_WORK
        else:
            self._words[place + 1] = BEGUN

    def over(self, token: int) -> None:
        """Remove the mark of a task, if it has one."""
        place = self._places.pop(token, None)
        if place is not None:
            self._words[place + 1] = FREE
            self._free.append(place)


class Given(NamedTuple):
    """Memory that this process shares with its parent."""

    words: memoryview  # of 8 bytes
    descriptor: int  # where a crash is written to


def _crashed(dump: str) -> int:
    """Return the thread that crashed, according to the crash report; 0 if it is not known."""
    found = re.search(r"^Current thread 0x([0-9a-f]+)", dump, re.MULTILINE)
    return int(found[1], 16) if found else 0


def given() -> Given | None:
    """Return the memory that this process was given by its parent, once; None: there is none."""
    path = os.environ.pop(VARIABLE, "")
    if not path.startswith("/proc/"):
        return None
    import mmap  # here, because only workers need it

    with suppress(OSError, ValueError):  # the parent is gone: it will not be read
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.lseek(descriptor, SIZE, os.SEEK_SET)
            return Given(memoryview(mmap.mmap(descriptor, SIZE)).cast("Q"), descriptor)
        except BaseException:
            os.close(descriptor)
            raise
    return None
