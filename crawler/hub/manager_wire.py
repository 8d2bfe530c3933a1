"""Our wire as a serializer of `multiprocessing.managers`: its proxies and its server run over it unchanged.

The standard library finds the two ends of a serializer in `listener_client`; we add ours under the name "msgpack".
"""

from __future__ import annotations

import contextlib
import os
from functools import partial
from multiprocessing import managers
from typing import TYPE_CHECKING, Any, cast

import msgspec

from crawler.codec import values
from crawler.errors import CallRefused, WireError
from crawler.hub import verbs
from crawler.hub.address import Address, listen
from crawler.hub.classic import ERROR, OURS, Request
from crawler.hub.connect import open_connection
from crawler.hub.wire import Connection

if TYPE_CHECKING:
    from crawler.hub.tls import Tls

SERIALIZER = "msgpack"


class Listener:
    """A hub's listening socket. The base class asks for a backlog of 16, which would make a hundred workers queue: ours it is."""

    def __init__(self, address: Any = None, backlog: int = 1) -> None:
        self.socket, self.place = listen(Address.of(address))
        self.address = str(self.place)
        self._file = os.lstat(self.place.path).st_ino if self.place.path else None

    def close(self) -> None:
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):  # already removed
            if self._file is not None and os.lstat(self.place.path).st_ino == self._file:
                os.unlink(self.place.path)


class ManagerConnection(Connection):
    """Connection over which the standard library's proxies send requests and get results."""

    def send(self, request: tuple[str | None, str, tuple[Any, ...], dict[str, Any]]) -> None:
        ident, method, args, kwds = request
        try:
            frame = verbs.frame(Request(ident, method, list(args), kwds))
        except CallRefused as refused:
            try:
                frame = verbs.frame(Request(ident, method, values.sendable(list(args)), kwds))
            except TypeError:
                raise refused from None
        self.send_frame(frame)

    def recv(self) -> tuple[str, Any]:
        """The answer. On any exception, an interrupt included, the connection is closed: the next answer would be this one."""
        try:
            kind, value = msgspec.msgpack.decode(self.recv_frame(), type=tuple[str, Any])
            if kind == ERROR:
                name, message = msgspec.convert(value, tuple[str, str])
                value = OURS.get(name, CallRefused)(*[message][: len(message)])
        except verbs.UNREADABLE as error:
            self.close()
            raise WireError(f"the hub's answer cannot be read: {error}") from error
        except BaseException:
            self.close()
            raise
        return kind, value

    def __del__(self) -> None:
        self.close()  # the standard library drops its connections where it is done with them, and closes few


def dial(address: Any, authkey: bytes | None = None, *, tls: Tls | None = None) -> ManagerConnection:
    return cast(ManagerConnection, open_connection(Address.of(address), authkey or b"", kind=ManagerConnection, tls=tls))


def serializer(tls: Tls | None) -> str:
    """The name under which the standard library finds our wire, with this TLS under it."""
    if tls is None:
        return SERIALIZER
    name = f"{SERIALIZER} over TLS as {tls.certificate.resolve()}"
    _TABLE[name] = (Listener, partial(dial, tls=tls))
    return name


_TABLE: dict[str, Any] = managers.listener_client  # type: ignore[attr-defined]  # the table is unknown to the stub
_TABLE[SERIALIZER] = (Listener, dial)
