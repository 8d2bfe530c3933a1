"""Sockets that keep the limits of the request that uses them, byte by byte.

    connect(attempt) ─▶ Guard.resolve ─▶ TimedSocket ── every receive asks the attempt first

A time-out of the usual kind bounds one receive: a server that sends a byte a second keeps a client busy for ever, in the middle of
a header line too. Here each receive may last until the request's deadline and no longer. So may the resolver, which has no
time-out at all: it is asked in a thread of its own, and left to itself when it takes too long.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar, cast

from crawler import BadUrl, Guard, Url, open_files, shortage_of
from crawler_stages.clients.contract import (
    GRACE,
    UNREACHABLE,
    BadName,
    ConnectFailed,
    Lacking,
    Limits,
    NameUnknown,
    PutOff,
    TimedOut,
)

T = TypeVar("T")

SLOW: Final = 1_000.0  # bytes a second; a slower request waits for its server, not for this machine
PATIENCE: Final = 0.8  # s for which a rate is taken

CLOSED: Final = "the client is closed"

_NO_NAME: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


class Attempt:
    """Running request: its limits, and how much of them it has used."""

    def __init__(self, url: Url, limits: Limits, guard: Guard, proxy: str = "") -> None:
        """proxy: its URL; "" is none."""
        self.host = url.host
        self.proxy = proxy
        is_forwarded = proxy and url.scheme == "http"  # RFC 9112 §3.2.2; https goes through a tunnel
        self.target = (url.origin if is_forwarded else "") + url.target  # as it stands in the URL
        self.limits = limits
        self.guard = guard
        self.start = time.monotonic()
        self.is_connected = False  # it opened a connection, rather than use a kept one
        self.received = 0  # bytes
        self.in_thread = True
        self._first_at = 0.0  # monotonic time by which the first bytes were there; 0: they were not
        self._looked_at = self.start  # monotonic time of the last look at its progress, and the bytes received until then
        self._looked_bytes = 0
        self._is_slow = False
        self._is_put_off = False
        self.is_ended = False
        self._socket: socket.socket | None = None  # that it waits for

    def end(self) -> None:
        """Make it fail soon, from another thread: its connection is shut down, and it opens no other."""
        self.is_ended = True
        if self._socket is not None:
            with suppress(OSError):  # it is not connected, or closed by now
                self._socket.shutdown(socket.SHUT_RDWR)

    def waits_for(self, sock: socket.socket) -> None:
        """Note the socket that it waits for. Raises ConnectFailed if it has been ended."""
        self._socket = sock
        if self.is_ended:
            raise ConnectFailed(CLOSED)

    def remaining(self) -> float:
        """Return the seconds until the deadline. Raises TimedOut if there are none."""
        now = time.monotonic()
        passed = now - self.start
        limits = self.limits
        if self._is_put_off:
            raise PutOff("put off: more is being received than there is memory for")
        if passed >= limits.timeout:
            raise TimedOut(f"not finished after {limits.timeout:g} s; see stages.fetch.timeout")
        if self.received and limits.min_rate:
            self._keep_rate(now)
        return limits.timeout - passed

    def _keep_rate(self, now: float) -> None:
        """Raise TimedOut if less comes than the minimum. A server may think first: its time-out is another limit."""
        if not self._first_at:
            self._first_at = now
        lasted = now - self._first_at
        if lasted > GRACE and self.received < self.limits.min_rate * lasted:
            slow = f"{self.host}: {self.received} bytes in {lasted:.0f} s, under {self.limits.min_rate:g} a second"
            raise TimedOut(f"{slow}; see stages.fetch.min_rate")

    def is_slow(self, now: float) -> bool:
        """Tell whether next to nothing has come for a while. now: monotonic time; ask about once a second."""
        passed = now - self._looked_at
        if passed >= PATIENCE:
            self._is_slow = self.received - self._looked_bytes < SLOW * passed
            self._looked_at, self._looked_bytes = now, self.received
        return self._is_slow

    def put_off(self) -> None:
        """Make it end with PutOff soon, from another thread."""
        self._is_put_off = True


class _Running(threading.local):
    """The attempt of this thread: a connection serves one request after the other, each from its own thread."""

    attempt: Attempt | None = None


running: Final = _Running()


def current() -> Attempt:
    """Return the attempt this thread works on."""
    attempt = running.attempt
    if attempt is None:
        raise RuntimeError("a connection of the fetch client was used outside of a request")
    return attempt


class TimedSocket(socket.socket):
    """Socket whose every receive keeps the limits of the attempt that waits for it."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        attempt = current()
        attempt.waits_for(self)
        self.settimeout(attempt.remaining())
        try:
            count = super().recv_into(*args, **kwargs)
        except TimeoutError:
            attempt.remaining()  # says which limit it was
            raise
        attempt.received += count
        return count


