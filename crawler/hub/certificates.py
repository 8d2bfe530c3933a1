"""Directory that `tls` reads: a CA, and a pair of files each for the hub and the roles of its clients.

Existing files are kept: remove a pair, and the next run makes a new one. There is no list of revoked certificates: after the
loss of a key, make a new directory, which is one command.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from crawler.errors import UsageError
from crawler.hub.roles import ROLES
from crawler.hub.tls import CA, HUB
from crawler.wording.extras import how_to_install

if TYPE_CHECKING:
    from crawler.hub.authority import Authority, Pems

_HOST = r"(\*\.)?[\w-]+(\.[\w-]+)*\.?|[\da-fA-F:]+"  # the form of a name or an address

HERE = ("localhost", "127.0.0.1", "::1")  # the names under which the hub's own machine talks to it


class Made(Struct, frozen=True):
    """Result of one run."""

    made: list[str]  # names without suffix: each is a .pem and a .key
    kept: list[str]  # were there already
    hosts: list[str]  # what a hub's certificate made now is for
    until: datetime  # the end of those made now


def make(directory: str | Path, hosts: Sequence[str] = (), today: datetime | None = None) -> Made:
    """Make what is missing in `directory`. hosts: names and addresses that clients use for the hub, besides this machine's own.

    Raises UsageError where the library is missing, a pair is not whole, a host is none, or a file cannot be written.
    """
    folder = Path(directory)
    for host in hosts:
        if not re.fullmatch(_HOST, host):
            raise UsageError(
                f"{host!r} is not a host's name or address; --names takes them without scheme and port, "
                "as in --names hub.example,10.0.0.7"
            )
    now = until = today or datetime.now(UTC)
    names = list(dict.fromkeys([*hosts, *HERE, socket.gethostname()]))
    missing = [name for name in (CA, HUB, *ROLES) if not _is_there(folder, name)]
    if hosts and HUB not in missing:
        _refuse_other_names(folder / f"{HUB}.pem", hosts)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = _authority(folder, now) if missing else None
        for name in missing:
            if authority is not None and name != CA:
                pems, until = authority.issue(name, names if name == HUB else [], now)
                _write(folder, name, pems)
    except OSError as error:
        raise UsageError(f"no certificates can be made in {folder}: {error.strerror or error}; choose another directory") from error
    except ValueError as error:
        raise UsageError(
            f"no certificate can be made: {error}; --names takes host names and addresses, "
            f"and {folder / CA}.pem and .key must be those that were made here"
        ) from error
    return Made(missing, [name for name in (CA, HUB, *ROLES) if name not in missing], names, until)


def _refuse_other_names(file: Path, hosts: Sequence[str]) -> None:
    """Raise UsageError if the hub's certificate that is there is not for all of these hosts."""
    try:
        from crawler.hub.authority import names_of

        there = [name.lower().rstrip(".") for name in names_of(file.read_bytes())]
    except (ImportError, ValueError, OSError):  # not read here: the hub or client that uses it says what is wrong with it
        return
    if lacking := [host for host in hosts if _ascii(host) not in there]:
        raise UsageError(
            f"{file} is there already, and it is not for {', '.join(lacking)} but for {', '.join(there)}; "
            "remove it and its key, and the same command makes them anew"
        )


def _ascii(host: str) -> str:
    """Return a host in the form a certificate has; one that has no such form unchanged."""
    with suppress(UnicodeError):
        host = host.encode("idna").decode("ascii")
    return host.lower().rstrip(".")


def _is_there(folder: Path, name: str) -> bool:
    has_certificate, has_key = ((folder / f"{name}.{suffix}").exists() for suffix in ("pem", "key"))
    may_be_elsewhere = name == CA  # its key is best kept where no hub is
    if has_certificate != has_key and not (has_certificate and may_be_elsewhere):
        raise UsageError(f"of {folder / name}.pem and {name}.key one is missing; put it back, or move the other away")
    return has_certificate


def _authority(folder: Path, today: datetime) -> Authority:
    try:
        from crawler.hub.authority import Authority
    except ImportError as error:
        raise UsageError(
            "certificates are made with the library 'cryptography', which is not installed; "
            f"{how_to_install('tls')} (machines that only use certificates do not need it)"
        ) from error
    certificate, key = folder / f"{CA}.pem", folder / f"{CA}.key"
    if not certificate.exists():
        authority = Authority.make(today)
        _write(folder, CA, authority.pems())
        return authority
    if not key.exists():
        raise UsageError(f"there is no {key}, without which its CA signs nothing; put it back, or choose a new directory")
    return Authority.load((certificate.read_bytes(), key.read_bytes()))


def _write(folder: Path, name: str, pems: Pems) -> None:
    """Write a new file, never over another. The key comes first: without its certificate it is useless."""
    for suffix, mode, body in (("key", 0o600, pems[1]), ("pem", 0o644, pems[0])):
        descriptor = os.open(folder / f"{name}.{suffix}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
