"""Encode items for a queue; decode and check them as the next stage annotates them.

One place for both, so that a stage gets the same item from the hub as from the previous stage in its process (`worker.chain`).
The form of each value is in the table of `values`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct, inspect

from crawler.codec import values
from crawler.codec.values import KINDS, Count, Kind, ignored
from crawler.errors import ConfigError, CrawlerError
from crawler.stage import Direct

T = TypeVar("T")
NOT_AN_ITEM: Final = "not an item of stage"
_IN_PYTHON: Final = {"`object`": "`dict`", "`array`": "`list`", "`null`": "`None`"}  # msgspec uses JSON's names for types


encoder = msgspec.msgpack.Encoder(enc_hook=values.as_plain)


def encode(item: Any, count: Count = ignored) -> bytes:
    """Return an item as bytes for a queue.

    count: called for each value that was replaced because no queue carries it: see `values`. Raises TypeError, ValueError or
    RecursionError if the item is not plain data.
    """
    if isinstance(item, Direct):
        item = item.packed()
    try:
        return encoder.encode(item)
    except (TypeError, ValueError, OverflowError):
        return encoder.encode(values.sendable(item, count))


def encode_row(item: Any, count: Count = ignored) -> bytes:
    """Return an item for a queue that the store reads, with all its values as they are in a record. As `encode` otherwise."""
    if isinstance(item, Direct):
        return encode(item, count)
    if type(item) in KINDS or values.is_ordinary(item):  # one of ours is plain; the store checks values added to it
        try:
            return encoder.encode(item)
        except (TypeError, ValueError, OverflowError):
            pass
    return encoder.encode(values.stored(item, count))


def readable(body: bytes) -> Any:
    """Return an encoded item as it is in a record, for people; for one that cannot be read, a text that says so."""
    try:
        return values.stored(msgspec.msgpack.decode(body))
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        return f"{len(body)} bytes that are not msgpack"


def fitting(body: bytes, schema: type[T]) -> T | None:
    """Return an encoded item as a value of this type; None if it is not one: any client with a key can put any bytes."""
    try:
        return msgspec.msgpack.decode(body, type=schema)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        return None


def decoder(schema: Any) -> msgspec.msgpack.Decoder[Any]:
    """Return the decoder for a type, the annotation of a stage's argument. Raises ConfigError if the type is not plain data.

    A decoder is made once: decoders made by the check of a crawl exist in the processes that are then forked.
    """
    try:
        return _known(schema)
    except TypeError:  # an annotation that has no hash
        return _new(schema)


def _new(schema: Any) -> msgspec.msgpack.Decoder[Any]:
    try:
        found = msgspec.msgpack.Decoder(schema, dec_hook=_made)
        strange = next(_strange(inspect.type_info(schema), set()), None)
    except TypeError as error:
        what = _UNION if "ype union" in str(error) else str(error)  # msgspec's own words are long and name its terms
        raise ConfigError(f"{what}; {_ADVICE}") from error
    if strange is not None:
        raise ConfigError(f"no item can be read as a {strange.__name__}; {_ADVICE}")
    return found


_known = lru_cache(maxsize=100)(_new)


class Unfit(CrawlerError):
    """Raised if an item does not fit the stage's annotation."""


def unfit(error: Exception, stage: str, schema: Any, body: bytes) -> Unfit:
    """Return the error to raise for an item that a decoder has refused.

    stage: its name. schema: the annotation that the item does not fit. body: the encoded item.
    """
    try:
        item = msgspec.msgpack.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        item = None
    wanted, given = KINDS.get(schema), _kind(item)
    if wanted and given and given != wanted:
        return Unfit(f"{NOT_AN_ITEM} {stage!r}: process takes {schema.__name__}, but it was given {given.said} ({given.shown}); "
                     "see the stage's input and what fills it")  # fmt: skip
    text = _with_key(str(error), schema, item)
    for name, ours in _IN_PYTHON.items():
        text = text.replace(name, ours)
    return Unfit(f"{NOT_AN_ITEM} {stage!r}: {text}; the annotation of process says what it takes")


def _kind(item: Any) -> Kind | None:
    """Return which kind of item this is, as far as its keys tell; None if they do not."""
    return next((kind for kind in KINDS.values() if kind.is_this(item)), None) if isinstance(item, dict) else None


def _with_key(text: str, schema: Any, item: Any) -> str:
    """Return msgspec's message with the key of the wrong value in place of `$[...]`, which stands for any key of a dict."""
    arguments = get_args(schema)
    if "`$[...]" not in text or get_origin(schema) is not dict or not isinstance(item, dict) or len(arguments) != 2:
        return text
    for key, value in item.items():
        try:
            msgspec.convert(value, arguments[1])
        except msgspec.ValidationError:
            return text.replace("`$[...]", f"`$[{key!r}]", 1)
    return text


_UNION: Final = "an item cannot be told to be one or the other of these"
_ADVICE: Final = "use Record, Page, dict[str, Any], another plain type, or a msgspec.Struct or dataclass of your own"


def _made(kind: type, value: Any) -> Any:
    """Make values of the types that msgspec does not know."""
    if kind is object:
        return value
    if kind in KINDS and (make := KINDS[kind].made):
        return make(value)
    raise NotImplementedError


def _strange(info: Any, seen: set[int]) -> Iterator[type]:
    """List the types in a schema that are neither msgspec's nor ours."""
    if id(info) in seen:  # a type may contain itself
        return
    seen.add(id(info))
    if isinstance(info, inspect.CustomType):
        if info.cls is not object and (info.cls not in KINDS or KINDS[info.cls].made is None):
            yield info.cls
    elif isinstance(info, tuple):
        for part in info:
            yield from _strange(part, seen)
    elif isinstance(info, Struct):
        for name in info.__struct_fields__:
            yield from _strange(getattr(info, name), seen)
