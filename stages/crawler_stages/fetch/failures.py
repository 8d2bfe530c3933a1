"""Rules for fetches that failed. The tables are the documentation.

    status or failure ──Rule──▶ Retry, maybe with rest for the host     or     GiveUp     or     Drop: not ours to ask

A task whose last attempt ends in a Retry is dead like one given up: `crawler dead list` has its status or failure. It has no
record: it can be tried again by `crawler dead retry`, and a record of an outage would not describe the page.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from crawler import AddressRefused, Drop, GiveUp, MachineShort, Retry, no_network
from crawler_stages.clients.contract import (
    BadName,
    BrokenReply,
    ConnectFailed,
    FetchFailed,
    NameUnknown,
    NoTls,
    Reply,
    TimedOut,
    TlsFailed,
    TooBig,
)
from crawler_stages.fetch.robots_files import Unwilling

MAX_REST: Final = 3600.0  # s; longer Retry-After values are cut: the task would outlive the crawl
MAX_GROWN_REST: Final = 300.0  # s; longest rest of a failing host unless it asks for more; Heritrix 900
SOON: Final = 0.5  # s between attempts at an unknown name before any server has answered: it is probably mistyped
_HOSTS: Final = 10_000  # hosts whose failures are counted


ENOUGH: Final = 5  # hosts that have failed since the last answer
ANEW: Final = 5.0  # s that the answer to a question about a known host is good for
PATIENCE: Final = 120.0  # s; where no host has ever answered they are then taken at their word


class Rule(Struct, frozen=True):
    rest: float = 0.0  # s the host is left alone, doubled with each failure in a row; 0: it is not to blame
    is_final: bool = False  # another try would end the same


ON_STATUS: Final = {               # any other status makes a page
    408: Rule(),                   # the server gave up on a connection, not on the URL
    425: Rule(),
    429: Rule(rest=5.0),           # Retry-After goes before
    500: Rule(rest=1.0),
    502: Rule(rest=1.0),
    503: Rule(rest=5.0),           # Retry-After goes before
    504: Rule(rest=1.0),
    520: Rule(rest=1.0),           # 520-524: a proxy in front of a server that is down
    521: Rule(rest=1.0),
    522: Rule(rest=1.0),
    523: Rule(rest=1.0),
    524: Rule(rest=1.0),
}  # fmt: skip

ON_FAILURE: Final[dict[type[FetchFailed], Rule]] = {
    NameUnknown: Rule(rest=1.0),   # name servers err, and names come back
    ConnectFailed: Rule(rest=1.0),
    TimedOut: Rule(rest=1.0),
    BrokenReply: Rule(),
    BadName: Rule(is_final=True),
    TlsFailed: Rule(is_final=True),
    NoTls: Rule(is_final=True),
    TooBig: Rule(is_final=True),
}  # fmt: skip


class Failures:
    """Rules for failures, with the number of failures of each host in a row. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._in_a_row: OrderedDict[str, tuple[int, float]] = OrderedDict()  # failures, and until when the host rests

    def of_status(self, reply: Reply, host: str) -> Retry | None:
        """Return the error to raise for a reply; None if it makes a page."""
        rule = ON_STATUS.get(reply.status)
        if rule is None:
            self._well(host)
            return None
        return self._retry(f"status {reply.status}", rule, host, retry_after(reply.headers))

    def of_error(
        self, error: FetchFailed | AddressRefused, host: str, what: str = "", *, is_start: bool = False
    ) -> Retry | GiveUp | Drop:
        """Return the exception to raise if there is no reply. what: start of the reason, if it was not the page itself that failed.

        is_start: it is a seed, and no server has answered yet; the person who typed it is waiting for the result.
        """
        reason = f"{what}{error}"
        if isinstance(error, AddressRefused):
            return Drop(reason)
        if isinstance(error, Unwilling):
            rule = ON_STATUS.get(error.reply.status, ON_STATUS[500])
            return self._retry(reason, rule, host, retry_after(error.reply.headers))
        if is_start and isinstance(error, NameUnknown):
            return Retry(reason, after=SOON, rest=SOON)
        rule = ON_FAILURE[type(error)]
        return GiveUp(reason) if rule.is_final else self._retry(reason, rule, host, None)

    def _well(self, host: str) -> None:
        with self._lock:
            self._in_a_row.pop(host, None)

    def _retry(self, reason: str, rule: Rule, host: str, wanted: float | None) -> Retry:
        if wanted is not None:
            return Retry(f"{reason}, Retry-After {wanted:.0f} s", after=wanted, rest=wanted)
        if not rule.rest:
            return Retry(reason)
        return Retry(reason, rest=self._grown(rule, host))

    def _grown(self, rule: Rule, host: str) -> float:
        """Return s to rest. Requests that fail during a rest were sent before it: one outage, however many requests it hit."""
        now = self._clock()
        with self._lock:
            failures, until = self._in_a_row.pop(host, (0, 0.0))
            failures = max(failures, 1) if now < until else failures + 1
            longest = min(MAX_GROWN_REST, rule.rest * 2.0 ** min(failures - 1, 16))
            rest = longest * random.uniform(0.5, 1.0)  # noqa: S311  jitter keeps no secret
            self._in_a_row[host] = (failures, max(until, now + rest))
            if len(self._in_a_row) > _HOSTS:
                self._in_a_row.popitem(last=False)
        return rest


class Outage:
    """Tells a network of this machine that is out of order from hosts that are, by whether all of them fail. Thread-safe.

    That there is no route at all is known at once: see `shortage_of`. This is for a router or name servers that do not answer.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, resolve: Callable[[str], bool] | None = None) -> None:
        """resolve: tells whether a name has an address now; the default asks the system."""
        self._clock = clock
        self._resolve = resolve or _resolves
        self._lock = threading.Lock()
        self._failed: set[str] = set()
        self._since = 0.0
        self._well = ""  # name of the host that answered last
        self._checked = (-ANEW, False)  # when it was looked up again, and whether it had an address

    def answered(self, hostname: str) -> None:
        """Note that a host has answered."""
        self._well = hostname
        if self._failed:
            with self._lock:
                self._failed.clear()

    def failed(self, host: str, text: str) -> MachineShort | None:
        """Note that a host could not be reached. Returns the machine's shortage if no host can be reached."""
        now = self._clock()
        with self._lock:
            if not self._failed:
                self._since = now
            if len(self._failed) < ENOUGH:
                self._failed.add(host)
            if len(self._failed) < ENOUGH:
                return None
        if self._is_network_well(now):
            return None
        return no_network(f"no host can be reached, the last one {text}")

    def _is_network_well(self, now: float) -> bool:
        if not self._well or self._well[-1].isdigit() or self._well[-1] == "]":  # an address has no need of a name server
            return now > self._since + PATIENCE
        at, is_well = self._checked
        if now >= at + ANEW:
            is_well = self._resolve(self._well)
            self._checked = now, is_well
        return is_well


def _resolves(hostname: str) -> bool:
    try:
        socket.getaddrinfo(hostname.strip("[]"), None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return True


def retry_after(headers: Iterable[tuple[str, str]]) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110 §10.2.3), MAX_REST at most; None if it cannot be followed."""
    value = next((value.strip() for name, value in headers if name.lower() == "retry-after"), "")
    if value.isascii() and value.isdigit():
        seconds = float(value[:12])
    else:
        from email.utils import parsedate_to_datetime  # here, because it is large, and few servers send a date

        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()
    return min(seconds, MAX_REST) if seconds >= 0 else None
