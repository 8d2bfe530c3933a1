"""Python values in a record: the table of `crawler.codec.values`, row by row, and for anything at all."""

from __future__ import annotations

import base64
import enum
import json
import math
import re
import string
import tempfile
import uuid
from array import array
from collections import Counter, OrderedDict, UserDict, UserList, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler import GiveUp, Record
from crawler.codec import values
from crawler.codec.bodies import encode, encode_row, readable
from crawler.items import New
from crawler.stage import Stage
from crawler.worker.routing import Router, Unsendable
from crawler.worker.rows import as_row
from crawler_stages.sinks import Row, SinkOptions
from crawler_stages.store import Store
from tests.stages.outputs import Output

HALF = "\ud83d"
SMILE = "\ud83d\ude00"  # two halves in Python's text; one character in every encoding
EAST, WEST = timezone(timedelta(hours=5)), timezone(-timedelta(hours=5))
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=EAST)
MOST_DIGITS = 10**4300


class Colour(enum.Enum):
    RED = "red"
    HALF = HALF


class Flag(enum.IntFlag):
    A = 1


class Text(str):
    __slots__ = ()


class Moment(datetime):
    pass


class Product(msgspec.Struct, rename="camel", omit_defaults=True):
    full_name: Any
    tags: list[Any] = []


class Tagged(msgspec.Struct, tag="t"):
    n: Any


class Pair(msgspec.Struct, array_like=True):
    a: Any
    b: Any


@dataclass
class Point:
    x: Any
    y: Any = HALF


Named = namedtuple("Named", "a b")
TEXT, INTEGER, NUMBER, KEY = values.TEXT, values.INTEGER, values.NUMBER, values.KEY

