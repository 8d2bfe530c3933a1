"""An item travels as plain data, and comes out as what the next stage's annotation says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import pytest
from bs4 import BeautifulSoup

from crawler import ConfigError, Page, Record, Stage
from crawler.codec.bodies import decoder, encode
from crawler.codec.unsendable import why
from crawler.pipeline.plugins import item_schema

RECORD = Record(
    url="http://a/", final_url="http://a/", status=200, content_type="text/html", encoding="utf-8", title="x", description=None,
    canonical=None, language=None, links=["http://a/b"], depth=0, referrer="", fetched_at="2001-09-09T01:46:40.000+00:00",
    elapsed=0.1, bytes=1, sha256="aa", location=None, price=12.5,
)  # fmt: skip


class Product(msgspec.Struct):
    url: str
    price: float


class Strange:
    """A class that no data can be read as."""


@pytest.mark.parametrize(
    ("schema", "kind"),
    [(dict, dict), (dict[str, Any], dict), (Mapping[str, Any], dict), (Record, Record), (Record | None, Record), (Any, dict),
     (object, dict)],
)  # fmt: skip
def test_a_record_is_read_as_the_annotation_says(schema: Any, kind: type) -> None:
    read = decoder(schema).decode(encode(RECORD))

    assert type(read) is kind
    assert read == RECORD
    assert list(read) == list(RECORD)


def test_a_record_is_read_as_a_class_of_ones_own_with_some_of_its_keys() -> None:
    assert decoder(Product).decode(encode(RECORD)) == Product("http://a/", 12.5)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({**RECORD, "status": "200"}, r"Expected `int`, got `str` - at `\$.status`"),
        ({"url": "http://a/"}, "missing required field `final_url`"),
        (["http://a/"], "Expected `object`, got `array`"),
    ],
)
def test_what_lacks_a_built_in_key_is_no_record(item: Any, words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        decoder(Record).decode(encode(item))


def test_a_large_page_is_packed_on_its_way() -> None:
    page = Page.of(b"x" * 10_000, url="http://a/", status_code=200)

    assert len(encode(page)) < 1_000
    assert decoder(Page).decode(encode(page)).content == page.content


@pytest.mark.parametrize("schema", [Strange, list[Strange], Strange | None, type])
def test_an_annotation_that_no_item_can_be_read_as_is_refused_at_start(schema: Any) -> None:
    class Odd(Stage):
        def process(self, item: Any) -> None:
            """Nothing."""

    Odd.process.__annotations__["item"] = schema

    with pytest.raises(ConfigError, match=r"Odd\.process takes .*; use Record, Page, dict\[str, Any\]"):
        item_schema(Odd)


class Int(int):
    pass


class Float(float):
    pass


class Bytes(bytes):
    pass


class Moment(datetime):
    pass


def test_subclasses_of_plain_types_and_mappings_are_sent_as_what_they_stand_for() -> None:
    pairs = [("A", "1"), ("B", "2")]
    page = Page.of(b"<title>the title</title>", url="http://a/", status_code=200, header_pairs=pairs)
    when = Moment(2026, 1, 2, tzinfo=UTC)
    item = {"title": page.soup.title.string, "headers": page.headers, "each": [Int(3), Float(0.5), Bytes(b"b")], "at": when}

    read = decoder(Any).decode(encode(item))

    assert read["headers"] == {"A": "1", "B": "2"}
    assert [read["title"], *read["each"], read["at"]] == ["the title", 3, 0.5, b"b", datetime(2026, 1, 2, tzinfo=UTC)]
    assert [type(each) for each in (read["title"], *read["each"], read["at"])] == [str, int, float, bytes, datetime]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": 1, "price": 1j}, "at key 'price': an object of type complex (1j); give plain data"),
        (Product("u", object()), "at field price: an object of type object"),  # type: ignore[arg-type]  # wrong on purpose
        ({1j: 1}, "at a key: an object of type complex (1j)"),
        (ValueError, "the exception ValueError is given; raise it"),
        ((one for one in ()), "a generator; give list(…) of it"),
        ([1, print], "at index 1: print is a builtin_function_or_method; call it, with ()"),
        (BeautifulSoup("<b>x</b>", "html.parser").b, "an object of type bs4.element.Tag (<b>x</b>); give its text: get_text()"),
    ],
)
def test_what_cannot_be_sent_is_named_with_what_to_do(value: Any, told: str) -> None:
    with pytest.raises((TypeError, ValueError, OverflowError)) as caught:
        encode(value)

    assert why(value, caught.value).startswith(told)


@pytest.mark.parametrize("schema", [Product | Record, dict | Product, list[int] | tuple[int, ...]])
def test_a_union_that_cannot_be_told_apart_is_refused_in_one_sentence(schema: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        decoder(schema)

    assert str(caught.value).startswith("an item cannot be told to be one or the other of these; use Record, ")


def test_a_decoder_is_made_once_for_a_type_and_anew_for_an_annotation_without_a_hash() -> None:
    unhashed = Annotated[int, ["EUR"]]
    with pytest.raises(TypeError):
        hash(unhashed)

    assert decoder(Product) is decoder(Product)
    assert decoder(dict[str, Any]) is not decoder(dict[str, int])
    assert decoder(unhashed).decode(encode(3)) == 3
