"""Client of a hub, as a Broker: each verb becomes a call, repeated until it is answered or `patience` ends.

    verb ──▶ free connection, or a new one ──▶ call ──▶ answer
                   ▲                            │
                   ╰── back-off with jitter ◀── lost: the same call again, which changes nothing twice

A call holds a connection of its own until it is answered, so a long poll never keeps a heart-beat waiting; between calls
connections lie in a small pool. Any exception inside a call closes its connection, because the next answer on it would be
this call's.
"""

from __future__ import annotations

import itertools
import logging
import math
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from crawler.broker.contract import all_pages
from crawler.errors import CallRefused, HubLost, HubUnreachable, UsageError, WireError
from crawler.hub import verbs
from crawler.hub.address import Address
from crawler.hub.connect import CALL_TIME, open_connection
from crawler.hub.contact import Contact
from crawler.hub.identity import secret as own_secret
from crawler.hub.wire import Connection
from crawler.items import Dead, Found, HostStats, New, Note, Pace, Stats, Step, Stepped, Story, Verdict
from crawler.limits import PUT_AT_ONCE

if TYPE_CHECKING:
    from crawler.hub.tls import Tls

log = logging.getLogger(__name__)

PATIENCE = 60.0  # s a worker keeps trying: a hub that is restarted is back long before
BASE, CAP = 0.1, 1.0  # s; the n-th wait is anything from 0 to BASE * 2**n, CAP at most: not all workers return at once
CALLS = 8  # short calls at once, each on a connection of its own; those of more threads wait their turn
BYE_TIME = 1.0  # s to say good-bye


