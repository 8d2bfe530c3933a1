"""The form of each Python value when it is sent or stored: one table for every queue, sink and command.

    value a stage gives ──sendable──▶ what any queue can carry: text is valid, integers have 64 bits
                        ──stored────▶ what any record can have: the plain kinds below, and nothing else

    str                     text; half of a character (a lone surrogate) becomes U+FFFD                    replaced
    int                     a number; beyond 64 bits it is text, exact in every reader                     replaced
    float                   a number; NaN and the infinities become null                                   replaced
    bytes, bytearray        bytes: base64 in JSON and CSV, a BLOB in SQLite
    datetime                text, ISO 8601; with a time zone in UTC, with a Z
    date, time, timedelta   text, ISO 8601
    Decimal, UUID, Path     text; so is a Fraction
    Enum                    its value
    list, tuple, range      a list; so is a set, sorted so that it is the same in each attempt
    dict, any mapping       an object; keys are text, of two that become equal the later one gets "_2"     replaced
    Struct, dataclass       an object with its fields

Values marked "replaced" are counted under these names. All other values are refused with a TypeError: see `unsendable`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from numbers import Integral, Rational, Real
from os import PathLike, fspath
from typing import Any, Final
from uuid import UUID

import msgspec

MAX_DEPTH: Final = 400  # lists and objects in each other; well below the 1,000 at which Python's own readers stop
DEEP: Final = f"nested more than {MAX_DEPTH} levels deep"
_SENT: Final = range(-(1 << 63), 1 << 64)  # integers that msgpack carries

REPLACED: Final = "replaced/"  # prefix of the counters of values that were replaced, followed by what they were:
TEXT: Final = "half characters"
INTEGER: Final = "integers over 64 bits"
NUMBER: Final = "numbers that are not finite"
KEY: Final = "equal keys"


class Kind(msgspec.Struct, frozen=True):
    """Description of a type of items in a message, and the way to make one from plain data."""

    said: str  # "a page"
    shown: str  # "a Page"
    is_this: Callable[[Mapping[Any, Any]], bool]  # whether a decoded item looks like one
    made: Callable[[Any], Any] | None = None  # of a type that msgspec does not know


KINDS: Final[dict[Any, Kind]] = {}  # by type: the module of each says so when it is imported

Count = Callable[[str], object]  # called with one of these names for each value that is replaced


def ignored(what: str) -> None:
    """Count nothing."""


_NONE: Final = type(None)
_SCALARS: Final = frozenset({str, int, bool, _NONE, bytes})
_KINDS: Final = _SCALARS | {float, list, dict}
_NATIVE: Final = (bytes, bytearray, memoryview, datetime, date, time, timedelta, Decimal, UUID)


def is_ordinary(value: Any) -> bool:
    """Tell cheaply whether a value is stored as it is. Text and integers are not looked at: encoding them tells."""
    return _is_object(value, MAX_DEPTH) if isinstance(value, dict) else _are_ordinary((value,), MAX_DEPTH)


def _is_object(value: dict[Any, Any], depth: int) -> bool:
    return _are_text(value) and _are_ordinary(value.values(), depth)


def _are_ordinary(values: Collection[Any], depth: int) -> bool:
    kinds = set(map(type, values))
    if kinds <= _SCALARS:
        return True
    if depth <= 0 or not kinds <= _KINDS:
        return False
    for value in values:
        kind = type(value)
        if kind is list:
            if not _are_text(value) and not _are_ordinary(value, depth - 1):
                return False
        elif kind is float:
            if not isfinite(value):
                return False
        elif kind is dict and not _is_object(value, depth - 1):
            return False
    return True


def _are_text(values: Iterable[Any]) -> bool:
    """Tell whether all are text. Joining them is the fastest test of a list of links."""
    try:
        "".join(values)
    except TypeError:
        return False
    return True


def sendable(value: Any, count: Count = ignored) -> Any:
    """Return a value that a queue can carry, for one that it cannot. Raises TypeError for a value of no known kind."""
    return _Walk(count, is_stored=False).value(value, MAX_DEPTH)


def stored(value: Any, count: Count = ignored) -> Any:
    """Return a value as it is in a record. Raises TypeError for a value of no known kind."""
    return _Walk(count, is_stored=True).value(value, MAX_DEPTH)


def text(value: str, count: Count = ignored) -> str:
    """Return text that every encoding takes: two halves that belong together become one character, others become U+FFFD."""
    try:
        value.encode()
    except UnicodeEncodeError:
        value = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        if "\ufffd" in value:
            count(TEXT)
    return str(value)


def integer(value: int, count: Count = ignored) -> int | str:
    """Return an integer as a number if it has at most 64 bits, else as text: decimal, or hexadecimal if it is too long for that."""
    if value in _SENT:
        return value
    count(INTEGER)
    try:
        return str(value)
    except ValueError:  # over 4,300 digits: Python's limit, because it takes quadratic time
        return hex(value)


def number(value: float, count: Count = ignored) -> float | None:
    """Return a number, or None for one that is not finite: JSON has no word for it."""
    if isfinite(value):
        return value
    count(NUMBER)
    return None


class _Walk:
    """One pass over a value."""

    def __init__(self, count: Count, *, is_stored: bool) -> None:
        self._count = count
        self._is_stored = is_stored

    def value(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return text(value, self._count)
        if kind is bool or value is None or kind is bytes:
            return value
        if kind is int:
            return integer(value, self._count)
        if kind is float:
            return number(value, self._count) if self._is_stored else value
        if depth <= 0:
            raise TypeError(DEEP)
        if kind is dict:
            return self._object(value, depth)
        return self._list(value, depth) if kind is list or kind is tuple else self._other(value, depth)

    def _list(self, values: Iterable[Any], depth: int) -> list[Any]:
        found = []
        for value in values:  # no comprehension: it would take a second frame of Python's stack for each level
            found.append(self.value(value, depth - 1))
        return found

    def _object(self, values: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in values.items():
            name = self._key(key, depth)
            if name in found:
                self._count(KEY)
                name = _free(str(name), found)
            found[name] = self.value(value, depth - 1)
        return found

    def _key(self, key: Any, depth: int) -> Any:
        if type(key) is str:
            return text(key, self._count)
        if not self._is_stored:  # msgpack takes other keys too
            return self.value(key, depth - 1) if isinstance(key, str | int | Enum) else key
        if isinstance(key, float):  # nan and inf have a name here
            return repr(float(key))
        plain = self.value(key, depth - 1)
        return plain if isinstance(plain, str) else msgspec.json.encode(plain).decode().strip('"')

    def _other(self, value: Any, depth: int) -> Any:
        """Return a value whose type is not exactly one of the plain ones."""
        if isinstance(value, Enum):
            return self.value(value.value, depth - 1)
        if isinstance(value, _NATIVE):
            return self._native(value)
        if isinstance(value, Mapping):
            return self._object(value, depth)
        if isinstance(value, Set):
            return sorted(self._list(value, depth), key=msgspec.json.encode)
        if isinstance(value, msgspec.Struct):
            return self.value(_struct(value), depth)
        if (names := getattr(type(value), "__dataclass_fields__", None)) is not None:  # not by `dataclasses`: slow to import
            return self._object({name: getattr(value, name) for name in names if hasattr(value, name)}, depth)
        return self.value(as_plain(value), depth)

    def _native(self, value: Any) -> Any:
        """Return a value of a kind that msgspec knows."""
        if isinstance(value, bytearray | memoryview):
            return bytes(value)
        if isinstance(value, datetime):
            try:
                value = _plain_datetime(value)
            except OverflowError:  # within a day of the first or the last year, and not in UTC
                return value.isoformat()
        return msgspec.to_builtins(value) if self._is_stored else value


def _free(name: str, taken: Collection[str]) -> str:
    """Return the first of name_2, name_3, … that is not taken."""
    n = 2
    while f"{name}_{n}" in taken:
        n += 1
    return f"{name}_{n}"


def _struct(value: msgspec.Struct) -> Any:
    """Return the fields of a Struct as msgspec sends them, with their values as they are."""
    config = value.__struct_config__
    found = {} if config.tag is None else {config.tag_field: config.tag}
    for field in msgspec.structs.fields(value):
        each = getattr(value, field.name)
        is_default = each is field.default or (field.default_factory in (list, dict, set) and not each)
        if each is not msgspec.UNSET and not (config.omit_defaults and is_default and not config.array_like):
            found[field.encode_name] = each
    return list(found.values()) if config.array_like else found


def as_plain(value: Any) -> Any:
    """Return a value of a kind that msgspec does not know as a plain value. Raises TypeError if there is none for it."""
    for kind, convert in _PLAIN:
        if isinstance(value, kind):
            return convert(value)
    raise TypeError(f"Encoding objects of type {type(value).__qualname__} is unsupported")


def _plain_datetime(value: datetime) -> datetime:
    """Return a time as it comes out of a queue: in UTC if it has a time zone. Raises OverflowError."""
    plain = value if type(value) is datetime else datetime.fromisoformat(value.isoformat())
    return plain if plain.tzinfo is None else plain.astimezone(UTC)


# Subclasses of plain types, such as the text that BeautifulSoup gives; then what has one plain form: other mappings and sequences,
# paths, fractions, and the numbers of libraries such as numpy.
_PLAIN: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, str.__str__), (int, int.__int__), (float, float.__float__), (bytes, bytes.__bytes__), (datetime, _plain_datetime),
    (Mapping, dict), (Set, set), (Sequence, list), (PathLike, fspath), (Integral, int), (Rational, str), (Real, float),
)  # fmt: skip
