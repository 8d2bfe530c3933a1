"""Find the crawl of this machine that uses a store, before the store is opened: opening it would wait for the lock.

    F_GETLK on the store ──▶ pid of the process that has locked it ──▶ its name: "crawler:hub", started by `crawler run`
                                                                       "crawler:ending", the same, whose parent is gone

Only Linux tells a process's name; elsewhere, and for a hub that was started by hand, the store's own refusal has to do.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct

from crawler.errors import UsageError

log = logging.getLogger(__name__)

NAMES: Final = {"crawler:hub": False, "crawler:ending": True}  # of a hub that `crawler run` started: whether its parent is gone
LONGEST: Final = 30.0  # s that a hub whose parent is gone may take to end: see `ORPHANED` in the command `hub`
LOOK: Final = 0.05  # s between looks at it
_FLOCK: Final = "hhqqi4x"  # struct flock on 64-bit Linux: type, whence, start, length, pid


class Owner(Struct, frozen=True):
    """The crawl that uses a store."""

    pid: int  # of `crawler run`; of the hub if its parent is gone
    is_ending: bool


def owner(store: Path) -> Owner | None:
    """Return the crawl that uses the store; None if there is none, or it cannot be told."""
    holder = _holder(store)
    if not holder:
        return None
    with suppress(OSError, ValueError):
        name = Path(f"/proc/{holder}/comm").read_text().strip()
        if name in NAMES:
            parent = int(Path(f"/proc/{holder}/stat").read_text().rpartition(")")[2].split()[1])
            return Owner(holder if NAMES[name] else parent, NAMES[name])
    return None


def wait_or_refuse(store: Path, status: str, find: Callable[[Path], Owner | None] = owner) -> None:
    """Return once no crawl uses the store. A crawl that is ending is waited for; for another one UsageError is raised.

    status: the command that shows it.
    """
    is_told, give_up = False, time.monotonic() + LONGEST
    while (found := find(store)) is not None:
        if not found.is_ending or time.monotonic() > give_up:
            raise UsageError(f"a crawl is running here (pid {found.pid}; '{status}' shows it); --data DIR is for a second one")
        if not is_told:
            log.warning("the crawl that was running here is ending (pid %d); waiting for it", found.pid)
            is_told = True
        time.sleep(LOOK)


def _holder(store: Path) -> int:
    """Return the pid of a process that has locked a part of the file; 0 if none has, or it cannot be told.

    Not for a file that this process has open itself: closing it here would release the locks.
    """
    try:
        with store.open("rb") as file:
            ask = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, ask))
    except (OSError, struct.error):
        return 0
    return 0 if kind == fcntl.F_UNLCK else int(pid)