def connect(attempt: Attempt, hostname: str, port: int) -> socket.socket:
    """Connect to the host's addresses in turn, only those that the guard lets pass. Raises FetchFailed, AddressRefused.

    hostname: of the URL, or of the proxy, which a person configured and the guard does not check.
    """
    deadline = time.monotonic() + min(attempt.limits.connect_timeout, attempt.remaining())
    addresses = resolved(attempt, hostname, port)
    attempt.is_connected = True
    failures: list[OSError] = []
    for family, address in addresses:
        try:
            sock = TimedSocket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise lacking(error) or ConnectFailed(f"{attempt.host}: {error.strerror}") from error
        try:
            attempt.waits_for(sock)
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failures.append(error)
        except ConnectFailed:
            sock.close()
            raise
        else:
            sock.settimeout(max(deadline - time.monotonic(), 0.001))  # for the TLS handshake that may follow
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    whom = f"the proxy {hostname}:{port}" if attempt.proxy else attempt.host
    if (short := lacking(failures[-1], addresses[-1][1][0])) is not None:
        raise short from failures[-1]
    if all(isinstance(error, TimeoutError) for error in failures):
        raise TimedOut(f"no connection to {whom} within {attempt.limits.connect_timeout:g} s; see stages.fetch.connect_timeout")
    may_be_ours = failures[-1].errno in UNREACHABLE
    raise ConnectFailed(f"{whom}: {failures[-1].strerror or failures[-1]}", may_be_ours=may_be_ours) from failures[-1]


def resolved(attempt: Attempt, hostname: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    """Return the checked socket addresses of the URL's host or proxy, within the time for connecting. Raises as `connect`."""
    guard, seconds = attempt.guard, min(attempt.limits.connect_timeout, attempt.remaining())
    try:
        if attempt.proxy:
            return _within(seconds, lambda: guard.resolve_trusted(hostname, port))
        return _within(seconds, lambda: guard.resolve(hostname, port, attempt.host))
    except Empty:
        late = TimedOut(f"no address of {hostname} within {seconds:g} s; see stages.fetch.connect_timeout")
        late.may_be_ours = True
        raise late from None
    except BadUrl as error:
        raise BadName(str(error)) from error
    except socket.gaierror as error:
        unknown = NameUnknown(f"{hostname}: {error.strerror}") if error.errno in _NO_NAME else None
        failed = unknown or ConnectFailed(f"{hostname}: {error.strerror}", may_be_ours=True)
        raise lacking(error) or failed from error
    except (OSError, RuntimeError) as error:  # of the resolver's own sockets; of its thread
        raise lacking(error) or ConnectFailed(f"{hostname}: {error}") from error


def kept_connections(most: int) -> int:
    """Return how many connections may be kept open and unused: a quarter of the files that this process may have open, at most."""
    limit = open_files()
    return min(most, limit // 4) if limit else most


def lacking(error: Exception, address: str = "") -> Lacking | None:
    """Return what this machine lacks, according to an error; None if the host is at fault. address: the one to connect to."""
    short = shortage_of(error, address)
    return None if short is None else Lacking(short)


def _within(seconds: float, call: Callable[[], T]) -> T:
    """Return the result of a call, or raise its error. Raises Empty if it takes longer; its thread then ends with the resolver and
    delays nothing else."""
    answers: SimpleQueue[tuple[T | None, Exception | None]] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put((call(), None))
        except Exception as error:  # noqa: BLE001  raised again below, by the thread that asked
            answers.put((None, error))

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    answer, failure = answers.get(timeout=seconds)
    if failure is not None:
        raise failure
    return cast("T", answer)
