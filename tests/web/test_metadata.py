"""JSON-LD and Open Graph as plain data."""

from __future__ import annotations

import msgspec
import pytest

from crawler.web.html import Html
from crawler.web.metadata import MAX_CHARS, MAX_DEPTH


def jsonld(*blocks: str) -> list[object]:
    return Html("".join(f'<script type="application/ld+json">{block}</script>' for block in blocks)).jsonld


def test_json_ld_is_told_block_by_block_in_the_order_of_the_page() -> None:
    html = Html("""<script type="application/ld+json; charset=utf-8">{"@type": "Product", "offers": [{"price": 12.5}]}</script>
        <script>var x = {}</script><script type="application/json">{"no": 1}</script>
        <body><script type="Application/LD+JSON">[1, true, null]</script>""")

    assert html.jsonld == [{"@type": "Product", "offers": [{"price": 12.5}]}, [1, True, None]]


@pytest.mark.parametrize(
    "block",
    [
        '<!-- {"a": 1} -->', '<![CDATA[ {"a": 1} ]]>', '//<![CDATA[\n{"a": 1}\n//]]>', '// <![CDATA[\n{"a": 1}\n// ]]>',
        '/*<![CDATA[*/{"a": 1}/*]]>*/', '\n\t{"a"\n:1}\n',
    ],
)  # fmt: skip
def test_what_templates_wrap_around_json_is_taken_off(block: str) -> None:
    assert jsonld(block) == [{"a": 1}]


def test_a_line_end_inside_a_string_is_forgiven() -> None:
    assert jsonld('{"a": "one\ntwo"}') == [{"a": "one\ntwo"}]


@pytest.mark.parametrize("block", ["", "{", "no", "{'a': 1}", "[" * 100_000, "9" * 5_000, '{"a": 1}{"b": 2}'])
def test_a_block_that_is_no_json_is_left_out_and_the_others_are_not(block: str) -> None:
    assert jsonld('{"a": 1}', block, '{"b": 2}') == [{"a": 1}, {"b": 2}]


def test_what_is_told_can_travel_and_be_stored() -> None:
    deep = "[" * 50 + "]" * 50
    value = jsonld(r'{"\ud800": "x\udc00", "big": 99999999999999999999, "nan": NaN, "much": 1e999, "deep": ' + deep + "}")

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(value)) == value
    (found,) = value
    assert isinstance(found, dict)
    assert msgspec.json.encode(found.pop("deep")) == b"[" * (MAX_DEPTH - 1) + b"null" + b"]" * (MAX_DEPTH - 1)
    assert found == {"\ufffd": "x\ufffd", "big": "99999999999999999999", "nan": None, "much": None}


def test_a_page_cannot_tell_more_than_its_measure() -> None:
    block = '["' + "x" * (MAX_CHARS // 2) + '"]'
    html = Html(f"<meta property=og:title content={'y' * MAX_CHARS}><meta property=og:type content=x>")

    assert len(jsonld(block, block, "[1]")) == 2
    assert {name: len(values[0]) for name, values in html.opengraph.items()} == {"og:title": MAX_CHARS}


def test_open_graph_is_told_by_property_with_all_values() -> None:
    html = Html("""<meta property="og:title" content=" Blue\n hat "><meta property="og:image" content="/a.png">
        <meta property="OG:Image" content="/b.png"><meta name="og:type" content="product">
        <meta property="product:price:amount" content="12.50"><meta property="article:tag"><meta property="og:" content="x">
        <meta name="twitter:card" content="summary"><meta name="author" content="x">""")

    assert html.opengraph == {
        "og:title": ["Blue hat"], "og:image": ["/a.png", "/b.png"], "og:type": ["product"], "product:price:amount": ["12.50"],
    }  # fmt: skip


def test_a_page_that_tells_nothing_has_nothing() -> None:
    assert (Html("").jsonld, Html("").opengraph) == ([], {})
