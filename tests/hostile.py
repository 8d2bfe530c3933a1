"""Calls to a hub that are of the right types and meant to do harm, made from the annotations of the protocols."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from crawler.broker.contract import Broker
from crawler.hub.verbs import VERBS, Session

MANY = 100_000  # parts
LONG = 1_000_000  # characters or bytes
SURROGATE = msgspec.msgpack.Ext(1, b"")  # stands for a text that is no UTF-8: see `encoded`
INTS = (0, -1, 2**31, 2**53, 2**63 - 1, -(2**63), 2**64 - 1)
FLOATS = (0.0, -1.0, -0.0, 1e308, 1e9, 3_600.0, 1e-300, float("inf"), float("-inf"), float("nan"))
TEXTS = ("", "\0", "x" * LONG, "x" * 200, "\x1b[31m\r\n", "\u202e", "root/127.0.0.1:1", "rows/x", "robots/http://a", SURROGATE)
BYTES = (b"", b"seed", b"\xc1", b"\x81" * 20_000, b"k" * 16, b"x" * LONG)
PLAIN: dict[str, Any] = {
    "queue": "task", "worker": "w", "caller": "c", "prefix": "root/", "url": "http://a/", "host": "h", "name": "own",
    "key": b"k" * 16, "parent": b"k" * 16, "secret": b"k" * 16,
}  # fmt: skip


def encoded(number: int, verb: str, arguments: Sequence[Any]) -> bytes:
    """Return a call as it is sent."""
    return msgspec.msgpack.encode([number, verb, arguments]).replace(msgspec.msgpack.encode(SURROGATE), b"\xa3\xed\xa0\x80")


def calls(verb: str, plain_values: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Yield arguments of a verb: each value in turn is one that does harm, and the others are plain."""
    function = getattr(Session if hasattr(Session, verb) else Broker, verb)
    hints = get_type_hints(function)
    parameters = [(name, hints[name]) for name in list(inspect.signature(function).parameters)[1:]]
    given = PLAIN | dict(plain_values)
    plain = [_plain(kind, name, given) for name, kind in parameters]
    yield plain
    for place, (name, kind) in enumerate(parameters):
        for value in _harmful(kind, name, given):
            yield [*plain[:place], value, *plain[place + 1 :]]


def all_calls(**plain: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield verbs and their arguments. plain: values of arguments and fields, by name, where they are to do no harm."""
    for verb in sorted(VERBS):
        for arguments in calls(verb, plain):
            yield verb, arguments


def _plain(kind: Any, name: str, plain: Mapping[str, Any]) -> Any:
    kind = _inner(kind)
    if kind is str:
        return plain.get(name, "x")
    if kind is bytes:
        return plain.get(name, b"x")
    if kind in (int, float):
        return kind(1)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _struct(kind, {}, plain)
    return {} if get_origin(kind) is dict else [] if get_origin(kind) is not None else False


def _harmful(kind: Any, name: str, plain: Mapping[str, Any]) -> Iterator[Any]:
    if NoneType in get_args(kind):
        yield None
    kind = _inner(kind)
    if kind in (int, float, str, bytes):
        yield from {int: INTS, float: FLOATS, str: TEXTS, bytes: BYTES}[kind]
    elif kind is bool:
        yield from (False, True)
    elif isinstance(kind, type) and issubclass(kind, Struct):
        for field, of in _fields(kind).items():
            for value in _harmful(of, field, plain):
                yield _struct(kind, {field: value}, plain)
    elif get_origin(kind) is dict:
        yield from ({text: number} for text in TEXTS if isinstance(text, str) for number in INTS[-3:])
        yield {f"c{n}": 2**53 for n in range(MANY)}
        yield {f"c{n}": 2**53 for n in range(1_000)}
    else:
        (part,) = get_args(kind)
        yield from ([value] for value in _harmful(part, name.removesuffix("s"), plain))
        yield [_plain(part, name.removesuffix("s"), plain)] * MANY


def _inner(kind: Any) -> Any:
    """Return a type without the None that it may be instead."""
    if get_origin(kind) in (Union, UnionType):
        (kind,) = [each for each in get_args(kind) if each is not NoneType]
    return kind


def _fields(kind: type[Struct]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field: hints[field] for field in kind.__struct_fields__}


def _struct(kind: type[Struct], values: dict[str, Any], plain: Mapping[str, Any]) -> Any:
    """Return a struct as it is sent, whose other fields are plain."""
    whole = {field: _plain(of, field, plain) for field, of in _fields(kind).items() if NoneType not in get_args(of)}
    whole |= {field: None for field in _fields(kind) if field not in whole} | {"wait": 0.0} | values
    names = kind.__struct_fields__
    return [whole[field] for field in names] if kind.__struct_config__.array_like else {field: whole[field] for field in names}
