"""Accept connections and admit the clients that know the key, without being blocked by those that do not.

    accept ──▶ stranger ──handshakes, 5 s──▶ guest ──▶ welcome(connection, role), in a thread of its own
                  │                            │
                  ╰─ oldest out above 64       ╰─ turned away above the limit

Strangers are clients that have not proved the key. Each costs a thread and a descriptor, so they are few; one that fails hears
the failure of the handshake and nothing else. When descriptors or threads run out we wait a little and go on.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from crawler.errors import WireError
from crawler.hub.handshake import Unproven
from crawler.hub.roles import NOBODY, Role, both, of_certificate
from crawler.hub.wire import HANDSHAKE_TIME, Connection, prove

if TYPE_CHECKING:
    from crawler.hub.tls import Tls

MAX_STRANGERS = 64  # connections that have not proven the key yet
MAX_GUESTS = 1000  # connections that have; ten for each of a hundred workers
TICK = 0.5  # s between two looks at those who wait
BREATH = 0.1  # s to wait when descriptors or threads have run out, so that we do not spin
CALM = 10.0  # s without a shortage of descriptors or threads, after which it is over
FAREWELL = 2.0  # s that calls in progress have to be answered when we stop
COMPLAINT = 60.0  # s between two log lines about the same peer
MAX_COMPLAINTS = 1000  # peers remembered for that

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

log = logging.getLogger(__name__)


class Door:
    """One listening socket. `run` in one thread until `stop`, which any thread or signal handler may call."""

    def __init__(
        self,
        listener: socket.socket,
        keys: Mapping[bytes, Role],
        welcome: Callable[[Connection, Role], None],
        tick: Callable[[], None],
        *,
        tls: Tls | None = None,
        max_strangers: int = MAX_STRANGERS,
        max_guests: int = MAX_GUESTS,
    ) -> None:
        self._listener = listener
        self._keys = dict(keys)
        self._tls = tls
        self._welcome = welcome
        self._tick = tick
        self._max_strangers = max_strangers
        self._max_guests = max_guests
        self._lock = threading.Lock()
        self._strangers: dict[Connection, threading.Thread] = {}  # oldest first
        self._guests: dict[Connection, threading.Thread] = {}
        self._complaints: dict[str, float] = {}
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._short_at = 0.0  # monotonic time when descriptors or threads ran out last; 0: not lately
        self.is_closing = False

    def run(self) -> None:
        self._listener.setblocking(False)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._listener, selectors.EVENT_READ)
                selector.register(self._woken, selectors.EVENT_READ)
                next_tick = time.monotonic() + TICK
                while not self.is_closing:
                    if selector.select(max(0.0, next_tick - time.monotonic())) and not self.is_closing:
                        self._accept()
                    if time.monotonic() >= next_tick:
                        self._tick()
                        next_tick = time.monotonic() + TICK
        finally:
            self.is_closing = True
            self._farewell()

    def stop(self) -> None:
        """Takes no lock: a signal handler may have interrupted the one who holds it."""
        self.is_closing = True
        with contextlib.suppress(OSError):  # full: it is woken already; closed: it has ended already
            self._wake.send(b"\0")

    def _accept(self) -> None:
        try:
            sock, place = self._listener.accept()
        except BlockingIOError:
            return  # the one who knocked has left
        except OSError as error:
            if error.errno not in _EXHAUSTED:  # an error of one connection (accept(2)) does not concern the others
                log.info("a connection failed before it was accepted: %s", error)
                return
            self._say_short(f"no connection can be accepted: {error.strerror}")
            self._shed(len(self._strangers) // 2)
            time.sleep(BREATH)
            return
        host = place[0] if isinstance(place, tuple) else "this machine"
        if self._short_at and time.monotonic() > self._short_at + CALM:
            self._short_at = 0.0
            log.info("connections are accepted again")
        self._admit(sock, host)

    def _admit(self, sock: socket.socket, host: str) -> None:
        try:
            connection = Connection(sock if self._tls is None else self._tls.wrap_server(sock))
        except OSError:  # it was reset before we could set an option
            sock.close()
            return
        thread = threading.Thread(target=self._serve, args=(connection, host), daemon=True, name=f"hub for {host}")
        with self._lock:
            self._strangers[connection] = thread
            crowded = len(self._strangers) > self._max_strangers
        if crowded:
            self._shed()
        try:
            thread.start()
        except RuntimeError as error:  # "can't start new thread": the limit of the system, for now
            self._say_short(f"a connection from {host} is turned away: {error}")
            self._forget(connection)
            self._shed()
            time.sleep(BREATH)

    def _say_short(self, what: str) -> None:
        """Warn that descriptors or threads have run out, once until they have not for a while."""
        if not self._short_at:
            log.warning("%s; allow the hub more open files and threads (ulimit -n, ulimit -u); until then it tries again", what)
        self._short_at = time.monotonic()

    def _shed(self, count: int = 1) -> None:
        with self._lock:
            oldest = list(self._strangers)[: max(1, count)]
            for connection in oldest:
                del self._strangers[connection]
        for connection in oldest:
            connection.abort()  # its thread wakes and closes it

    def _serve(self, connection: Connection, host: str) -> None:
        try:
            role = self._identify(connection, host)
            if self._promote(connection, host):
                self._welcome(connection, role)
        except (Unproven, WireError) as error:
            self._complain(host, str(error))
        except (EOFError, OSError) as error:
            said = self._tls_complaint(error)
            if said:
                self._complain(host, said)
            else:
                log.debug("a connection from %s ended: %s", host, error)
        except Exception:
            log.exception("a connection from %s failed inside the hub", host)
        finally:
            self._forget(connection)

    def _tls_complaint(self, error: Exception) -> str:
        """Return what the log says of a failed TLS handshake; "" for any other failure."""
        if self._tls is None:
            return ""
        from crawler.hub.tls import complaint  # here, because it imports `ssl`; with TLS that was imported long ago

        return complaint(error)

    def _identify(self, connection: Connection, host: str) -> Role:
        """Return the role of a client: what its key allows, and with TLS its certificate as well."""
        connection.deadline = time.monotonic() + HANDSHAKE_TIME
        certificate = connection.start_tls()
        role = list(self._keys.values())[prove(connection, *self._keys, first=True)]
        if certificate is None:
            return role
        shown = of_certificate(certificate)
        if shown is NOBODY:
            self._complain(host, "the OU of its certificate's subject names no role; it may do nothing")
        return both(role, shown)

    def _promote(self, connection: Connection, host: str) -> bool:
        with self._lock:
            self._strangers.pop(connection, None)
            has_room = len(self._guests) < self._max_guests and not self.is_closing
            if has_room:
                self._guests[connection] = threading.current_thread()
        if not has_room:
            self._complain(host, f"there are {self._max_guests} connections already")
        return has_room

    def _forget(self, connection: Connection) -> None:
        with self._lock:
            self._strangers.pop(connection, None)
            self._guests.pop(connection, None)
        connection.close()

    def _complain(self, host: str, reason: str) -> None:
        now = time.monotonic()
        with self._lock:
            is_due = now >= self._complaints.get(host, now)
            if is_due:
                if len(self._complaints) >= MAX_COMPLAINTS:
                    self._complaints.clear()
                self._complaints[host] = now + COMPLAINT
        if is_due:
            log.warning("a connection from %s is refused: %s", host, reason)

    def _farewell(self) -> None:
        """Close the connections: strangers at once, guests after the answer they wait for, if it comes soon."""
        self._listener.close()
        with self._lock:
            strangers, guests = dict(self._strangers), dict(self._guests)
        for connection in strangers:
            connection.abort()
        for connection in guests:
            connection.finish()
        end = time.monotonic() + FAREWELL
        for thread in guests.values():
            thread.join(max(0.0, end - time.monotonic()))
        for connection in guests:
            connection.abort()
        self._wake.close()
        self._woken.close()
