"""Conversion of plain tables into typed structs, with messages for the person who wrote the table.

msgspec does the checking; when it refuses, the deepest value at fault is looked for and named by its dotted key, together
with what was expected there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import inspect, structs

from crawler.errors import ConfigError
from crawler.wording.secrets import shown

T = TypeVar("T", bound=msgspec.Struct)

_HUGE = 1 << 63
_DAY = 86_400  # s
_SHOWN = 200  # characters of a wrong value in a message


def fill(
    kind: type[T],
    table: Mapping[str, Any],
    name: str = "",
    place: Callable[[str], str] = lambda _: "",
    beside: Iterable[str] = (),
) -> T:
    """Return a struct made from the table at dotted key `name` ("": the top).

    place: says where a key was set, for the messages. beside: keys of the table that other code reads; a misspelt one arrives
    here. Raises ConfigError for unknown keys, wrong types and values out of range.
    """
    _refuse_unknown(kind, table, name, place, beside)
    try:
        return msgspec.convert(dict(table), kind)
    except msgspec.ValidationError as error:
        key, value, wanted = _culprit(kind, table, name)
        if missing := _missing(wanted, value):
            full = join(key, missing[0])
            raise ConfigError(f"{at(place(full))}{full} is missing; expected {expected(missing[1])}") from error
        # A struct that refuses values which are right one by one says why itself, in its __post_init__.
        is_own = _is_struct(_meant(wanted, value)) and isinstance(value, Mapping)
        reason = str(error) if is_own else f"expected {expected(wanted)}{_written_with_unit(value, wanted)}"
        said = "" if isinstance(value, Mapping) and (not key or reason == str(error)) else f" is {short(shown(key, value))}"
        raise ConfigError(f"{at(place(key))}{key or 'the configuration'}{said}; {reason}") from error


def _written_with_unit(value: Any, wanted: Any) -> str:
    from crawler.config.units import hint  # here, because only mistakes need it

    return hint(value, wanted)


def refuse_infinite(table: Any, name: str, place: Callable[[str], str]) -> None:
    """TOML can write inf. It means nothing in any setting of ours, and a delay of inf would stop everything in silence."""
    if isinstance(table, Mapping):
        for key, value in table.items():
            refuse_infinite(value, join(name, key), place)
    elif isinstance(table, list):
        for index, value in enumerate(table):
            refuse_infinite(value, join(name, f"[{index}]"), place)
    elif isinstance(table, float) and not math.isfinite(table):
        raise ConfigError(f"{at(place(name))}{name} is {table}; expected a finite number")


def refuse_huge(table: Any, name: str, place: Callable[[str], str]) -> None:
    """Refuse integers of more than 64 bits: they do not fit in messages and databases, and some options have no own bounds."""
    if isinstance(table, Mapping):
        for key, value in table.items():
            refuse_huge(value, join(name, key), place)
    elif isinstance(table, list):
        for index, value in enumerate(table):
            refuse_huge(value, join(name, f"[{index}]"), place)
    elif isinstance(table, int) and not -_HUGE <= table < _HUGE:
        raise ConfigError(f"{at(place(name))}{name} is {short(table)}; expected a number of 64 bits, from -2**63 to 2**63 - 1")


def short(value: Any) -> str:
    """Return a value as TOML may write it, cut if it is long."""
    if isinstance(value, int) and abs(value) >= _HUGE**4:
        return f"a whole number of {value.bit_length()} bits"
    text = _written(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(_written, value))}]" if isinstance(value, list) else repr(value)


def leaves(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the values in a table and its inner tables, by path; an empty table is a leaf, so that it is not lost."""
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def expected(kind: Any) -> str:
    """Describe a value of this type for people who write TOML."""
    return _words(inspect.type_info(kind))


def at(place: str) -> str:
    return f"{place}: " if place else ""


def join(name: str, key: str) -> str:
    return f"{name}.{key}" if name and not key.startswith("[") else f"{name}{key}"


def _refuse_unknown(kind: Any, table: Any, name: str, place: Callable[[str], str], beside: Iterable[str] = ()) -> None:
    plain = _meant(kind, table)
    if _is_struct(plain) and isinstance(table, Mapping):
        fields = plain.__struct_encode_fields__
        for key in table:
            if key not in fields:
                full = join(name, key)
                raise ConfigError(f"{at(place(full))}{shown('', full)} is not a setting; {_hint(key, name, [*fields, *beside])}")
    for part, value, wanted in _parts(kind, table):
        _refuse_unknown(wanted, value, join(name, part), place)


