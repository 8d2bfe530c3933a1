"""Promises of every HTTP client of fetch. One contract suite (`tests/stages/`) runs over each of them.

    url ──get──▶ Reply, whatever its status         or          FetchFailed, by whose fault it is

No client follows redirects, keeps cookies, reads proxies from the environment, or connects to an address its guard refuses; each
keeps all of `Limits` while bytes arrive, not afterwards. A proxy is connected to as configured. It resolves the names, so of
private hosts the guard sees only those named by their address.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from msgspec import Struct

from crawler import CrawlerError, MachineShort, Url


class Limits(Struct, frozen=True, kw_only=True):
    """Limits of one request."""

    timeout: float  # s from the call to the last byte
    connect_timeout: float  # s for TCP and TLS, all addresses of a name together
    min_rate: float  # bytes a second on average, once GRACE has passed since the first byte; 0: any
    max_bytes: int  # of a body, decoded; and of one as sent
    max_ratio: float  # decoded to sent
    max_header_bytes: int  # of status line and header block, interim replies included


class Reply(Struct, frozen=True, kw_only=True):
    """Answer of a server."""

    status: int
    headers: list[tuple[str, str]]  # as received, in order
    content: bytes  # decoded
    received: int  # bytes of the body as sent
    seconds: float  # from the call to the last byte
    is_skipped: bool = False  # the body was not wanted: content is empty


Wants = Callable[[int, list[tuple[str, str]]], bool]  # of a status and header: whether to read the body


# Not every client has a `start`: see `curl.client`.
Take = Callable[[], Reply]  # raises what `Client.get` does
Work = Callable[[], None]
Start = Callable[[Url, Mapping[str, str], Wants, Callable[[Take | None, int], Work]], bool]  # with the status, 0: there is none


class Running(Protocol):
    """Running request as others see it: see `sockets.Attempt`."""

    host: str
    start: float  # monotonic time
    received: int  # bytes
    in_thread: bool  # a thread waits for it

    def is_slow(self, now: float) -> bool: ...

    def put_off(self) -> None: ...


class Client(Protocol):
    """Thread-safe: as many calls at once as it was made for."""

    def get(self, url: str, headers: Mapping[str, str], cut: int = 0, wants: Wants | None = None) -> Reply:
        """Ask for a canonical http(s) URL. cut > 0: of a longer body only so many bytes are read and returned.

        wants: asked when the header is there, before the body, in whatever thread: it must not wait for anything. Raises
        FetchFailed, AddressRefused.
        """
        ...

    def running(self) -> Sequence[Running]:
        """The requests that run now."""
        ...

    def close(self) -> None:
        """Close all connections. Calls that wait for an answer fail, and so do later ones. Twice is fine."""
        ...


# Errors of connect(2) that every host gives to a machine without a working network.
UNREACHABLE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})

GRACE = 20.0  # s from the first byte until the minimum rate counts: TCP starts slowly, and pages come in parts


class FetchFailed(CrawlerError):
    """Raised if there is no reply, or none that can be used; the message says why."""

    may_be_ours = False  # an error that a machine without a working network has with every host


class Lacking(FetchFailed):
    """Raised if this machine lacks something that a request to any host needs."""

    def __init__(self, short: MachineShort) -> None:
        super().__init__(str(short))
        self.short = short


class BadName(FetchFailed):
    """Raised if a host cannot be a name: it has an empty label, or one of more than 63 bytes."""


class NameUnknown(FetchFailed):
    """The host's name has no address."""


class PutOff(FetchFailed):
    """Raised if we ended the request to make it later: no failure of the host."""


class ConnectFailed(FetchFailed):
    """Connection failed: refused, unreachable, or the resolver is out of order."""

    def __init__(self, message: str, *, may_be_ours: bool = False) -> None:
        super().__init__(message)
        self.may_be_ours = may_be_ours


class TlsFailed(FetchFailed):
    """The connection is not safe: certificate or protocol."""


class NoTls(FetchFailed):
    """The server answers, but not with TLS: most likely it speaks plain HTTP."""


class TimedOut(FetchFailed):
    """A limit of time ran out, or the rate fell below the minimum."""


class TooBig(FetchFailed):
    """Header, body or expansion over the limit."""


class BrokenReply(FetchFailed):
    """Reply that is not HTTP, is cut short, or is not in the coding it claims."""
