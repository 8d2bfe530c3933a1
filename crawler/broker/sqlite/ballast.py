"""Reserve file, deleted when the disk is full, so that there is room to store what was promised.

make ──▶ there ──release──▶ gone, its room is the store's ──▶ make, once others have left enough
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path

log = logging.getLogger(__name__)

SIZE = 16 << 20  # bytes: the children of tasks in process when the disk fills up, and a log's worth of commits
MARGIN = 4 << 20  # bytes that stay free beside it when it is made: else the next commits would need it at once
CHUNK = 1 << 20  # bytes written at a time where room cannot be reserved


class Ballast:
    """Ballast file at `path`, made by `make`; one left there by a process that died is used."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self.is_there = self._path.exists()

    def make(self) -> None:
        """Raises OSError when there is not enough room for it, or it cannot be made for another reason."""
        if self.is_there and self._path.stat().st_size == SIZE:
            return
        self.release()
        free = shutil.disk_usage(self._path.parent).free
        if free < SIZE + MARGIN:
            raise OSError(errno.ENOSPC, f"{free >> 20} MiB are free, and {(SIZE + MARGIN) >> 20} needed")
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _fill(descriptor)  # may still find none: a share of the disk that is used up is no matter of free blocks
            self.is_there = True
        finally:
            os.close(descriptor)
            if not self.is_there:
                self.release()

    def release(self) -> bool:
        """Give its room to the store. Returns False if there was none."""
        was_there, self.is_there = self.is_there, False
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            log.warning("the ballast %s cannot be given up: %s", self._path, error)
            return False
        return was_there


def _fill(descriptor: int) -> None:
    """Real blocks, not a hole in a file."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, SIZE)
        return
    for _ in range(0, SIZE, CHUNK):  # random, so that no file system makes less of it
        os.write(descriptor, os.urandom(CHUNK))
