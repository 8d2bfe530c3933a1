"""Marks of the tasks that a worker process has begun, in memory that its parent can read after the worker's death.

    parent: MarkMemory ──path, in the environment──▶ worker: Marks ──begin, work, over──▶ parent, after the end: read

The worker writes a mark before it does the work, so that a death in the middle of it leaves the mark. There is such memory on Linux
only; elsewhere nothing is known of what a dead worker was doing.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap

VARIABLE = "CRAWLER_MARKS"   # of the environment: where a worker finds the memory
SLOTS = 4_096             # tasks begun at once; of more, nothing is known of any
SIZE = SLOTS * 16         # bytes: a token and what is done with it, 8 bytes each
FREE, BEGUN, AT_WORK, TOO_MANY = range(4)


class MarkMemory:
    """The parent's end, from before the worker's start until after its end."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        with suppress(OSError, AttributeError):              # no descriptors left; not Linux
            self._descriptor = os.memfd_create("crawler-marks")
            os.ftruncate(self._descriptor, SIZE)

    @property
    def descriptors(self) -> set[int]:
        """What is open for it."""
        return set() if self._descriptor is None else {self._descriptor}

    @property
    def environment(self) -> dict[str, str]:
        """What the worker is to find in its environment."""
        return {} if self._descriptor is None else {VARIABLE: f"/proc/{os.getpid()}/fd/{self._descriptor}"}

    def read(self) -> tuple[list[int], list[int]]:
        """Return the tokens of the tasks that were begun, and those at work among them. Both are empty if nothing is known."""
        import mmap  # here, because few parents have use for it

        if self._descriptor is None:
            return [], []
        with mmap.mmap(self._descriptor, SIZE, prot=mmap.PROT_READ) as memory, memoryview(memory).cast("Q") as words:
            states = words[1::2].tolist()
            if not any(states) or TOO_MANY in states:        # the former after nearly every end of a worker
                return [], []
            marks = list(zip(words[::2].tolist(), states, strict=True))
        return [token for token, state in marks if state != FREE], [token for token, state in marks if state == AT_WORK]

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Marks:
    """The worker's end. Its owner sees to it that no two threads use it at once."""

    def __init__(self, memory: mmap.mmap | None = None) -> None:
        """memory: as `given` by the parent; None: nobody reads the marks."""
        self._words = memoryview(memory if memory is not None else bytearray(SIZE)).cast("Q")
        self._free = list(range(2 * SLOTS - 2, -1, -2))
        self._places: dict[int, int] = {}         # by token

    def begin(self, token: int, *, is_work: bool) -> None:
        """Mark a task as begun, or as at work at once."""
        if not self._free:
            self._words[1] = TOO_MANY
            return
        place = self._places.get(token)
        if place is None:
            place = self._places[token] = self._free.pop()
        self._words[place] = token
        self._words[place + 1] = AT_WORK if is_work else BEGUN

    def work(self, token: int, *, is_work: bool = True) -> None:
        """Mark a task that was begun as at work, or as waiting again."""
        place = self._places.get(token)
        if place is not None:
            self._words[place + 1] = AT_WORK if is_work else BEGUN

    def over(self, token: int) -> None:
        """Remove the mark of a task, if it has one."""
        place = self._places.pop(token, None)
        if place is not None:
            self._words[place + 1] = FREE
            self._free.append(place)


def given() -> mmap.mmap | None:
    """Return the memory that this process was given by its parent, once; None: there is none."""
    path = os.environ.pop(VARIABLE, "")
    if not path.startswith("/proc/"):
        return None
    import mmap  # as above

    with suppress(OSError, ValueError):                      # the parent is gone: nobody will read it
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            return mmap.mmap(descriptor, SIZE)
        finally:
            os.close(descriptor)
    return None
