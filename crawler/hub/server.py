"""Hub: a manager's server that lends tasks to clients that know the key, and survives the others.

    worker   ──▶ msgpack calls ─────╮
    classic  ──▶ QueueManager ──────┼──▶ HubServer ──▶ Broker
    stock    ──▶ plain pickles ─────╯

One thread a connection, none of which waits for a client without a limit: the door has its deadlines, a frame has one, and
a step that waits in the broker is given up when its socket closes. No client's code runs here, nor is a client told more
than a message: a traceback goes to the log.
"""

from __future__ import annotations

import inspect
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.managers import Server
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from crawler.broker.contract import MAX_WAIT, QueueSpec, Quota, is_full
from crawler.errors import CallRefused, QueueFull, StorageError, UsageError, WireError
from crawler.hub import classic, verbs
from crawler.hub.address import Address, check_exposure
from crawler.hub.classic import ClassicQueue, Request
from crawler.hub.door import MAX_GUESTS, Door
from crawler.hub.manager_wire import SERIALIZER
from crawler.hub.presence import Presence, Served
from crawler.hub.presence import check as check_name
from crawler.hub.roles import (
    ADMIN,
    CLASSIC,
    ROLES,
    Role,
    check,
    check_paces,
    check_session,
    check_step,
    check_take,
    needs_name,
    readable,
)  # fmt: skip
from crawler.hub.wire import Connection
from crawler.items import New, Note, Step, Stepped, Verdict
from crawler.limits import NOTES_PARTS, WORKERS_PART
from crawler.notes import Gate, are_remade

if TYPE_CHECKING:
    from crawler.hub.tls import Tls

log = logging.getLogger(__name__)


