"""The classic three steps, over our wire: register, connect, get the queue.

    QueueManager.register("get_task_queue")
    manager = QueueManager(address=("127.0.0.1", 8000), authkey=key)
    manager.connect()
    task = manager.get_task_queue()        # get, put, empty, qsize …, of any thread

A manager of the standard library is served as well; this one runs no code for the hub, has a deadline on every call and
finds its way back when the hub has been restarted.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import managers
from multiprocessing.managers import BaseManager, BaseProxy
from pathlib import Path
from typing import Any

from crawler.broker.contract import MAX_WAIT, QueueSpec
from crawler.errors import HubLost, UsageError
from crawler.hub.address import Address
from crawler.hub.classic import ClassicQueue
from crawler.hub.connect import CALL_TIME
from crawler.hub.manager_wire import serializer
from crawler.hub.presence import Served
from crawler.hub.server import HubServer
from crawler.hub.tls import for_client, for_hub


class QueueProxy(BaseProxy):
    """A queue of the hub. Raises HubLost when the hub goes away in a call; the next call connects again."""

    _exposed_ = ClassicQueue.EXPOSED

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Raises queue.Empty when there is nothing within `timeout` seconds; None waits for ever, in calls that do end."""
        if not block:
            return self._callmethod("get", (False,))
        end = time.monotonic() + (timeout or 0.0)
        wait = MAX_WAIT if timeout is None else min(MAX_WAIT, timeout)
        while True:
            try:
                return self._callmethod("get", (True, wait))
            except queue.Empty:
                if timeout is not None:
                    wait = min(MAX_WAIT, end - time.monotonic())
                    if wait <= 0:
                        raise

    def get_nowait(self) -> Any:
        return self.get(block=False)

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an item, which is on the hub's disk when this returns."""
        self._callmethod("put", (item,))

    def put_nowait(self, item: Any) -> None:
        self.put(item)

    def empty(self) -> bool:
        is_empty: bool = self._callmethod("empty")
        return is_empty

    def full(self) -> bool:
        is_full: bool = self._callmethod("full")
        return is_full

    def qsize(self) -> int:
        size: int = self._callmethod("qsize")
        return size

    def _callmethod(self, methodname: str, args: tuple[Any, ...] = (), kwds: Mapping[str, Any] | None = None) -> Any:
        local: Any = self._tls  # type: ignore[attr-defined]  # the base class's, unknown to its stub
        connection = getattr(local, "connection", None)
        with _hub_errors(self._token.address):  # type: ignore[attr-defined]  # as above
            if connection is None or connection.is_gone():
                self._connect()  # type: ignore[attr-defined]  # as above
            local.connection.deadline = time.monotonic() + MAX_WAIT + CALL_TIME
            return super()._callmethod(methodname, args, dict(kwds or {}))


class QueueManager(BaseManager):
    """A client's manager; with a broker and queues, also the one whose `get_server` is a hub."""

    def __init__(
        self,
        address: Any = None,
        authkey: bytes | None = None,
        *,
        broker: Served | None = None,
        queues: Sequence[QueueSpec] = (),
        certs: str | Path | None = None,
        role: str = "admin",
    ) -> None:
        """certs: a directory as 'crawler hub --make-certs DIR' makes it, to speak TLS with those of `role`, or as the hub."""
        self._tls = None if certs is None else for_client(certs, role) if broker is None else for_hub(certs)
        super().__init__(address=address, authkey=authkey, serializer=serializer(self._tls))
        self._broker = broker
        self._queues = queues

    @classmethod
    def register(
        cls,
        typeid: str,
        callable: Callable[..., object] | None = None,
        proxytype: Any = QueueProxy,
        exposed: Sequence[str] | None = None,
        method_to_typeid: Mapping[str, str] | None = None,
        create_method: bool = True,
    ) -> None:
        """Register a name as in the standard library. The hub decides which object has the name: a `callable` is never called."""
        super().register(typeid, callable, proxytype, exposed, method_to_typeid, create_method)

    def connect(self) -> None:
        """Connect to the hub. Raises HubUnreachable, KeyRefused or TlsRefused.

        The standard library remembers one connection a thread for each address, for all managers and for ever. Of a hub that
        was restarted it would be a dead one that every new proxy is given, so connecting anew forgets it.
        """
        address: Any = self.address
        with BaseProxy._mutex:
            BaseProxy._address_to_local.pop(address, None)
        with _hub_errors(address):
            super().connect()

    def get_server(self) -> HubServer:
        """Raises UsageError where this manager has no broker to serve, or cannot listen at its address."""
        if self._broker is None:
            raise UsageError("this manager has no broker to serve; start a hub with 'crawler hub', or give it broker= and queues=")
        authkey = bytes(self._authkey)  # type: ignore[attr-defined]  # the base class's, unknown to its stub
        return HubServer(self._broker, self._queues, Address.of(self.address), authkey, tls=self._tls)

    def start(self, *args: Any, **kwds: Any) -> None:
        raise UsageError("a hub is a process of its own; start it with 'crawler hub' and use connect()")


@contextlib.contextmanager
def _hub_errors(address: Any) -> Iterator[None]:
    try:
        yield
    except (EOFError, ConnectionError, TimeoutError, managers.RemoteError) as error:
        raise HubLost(str(Address.of(address))) from error
