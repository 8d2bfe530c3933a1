"""Our wire as a serializer of `multiprocessing.managers`: its proxies and its server run over it unchanged.

The standard library finds the two ends of a serializer in `listener_client`; we add ours under the name "msgpack".
"""

from __future__ import annotations

import contextlib
import os
import time
from functools import partial
from multiprocessing import AuthenticationError, managers
from typing import Any, cast

import msgspec

from crawler.errors import CallRefused, HubError, HubLost, HubUnreachable, KeyRefused, TlsRefused, WireError
from crawler.hub import verbs
from crawler.hub.address import Address, connect, listen
from crawler.hub.classic import ERROR, OURS, Request
from crawler.hub.tls import Tls, explanation, speaks_tls
from crawler.hub.wire import HANDSHAKE_TIME, Connection, prove

SERIALIZER = "msgpack"
CONNECT_TIME = 5.0         # s for the network to connect us
CALL_TIME = 30.0           # s for an answer, beyond what the call itself waits


class Listener:
    """A hub's listening socket. The base class asks for a backlog of 16, which would make a hundred workers queue: ours it is."""

    def __init__(self, address: Any = None, backlog: int = 1) -> None:
        self.socket, self.place = listen(Address.of(address))
        self.address = str(self.place)
        self._file = os.lstat(self.place.path).st_ino if self.place.path else None

    def close(self) -> None:
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):    # somebody tidied up before us
            if self._file is not None and os.lstat(self.place.path).st_ino == self._file:
                os.unlink(self.place.path)


class ManagerConnection(Connection):
    """What the standard library's proxies send requests over and get results from."""

    def send(self, request: tuple[str | None, str, tuple[Any, ...], dict[str, Any]]) -> None:
        ident, method, args, kwds = request
        self.send_frame(verbs.frame(Request(ident, method, list(args), kwds)))

    def recv(self) -> tuple[str, Any]:
        """The answer. On any exception, an interrupt included, the connection is closed: the next answer would be this one."""
        try:
            kind, value = msgspec.msgpack.decode(self.recv_frame(), type=tuple[str, Any])
            if kind == ERROR:
                name, message = msgspec.convert(value, tuple[str, str])
                value = OURS.get(name, CallRefused)(*[message][:len(message)])
        except verbs.UNREADABLE as error:
            self.close()
            raise WireError(f"the hub's answer cannot be read: {error}") from error
        except BaseException:
            self.close()
            raise
        return kind, value

    def __del__(self) -> None:
        self.close()       # the standard library drops its connections where it is done with them, and closes few


def dial(address: Any, authkey: bytes | None = None, *, tls: Tls | None = None) -> ManagerConnection:
    return cast(ManagerConnection, open_connection(Address.of(address), authkey or b"", kind=ManagerConnection, tls=tls))


def open_connection(address: Address, authkey: bytes, *, kind: type[Connection] = Connection, timeout: float = CONNECT_TIME,
                    tls: Tls | None = None) -> Connection:
    """A connection that knows our key, with CALL_TIME for its first answer. tls: not used on a Unix socket.

    Raises HubUnreachable when nothing answers there, HubLost when it stops answering, TlsRefused and KeyRefused when it
    refuses us or we it.
    """
    tls = None if address.path else tls
    try:
        sock = connect(address, timeout)
    except OSError as error:
        raise HubUnreachable(str(address)) from error
    began = time.monotonic()
    try:
        if tls is not None:
            sock = tls.wrap_client(sock, address.name)
        connection = kind(sock)
        connection.deadline = began + HANDSHAKE_TIME
        connection.start_tls()
        prove(connection, bytes(authkey), first=False)
    except AuthenticationError as error:
        sock.close()
        raise KeyRefused(str(address)) from error
    except (EOFError, OSError, WireError) as error:
        sock.close()
        raise _failure(error, address, tls, time.monotonic() - began) from error
    except BaseException:
        sock.close()
        raise
    connection.deadline = time.monotonic() + CALL_TIME
    return connection


def _failure(error: Exception, address: Address, tls: Tls | None, waited: float) -> HubError:
    """A hub that speaks TLS waits for us to begin, as we for it to: then nobody has said a word when the time is over."""
    if tls is not None:
        reason = explanation(error, tls, address.name)
    elif not address.path and waited > HANDSHAKE_TIME / 2 and speaks_tls((address.host, address.port)):
        reason = "it speaks TLS; set hub.tls = true and hub.certs to a directory with certificates of its CA"
    else:
        reason = ""
    return TlsRefused(str(address), reason) if reason else HubLost(str(address))


def serializer(tls: Tls | None) -> str:
    """The name under which the standard library finds our wire, with this TLS under it."""
    if tls is None:
        return SERIALIZER
    name = f"{SERIALIZER} over TLS as {tls.certificate.resolve()}"
    _TABLE[name] = (Listener, partial(dial, tls=tls))
    return name


_TABLE: dict[str, Any] = managers.listener_client          # type: ignore[attr-defined]  # the table is unknown to the stub
_TABLE[SERIALIZER] = (Listener, dial)