class HubClient:
    """The hub at `address` as a Broker, for any number of threads. Connects at the first call.

    worker: the name the hub knows us by; when it is given and our last connection breaks, the hub takes us for dead.
    patience: seconds in which a call that finds no hub is tried again; 0 for a command that should say so at once.
    contact: told when the hub is lost and when it is back; the clients of one process share one.
    find: asked for the hub's address after each failed call: a hub that is started again may listen on another port.
    secret: what the names of workers are claimed with, the same for all clients of a process and of its children if not given.

    Raises what a Broker raises, and HubUnreachable when nobody answered within `patience`, HubLost when the hub went away in
    the middle of a call and did not come back, KeyRefused and TlsRefused at once.
    """

    def __init__(
        self,
        address: str | Address,
        authkey: bytes,
        worker: str = "",
        *,
        patience: float = PATIENCE,
        tls: Tls | None = None,
        contact: Contact | None = None,
        find: Callable[[], str] | None = None,
        secret: bytes = b"",
    ) -> None:
        self.address = Address.of(address)
        self.worker = worker
        self.patience = patience
        self._authkey = authkey
        self._tls = tls
        self._contact = contact
        self._find = find
        self._secret = secret or own_secret()
        self._cut_at = -math.inf  # monotonic time of the last `cut`
        self._caller = f"{worker or 'client'}/{secrets.token_hex(4)}"  # puts are numbered apart from the worker's own steps
        self._calls = itertools.count(1)
        self._puts = itertools.count(1)
        self._put_lock = threading.Lock()  # puts arrive in the order of their numbers
        self._lock = threading.Lock()
        self._short_calls = threading.BoundedSemaphore(CALLS)
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._closed = threading.Event()
        self._claimed: set[str] = set()  # names of workers that `claim` was called with

    def put(self, items: Sequence[New], caller: str = "", call: int = 0) -> list[Verdict]:
        if caller:
            return self._list("put", items, caller, call)
        verdicts: list[Verdict] = []
        with self._put_lock:
            for first in range(0, len(items) or 1, PUT_AT_ONCE):  # each part is on disk before the next is sent
                verdicts += self._list("put", items[first : first + PUT_AT_ONCE], self._caller, next(self._puts))
        return verdicts

    def step(self, step: Step) -> Stepped:
        stepped: Stepped = self._ask("step", step, wait=step.wait, name=step.worker)
        return stepped

    def extend(self, worker: str, tokens: Sequence[int], ttl: float) -> list[bool]:
        kept: list[bool] = self._ask("extend", worker, tokens, ttl, name=worker)
        return kept

    def expire(self, worker: str | None, reason: str = "", begun: Sequence[int] = (), at_work: Sequence[int] = ()) -> int:
        """End the leases of a worker. Without the key of an admin only a name that `claim` has claimed is allowed."""
        ended: int = self._ask("expire", worker, reason, begun, at_work, name=worker if worker in self._claimed else None)
        return ended

    def held(self, worker: str, tokens: Sequence[int] = ()) -> list[str]:
        """Return the URLs of a worker's tasks. Only an admin, or the process that claimed the name, may ask."""
        urls: list[str] = self._ask("held", worker, tokens, name=worker if worker in self._claimed else None)
        return urls

    def claim(self, worker: str) -> None:
        """Speak in the name of a worker from now on, as its parent does: see `hub.identity`. Raises CallRefused."""
        self._ask("claim", worker, self._secret)
        self._claimed.add(worker)

    def pace(self, paces: Sequence[Pace]) -> None:
        self._ask("pace", paces)

    def note(self, notes: Sequence[Note]) -> int:
        return self._int("note", notes)

    def notes(self, prefix: str, since: int = 0, after: str | None = None) -> list[Note]:
        if after is not None:
            return self._list("notes", prefix, since, after)
        return all_pages(lambda since, after: self._list("notes", prefix, since, after), since)

    def forget(self, notes: Sequence[str] = (), counters: Sequence[str] = ()) -> int:
        return self._int("forget", notes, counters)

    def take(self, queue: str, n: int, wait: float = 0.0) -> list[bytes]:
        """Take results from a queue. A lost answer loses its results, unless the hub noticed; every other call can be repeated."""
        return self._list("take", queue, n, wait, wait=wait)

    def dead(self, queue: str | None = None, limit: int = 100, after: int = 0) -> list[Dead]:
        return self._list("dead", queue, limit, after)

    def revive(self, ids: Sequence[int]) -> int:
        return self._int("revive", ids)

    def drop(self, ids: Sequence[int]) -> int:
        return self._int("drop", ids)

    def stats(self) -> Stats:
        stats: Stats = self._ask("stats")
        return stats

    def hosts(self, names: Sequence[str] = ()) -> list[HostStats]:
        return self._list("hosts", names)

    def why(self, queue: str, key: bytes) -> Story | None:
        story: Story | None = self._ask("why", queue, key)
        return story

    def find(self, url: str) -> list[Found]:
        return self._list("find", url)

    def drained(self, queues: Sequence[str] | None = None, wait: float = 0.0) -> bool:
        is_drained: bool = self._ask("drained", queues, wait, wait=wait)
        return is_drained

    def cut(self, patience: float) -> None:
        """Limit the retries of calls that find no hub, pending ones too, to this many s from now. Safe in a signal handler."""
        self.patience = min(self.patience, patience)
        self._cut_at = time.monotonic()

    def close(self) -> None:
        """Say good-bye; calls that other threads still wait for end with HubLost. Safe to call twice."""
        with self._lock:
            self._closed.set()
            idle, self._idle = self._idle, []
            busy = list(self._busy)
        for connection in idle:
            self._take_leave(connection)
        for connection in busy:
            connection.abort()

    def __enter__(self) -> HubClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _list(self, verb: str, *arguments: Any, wait: float = 0.0) -> list[Any]:
        answer: list[Any] = self._ask(verb, *arguments, wait=wait)
        return answer

    def _int(self, verb: str, *arguments: Any) -> int:
        answer: int = self._ask(verb, *arguments)
        return answer

    def _ask(self, verb: str, *arguments: Any, wait: float = 0.0, name: str | None = None) -> Any:
        """Make a call, and repeat it unchanged until it is answered.

        wait: s the hub may keep us on purpose. name: the worker in whose name we speak.
        """
        number = next(self._calls)
        frame = verbs.frame((number, verb, arguments))
        failed_at: float | None = None  # monotonic time; patience begins with the first failure, not with the call
        was_lost = False
        for attempt in itertools.count(1):
            if self._closed.is_set():
                raise CallRefused("this client is closed; make a new one")
            asked_at = time.monotonic()
            try:
                with nullcontext() if wait else self._short_calls, self._borrow() as connection:
                    if name is not None and name not in connection.names:
                        self._introduce(connection, "claim", name)
                    reply = self._exchange(connection, number, frame, wait)
            except (HubLost, HubUnreachable) as error:
                was_lost = was_lost or isinstance(error, HubLost)
                now = time.monotonic()
                failed_at = now if failed_at is None else failed_at
                give_up = max(failed_at, self._cut_at) + self.patience  # `cut` may have changed it
                if self._contact is not None and attempt > 1 and not self._closed.is_set():
                    self._contact.lost(self.patience)
                pause = random.uniform(0, min(CAP, BASE * 2 ** min(attempt, 10)))  # noqa: S311 - no secret
                has_given_up = now + pause >= give_up or self._closed.wait(pause)
                told = str(self.address)
                self._move()  # before giving up as well: the next call must find it
                if has_given_up:
                    if was_lost:  # the call may have taken effect: the caller must know
                        raise HubLost(told) from error
                    raise
            else:
                if self._contact is not None and self._contact.is_lost:
                    self._contact.answered(asked_at)
                return verbs.read_result(verb, reply)
        raise AssertionError("count() does not end")

    def _move(self) -> None:
        """Use the address at which the hub is now, if it is known."""
        if self._find is None:
            return
        with suppress(UsageError):  # half written, or unreadable: asked again after the next failure
            address = Address.of(self._find())
            if address != self.address:
                log.info("the hub is at %s now, it was at %s", address, self.address)
                self.address = address

    def _exchange(self, connection: Connection, number: int, frame: bytearray, wait: float) -> verbs.Reply:
        connection.deadline = time.monotonic() + wait + CALL_TIME
        try:
            connection.send_frame(frame)
            reply = verbs.read_reply(connection.recv_frame())
        except (EOFError, OSError, WireError) as error:
            raise HubLost(str(self.address)) from error
        if reply.number != number:
            raise HubLost(str(self.address))
        return reply

    def _connect(self) -> Connection:
        connection = open_connection(self.address, self._authkey, tls=self._tls)
        if self.worker:
            try:
                self._introduce(connection, "hello", self.worker)
            except BaseException:
                connection.close()
                raise
        return connection

    def _introduce(self, connection: Connection, verb: str, name: str) -> None:
        """Claim the name of a worker for a connection. Raises CallRefused if somebody else has it."""
        verbs.read_result(verb, self._exchange(connection, 0, verbs.frame((0, verb, (name, self._secret))), 0.0))
        connection.names.add(name)

    def _acquire(self) -> Connection:
        connection = self._idle_connection() or self._connect()
        with self._lock:
            self._busy.add(connection)
            is_late = self._closed.is_set()
        if is_late:
            connection.abort()  # closed while we connected: the call fails like those in flight
        return connection

    def _idle_connection(self) -> Connection | None:
        """Return a pooled connection that the hub has not closed since: so a hub that was restarted costs no failed call."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None or not connection.is_gone():
                return connection
            connection.close()

    @contextmanager
    def _borrow(self) -> Iterator[Connection]:
        """Lend a connection for one call: pooled again when the call was answered, closed in any other case."""
        connection = self._acquire()
        is_sound = False
        try:
            yield connection
            is_sound = True
        finally:
            self._release(connection, is_sound=is_sound)

    def _release(self, connection: Connection, *, is_sound: bool) -> None:
        with self._lock:
            self._busy.discard(connection)
            is_kept = is_sound and not self._closed.is_set()
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            connection.close()

    def _take_leave(self, connection: Connection) -> None:
        if self.worker:
            try:
                connection.deadline = time.monotonic() + BYE_TIME
                connection.send_frame(verbs.frame((0, "bye", ())))
                connection.recv_frame()
            except (EOFError, OSError, WireError):
                pass  # the hub is gone
        connection.close()