TABLE: list[tuple[Any, Any, dict[str, int]]] = [
    # text
    ("plain", "plain", {}), ("a\0b", "a\0b", {}), ("", "", {}), ("\u2028\x85\ufeff", "\u2028\x85\ufeff", {}),
    ("a" + HALF, "a\ufffd", {TEXT: 1}), (HALF, "\ufffd", {TEXT: 1}), ("\ude00\ud83d", "\ufffd\ufffd", {TEXT: 1}),
    (SMILE, "😀", {}), (f"{SMILE}{HALF}", "😀\ufffd", {TEXT: 1}), ("\ufffd", "\ufffd", {}), (Text("t"), "t", {}),
    (Text(HALF), "\ufffd", {TEXT: 1}), (BeautifulSoup("<b>x</b>", "html.parser").b.string, "x", {}),  # type: ignore[union-attr]  # the tag is there
    ("x" * 1_000_000, "x" * 1_000_000, {}),
    # numbers
    (0, 0, {}), (2**63 - 1, 2**63 - 1, {}), (2**64 - 1, 2**64 - 1, {}), (-(2**63), -(2**63), {}),
    (2**64, "18446744073709551616", {INTEGER: 1}), (-(2**63) - 1, "-9223372036854775809", {INTEGER: 1}),
    (10**40 + 1, "1" + "0" * 39 + "1", {INTEGER: 1}), (MOST_DIGITS - 1, "9" * 4300, {INTEGER: 1}),
    (MOST_DIGITS * 10**100, hex(MOST_DIGITS * 10**100), {INTEGER: 1}),
    (True, True, {}), (Flag.A, 1, {}), (1.5, 1.5, {}), (-0.0, -0.0, {}), (5e-324, 5e-324, {}), (1e308, 1e308, {}),
    (math.nan, None, {NUMBER: 1}), (math.inf, None, {NUMBER: 1}), (-math.inf, None, {NUMBER: 1}),
    (Decimal("1.50"), "1.50", {}), (Decimal("NaN"), "NaN", {}), (Fraction(1, 3), "1/3", {}),
    # bytes
    (b"\xff\0", b"\xff\0", {}), (bytearray(b"x"), b"x", {}), (memoryview(b"x"), b"x", {}),
    # times
    (WHEN, "2026-01-01T22:04:05Z", {}), (datetime(2026, 1, 2), "2026-01-02T00:00:00", {}),
    (Moment(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z", {}), (datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin")),
     "2026-06-30T22:00:00Z", {}), (date(2026, 1, 2), "2026-01-02", {}), (time(1, 2), "01:02:00", {}),
    (timedelta(hours=1), "PT3600S", {}), (timedelta(days=-1), "-P1D", {}),
    (datetime.max.replace(tzinfo=WEST), "9999-12-31T23:59:59.999999-05:00", {}),
    (datetime.min.replace(tzinfo=EAST), "0001-01-01T00:00:00+05:00", {}), (datetime.min, "0001-01-01T00:00:00", {}),
    # other single values
    (None, None, {}), (Colour.RED, "red", {}), (Colour.HALF, "\ufffd", {TEXT: 1}), (PurePosixPath("/a/b"), "/a/b", {}),
    (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001", {}),
    # lists
    ([], [], {}), ((1, HALF), [1, "\ufffd"], {TEXT: 1}), (Named(1, 2), [1, 2], {}), (range(3), [0, 1, 2], {}),
    (deque([1]), [1], {}),
    (UserList([1]), [1], {}), (array("d", [0.5, math.nan]), [0.5, None], {NUMBER: 1}), (Pair(1, math.nan), [1, None], {NUMBER: 1}),
    ({"b", "a"}, ["a", "b"], {}), (frozenset({2, "x"}), ["x", 2], {}), ({1: 1}.keys(), [1], {}), ([[[{"a": [HALF]}]]],
     [[[{"a": ["\ufffd"]}]]], {TEXT: 1}),
    # objects
    ({}, {}, {}), ({"": 1, "A": 2, "a": 3, "a\0": 4}, {"": 1, "A": 2, "a": 3, "a\0": 4}, {}), (UserDict({"a": 1}), {"a": 1}, {}),
    (MappingProxyType({"a": math.inf}), {"a": None}, {NUMBER: 1}), (OrderedDict(b=1, a=2), {"b": 1, "a": 2}, {}),
    ({HALF: 1}, {"\ufffd": 1}, {TEXT: 1}), ({HALF: 1, "\ude00": 2, "\ufffd_2": 3}, {"\ufffd": 1, "\ufffd_2": 2, "\ufffd_2_2": 3},
     {TEXT: 2, KEY: 2}), ({1: "a", "1": "b", 1.5: "c", None: "d", False: "e"},
     {"1": "a", "1_2": "b", "1.5": "c", "null": "d", "false": "e"}, {KEY: 1}),
    ({(1, "a"): 1, b"k": 2, math.nan: 3, Colour.RED: 4, date(2026, 1, 2): 5, WHEN: 6, 2**70: 7, uuid.UUID(int=1): 8},
     {'[1,"a"]': 1, "aw==": 2, "nan": 3, "red": 4, "2026-01-02": 5, "2026-01-01T22:04:05Z": 6, str(2**70): 7,
      "00000000-0000-0000-0000-000000000001": 8}, {INTEGER: 1}),
    (Product(HALF), {"fullName": "\ufffd"}, {TEXT: 1}), (Product("x", ["a"]), {"fullName": "x", "tags": ["a"]}, {}),
    (Tagged(2**64), {"type": "t", "n": str(2**64)}, {INTEGER: 1}), (Point({1}), {"x": [1], "y": "\ufffd"}, {TEXT: 1}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected", "counts"), TABLE, ids=lambda each: type(each).__name__)
def test_a_value_becomes_what_the_table_says_and_is_counted_if_it_was_replaced(
    value: Any, expected: Any, counts: dict[str, int]
) -> None:
    counted = Counter[str]()

    row = msgspec.msgpack.decode(encode_row({"v": value}, lambda what: counted.update([what])))

    assert repr(row) == repr({"v": expected})
    assert counted == counts


# Left out: a set, which msgpack sends in any order, and a dataclass with one.
OTHER_WAYS = [row[:2] for row in TABLE if not isinstance(row[0], set | frozenset | Point)]


@pytest.mark.parametrize(("value", "expected"), OTHER_WAYS, ids=lambda each: type(each).__name__)
def test_a_value_that_comes_by_a_queue_of_ones_own_is_the_same_in_the_store(value: Any, expected: Any) -> None:
    assert repr(as_row(msgspec.msgpack.decode(encode({"v": value})))["v"]) == repr(expected)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (object(), "an object of type object; give plain data"),
        (1j, "an object of type complex (1j); give plain data"),
        (ValueError("x"), "the exception ValueError is given; raise it"),
        (print, "print is a builtin_function_or_method; call it"),
        (iter([1]), "a list_iterator; give list(…) of it"),
        (re.match("a", "a"), "an object of type re.Match"),
        (SimpleNamespace(a=1), "an object of type types.SimpleNamespace (namespace(a=1)); give"),
        (Stage, "Stage is a type; call it, with ()"),
        (BeautifulSoup("<b>x</b>", "html.parser").b, "an object of type bs4.element.Tag (<b>x</b>); give its text: get_text()"),
        (ZoneInfo("UTC"), "an object of type zoneinfo.ZoneInfo"),
    ],
    ids=lambda each: type(each).__name__,
)
@pytest.mark.parametrize("queue", ["records", "parsed"])
def test_any_other_value_is_refused_with_its_place_type_and_text(value: Any, says: str, queue: str) -> None:
    router = Router("shop", (queue,), {}, stored=("records",))

    with pytest.raises(Unsendable) as caught:
        router.route({"url": "http://a/", "price": [1, {"was": value}]})

    assert str(caught.value).startswith(
        f"stage 'shop' gave an item that cannot be sent: at key 'price' → index 1 → key 'was': {says}"
    )


def nested(levels: int, *, of: Callable[[Any], Any] = lambda value: [value]) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = of(value)
    return value


