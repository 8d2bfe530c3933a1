"""Directories and files that must be this user's own: they hold keys, the address of a hub, and all pages.

A directory of another user, or one that everybody may write to, may hold a key that others know, or a link that makes us overwrite
one of our own files. Files made here can be read by this user alone, whatever the umask.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from crawler.errors import UsageError

OURS = ("authkey", "hub.", "report.", "fetched.", "sinks")  # how the names of our files in a data directory begin
FILE = 0o600


def check_directory(path: Path, what: str, elsewhere: str) -> None:
    """Raise UsageError if this directory, or a file of ours in it, is not this user's own.

    what: as in "the data directory". elsewhere: how to choose another one. Raises OSError if it cannot be read.
    """
    for found in (path.lstat(), path.stat()):  # a link to it must be ours as well
        if found.st_uid != os.geteuid():
            raise UsageError(
                f"{what} {path} belongs to {_owner(found.st_uid)}, not to you ({_owner(os.geteuid())}), who may have "
                f"put a key or a link there; {elsewhere}, or change its owner with chown"
            )
    if found.st_mode & stat.S_IWOTH:
        raise UsageError(f"everybody on this machine may write to {what} {path}; run: chmod go-w {path}")
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith(OURS):
                check_file(Path(entry.path))


def check_file(path: Path) -> None:
    """Raise UsageError if this file is a link, or not this user's own. Raises OSError if there is none."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise UsageError(f"{path} is a link to {os.readlink(path)!r}; a file of a data directory must be in it: remove the link")
    if found.st_uid != os.geteuid():
        raise UsageError(
            f"{path} belongs to {_owner(found.st_uid)}, not to you ({_owner(os.geteuid())}); remove it, or change its "
            "owner with chown if you know what is in it"
        )


def check_trusted(path: Path) -> None:
    """Raise UsageError if a directory or file that may be the system's belongs to another user, or everybody may write to it.

    Raises OSError if it cannot be read.
    """
    found = path.stat()
    if found.st_uid not in (os.geteuid(), 0):
        raise UsageError(
            f"{path} belongs to {_owner(found.st_uid)}, who is neither you ({_owner(os.geteuid())}) nor root; use one "
            "of your own, or change its owner with chown"
        )
    if found.st_mode & stat.S_IWOTH:
        raise UsageError(f"everybody on this machine may write to {path}; run: chmod go-w {path}")


def read(path: Path) -> bytes:
    """Return the content of a file that is this user's own. Raises UsageError if it is not, OSError if it cannot be read."""
    check_file(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def write(path: Path, content: bytes) -> None:
    """Replace a file, or the link that has its name: whole, or not at all. Raises OSError."""
    import secrets  # here, because it imports OpenSSL's hashes, which `crawler --help` does not need

    draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _owner(uid: int) -> str:
    """Name a user, by number if there is no name."""
    import pwd  # here, because only a refusal names one

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
