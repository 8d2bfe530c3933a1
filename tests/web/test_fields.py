"""Declared fields: selectors, forms, types."""

from __future__ import annotations

from typing import Any

import pytest

from crawler.errors import ConfigError
from crawler.web.fields import Fields, FieldSpec, number
from crawler.web.html import Html

PAGE = Html(
    """<html><head><base href="/shop/"></head><body>
    <h1> A  <b>blue</b>
       hat </h1>
    <p class="price">now only € 1.299,50</p> <p class="price">2</p> <p class="price">ask us</p>
    <a rel="tag" href="hats#top">Hats</a> <a rel="tag" href="mailto:x@example.org">Mail</a>
    <table><tr><td>SKU</td><td class="sku">0042</td></tr></table>
    </body></html>""",
    "http://example.org/x/y",
)


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("h1", "A blue hat"),
        ("h1::text", "A blue hat"),
        ("h1 b::html", "<b>blue</b>"),
        ("a::attr(href)", "hats#top"),
        (" a :: attr( href ) ", "hats#top"),
        ("h2", None),
        ("h1::attr(id)", None),
        ("//td[@class='sku']", "0042"),
        ("//td[@class='sku']/text()", "0042"),
        ("xpath:.//a/@href", "hats#top"),
        ("(//td)[2]", "0042"),
        ("xpath: count(//a)", "2"),
        ("xpath:boolean(//h2)", "false"),
        (FieldSpec(css=".price", type="float"), 1299.5),
        (FieldSpec(css=".price", type="int", many=True), [1299, 2]),
        (FieldSpec(css=".price::text", many=True), ["now only € 1.299,50", "2", "ask us"]),
        (FieldSpec(css="h1", type="float"), None),
        (FieldSpec(css="a::attr(href)", type="url", many=True), ["http://example.org/shop/hats"]),
        (FieldSpec(css="h2", many=True), []),
        (FieldSpec(xpath="//a/@href"), "hats#top"),
    ],
)
def test_a_selector_reads(spec: str | FieldSpec, value: Any) -> None:
    assert Fields({"it": spec}).read(PAGE) == {"it": value}


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("price", "p::", r"fields\.price: cannot use the selector 'p::'"),
        ("price", "p[", r"fields\.price: cannot use the selector 'p\['"),
        ("price", "h1::text b", r"fields\.price: cannot use"),
        ("price", "//a[", r"fields\.price: cannot use the selector '//a\['"),
        ("price", "xpath:nope(//a)", r"fields\.price: cannot use"),
        ("price", "", r"fields\.price: give one of css and xpath"),
        ("price", FieldSpec(css="a", xpath="//a"), r"fields\.price: give one of css and xpath"),
        ("sha256", "h1", r"fields\.sha256: every record has a 'sha256' already; choose another name"),
        ("my price", "h1", r"'my price' is not a name"),
        ("1st", "h1", r"'1st' is not a name"),
    ],
)
def test_what_cannot_work_is_refused_before_the_first_page(name: str, spec: str | FieldSpec, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Fields({name: spec}, reserved=frozenset({"sha256"}))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,299.00 €", 1299.0),
        ("EUR 1.299,00", 1299.0),
        ("1 299", 1299.0),
        ("1\u00a0299,5", 1299.5),
        ("1'299'000.25", 1299000.25),
        ("1,299", 1299.0),
        ("1.299", 1.299),
        ("1.299.000", 1299000.0),
        ("12,5", 12.5),
        ("-3.5 °C", -3.5),
        ("−3", -3.0),
        ("item-12", 12.0),
        ("5-10", 5.0),
        ("12 5", 12.0),
        ("3.", 3.0),
        ("none", None),
        ("", None),
        ("9" * 400, None),
    ],
)
def test_a_number_is_read_as_people_write_it(text: str, value: float | None) -> None:
    assert number(text) == value


def test_an_int_drops_the_fraction_and_fits_what_databases_hold() -> None:
    assert number("12.9 kg", "int") == 12
    assert number("9" * 18, "int") == 10**18 - 1
    assert number("9" * 19, "int") is None