class HubServer(Server):
    """Serves a broker at an address. `serve_forever` returns after `stop`; the broker stays the caller's to close."""

    public = ["create", "accept_connection", "get_methods", "dummy", "incref", "decref"]  # noqa: RUF012 - the base class's own attribute

    def __init__(
        self,
        broker: Served,
        queues: Sequence[QueueSpec],
        address: Address | str | tuple[str, int],
        authkey: bytes,
        *,
        encoders: Mapping[str, Callable[[Any], New]] | None = None,
        insecure: bool = False,
        max_connections: int = MAX_GUESTS,
        role_keys: Mapping[str, bytes] = MappingProxyType({}),
        tls: Tls | None = None,
        are_deaths_told: bool = False,
        is_any_site: bool = False,
        quota: Quota | None = None,
    ) -> None:
        """encoders: by queue, how a bare value of a classic `put` becomes a task; needed for keyed queues.
        authkey: the admin's; role_keys: those of other roles, see `roles`. tls: not used on a Unix socket.
        are_deaths_told: all workers are children of one process, which tells of those that die.
        is_any_site: workers may bring hosts of other sites than those of seeds into scope, see `notes`.
        quota: of what others than admins put.

        Raises UsageError for an address that cannot be used, or not with these keys.
        """
        place = Address.of(address)
        keys = _keys(authkey, role_keys)
        for key in keys:
            check_exposure(place, key, insecure=insecure, encrypted=tls is not None)
        self.specs = classic.queue_names(queues)
        registry: dict[str, Any] = {
            typeid: (partial(ClassicQueue, broker, spec, (encoders or {}).get(spec.name)), ClassicQueue.EXPOSED, {}, None)
            for typeid, spec in self.specs.items()
        }
        super().__init__(registry, str(place), authkey, SERIALIZER)
        self.broker = broker
        self.place: Address = self.listener.place  # type: ignore[attr-defined]  # set by the base class, unknown to its stub
        listening: socket.socket = self.listener.socket  # type: ignore[attr-defined]  # as above
        self._door = Door(
            listening,
            keys,
            self._converse,
            self._look_after,
            tls=None if place.path else tls,
            max_guests=max_connections,
        )
        self._gate = Gate(broker, is_any_site=is_any_site)
        self._quota = quota
        self._full: set[str] = set()  # queues of which it was said that producers have filled them
        self._work = {spec.name for spec in queues if spec.is_read}
        self._presence = Presence(broker, logging.INFO if are_deaths_told else logging.WARNING, lambda: self._door.is_closing)
        self._lock = threading.Lock()
        self._waiting: set[Connection] = set()

    def serve_forever(self) -> None:
        log.info("the hub listens at %s", self.place)
        try:
            self._door.run()
        finally:
            self.listener.close()  # type: ignore[attr-defined]  # as above
            log.info("the hub at %s has stopped", self.place)

    def stop(self) -> None:
        """Answer the calls in progress and let `serve_forever` return. Safe in any thread or signal handler."""
        self._door.stop()

    # one connection

    def _converse(self, connection: Connection, role: Role) -> None:
        try:
            while not self._door.is_closing:
                connection.send_frame(self._answer(connection, role, [connection.recv_frame()]))
        finally:
            self._presence.part(connection)

    def _answer(self, connection: Connection, role: Role, frame: list[bytearray]) -> bytearray:
        """Return the answer to a frame. The frame is taken out of the list, so that its 32 MiB are freed while a call waits."""
        first = frame[0][0] if frame[0] else None
        if first == classic.ARRAY_3:
            return self._answer_call(connection, role, frame)
        if first in (classic.PICKLE, classic.ARRAY_4):
            return self._answer_request(connection, role, frame, pickled=first == classic.PICKLE)
        raise WireError("a frame that is neither a call nor a manager's request")

    def _answer_call(self, connection: Connection, role: Role, frame: list[bytearray]) -> bytearray:
        call = verbs.read_call(frame.pop())
        number, verb = call.number, call.verb
        try:
            if verb in verbs.VERBS:
                check(role, verb)
            arguments = verbs.read_arguments(call)
            del call  # which holds the frame
            return verbs.frame((number, verbs.OK, self._do(connection, role, verb, arguments)))
        except Exception as error:  # noqa: BLE001 - whatever a broker raises, this worker gets an answer and the others their hub
            self._note(verb, error)
            return verbs.frame((number, *classic.failure(error)))

    def _answer_request(self, connection: Connection, role: Role, frame: list[bytearray], *, pickled: bool) -> bytearray:
        method = "a request"
        try:
            request = classic.read_request(frame.pop())
            method = request.method
            return classic.returned(self._serve_request(connection, role, request), pickled=pickled)
        except Exception as error:  # noqa: BLE001 - as above
            self._note(method, error)
            return classic.failed(error, pickled=pickled)

    def _note(self, method: str, error: Exception) -> None:
        if isinstance(error, StorageError):
            log.debug("%r failed: %s", method[:40], error)  # the broker has said so, once for all calls
        elif classic.failure(error)[1] == classic.INTERNAL and not self._door.is_closing:
            log.error("%r failed inside the hub", method[:40], exc_info=error)

    # a worker's calls

    def _do(self, connection: Connection, role: Role, verb: str, arguments: list[Any]) -> Any:
        if verb == "step":
            check_step(role, arguments[0], self._work)
            return self._step(connection, role, *arguments)
        if verb in verbs.SESSION_VERBS:
            check_session(role, arguments)
            return getattr(self._presence, verb)(connection, *arguments)
        if verb == "pace":
            check_paces(role, *arguments)
        if verb == "notes":
            return self._notes(role, *arguments)
        if verb == "note":
            self._gate.check(role.name, *arguments)
            return self.broker.note(*arguments, is_remade=are_remade(*arguments), part=NOTES_PARTS.get(role.name, WORKERS_PART))
        if needs_name(role, verb):
            check_name(connection, arguments[0])
        if verb == "take":
            queue, n, wait = arguments
            check_take(role, queue, is_work=queue in self._work)
            return classic.take(self.broker, queue, n, _bounded(wait), partial(self._is_there, connection))
        if verb == "put":
            return self._put(role, *arguments)
        return getattr(self.broker, verb)(*arguments)

    def _notes(self, role: Role, prefix: str, since: int, after: str | None) -> list[Note]:
        """Return a page of the notes that a role may read: a full one if there are more, see `contract.all_pages`."""
        page = self.broker.notes(prefix, since, after or "")
        found = readable(role, page)
        while is_full(page) and not is_full(found):
            last = page[-1]
            page = self.broker.notes(prefix, last.version, "") if since > 0 else self.broker.notes(prefix, 0, last.name)
            found += readable(role, page)
        return found

    def _put(self, role: Role, items: Sequence[New], caller: str = "", call: int = 0) -> list[Verdict]:
        """Put tasks, within the quota unless an admin puts them."""
        if role.is_admin or self._quota is None:
            return self.broker.put(items, caller, call)
        try:
            return self.broker.put(items, caller, call, self._quota)
        except QueueFull as full:
            if (name := items[0].queue) not in self._full:
                self._full.add(name)
                log.warning("a put of the role %s is refused: %s", role.name, full)
            raise

    def _step(self, connection: Connection, role: Role, step: Step) -> Stepped:
        check_name(connection, step.worker)
        if step.paces:
            check_paces(role, step.paces)
        if not _bounded(step.wait):
            return self.broker.step(step)
        with self._watched(connection):
            stepped = self.broker.step(step)
        if stepped.leases and connection.is_gone() and not self._door.is_closing:
            self._presence.lose(step.worker)  # again: these leases were made after it had been given up
        return stepped

    @contextmanager
    def _watched(self, connection: Connection) -> Iterator[None]:
        with self._lock:
            self._waiting.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._waiting.discard(connection)

    def _look_after(self) -> None:
        with self._lock:  # so that no thread closes a descriptor between our choice and our look
            gone = [connection for connection in self._waiting if connection.is_gone()]
        for connection in gone:
            self._presence.part(connection)

    def _is_there(self, connection: Connection) -> bool:
        return not self._door.is_closing and not connection.is_gone()

    # a manager's requests; the names and their meaning are those of the base class

    def _serve_request(self, connection: Connection, role: Role, request: Request) -> Any:
        if request.ident is None:
            if request.method not in self.public:
                raise CallRefused(f"a hub does not do {request.method[:40]!r} for a client; it does {', '.join(self.public)}")
            return _apply(getattr(self, request.method), (connection, *request.args), request.kwds)
        typeid = f"get_{request.ident}_queue"
        face, exposed, _, _ = self._registered(typeid)
        if request.method in ("__str__", "__repr__"):
            return f"<queue {request.ident!r} of the hub at {self.place}>"
        if request.method not in exposed:
            raise CallRefused(f"a queue has no method {request.method[:40]!r}; it has {', '.join(exposed)}")
        verb = CLASSIC[request.method]
        check(role, verb)
        if verb == "take":
            check_take(role, request.ident, is_work=request.ident in self._work)
        queue = face(partial(self._is_there, connection), partial(self._put, role))
        return _apply(getattr(queue, request.method), request.args, request.kwds)

    def _registered(self, typeid: str) -> Any:
        entry = self.registry.get(typeid)  # type: ignore[attr-defined]  # set by the base class, unknown to its stub
        if entry is None:
            raise CallRefused(f"no {typeid[:60]!r} on this hub; it has {', '.join(sorted(self.specs))}")
        return entry

    def create(self, c: Any, typeid: str, /, *args: Any, **kwds: Any) -> tuple[str, tuple[str, ...]]:
        self._registered(typeid)
        return self.specs[typeid].name, ClassicQueue.EXPOSED

    def accept_connection(self, c: Any, name: str) -> None:
        """Do nothing: every connection may ask more than once."""

    def get_methods(self, c: Any, token: Any) -> set[str]:
        return set(ClassicQueue.EXPOSED)

    def dummy(self, c: Any) -> None:
        """Do nothing: `connect` calls this to see that the server answers."""

    def incref(self, c: Any, ident: str) -> None:
        """Do nothing: a queue exists as long as its hub."""

    def decref(self, c: Any, ident: str) -> None:
        """Do nothing: see `incref`."""


def _keys(authkey: bytes, role_keys: Mapping[str, bytes]) -> dict[bytes, Role]:
    keys = {bytes(authkey): ADMIN}
    for name, key in role_keys.items():
        if key in keys:
            raise UsageError(
                f"the keys of {keys[key].name} and {name} are the same, and a client of the one would pass for the "
                "other; remove one of the files and run 'crawler hub --make-keys'"
            )
        keys[key] = ROLES[name]
    return keys


def _apply(method: Callable[..., Any], args: Sequence[Any], kwds: Mapping[str, Any]) -> Any:
    try:
        inspect.signature(method).bind(*args, **kwds)
    except TypeError as error:
        raise CallRefused(f"{method.__name__}: {error}") from error
    return method(*args, **kwds)


def _bounded(wait: float) -> float:
    if not 0 <= wait <= MAX_WAIT:
        raise CallRefused(f"a wait of {wait} s is not possible; ask for 0 to {MAX_WAIT:.0f} s, and ask again")
    return wait
