"""The messages between a worker and the hub: every verb of `Broker`, and three about the worker itself.

    worker                                             hub
      │  [call number, verb, [arguments…]]   ────────▶  │      msgpack, one frame each
      │  ◀────────   [call number, "ok", result]        │      or [call number, "CallRefused", message]

The types come from the annotations of the protocols below, read when a verb is first said: an argument of the wrong type is
refused before any broker sees it, and a verb that `Broker` gains crosses the wire without a word here. The call number comes
back with the answer, so that a client can never take one answer for another.
"""

from __future__ import annotations

import inspect
from functools import cached_property
from types import FunctionType
from typing import Any, Protocol, get_type_hints

import msgspec
from msgspec import Raw, Struct

from crawler.broker.contract import Broker
from crawler.errors import CallRefused, QueueFull, StorageError, StorageFull, WireError
from crawler.hub.wire import MAX_FRAME
from crawler.limits import Name, Secret

OK = "ok"
UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)  # what hostile bytes raise in a decoder
CROSSING: dict[str, type[CallRefused] | type[StorageError]] = {
    "CallRefused": CallRefused, "StorageError": StorageError, "StorageFull": StorageFull, "QueueFull": QueueFull,
}  # fmt: skip


class Session(Protocol):
    """Calls to the hub itself rather than to its broker."""

    def hello(self, worker: Name, secret: Secret) -> None:
        """Claim a name as `claim` does, for the worker whose connection this is. When its last one breaks without a `bye` that
        worker counts as dead."""
        ...

    def claim(self, worker: Name, secret: Secret) -> None:
        """Let this connection speak in the name of a worker, which no connection may do that has not claimed it.

        The first secret for a name is the only one that is accepted for it. Raises CallRefused for another one."""
        ...

    def bye(self) -> None:
        """Tell that the worker leaves on purpose: the leases it still has are not given back."""
        ...


class Call(Struct, array_like=True):
    """A request: the arguments stay undecoded until the verb is known."""

    number: int
    verb: str
    arguments: Raw


class Reply(Struct, array_like=True):
    """An answer: the value stays undecoded until it is known to belong to our call."""

    number: int
    kind: str
    value: Raw


class Verb:
    """Encoders and decoders of one verb, built at its first use: a process uses a few of them."""

    def __init__(self, name: str, function: FunctionType) -> None:
        self._name = name
        self._function = function

    @cached_property
    def arguments(self) -> msgspec.msgpack.Decoder[Any]:
        hints = get_type_hints(self._function, include_extras=True)  # with the limits
        fields: list[Any] = []
        for parameter in list(inspect.signature(self._function).parameters.values())[1:]:
            default = () if parameter.default is parameter.empty else (parameter.default,)
            fields.append((parameter.name, hints[parameter.name], *default))
        return msgspec.msgpack.Decoder(msgspec.defstruct(self._name, fields, array_like=True, forbid_unknown_fields=True))

    @cached_property
    def result(self) -> msgspec.msgpack.Decoder[Any]:
        kind = get_type_hints(self._function)["return"]
        return msgspec.msgpack.Decoder(kind if kind is not type(None) else None)


def _verbs(protocol: type, without: frozenset[str]) -> dict[str, Verb]:
    functions = inspect.getmembers(protocol, inspect.isfunction)
    return {name: Verb(name, function) for name, function in functions if not name.startswith("_") and name not in without}


BROKER_VERBS = _verbs(Broker, without=frozenset({"close"}))  # a hub's broker is closed by its hub
SESSION_VERBS = _verbs(Session, without=frozenset())
VERBS = BROKER_VERBS | SESSION_VERBS

_encoder = msgspec.msgpack.Encoder()
_call = msgspec.msgpack.Decoder(Call)
_reply = msgspec.msgpack.Decoder(Reply)


def frame(message: Any) -> bytearray:
    """Encode once, after 4 free bytes for the frame's length. Raises CallRefused for values that msgpack cannot encode."""
    buffer = bytearray(4)
    try:
        _encoder.encode_into(message, buffer, 4)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CallRefused(f"this cannot be sent: {error}; send plain data") from error
    if len(buffer) > MAX_FRAME:
        raise CallRefused(f"a message of {len(buffer)} bytes is over the {MAX_FRAME} of a frame; send or ask for fewer tasks")
    return buffer


def read_call(body: bytearray) -> Call:
    try:
        return _call.decode(body)
    except UNREADABLE as error:
        raise WireError(f"a frame is not a call: {error}") from error


def read_reply(body: bytearray) -> Reply:
    try:
        return _reply.decode(body)
    except UNREADABLE as error:
        raise WireError(f"a frame is not an answer: {error}") from error


def read_arguments(call: Call) -> list[Any]:
    """Return the arguments of a call, checked for their types. Raises CallRefused, naming the wrong one."""
    verb = VERBS.get(call.verb)
    if verb is None:
        raise CallRefused(f"a hub knows no {call.verb[:40]!r}; it knows {', '.join(sorted(VERBS))}")
    try:
        arguments = verb.arguments.decode(call.arguments)
    except UNREADABLE as error:
        hint = "; send less in one call, see crawler.limits" if "length <=" in str(error) else ""
        raise CallRefused(f"{call.verb}: {error}{hint}") from error
    return [getattr(arguments, name) for name in arguments.__struct_fields__]


def read_result(verb: str, reply: Reply) -> Any:
    """Return a verb's result or raise its error again: by name, from a list, so that no peer chooses which class is constructed."""
    try:
        if reply.kind == OK:
            return VERBS[verb].result.decode(reply.value)
        raise CROSSING.get(reply.kind, CallRefused)(msgspec.msgpack.decode(reply.value, type=str))
    except UNREADABLE as error:
        raise WireError(f"the answer to {verb} cannot be read: {error}") from error
