"""Real small disks, to be filled up: tmpfs, mounted for a test. Needs Linux and root; without them the test is skipped."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHUNK = 64 << 10  # bytes of the filler written at a time


class SmallDisk:
    """A file system of so many MiB, and a file on it that takes what is left."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._filler = place / "filler"

    def fill(self, leave: int = 0) -> None:
        """Take all room but about `leave` bytes; with 0, all of it: what the file system says of its last blocks is not exact."""
        with self._filler.open("ab", buffering=0) as file:
            size = CHUNK
            while size and (not leave or self.free > leave):
                try:
                    file.write(b"." * min(size, max(self.free - leave, 1) if leave else size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2

    def empty(self) -> None:
        """Give it back."""
        self._filler.unlink()

    @property
    def free(self) -> int:
        there = os.statvfs(self.place)
        return there.f_bavail * there.f_frsize


@contextmanager
def mounted(place: Path, mebibytes: int) -> Iterator[SmallDisk]:
    place.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("optional: a disk that fills up is mounted by root, on Linux")
    words = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=0700", "tmpfs", str(place)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(place)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
