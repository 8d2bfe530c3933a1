"""The classic queue of `multiprocessing.managers`, kept on a broker, and the manager's own way of asking for it.

    (queue name | None, method, args, kwds)   ──▶      as a pickle of plain data (the standard library's client)
                                                       or as a msgpack array (`crawler.QueueManager`)
    ◀──  ("#RETURN", value) | ("#ERROR", error)        in the same coding

An object is known by its queue's name where the standard library uses its memory address, so it survives a hub's restart.
Whose move an error is crosses by name, from the tables below; what went wrong inside a hub stays in the hub's log.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from crawler.broker.contract import MAX_BODY, MAX_WAIT, Broker, QueueSpec
from crawler.codec import values
from crawler.errors import CallRefused, QueueFull, StorageError, StorageFull, WireError
from crawler.hub import plain_pickle, verbs
from crawler.items import New, Verdict

PICKLE = 0x80  # first byte of a pickle of protocol 2 and up …
ARRAY_3 = 0x93  # … of a `verbs.Call` in msgpack …
ARRAY_4 = 0x94  # … and of a `Request`
RETURN, ERROR = "#RETURN", "#ERROR"
SLICE = 0.5  # s; longest wait before we look whether the client is still there

INTERNAL = "internal error; see the hub's log"
OURS: dict[str, type[Exception]] = {"Empty": queue.Empty, **verbs.CROSSING}
STOCK: dict[str, type[Exception]] = {
    "Empty": queue.Empty, "CallRefused": ValueError, "StorageError": OSError, "StorageFull": OSError, "QueueFull": OSError,
}  # fmt: skip


class Request(Struct, array_like=True):
    """Request of a manager's client to a named object, or with None to the server itself."""

    ident: str | None
    method: str
    args: list[Any]
    kwds: dict[str, Any]


_request = msgspec.msgpack.Decoder(Request)


def read_request(body: bytearray) -> Request:
    """Raises WireError for anything but a request made of plain data."""
    try:
        if body[:1] == bytes([PICKLE]):
            return msgspec.convert(plain_pickle.loads(body), Request)
        return _request.decode(body)
    except verbs.UNREADABLE as error:
        raise WireError(f"a message is not a request to a manager: {error}") from error


def returned(value: Any, *, pickled: bool) -> bytearray:
    return plain_pickle.dumps((RETURN, value)) if pickled else verbs.frame((RETURN, value))


def failed(error: Exception, *, pickled: bool) -> bytearray:
    name, message = failure(error)
    if pickled:
        return plain_pickle.dumps((ERROR, STOCK[name](message) if message else STOCK[name]()))
    return verbs.frame((ERROR, (name, message)))


def failure(error: Exception) -> tuple[str, str]:
    """Return the name an error crosses the wire under, and its message."""
    if isinstance(error, queue.Empty):
        return "Empty", ""
    if isinstance(error, StorageError):
        kinds = (QueueFull, StorageFull, StorageError)
        return next(kind.__name__ for kind in kinds if isinstance(error, kind)), str(error)
    if isinstance(error, CallRefused | WireError):
        return "CallRefused", str(error)
    return "CallRefused", INTERNAL


def take(broker: Broker, name: str, n: int, wait: float, is_alive: Callable[[], bool]) -> list[bytes]:
    """Take an item for a client that may go away while waiting: then the item is put back, or it would be lost."""
    end = time.monotonic() + wait
    while True:
        bodies = broker.take(name, n, max(0.0, min(SLICE, end - time.monotonic())))
        if bodies and not is_alive():
            broker.put([New(name, body) for body in bodies])
            return []
        if bodies or n <= 0 or time.monotonic() >= end or not is_alive():
            return bodies


class ClassicQueue:
    """`queue.Queue` as far as a manager's client knows it. A `get` leases and completes at once; nothing is ever full for good."""

    EXPOSED: ClassVar[tuple[str, ...]] = ("get", "get_nowait", "put", "put_nowait", "empty", "full", "qsize")

    def __init__(self, broker: Broker, spec: QueueSpec, encode: Callable[[Any], New] | None, is_alive: Callable[[], bool],
                 put: Callable[[list[New]], Sequence[Verdict]]) -> None:  # fmt: skip
        """put: as the role of the client may."""
        self._put = put
        self._broker = broker
        self._spec = spec
        self._encode = encode
        self._is_alive = is_alive

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Raises queue.Empty when there is nothing within `timeout` seconds; None waits for as long as the client is there."""
        if timeout is not None and not (isinstance(timeout, int | float) and timeout >= 0):
            raise CallRefused(f"a timeout of {timeout!r} cannot be waited for; give a number of seconds, 0 or more, or None")
        if self._spec.keyed:
            raise CallRefused(
                f"the tasks of {self._spec.name!r} are lent to stages, host by host; "
                f"use 'crawler take {self._spec.name}' to take one off by hand"
            )
        end = time.monotonic() + (timeout or 0.0)
        while True:
            left = MAX_WAIT if timeout is None else min(MAX_WAIT, max(0.0, end - time.monotonic()))
            bodies = take(self._broker, self._spec.name, 1, left if block else 0.0, self._is_alive)
            if bodies:
                return _value(bodies[0])
            if not block or (timeout is not None and time.monotonic() >= end) or not self._is_alive():
                raise queue.Empty

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an item, which is on disk when this returns. Never blocks: a full queue holds back the stages that feed it, not their
        answers."""
        new = self._encode(item) if self._encode is not None else self._plain(item)
        if list(self._put([new])) == [Verdict.TOO_BIG]:
            raise CallRefused(
                f"an item of {len(new.item)} bytes is over the {MAX_BODY} that queue {new.queue!r} takes; "
                "put where it is kept instead"
            )

    def put_nowait(self, item: Any) -> None:
        self.put(item, block=False)

    def qsize(self) -> int:
        """Tasks that a `get` would find now: delayed and leased ones are not counted."""
        return next(stats.ready for stats in self._broker.stats().queues if stats.name == self._spec.name)

    def empty(self) -> bool:
        return self.qsize() == 0

    def full(self) -> bool:
        return self.qsize() >= self._spec.high_water

    def _plain(self, item: Any) -> New:
        name = self._spec.name
        if self._spec.keyed:
            raise CallRefused(
                f"queue {name!r} is deduplicated by key, which a bare value does not have; use 'crawler put {name} VALUE'"
            )
        try:
            return New(name, _encoded(item))
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise CallRefused(f"this value cannot be put on {name!r}: {error}; put plain data") from error


def _encoded(item: Any) -> bytes:
    try:
        return msgspec.msgpack.encode(item)
    except (TypeError, ValueError, OverflowError):
        return msgspec.msgpack.encode(values.sendable(item))


def _value(body: bytes) -> Any:
    """Items are msgpack; a body that is not (put through the broker by hand) is handed out as the bytes it is."""
    try:
        return msgspec.msgpack.decode(body)
    except verbs.UNREADABLE:
        return body


def queue_names(specs: Sequence[QueueSpec]) -> Mapping[str, QueueSpec]:
    """Map the names a manager registers, get_<queue>_queue, to the queues."""
    return {f"get_{spec.name}_queue": spec for spec in specs}
