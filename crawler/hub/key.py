"""Authkey of a hub: a client that knows it may use the hub. There is no default key.

    CRAWLER_AUTHKEY  ─▶  hub.authkey_file  ─▶  <data>/authkey, made by the hub on its first start

That is the key of the admin, who may do everything. A hub also takes the keys `<data>/authkey.worker` and `.producer` where
they are: whoever is given one of them instead may do less, see `roles`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from crawler.errors import UsageError
from crawler.machine import private

VARIABLE = "CRAWLER_AUTHKEY"
FILE = "authkey"
LESSER = ("worker", "producer")  # roles with a key of their own, in files named for them
KEY_BYTES = 32  # random bytes; kept as twice as many hex digits, so that the key can be read out and copied

log = logging.getLogger(__name__)


def authkey(
    data_dir: str | Path, authkey_file: str = "", environ: Mapping[str, str] | None = None, *, create: bool = False
) -> bytes:
    """Return the key of the hub of `data_dir`, from the first of the three places that has one. Raises UsageError.

    create: what a hub says; a client that made its own key would only be refused with it.
    """
    value = (os.environ if environ is None else environ).get(VARIABLE, "").strip()
    if value:
        return os.fsencode(value)
    if authkey_file:
        return _read(Path(authkey_file), Path.read_bytes)  # it may be a link to a secret that a system provides
    path = Path(data_dir) / FILE
    if create and not path.exists():
        _make(path)
    path = next((found for found in _paths(data_dir) if found.exists()), path)
    if not path.exists():
        raise UsageError(
            f"no authkey: {VARIABLE} is not set, hub.authkey_file is not set and {path} does not exist; "
            "use the key the hub was started with, or --data with the hub's directory"
        )
    return _read(path, private.read)


def role_keys(data_dir: str | Path) -> dict[str, bytes]:
    """The further keys of the hub of `data_dir`, by role. Raises UsageError."""
    return {role: _read(path, private.read) for role, path in zip(LESSER, _paths(data_dir)[1:], strict=True) if path.exists()}


def make_keys(data_dir: str | Path) -> list[Path]:
    """Make a key for each role that has none; returns the paths. Raises UsageError."""
    paths = _paths(data_dir)
    for path in paths:
        if not path.exists():
            _make(path)
    return paths


def _paths(data_dir: str | Path) -> list[Path]:
    """Return the paths of the keys, the admin's first: a machine that has several keys uses the most powerful."""
    return [Path(data_dir) / FILE, *(Path(data_dir) / f"{FILE}.{role}" for role in LESSER)]


def warn_if_open(path: Path, what: str) -> None:
    """Log it when others on this machine can read a secret. Raises OSError."""
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("others on this machine can read the %s in %s; run: chmod 600 %s", what, path, path)


def _read(path: Path, read: Callable[[Path], bytes]) -> bytes:
    try:
        key = read(path).strip()
        warn_if_open(path, "authkey")
    except OSError as error:
        raise UsageError(f"the authkey file {path} cannot be read: {error.strerror}; set hub.authkey_file or {VARIABLE}") from error
    if not key:
        raise UsageError(f"the authkey file {path} is empty; put the hub's key into it or remove it")
    return key


def _make(path: Path) -> None:
    """Write the whole key before it has its name, and never over another: a reader finds a complete key or none."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.parent / f".authkey-{secrets.token_hex(8)}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(KEY_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another hub was first: its key is as good
                os.link(draft, path)
        finally:
            os.unlink(draft)
    except OSError as error:
        raise UsageError(f"no authkey can be made at {path}: {error.strerror}; choose another --data or set {VARIABLE}") from error
