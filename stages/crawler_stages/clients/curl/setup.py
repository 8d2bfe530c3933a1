"""Options of a request beside its URL: the addresses to connect to, and how. They are the same for many requests in a row.

host ──Names──▶ addresses, resolved and checked not long ago ──Setup──▶ options of a handle, set where they differ from the last
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

import pycurl

from crawler import Url
from crawler_stages.clients.coding import ACCEPTED
from crawler_stages.clients.sockets import Attempt, resolved

HOSTS_KEPT: Final = 10_000  # whose addresses are remembered, and who sends what libcurl refuses
NAMES_LAST: Final = 60.0  # s that addresses are good for, as in browsers; a connection that fails ends it

SUPPRESS_CONNECT_HEADERS: Final = 265  # CURLOPT_…, which pycurl has no name for: a proxy's answer is none of the site's

_BREAK: Final = re.compile(r"[\r\n\0]")
_PORTS: Final = {"http": 80, "https": 443}


class Setup(NamedTuple):
    """Options that are the same for many requests in a row, and need not be set for each."""

    peer: tuple[str, int]
    addresses: tuple[str, ...]
    proxy: str
    headers: tuple[tuple[str, str], ...]
    is_fresh: bool
    authorities: str  # file of those whose certificates are trusted, for https; "": it makes no difference
    timeout: int  # ms
    connect_timeout: int  # ms
    is_tunneled: bool = False  # through the proxy: it answers CONNECT before the site answers

    def apply(self, curl: pycurl.Curl) -> None:
        name, port = self.peer
        curl.setopt(pycurl.HTTPHEADER, lines_of(self.headers))
        # An IPv6 address is nothing that libcurl would resolve, nor does it stand for a host there.
        curl.setopt(pycurl.RESOLVE, [] if name[0] == "[" else [f"+{name}:{port}:{','.join(self.addresses)}"])
        curl.setopt(pycurl.PROXY, self.proxy)
        curl.setopt(SUPPRESS_CONNECT_HEADERS, not self.is_tunneled)
        curl.setopt(pycurl.FRESH_CONNECT, self.is_fresh)
        if self.authorities:
            curl.setopt(pycurl.CAINFO, self.authorities)
        curl.setopt(pycurl.TIMEOUT_MS, self.timeout)
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, self.connect_timeout)


class Names:
    """Addresses of hosts that were resolved and checked not long ago: a kept connection needs them at hand too. Thread-safe.

    Those of a proxy are kept apart: a person named it as a proxy, which makes it no place for a page to lead to.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int, str], tuple[float, tuple[str, ...]]] = {}  # until when, in order of that

    def addresses(self, attempt: Attempt, name: str, port: int) -> tuple[str, ...]:
        """Return the addresses of the URL's host, or of its proxy. Raises FetchFailed, AddressRefused."""
        key = (name, port, attempt.proxy)
        if addresses := self.known(key):
            return addresses
        addresses = tuple(dict.fromkeys(address[0] for _, address in resolved(attempt, name, port)))
        with self._lock:
            self._known.pop(key, None)
            if len(self._known) >= HOSTS_KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[key] = time.monotonic() + NAMES_LAST, addresses
        return addresses

    def known(self, key: tuple[str, int, str]) -> tuple[str, ...]:
        """Return the remembered addresses of this name, port and proxy; none if they have to be resolved."""
        with self._lock:
            until, addresses = self._known.get(key, (0.0, ()))
        return addresses if time.monotonic() < until else ()

    def forget(self, attempt: Attempt, name: str, port: int) -> None:
        with self._lock:
            self._known.pop((name, port, attempt.proxy), None)


def peer_of(url: Url) -> tuple[str, int]:
    return url.hostname, url.port or _PORTS[url.scheme]


def lines_of(headers: Iterable[tuple[str, str]]) -> list[bytes]:
    """Make the lines for HTTPHEADER, where a name without a value suppresses libcurl's own line."""
    named = {name.lower() for name, _ in headers}
    lines = [f"{name}: {value}" if value else f"{name};" for name, value in headers]
    if "accept-encoding" not in named:
        lines.append(f"Accept-Encoding: {ACCEPTED}")
    if "accept" not in named:
        lines.append("Accept:")  # or libcurl would send one of its own
    if bad := next((line for line in lines if _BREAK.search(line)), None):
        raise ValueError(f"a header with a line break in it: {bad[:80]!r}")
    return [line.encode("latin-1") for line in lines]
