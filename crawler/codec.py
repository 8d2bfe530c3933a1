"""How an item travels: encoded by the stage that gives it, decoded and checked as the next stage annotates it.

One place for both, so that a stage gets the same from the hub as from the stage before it in its own process (`chain`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct, inspect

from crawler.errors import ConfigError
from crawler.web.page import Page, Record

encoder = msgspec.msgpack.Encoder()


def encode(item: Any) -> bytes:
    """An item as it is put on a queue. Raises TypeError, ValueError or OverflowError for what is no plain data."""
    return encoder.encode(item.packed() if isinstance(item, Page) else item)


def decoder(schema: Any) -> msgspec.msgpack.Decoder[Any]:
    """The reader of items of a type, which is the annotation of a stage's argument. Raises ConfigError for one that is no data."""
    try:
        found = msgspec.msgpack.Decoder(schema, dec_hook=_made)
        strange = next(_strange(inspect.type_info(schema), set()), None)
    except TypeError as error:
        raise ConfigError(f"{error}; {_ADVICE}") from error
    if strange is not None:
        raise ConfigError(f"no item can be read as a {strange.__name__}; {_ADVICE}")
    return found


_ADVICE: Final = "use Record, Page, dict[str, Any], another plain type, or a msgspec.Struct or dataclass of your own"


def _made(kind: type, value: Any) -> Any:
    """Values of the types that msgspec does not know."""
    if kind is object:
        return value
    if kind is Record:
        return Record.of(value)
    raise NotImplementedError


def _strange(info: Any, seen: set[int]) -> Iterator[type]:
    """The types in a schema that are neither msgspec's nor ours."""
    if id(info) in seen:                 # a type may contain itself
        return
    seen.add(id(info))
    if isinstance(info, inspect.CustomType):
        if info.cls not in (object, Record):
            yield info.cls
    elif isinstance(info, tuple):
        for part in info:
            yield from _strange(part, seen)
    elif isinstance(info, Struct):
        for name in info.__struct_fields__:
            yield from _strange(getattr(info, name), seen)
