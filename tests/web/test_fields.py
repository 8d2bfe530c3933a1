"""Declared fields: selectors, forms, types."""

from __future__ import annotations

from typing import Any

import pytest

from crawler.errors import ConfigError
from crawler.web.fields import MAX_CHARS, MAX_VALUE, Fields, FieldSpec
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
        (" a::attr( href ) ", "hats#top"),
        ("h2", None),
        ("h1::attr(id)", None),
        ("//td[@class='sku']", "0042"),
        ("//td[@class='sku']/text()", "0042"),
        ("xpath:.//a/@href", "hats#top"),
        ("(//td)[2]", "0042"),
        ("xpath: count(//a)", "2"),
        ("xpath:boolean(//h2)", "false"),
        (FieldSpec(css=".price", type="float"), 1299.5),
        (FieldSpec(css=".price", type="int", many=True), [1299, 2, None]),
        (FieldSpec(css=".price::text", many=True), ["now only € 1.299,50", "2", "ask us"]),
        (FieldSpec(css="h1", type="float"), None),
        (FieldSpec(css="a::attr(href)", type="url", many=True), ["http://example.org/shop/hats", None]),
        (FieldSpec(xpath="(//p)[3]", type="float"), None),
        (FieldSpec(css="b, .price", type="int"), None),  # the first match is the value, or null
        (FieldSpec(css="td::attr(class)", many=True), [None, "sku"]),
        ("td::attr(class)", None),
        ('a::attr("href")', "hats#top"),
        ("a::attr('href')", "hats#top"),
        ("table ::attr(class)", "sku"),
        ("h2::text, h1::text", "A blue hat"),
        ("a:not(.x, .y)::attr(rel), h2::attr(rel)", "tag"),
        ("td[class='sku,x']::text, td[class=sku]::text", "0042"),
        (FieldSpec(css="h2", many=True), []),
        (FieldSpec(xpath="//a/@href"), "hats#top"),
    ],
)
def test_a_selector_reads(spec: str | FieldSpec, value: Any) -> None:
    assert Fields({"it": spec}).read(PAGE) == {"it": value}


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("h1::txt", "::txt is not known; a selector may end with ::text, ::html and ::attr(NAME); did you mean ::text?"),
        ("p::after", "::after is not known; a selector may end with ::text, ::html and ::attr(NAME)"),
        ("h1:text", ":text is not known; did you mean ::text?"),
        ("a:attr(href)", ":attr is not known; did you mean ::attr(NAME)?"),
        ("h1::attr", "::attr needs a name, as in ::attr(href)"),
        ("h1::attr()", "::attr() needs a name, as in ::attr(href)"),
        ("h1::attr( )", "::attr() needs a name, as in ::attr(href)"),
        ("img.main/@src", "an attribute is read with ::attr(NAME), as in img.main::attr(src)"),
        ("img@src", "an attribute is read with ::attr(NAME), as in img::attr(src)"),
        ("a[rel=x] @href", "an attribute is read with ::attr(NAME), as in a[rel=x]::attr(href)"),
        ("response.css('h1::text')", "it is Python; write the selector alone: h1::text"),
        ('soup.select("h1")', "it is Python; write the selector alone: h1"),
        ("h1::text b", "::text ends a selector; nothing may follow it"),
        ("h1::text, h2::html", "give all parts the same ending, or make each a field of its own"),
        ("h1::text, h2", "an ending is for the whole selector; put it at the end, once: ::text, ::html and ::attr(NAME)"),
        ("::text", "no element before ::text; write *::text for any"),
        ("h1[", "a '[' is not closed"),
        ("h1:not(.a", "a '(' is not closed"),
        ("h1]", "a ']' closes nothing"),
        ("a[href='x]", "a quote is not closed"),
        ("h1:contains('x')", ":contains is not CSS; CSS cannot look at text; use XPath, as in //h1[contains(., 'word')]"),
        ("li:eq(0)", ":eq is not CSS; write :nth-of-type(N), which counts from 1"),
        ("p:frist-child", ":frist-child is not known; did you mean :first-child?"),
        ("p:foo", ":foo is not known"),
        ("count(//a)", "CSS has no function count(); if it is XPath, write xpath: in front"),
        ("//h1[", "expected a node test at the end of the expression"),
        ("//h1/foo()", "foo() is no step of a path; a function stands around a path, as in string(//h1); an element's text is "
         "text()"),
        ("//nosuch[nope(.)]", "unknown function 'nope'; XPath 1.0 has contains(), starts-with(), normalize-space(), string(), "
         "count() and others"),
        ("//nosuch[contains(.)]", "contains() takes 2 arguments, got 1"),
        ("//nosuch[a[substring(., 1, 2, 3)]]", "substring() takes 2 to 3 arguments, got 4"),
        ("//nosuch[@id=$x]", "$x has no value; write the value itself, in quotes"),
        ("//nosuch[@x:y='1']", "undefined namespace prefix; HTML has none: write the name alone, or *[name()='x:y']"),
        ("xpath:count('x')", "count() of a non-node-set; it takes elements, as //li, not a text or a number"),
    ],
)  # fmt: skip
def test_a_selector_that_cannot_work_is_refused_with_what_to_write(selector: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Fields({"price": selector})

    shown = selector.removeprefix("xpath:")
    assert str(caught.value).removeprefix(f"fields.price: cannot use the selector {shown!r}: ").removeprefix("xpath: ") == words


@pytest.mark.parametrize(
    "selector",
    [
        "//a[contains(text(), 'a(b')]", "//a[@href='$x']", "//a[starts-with(@href, 'http://x:80/')]", "//a/ancestor::div[1]",
        "//p[text() = 'x' and (a or b)]", "//p[last()]/following-sibling::*[position() < 3]", "id('x')/p",
        "//*[local-name()='h1']", "a[title='::text']", "a[title=\"x, y::html\"]::attr(href)", ":is(h1, h2) > b:nth-child(2n+1)",
    ],
)  # fmt: skip
def test_a_selector_that_works_is_not_refused(selector: str) -> None:
    spec = FieldSpec(xpath=selector) if "(" in selector and "::attr" not in selector and ":is" not in selector else selector

    assert Fields({"it": spec}).read(Html("<p>x</p>")) == {"it": None}


def test_all_mistakes_are_told() -> None:
    with pytest.raises(ConfigError) as caught:
        Fields({"a": "p[", "b": "h1", "c": "h1::txt", "sha256": "p"}, frozenset({"sha256"}), "stages.parse.fields")

    assert [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]] == [
        "stages.parse.fields.a", "stages.parse.fields.c", "stages.parse.fields.sha256",
    ]  # fmt: skip


