"""An item travels as plain data, and comes out as what the next stage's annotation says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from crawler import ConfigError, Page, Record, Stage
from crawler.codec import decoder, encode
from crawler.plugins import item_schema

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