def _hint(key: str, name: str, there: list[str]) -> str:
    """Return what is probably meant by this key of the table `name`: one of the names in `there`, or a setting of another table."""
    from crawler.config import suggestions  # here, because only mistakes need it
    from crawler.wording.spelling import nearest, suggestion

    near = nearest(key, there)
    is_named = name.startswith(("queues.", "hosts."))  # a table of one queue or host: other settings are not of it
    if is_named or name.count(".") > 1 or suggestions.likeness(key, near) >= suggestions.SURE:  # in one setting, or misspelled
        return suggestion(key, there, name)
    meant = suggestions.elsewhere(key)
    if here := [leaf for table, _, leaf in (each.rpartition(".") for each in meant) if table == name]:
        return suggestions.question(join(name, leaf) for leaf in here)  # another program's name for a setting of this table
    for found in (meant, suggestions.similar(key, near)):
        if others := [each for each in found if each.rpartition(".")[0] != name]:
            return suggestions.question(others)
    return suggestion(key, there, name)


def _culprit(kind: Any, value: Any, name: str) -> tuple[str, Any, Any]:
    """The deepest key whose value does not fit, that value, and the type it should have had."""
    for part, item, wanted in _parts(kind, value):
        try:
            msgspec.convert(item, wanted)
        except msgspec.ValidationError:
            return _culprit(wanted, item, join(name, part))
    return name, value, kind


def _missing(kind: Any, value: Any) -> tuple[str, Any] | None:
    """Return the first required key that a table lacks, with its type."""
    kind = _meant(kind, value)
    if not _is_struct(kind) or not isinstance(value, Mapping):
        return None
    required = ((item.encode_name, item.type) for item in fields_of(kind) if item.required)
    return next((each for each in required if each[0] not in value), None)


@lru_cache(maxsize=1_000)
def fields_of(kind: type[msgspec.Struct]) -> tuple[structs.FieldInfo, ...]:
    """Return the fields of a struct. Their types are evaluated once in all processes that are copies of this one."""
    return structs.fields(kind)


def _parts(kind: Any, value: Any) -> list[tuple[str, Any, Any]]:
    """Return the parts of a table or list, each with its key and the type it should have."""
    kind = _meant(kind, value)
    if _is_struct(kind) and isinstance(value, Mapping):
        names = {item.encode_name: item.type for item in fields_of(kind)}
        return [(key, item, names[key]) for key, item in value.items() if key in names]
    if get_origin(kind) is dict and isinstance(value, Mapping):
        return [(key, item, get_args(kind)[1]) for key, item in value.items()]
    if get_origin(kind) in (list, tuple) and isinstance(value, list):
        return [(f"[{index}]", item, get_args(kind)[0]) for index, item in enumerate(value)]
    return []


def _meant(kind: Any, value: Any) -> Any:
    """The type without its limits; of several, the one for tables where the value is a table."""
    if get_origin(kind) is Annotated:
        return _meant(get_args(kind)[0], value)
    if get_origin(kind) in (Union, UnionType):
        tables = [one for one in get_args(kind) if _is_struct(one) or get_origin(one) is dict]
        return tables[0] if tables and isinstance(value, Mapping) else kind
    return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _words(info: inspect.Type) -> str:
    match info:
        case inspect.Metadata():
            return _words(info.type)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number" + _range(info)
        case inspect.FloatType():
            return "a number" + _range(info)
        case inspect.StrType():
            return "a string"
        case inspect.LiteralType():
            return f"one of {', '.join(map(repr, info.values))}"
        case inspect.EnumType():
            return f"one of {', '.join(repr(member.value) for member in info.cls)}"
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            return _listed(_words(info.item_type))
        case inspect.DictType() | inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType():
            return "a table"
        case inspect.UnionType():
            return " or ".join(_words(kind) for kind in info.types if not isinstance(kind, inspect.NoneType))
        case _:
            return type(info).__name__.removesuffix("Type").lower()


def _listed(item: str) -> str:
    """Describe a list of such items."""
    if item == "a string":
        return 'a list of strings, such as ["a", "b"]'
    return f"a list in [ ], in which each is {item}"


def _range(info: inspect.IntType | inspect.FloatType) -> str:
    bounds = {"above": info.gt, "from": info.ge, "below": info.lt, "to": info.le}
    words = " ".join(f"{word} {_number(bound)}" for word, bound in bounds.items() if bound is not None)
    most = info.le or 0
    is_time = isinstance(info, inspect.FloatType) and most > _DAY and most % _DAY == 0
    days = f" ({int(most) // _DAY} days)" if is_time else ""
    return f" {words}{days}" if words else ""


def _number(bound: float) -> str:
    """Return the number as TOML may write it: 604800, 0.001."""
    return f"{int(bound)}" if bound == int(bound) and abs(bound) >= 10_000 else f"{bound:g}"