def test_texts_that_are_not_of_their_type_are_told_with_their_field() -> None:
    told: list[tuple[str, str, str]] = []
    fields = Fields({
        "price": FieldSpec(css=".price", type="float", many=True), "id": FieldSpec(css="td", type="int"), "h": "h1",
        "day": FieldSpec(css="h1", type="date"), "link": FieldSpec(css="a[href^=mailto]::attr(href)", type="url"),
    })  # fmt: skip

    assert fields.read(PAGE, lambda *what: told.append(what))["price"] == [1299.5, 2.0, None]
    assert told == [
        ("price", "float", "ask us"), ("id", "int", "SKU"), ("day", "date", "A blue hat"), ("link", "url", "mailto:x@example.org"),
    ]  # fmt: skip


@pytest.mark.parametrize("spec", [
    FieldSpec(css=".p", type="float"), FieldSpec(css=".p", type="int"), FieldSpec(css=".p", type="date"),
    FieldSpec(css=".p::attr(href)", type="url"), FieldSpec(xpath="//*[@class='p']", type="float"),
    FieldSpec(xpath="//*[@class='p']/@href", type="url"), FieldSpec(css=".p::attr(id)"),
])  # fmt: skip
def test_the_next_match_never_stands_in_for_the_first(spec: FieldSpec) -> None:
    page = Html('<a class=p href="tel:1">sold out</a> related: <a class=p id=x href="/x">99,00 €</a> <a class=p>2024-05-12</a>')

    assert Fields({"it": spec}).read(page) == {"it": None}


def test_a_selector_that_fails_on_one_page_costs_the_field_there() -> None:
    told: list[tuple[str, str, str]] = []
    page, other = Html("<h1>A</h1><p data-re='['>x</p>"), Html("<h1>A</h1><p data-re='x'>x</p>")
    fields = Fields({"it": "//p[re:test(., @data-re)]", "all": FieldSpec(xpath="//p[re:test(., @data-re)]", many=True), "h": "h1"})

    assert fields.read(page, lambda *what: told.append(what)) == {"it": None, "all": None, "h": "A"}
    assert told == [(name, "failed", "unterminated character set at position 0") for name in ("it", "all")]
    assert fields.read(other) == {"it": "x", "all": ["x"], "h": "A"}


def test_a_value_has_a_limit_and_so_have_all_values_of_a_page() -> None:
    told: list[tuple[str, str]] = []
    page = Html(f"<p>{'x' * (MAX_VALUE + 5)}</p>" * 6)
    each = {f"n{n}": "p" for n in range(3)}

    values = Fields(each | {"all": FieldSpec(css="p", many=True), "h": "p::html"}).read(page, lambda *what: told.append(what[:2]))

    assert [len(values[name]) for name in each] == [MAX_VALUE] * 3
    assert sum(len(value) for value in values["all"]) == MAX_CHARS - 3 * MAX_VALUE
    assert values["h"] == ""
    assert {name for name, what in told if what == "cut"} == {*each, "all", "h"}


