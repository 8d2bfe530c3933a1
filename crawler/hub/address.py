"""Address of a hub, `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000` or `unix:PATH`: how to listen there and how to connect."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from crawler.errors import UsageError

BACKLOG = 512  # connections the kernel completes before we accept them: a hundred workers come back at once
MIN_KEY = 32  # bytes; a shorter key can be guessed from one overheard handshake
_UNIX_LIMIT = 103  # bytes of a socket's path that every system takes: Linux 107, macOS and BSD 103
_PORT_DIGITS = 5
_PORTLESS = r"(?=.*[A-Za-z.])[\w.-]+|\[[0-9A-Fa-f:.]+\]"  # a host and nothing else
_PROBE = 2.0  # s to find out whether a program listens

log = logging.getLogger(__name__)


class Address(Struct, frozen=True):
    """One place: a host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def of(cls, value: Any) -> Address:
        """Make an address from any form in use: text, a `(host, port)` pair, the path of a socket."""
        if isinstance(value, Address):
            return value
        if isinstance(value, tuple | list) and len(value) == 2:
            return cls.parse(f"[{value[0]}]:{value[1]}" if ":" in str(value[0]) else f"{value[0]}:{value[1]}")
        if isinstance(value, str):
            return cls(path=value) if value.startswith("/") else cls.parse(value)
        raise UsageError(f"{value!r} is not a hub's address; write 127.0.0.1:8000 or unix:PATH")

    @classmethod
    def parse(cls, text: str) -> Address:
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path or "\0" in path:
                raise UsageError(f"{text!r} names no socket; write unix:PATH, for example unix:crawler-data/hub.sock")
            return cls(path=path)
        if "@" in text:
            raise UsageError(f"a hub's address takes no user name or password; write {text.rpartition('@')[2].partition('/')[0]}")
        if "://" in text:
            plain = text.partition("://")[2].partition("/")[0] or "127.0.0.1:8000"
            raise UsageError(f"a hub's address takes no scheme; write {plain}")
        host, colon, port = text.rpartition(":")
        if re.fullmatch(_PORTLESS, text):
            raise UsageError(f"{text!r} is not a hub's address, its port is missing; write {text}:8000 for the default port")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise UsageError(f"{text!r} is not a hub's address; an IPv6 address stands in brackets, as in [::1]:8000")
        if colon and host and port.isascii() and port.isdigit() and (len(port) > _PORT_DIGITS or int(port) >= 1 << 16):
            why = f"a port is a number from 0 to 65535, write {host}:8000 for the default one"
            raise UsageError(f"{text!r} is not a hub's address; {why}")
        if not colon or not host or not (port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS and int(port) < 1 << 16):
            raise UsageError(f"{text!r} is not a hub's address; write HOST:PORT, for example 127.0.0.1:8000, or unix:PATH")
        return cls(host=host, port=int(port))

    @property
    def name(self) -> str:
        """Name a hub's certificate must be for; a hub that listens at every address is reached as localhost."""
        return "localhost" if self.host in ("0.0.0.0", "::") else self.host.partition("%")[0]  # noqa: S104 - compared, not bound

    def is_local(self) -> bool:
        """Return whether only processes on this machine can reach it. Raises UsageError for a host that has no address."""
        return bool(self.path) or all(_is_loopback(place[4][0]) for place in _resolve(self))


def check_exposure(address: Address, authkey: bytes, *, insecure: bool = False, encrypted: bool = False) -> None:
    """Refuse to listen where strangers could listen in, and with a key they could guess. Raises UsageError."""
    weak = len(authkey) < MIN_KEY
    advice = "make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'"
    if address.is_local():
        if weak and not address.path:
            log.warning("the authkey has %d bytes, others on this machine could guess it; %s", len(authkey), advice)
        return
    if not (insecure or encrypted):
        raise UsageError(
            f"{address} can be reached from other machines and is not encrypted; "
            "speak TLS with --certs DIR, listen on 127.0.0.1, or set hub.insecure = true on a network you trust"
        )
    if weak:
        raise UsageError(f"an authkey of {len(authkey)} bytes is too short for {address}, at least {MIN_KEY} are needed; {advice}")


def connect(address: Address, timeout: float) -> socket.socket:
    """Return a connected socket. Raises OSError if no program listens there within `timeout` seconds."""
    if not address.path:
        return socket.create_connection((address.host, address.port), timeout)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        with _short(address.path) as path:
            sock.connect(path)
    except BaseException:
        sock.close()
        raise
    return sock


def listen(address: Address) -> tuple[socket.socket, Address]:
    """Return a listening socket and its real address (a port of 0 becomes a free one). Raises UsageError.

    The file of a Unix socket is open to its owner only; one that a killed hub left behind is replaced.
    """
    try:
        if address.path:
            return _listen_unix(address), address
        family, _, _, _, place = _resolve(address)[0]
        sock = socket.create_server(place[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"{address} is in use, perhaps by another hub; stop that one, or choose another port with --address or hub.address"
            ) from error
        raise UsageError(f"a hub cannot listen at {address}: {error.strerror or error}; choose another hub.address") from error
    return sock, Address(host=address.host, port=sock.getsockname()[1])


def _listen_unix(address: Address) -> socket.socket:
    _clear_stale(address)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # the mode is taken when the file appears: a chmod afterwards would leave a gap
    try:
        with _short(address.path) as path:
            sock.bind(path)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(mask)
    return sock


def _clear_stale(address: Address) -> None:
    try:
        mode = os.lstat(address.path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UsageError(f"{address.path} exists and is not a socket; move it away or choose another hub.address")
    try:
        connect(address, _PROBE).close()
    except ConnectionRefusedError:
        os.unlink(address.path)
    except FileNotFoundError:
        return  # its hub has just stopped and taken the file with it
    else:
        raise UsageError(f"another hub listens at {address}; stop that one or choose another hub.address")


@contextlib.contextmanager
def _short(path: str) -> Iterator[str]:
    """Return a name for `path` that fits into a socket address: if it is too long, by its directory's descriptor."""
    if len(os.fsencode(path)) <= _UNIX_LIMIT:
        yield path
        return
    if not Path("/proc/self/fd").is_dir():
        raise UsageError(f"the socket's path {path} is over the system's {_UNIX_LIMIT} bytes; choose a shorter hub.address")
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{Path(path).name}"
    finally:
        os.close(folder)


def _resolve(address: Address) -> list[Any]:
    try:
        return socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise UsageError(f"the host of {address} is not known here ({error}); write its address, as in 127.0.0.1:8000") from error


def _is_loopback(text: str) -> bool:
    ip = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    return (mapped or ip).is_loopback