@pytest.mark.parametrize("of", [lambda value: [value], lambda value: {"a": value}, lambda value: (value,)])
def test_nesting_is_kept_to_a_limit_and_refused_beyond_it(of: Callable[[Any], Any]) -> None:
    kept, refused = {"v": nested(values.MAX_DEPTH - 2, of=of)}, {"v": nested(values.MAX_DEPTH + 1, of=of)}
    router = Router("shop", ("records",), {}, stored=("records",))

    assert json.loads(msgspec.json.encode(as_row(msgspec.msgpack.decode(encode_row(kept))))) == json.loads(json.dumps(kept))
    with pytest.raises(Unsendable, match="it contains itself, or is nested more than 400 levels deep"):
        router.route(refused)


def test_what_contains_itself_is_refused() -> None:
    value: dict[str, Any] = {}
    value["me"] = value

    with pytest.raises(Unsendable, match="it contains itself"):
        Router("shop", ("records",), {}, stored=("records",)).route(value)


def test_an_ordinary_record_is_not_looked_at_value_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "stored", None)
    record = Record(url="http://a/", links=["http://a/b"], elapsed=0.5, price=None, jsonld=[{"@type": "Product", "n": [1, 2.5]}])

    assert msgspec.msgpack.decode(encode_row(record)) == record


# Anything that Python's data can be, to some depth: text with surrogates, integers of any size, times at both ends of the calendar.
_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=8)
_SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-(1 << 200), 1 << 200), st.floats(), _TEXT, st.binary(max_size=8),
    st.binary(max_size=4).map(bytearray), st.decimals(), st.uuids(), st.fractions(), st.dates(), st.times(), st.timedeltas(),
    st.datetimes(timezones=st.one_of(st.none(), st.just(UTC), st.just(EAST), st.just(WEST))), st.sampled_from(Colour),
    st.complex_numbers(), st.builds(object), st.just(print),
)  # fmt: skip
_KEYS = st.one_of(_TEXT, st.integers(), st.floats(), st.none(), st.booleans(), st.binary(max_size=4), st.dates(), st.tuples(_TEXT))
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.tuples(inner, inner), st.dictionaries(_KEYS, inner, max_size=4),
        st.builds(Product, inner), st.builds(Point, inner, inner), st.builds(Pair, inner, inner),
    ),
    max_leaves=12,
)  # fmt: skip
_ROWS = st.dictionaries(st.one_of(_TEXT, st.sampled_from(string.ascii_letters), _KEYS), _VALUES, min_size=1, max_size=5)


def as_sqlite_has_it(value: Any) -> Any:
    """Return what is read back from a column for a value of a row: see README."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and value >= 1 << 63:
        return str(value)
    return value if value is None or isinstance(value, str | int | float | bytes) else as_json(value)


def as_json(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").replace("\x85", "\\u0085")


def as_csv_has_it(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, str) else as_json(value)


class Files(Output):
    """An output that the store writes to."""

    def store(self, *items: Any) -> None:
        store = Store(Store.Options(output=str(self.path), csv_safe=False, **self.options))
        store.open()
        try:
            store.process([msgspec.msgpack.decode(body) for body in items])
        finally:
            store.close()


def routed(item: Any) -> New | str:
    """Return the task for the store, or the reason why there is none."""
    try:
        new = Router("shop", ("records",), {}, stored=("records",)).route(item)
    except Unsendable as refused:
        return str(refused)
    assert isinstance(new, New)
    return new


def whole(row: Row) -> Row:
    """Return a row with the fields that had no column of their own."""
    found = {name: value for name, value in row.items() if name not in ("_key", "_extra")}
    return {**found, **json.loads(row.get("_extra") or "{}")}


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(_ROWS)
def test_any_item_is_stored_alike_in_every_sink_or_refused_in_one_sentence(item: dict[Any, Any]) -> None:
    new = routed(item)
    if isinstance(new, str):
        assert "\n" not in new
        assert new.startswith("stage 'shop' gave an item that cannot be sent: at ")
        return
    row = as_row(msgspec.msgpack.decode(new.item))
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Files(Path(folder) / name) for name in ("a.jsonl", "a.csv", "a.sqlite")]
        for output in outputs:
            output.store(new.item, encode(readable(new.item)))  # it comes again: one row
        lines, (cells,), (columns,) = (output._read() for output in outputs)

    assert lines == [json.loads(msgspec.json.encode(row))]
    names = {name for name in row if name.lower() not in ("_extra", "_key")}
    assert {name: cells[name] for name in names} == {name: as_csv_has_it(row[name]) for name in names}
    found = whole(columns)
    assert found.keys() >= names
    for name in names:
        wanted = as_sqlite_has_it(row[name])
        assert found[name] in (wanted, lines[0][name]), name  # the second: it stands in _extra, as JSON


def test_the_store_gives_an_item_up_at_once_that_no_row_can_have(tmp_path: Any) -> None:
    store = Store(SinkOptions(output=str(tmp_path / "a.jsonl")))
    store.open()

    with pytest.raises(GiveUp, match=r"an item cannot be stored: at key 'a': an object of type msgspec\.msgpack\.Ext"):
        store.process([{"a": msgspec.msgpack.Ext(5, b"x")}])

    store.close()