@pytest.mark.parametrize("spec", [FieldSpec(css="div", many=True), FieldSpec(xpath="//div", many=True)])
def test_elements_that_hold_each_other_are_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch, spec: FieldSpec) -> None:
    monkeypatch.setattr("crawler.web.words.MAX_STEPS", 5_000)
    told: list[str] = []

    values = Fields({"it": spec}).read(Html("<div>" * 400 + "<br>" * 400), lambda name, what, text: told.append(what))["it"]

    assert 2 < len(values) < 10
    assert told == ["cut"]


@pytest.mark.parametrize(
    ("html", "selector", "value"),
    [
        ("<p>12 Main St<br>12345 Town</p>", "p", "12 Main St 12345 Town"),
        ("<h1>Big<br>Title</h1>", "//h1", "Big Title"),
        ("<ul><li>One<li>Two</ul>", "ul::text", "One Two"),
        ("<a><h3>Card</h3><p>desc", "a", "Card desc"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "table", "a b c"),
        ("<p>a<b>b</b>c</p>", "p", "abc"),
    ],
)
def test_lines_and_blocks_separate_words(html: str, selector: str, value: str) -> None:
    assert Fields({"it": selector}).read(Html(html)) == {"it": value}


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        (FieldSpec(css="p", type="date"), None), (FieldSpec(css="p", type="date", day_first=True), "2024-04-03"),
        (FieldSpec(css="p", type="date", day_first=False), "2024-03-04"),
        (FieldSpec(css="p", type="date", format="%d/%m/%Y"), "2024-04-03"), (FieldSpec(css="p", type="date", format="%Y"), ...),
        (FieldSpec(css="p", type="date", format="%d/%m/%y"), None), (FieldSpec(css="p", type="date", format="day"), ...),
        (FieldSpec(css="p", type="date", format="%d.%m."), ...),
        (FieldSpec(css="p", day_first=True), ...), (FieldSpec(css="p", type="float", format="%d.%m.%Y"), ...),
        (FieldSpec(css="p", type="date", format="%d.%m.%Y", day_first=True), ...),
        (FieldSpec(css="b", type="date"), None), (FieldSpec(css="i", type="date"), "2024-11-05"),
    ],
)  # fmt: skip
def test_a_date_is_read_as_its_options_say(spec: FieldSpec, value: Any) -> None:
    page = Html("<html lang=cs-CZ><p>03/04/2024</p><b>tomorrow</b><i>5. listopad 2024</i>")

    if value is ...:
        with pytest.raises(ConfigError, match=r"fields\.it"):
            Fields({"it": spec})
    else:
        assert Fields({"it": spec}).read(page) == {"it": value}


def test_the_decimal_sign_can_be_given() -> None:
    page = Html("<p>1.299</p>")

    assert Fields({"it": FieldSpec(css="p", type="float", decimal=",")}).read(page) == {"it": 1299.0}
    assert Fields({"it": FieldSpec(css="p", type="float", decimal=".")}).read(page) == {"it": 1.299}
    with pytest.raises(ConfigError, match=r'fields\.it: decimal is for numbers; set type = "float"'):
        Fields({"it": FieldSpec(css="p", decimal=",")})


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("price", "p::", r"fields\.price: cannot use the selector 'p::'"),
        ("price", "p[", r"fields\.price: cannot use the selector 'p\['"),
        ("price", "h1::text b", r"fields\.price: cannot use"),
        ("price", "//a[", r"fields\.price: cannot use the selector '//a\['"),
        ("price", "xpath:nope(//a)", r"fields\.price: cannot use"),
        ("price", "", r"fields\.price: the selector is empty; give css or xpath"),
        ("price", FieldSpec(css="a", xpath="//a"), r"fields\.price: give css or xpath, not both"),
        ("_extra", "h1", r"fields\._extra: outputs have a column '_extra' of their own; choose another name"),
        ("_KEY", "h1", r"fields\._KEY: outputs have a column '_key' of their own; choose another name"),
        ("sha256", "h1", r"fields\.sha256: every record has a 'sha256' already; choose another name"),
        ("my price", "h1", r"'my price' is not a name"),
        ("1st", "h1", r"'1st' is not a name"),
    ],
)
def test_what_cannot_work_is_refused_before_the_first_page(name: str, spec: str | FieldSpec, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Fields({name: spec}, reserved=frozenset({"sha256"}))


def test_fields_after_those_that_took_all_the_time_are_null_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.5, 0.9, 1.1, 1.1])
    monkeypatch.setattr("crawler.web.fields.thread_time", lambda: next(clock))
    told: list[tuple[str, str, str]] = []
    page = Html(b"<h1>a</h1><h2>b</h2>", "http://a/", "text/html")

    values = Fields({"one": "h1", "two": "h2", "three": "h1", "four": "h2"}).read(page, lambda *what: told.append(what))

    assert list(values.items()) == [("one", "a"), ("two", "b"), ("three", None), ("four", None)]
    assert told == [(name, "failed", "other fields took all the time that a page may take") for name in ("three", "four")]
