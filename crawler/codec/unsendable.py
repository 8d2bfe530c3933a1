"""Say which part of an item cannot be sent, and what to give instead. Imported only when an item is refused."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from msgspec import Struct

from crawler.codec.values import DEEP, stored
from crawler.stage import Drop, GiveUp, Retry
from crawler.wording.texts import about, words

_DEEPEST: Final = 20  # levels that are searched for the value
_SHOWN: Final = 60  # characters of the value that are shown
_PLAIN: Final = "give plain data, a msgspec.Struct or a dataclass"


def why(item: Any, error: Exception) -> str:
    """Return what cannot be sent and what to do: `at key 'price': a complex; give plain data, …`. error: from encoding the item."""
    path: list[str] = []
    value = item
    while len(path) < _DEEPEST and (found := _culprit(value)) is not None:
        step, value, error = found
        path.append(step)
    if isinstance(error, RecursionError) or DEEP in str(error):
        return f"it contains itself, or is {DEEP}"
    where = f"at {' → '.join(path)}: " if path else ""
    return f"{where}{_advice(value)}"


def _culprit(value: Any) -> tuple[str, Any, Exception] | None:
    """Return the first part of a value that cannot be encoded, with its name; None: it is the value itself."""
    for name, part in _parts(value):
        try:
            stored(part)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            return name, part, error
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield f"key {words(repr(key), 60)}", part
        for key in value:
            yield "a key", key
    elif isinstance(value, list | tuple | set | frozenset):
        for n, part in enumerate(value):
            yield f"index {n}", part
    elif isinstance(value, Struct):
        for name in value.__struct_fields__:
            yield f"field {name}", getattr(value, name)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield f"field {field.name}", getattr(value, field.name)


def _shown(value: Any) -> str:
    """Return the value in brackets, cut, if its text says more than its type."""
    shown = words(about(value), _SHOWN)
    return "" if " at 0x" in shown or shown == type(value).__qualname__ else f" ({shown})"


def _advice(value: Any) -> str:
    kind = value if isinstance(value, type) else type(value)
    if issubclass(kind, Drop | GiveUp | Retry):
        return f"{kind.__name__} is given; raise it"
    if issubclass(kind, BaseException):
        return f"the exception {kind.__name__} is given; raise it, or give str() of it"
    if inspect.iscoroutine(value):
        value.close()  # otherwise Python warns of it, in words that do not help
        return "a coroutine; await it, and write async def process"
    if isinstance(value, AsyncIterator):
        return "an async generator; write async def process, and yield each of its items"
    if isinstance(value, Iterator):
        return f"a {kind.__name__}; give list(…) of it"
    if inspect.isroutine(value) or isinstance(value, type):
        return f"{words(getattr(value, '__name__', kind.__name__), 60)} is a {type(value).__name__}; call it, with ()"
    name = f"an object of type {'' if kind.__module__ == 'builtins' else f'{kind.__module__}.'}{kind.__qualname__}{_shown(value)}"
    if hasattr(value, "get_text"):
        return f"{name}; give its text: get_text()"
    if hasattr(value, "isoformat"):
        return f"{name}; give its isoformat()"
    return f"{name}; {_PLAIN}"
