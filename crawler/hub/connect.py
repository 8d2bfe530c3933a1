"""Opening a connection to a hub: network, TLS, key; and what went wrong, in our words.

address ──connect──▶ socket ──TLS, if there is to be──▶ key shown, and seen ──▶ Connection
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from crawler.errors import HubError, HubLost, HubUnreachable, KeyRefused, NotAHub, TlsRefused, WireError
from crawler.hub.address import Address, connect
from crawler.hub.handshake import Unproven
from crawler.hub.wire import HANDSHAKE_TIME, Connection, prove

if TYPE_CHECKING:
    from crawler.hub.tls import Tls

CONNECT_TIME = 5.0  # s for the network to connect us
SILENCE = 1.0  # s; a hub begins the handshake at once, and one that is this slow is still waited for
CALL_TIME = 30.0  # s for an answer, beyond what the call itself waits


def open_connection(
    address: Address, authkey: bytes, *, kind: type[Connection] = Connection, timeout: float = CONNECT_TIME, tls: Tls | None = None
) -> Connection:
    """A connection that knows our key, with CALL_TIME for its first answer. tls: not used on a Unix socket.

    Raises HubUnreachable when nothing answers there, HubLost when it stops answering, TlsRefused and KeyRefused when it
    refuses us or we it.
    """
    tls = None if address.path else tls
    try:
        sock = connect(address, timeout)
    except OSError as error:
        raise unreachable(address, error) from error
    began = time.monotonic()
    try:
        if tls is not None:
            sock = tls.wrap_client(sock, address.name)
        elif not address.path:
            _refuse_http(sock, address)
        connection = kind(sock)
        connection.deadline = began + HANDSHAKE_TIME
        connection.start_tls()
        prove(connection, bytes(authkey), first=False)
    except Unproven as error:
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


def unreachable(address: Address, error: OSError) -> HubUnreachable:
    """Return our error for a connection that failed; a name that cannot be resolved, other than for a lack of network, is told."""
    is_unknown = isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN
    known = f"the name {address.host} is not known here; give the hub's with --hub" if is_unknown else ""
    return HubUnreachable(str(address), known)


def _refuse_http(sock: socket.socket, address: Address) -> None:
    """Raise NotAHub for a web server. A hub speaks first, and a web server waits for us: so one that is silent is asked."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    if poll.poll(SILENCE * 1000):
        return
    with suppress(OSError), connect(address, SILENCE) as probe:
        probe.settimeout(SILENCE)
        probe.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        if probe.recv(5) == b"HTTP/":
            raise NotAHub(str(address), "HTTP")


def _failure(error: Exception, address: Address, tls: Tls | None, waited: float) -> HubError:
    """Return the error for a failed connection. A TLS hub waits for us to begin, and we for the hub: silence until the time-out
    means TLS."""
    from crawler.hub import tls as tls_hub  # here, because only failures need it, and it imports `ssl`

    if tls is not None:
        reason = tls_hub.explanation(error, tls, address.name)
    elif not address.path and waited > HANDSHAKE_TIME / 2 and tls_hub.speaks_tls((address.host, address.port)):
        reason = (
            "it speaks TLS, and this command does not; add --certs DIR, a directory with certificates of its CA "
            "(or set hub.tls = true and hub.certs)"
        )
    else:
        reason = ""
    return TlsRefused(str(address), reason) if reason else HubLost(str(address))
