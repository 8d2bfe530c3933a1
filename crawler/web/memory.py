"""A limit on the memory that reading one page may take.

HTML lets a page of a megabyte ask for a tree of gigabytes: each <p> copies all formatting elements that are still open (standard
§13.2.4.3). How many is known only once they are made, so the tree is made with a limit on the process's memory, in proportion to
the page: the parser then fails with a MemoryError, and the process goes on with the memory it had.

    limited(len(html), parse)           the tree, or PageTooCostly
    process_limit(worker_memory, …)     whatever else takes too much in a worker fails for its item alone

The limit is RLIMIT_DATA, which Linux alone applies to all private memory. Elsewhere there is no limit.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final, TypeVar

from crawler.errors import PageTooCostly

try:
    import resource
except ImportError:  # Windows
    IS_LIMITED = False
else:
    IS_LIMITED = sys.platform == "linux"
    # Names of this module, as every page is read with them.
    _get, _set, _DATA, _ANY = resource.getrlimit, resource.setrlimit, resource.RLIMIT_DATA, resource.RLIM_INFINITY

T = TypeVar("T")

ROOM: Final = 32 << 20  # bytes that any page may take
RATIO: Final = 56  # more for each byte of its own; the densest page without copies, of "<p>x", takes 45
FREE: Final = 4 << 10  # bytes of a page too small to take more than some 20 MB
_EVERY: Final = 0.25  # s between two looks at the memory in use: each lets other threads run, which may take 1 ms
_PAGE: Final = 4_096 if not IS_LIMITED else resource.getpagesize()

_STACK: Final = 16 << 20  # bytes for a thread's stack and buffers, reserved and hardly used

_lock = threading.RLock()  # one limit at a time: it is the whole process's


class _Used:
    """The bytes of private memory in use, as of the last look."""

    def __init__(self) -> None:
        self.bytes = 0
        self.at = -math.inf  # monotonic time of the last look

    def look(self) -> None:
        with open("/proc/self/statm", "rb") as file:
            self.bytes = int(file.read().split()[5]) * _PAGE
        self.at = monotonic()


_used = _Used()


def limited(size: int, work: Callable[[], T]) -> T:
    """Return work(), which reads a page of `size` bytes. Raises PageTooCostly if it needs more memory than such a page may take.

    Only one thread at a time is in here. The others share the limit, so their own needs meanwhile count as the page's.
    """
    if size <= FREE or not IS_LIMITED:
        return work()
    room = ROOM + RATIO * size
    with _lock:
        if monotonic() - _used.at > _EVERY:
            _used.look()
        try:
            return _with_limit(_used.bytes + room, work)
        except MemoryError:
            pass
        before = _used.bytes
        _used.look()  # it may have been other work that took the memory since the last look
        if _used.bytes > before:
            try:
                return _with_limit(_used.bytes + room, work)
            except MemoryError:
                pass
    raise PageTooCostly(size, room)


@contextmanager
def process_limit(most: int, threads: int) -> Iterator[None]:
    """Limit the private memory of this process during the block to `most` bytes and the stacks of its threads; 0: no limit.

    The last line of defence: what needs more fails with a MemoryError, as any item can fail, and the process goes on.
    """
    if not most or not IS_LIMITED:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = most + threads * _STACK
    lowest = min(each for each in (limit, soft, hard) if each != resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_DATA, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _with_limit(limit: int, work: Callable[[], T]) -> T:
    before = soft, hard = _get(_DATA)
    _set(_DATA, (limit if soft == _ANY or limit < soft else soft, hard))
    try:
        return work()
    finally:
        _set(_DATA, before)
