"""Files as a sink needs them: locked, written whole, and really on the disk."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import ExitStack, suppress
from pathlib import Path

from crawler import UsageError
from crawler_stages.sinks.contract import digest, opening

MODE = 0o666  # less the umask, as any tool creates its output
CHUNK = 1 << 20  # bytes copied at a time
TAIL = 4096  # bytes at the end of a file by which it is recognised


def locked(path: Path, named: str = "") -> int:
    """Open a file for reading and writing, made if need be, that no other store has open; a descriptor.

    named: the name to use in messages. Raises UsageError, StorageFull.
    """
    usable_directory(path, named)
    while True:
        with opening(named or str(path)):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        try:
            lock(fd)
        except OSError as error:
            os.close(fd)
            raise UsageError(f"another store is writing to {named or path}; stop it, or give this one another output") from error
        if is_at(fd, path):
            with ExitStack() as undo, opening(named or str(path)):
                undo.callback(os.close, fd)
                sync_directory(path.parent)  # a new file must be there after a power cut
                undo.pop_all()
            return fd
        os.close(fd)  # the store before us has put a compacted file in its place: take that one


def usable_directory(path: Path, named: str = "") -> None:
    """Raise UsageError if the file cannot be made because its directory does not exist. named: the name to use in messages."""
    if not path.parent.is_dir():
        is_link = bool(named) and Path(named).is_symlink()
        parent = path.parent if is_link else Path(named or path).parent
        what = f"{parent} is not a directory" if path.parent.exists() else f"there is no directory {parent}"
        led = f"it leads to {path}, and " if is_link else ""
        raise UsageError(f"cannot write to {named or path}: {led}{what}; create it, or give another output")


def lock(fd: int) -> None:
    """Ends with the descriptor, so also with the process however it dies."""
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def make_private(path: Path) -> None:
    """Make an empty file and its directory, if they are not there, that this user alone can read, whatever the umask.

    What opens the file next leaves it so. Raises OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def is_at(fd: int, path: Path) -> bool:
    """Return whether the path still leads to the file we have open."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(fd))


def is_stream(path: Path) -> bool:
    """Return whether it is a pipe, a terminal or /dev/null: it cannot be read back, locked or repaired."""
    try:
        mode = os.stat(path).st_mode
    except OSError:  # not there yet, or out of reach: opening it will say so
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_all(fd: int, data: bytes, offset: int | None = None) -> None:
    """Write all of it, at an offset or (a stream) where we are: the system may take less than it is given."""
    view = memoryview(data)
    while view:
        n = os.write(fd, view) if offset is None else os.pwrite(fd, view, offset)
        offset = None if offset is None else offset + n
        view = view[n:]


def copy(source: int, start: int, end: int, target: int, at: int) -> int:
    """Copy the bytes from start to end of one file to another; returns the offset after them there."""
    while start < end:
        data = os.pread(source, min(CHUNK, end - start), start)
        if not data:
            raise OSError(f"the file ends at {start} bytes and should go on to {end}")
        write_all(target, data, at)
        start, at = start + len(data), at + len(data)
    return at


def tail_digest(fd: int, size: int) -> bytes:
    """Return a digest by which the file's first `size` bytes are recognised at the next start."""
    n = min(size, TAIL)
    return digest(os.pread(fd, n, size - n))


def sync_directory(path: Path) -> None:
    """Make a rename last: the name is data of the directory."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
