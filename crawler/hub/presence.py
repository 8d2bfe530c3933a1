"""Workers connected to a hub: which names each connection may use, and which workers are gone.

    hello(name, secret) ──▶ the name is claimed, and the connection is that worker's: when its last one breaks, it is gone
    claim(name, secret) ──▶ the name is claimed, and nothing more: for a parent that speaks for its workers

The first secret that a name is claimed with is the only one that is accepted for it. The store keeps a digest of it with all else
that it knows of this worker, so it holds as long as that, restarts of the hub included.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from crawler.broker.contract import Broker, Quota
from crawler.errors import CallRefused, CrawlerError
from crawler.hub.identity import MOST_BYTES, SECRET_BYTES, digest
from crawler.hub.wire import Connection
from crawler.items import New, Note, Verdict

log = logging.getLogger(__name__)

NAMES = 1_000  # names that one connection may have claimed; a worker has one, a parent those of its workers


class Served(Broker, Protocol):
    """A broker that a hub can serve: it knows workers by secrets, and wants to know when one is gone."""

    def claim(self, worker: str, digest: bytes) -> bool:
        """Store a digest for the name of a worker, unless there is one. False: there is another."""
        ...

    def put(self, items: Sequence[New], caller: str = "", call: int = 0, quota: Quota | None = None) -> list[Verdict]:
        """See `Broker.put`. quota: raise QueueFull rather than pass it."""
        ...

    def note(self, notes: Sequence[Note], *, is_remade: bool = False, part: float = 1.0) -> int:
        """See `Broker.note`. is_remade: a power cut may undo it, as it may undo a step. part: of the room for all notes, which
        these may take up to."""
        ...

    def lost(self, worker: str) -> None:
        """End the waits of a worker and shorten its leases: its last connection broke without a `bye`. It may still come back."""
        ...


class Presence:
    """Thread-safe."""

    def __init__(self, broker: Served, level: int, is_closing: Callable[[], bool]) -> None:
        """level: of the log line about a worker that went away without a `bye`. is_closing: tells whether the hub stops."""
        self._broker = broker
        self._level = level
        self._is_closing = is_closing
        self._lock = threading.Lock()
        self._workers: dict[Connection, str] = {}  # connections that said hello
        self._left: set[str] = set()  # workers that said bye

    def claim(self, connection: Connection, worker: str, secret: bytes) -> None:
        """Let a connection use the name of a worker. Raises CallRefused if another process has it."""
        if not worker:
            raise CallRefused("a worker without a name cannot lease; give it one that no other worker of the hub has")
        if not SECRET_BYTES <= len(secret) <= MOST_BYTES:
            raise CallRefused(f"a secret of {len(secret)} bytes is not possible; give {SECRET_BYTES} to {MOST_BYTES} random bytes")
        if worker not in connection.names and len(connection.names) >= NAMES:
            raise CallRefused(f"a connection may use the names of {NAMES} workers; open another one")
        if not self._broker.claim(worker, digest(worker, secret)):
            raise CallRefused(f"the name {_shown(worker)} belongs to another process, which claimed it with another secret; "
                              "a name is for one process, choose another")  # fmt: skip
        connection.names.add(worker)

    def hello(self, connection: Connection, worker: str, secret: bytes) -> None:
        """Assign the connection to this worker. Raises CallRefused if another process has the name."""
        self.claim(connection, worker, secret)
        with self._lock:
            self._workers[connection] = worker
            self._left.discard(worker)

    def bye(self, connection: Connection) -> None:
        """Note that the worker of this connection leaves on purpose."""
        with self._lock:
            worker = self._workers.get(connection)
            if worker is not None:
                self._left.add(worker)

    def part(self, connection: Connection) -> None:
        """Note that a connection is closed. If it was the last one of its worker, and no bye came, the worker is lost."""
        with self._lock:
            worker = self._workers.pop(connection, None)
            if worker is None or worker in self._workers.values():
                return
            was_bye = worker in self._left
            self._left.discard(worker)
        if not was_bye and not self._is_closing():
            log.log(self._level, "worker %s went away without a word", _shown(worker))
            self.lose(worker)

    def lose(self, worker: str) -> None:
        """Tell the broker that a worker is gone."""
        try:
            self._broker.lost(worker)
        except CrawlerError as error:  # its leases run out by themselves, only later
            log.error("the leases of %s could not be shortened: %s", _shown(worker), error)  # noqa: TRY400 - our own errors need no traceback


def check(connection: Connection, worker: str | None) -> None:
    """Raise CallRefused unless the connection has claimed the name of this worker."""
    if worker not in connection.names:
        raise CallRefused(f"this connection has not claimed the name {_shown(worker or '')}; say hello with it and a "
                          "secret of your own first")  # fmt: skip


def _shown(worker: str) -> str:
    return repr(worker[:80])
