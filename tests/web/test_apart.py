"""A selector takes neither long nor much memory: where it could, a process that can be ended evaluates it, to the same values."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from crawler.web import apart, fields
from crawler.web.fields import Fields, FieldSpec
from crawler.web.html import Html
from crawler.web.memory import IS_LIMITED
from crawler.web.page import Page
from crawler.web.selectors import Css
from crawler.web.xpath_cost import Shape
from crawler.web.xpaths import XPath

ORDINARY = Html(
    "<html lang=en><head><title>Shop</title></head><body>"
    + "".join(
        f"<section id=s{n}><h2>Part {n}</h2><dl><dt>Price<dd>1{n}<dt>Size<dd>XL</dl>"
        + f"<table><tr><th>Name<td class='a b'>x{n}<tr><th>Id<td>{n} é</table><p>x <a href=/{n}>y</a></p>" * 8
        + "</section>"
        for n in range(20)
    )
    + "<p>the end</p></body></html>",
    "http://e.org/",
)
WIDE = Html(b"<body>" + b"<div><p>x y <b>z</b></p></div>" * 20_000)
DEEP = Html(b"<body>" + b"<div>x y" * 10_000)

# What people write: it is evaluated here on any page that is not made to be slow.
USUAL = [
    "//h1/text()", "//h2", "//dt[.='Price']/following-sibling::dd[1]", "//td[@class='a b']/text()", "//th[text()='Name']/../td",
    "//section[h2[contains(., '3')]]//a/@href", "(//a)[last()]/@href", "//a[starts-with(@href, '/1')]", "//h2[last()]",
    "//section[@id='s3']/table[1]/tr[2]/td[1]", "//td[has-class('b')]", "//section[.//a[@href='/5']]/h2", "//p[position() < 3]",
    "count(//a)", "string(//title)", "normalize-space(//dl)", "//a[not(contains(@href, '2'))]",
    "//dd[preceding-sibling::dt[1]='Size']",
    "//a/ancestor::section/h2", "//h2[re:test(., 'Part 1\\d')]", "//h2 | //dt", "//table//tr[td]", "concat(//h2, ' ', //dd)",
    "//nope",
    "//p[contains(., 'end')]", "//td/text()[contains(., 'é')]", "//h2/@nope", "sum(//dd[. > 1])",
]  # fmt: skip

USUAL_CSS = [
    "h1", ".price::text", "section > h2", "dt ~ dd", "dt + dd", "tr:nth-child(2) td", "section:has(a[href='/5']) h2",
    "td:last-of-type", "p:not(:has(b))", "a::attr(href)", "h2:first-of-type", "section:has(> h2):nth-child(2)",
]  # fmt: skip
COSTLY_CSS = ["*:nth-child(2)", "p:nth-last-of-type(3n)", "div:has(.b ~ .a)", "div:has(p:has(b))", ":first-of-type", "div:HAS(q)"]

# What takes seconds to days on a page of some hundred thousand bytes: where, and the expression.
COSTLY = [
    *((WIDE, expression) for expression in (
        '//*[contains(., "x")]//*[contains(., "y")]', "//div[count(preceding-sibling::div) > 5]", "//*[following::b]",
        "//*[preceding::b]", "//*[last()]", "//*[id('a')]", "//div/following-sibling::div", "//*/*", "//*[//p = 'q']",
        "//b[. = //p]", "//p/following::b", "//*[count(//b) > 3]",
        "//div[position() = last()]//b[//p]", "//div[preceding-sibling::div[3]]", "//b/..",
    )),
    *((DEEP, expression) for expression in (
        '//*[contains(., "x")]//*[contains(., "y")]', "//*[ancestor::div]", "//div/ancestor::*",
        "//div[count(ancestor::div) > 5]",
        "//div[. = //div]", "//div[following::p]",
    )),
]  # fmt: skip


@pytest.fixture
def apart_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluate every selector in the other process."""
    for kind in (Css, XPath):
        monkeypatch.setattr(kind, "is_affordable", lambda *_: False)


def read(html: Html, **specs: str | FieldSpec) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    told: list[tuple[str, str, str]] = []
    return Fields(specs).read(html, lambda *what: told.append(what)), told


@pytest.mark.parametrize("expression", USUAL)
def test_what_people_write_is_evaluated_here(expression: str) -> None:
    assert XPath(expression).is_affordable(Shape(ORDINARY.document, len(ORDINARY.source)))


@pytest.mark.parametrize(("page", "expression"), COSTLY)
def test_what_could_take_long_is_not_evaluated_here(page: Html, expression: str) -> None:
    assert not XPath(expression).is_affordable(Shape(page.document, len(page.source)))


@pytest.mark.parametrize("selector", USUAL_CSS)
def test_css_that_people_write_is_evaluated_here(selector: str) -> None:
    assert Css(selector).is_affordable(Shape(ORDINARY.document, len(ORDINARY.source)))


@pytest.mark.parametrize("selector", COSTLY_CSS)
def test_css_that_could_take_long_is_not_evaluated_here(selector: str) -> None:
    assert not Css(selector).is_affordable(Shape(WIDE.document, len(WIDE.source)))


@pytest.mark.parametrize("selector", ["p b", "div ~ div", "* > p > b", "p:not(.x b)", ".a .b .c", "div + div"])
def test_css_that_is_linear_is_evaluated_here_on_any_page(selector: str) -> None:
    assert Css(selector).is_affordable(Shape(WIDE.document, len(WIDE.source)))


@pytest.mark.usefixtures("apart_for_all")
def test_the_other_process_gives_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    specs: dict[str, str | FieldSpec] = {}
    for n, expression in enumerate(USUAL):
        specs |= {f"one{n}": FieldSpec(xpath=expression), f"all{n}": FieldSpec(xpath=expression, many=True)}
    for n, selector in enumerate(USUAL_CSS):
        specs |= {f"css{n}": selector, f"every{n}": FieldSpec(css=selector, many=True)}
    there = read(ORDINARY, **specs)
    again = read(Html(str(ORDINARY.source), "http://e.org/"), **specs)

    monkeypatch.undo()

    here = read(ORDINARY, **specs)
    assert there == again == here


@pytest.mark.usefixtures("apart_for_all")
def test_bytes_in_an_encoding_of_their_own_are_read_as_here() -> None:
    page = Html("<p>Grüße".encode("latin-1"), content_type="text/html; charset=iso-8859-1")

    assert read(page, it="//p") == ({"it": "Grüße"}, [])


def test_a_regular_expression_in_an_xpath_is_linear_whatever_it_is() -> None:
    """The reason why patterns have no part in the estimate."""
    page = Html(f"<p>{'a' * 100_000}!")

    for pattern in ("(a+)+$", "(a|aa)+$", "(.*)(.*)(.*)[5-9]"):
        assert read(page, it=f"//p[re:test(., '{pattern}')]") == ({"it": None}, [])


@pytest.mark.usefixtures("apart_for_all")
def test_what_fails_on_a_page_says_the_same_there() -> None:
    values, told = read(Html("<p data-re='['>x"), it="//p[re:test(., @data-re)]", other="//p")

    assert values == {"it": None, "other": "x"}
    assert told == [("it", "failed", "unterminated character set at position 0")]


@pytest.mark.usefixtures("apart_for_all")
def test_values_have_their_limits_there_too() -> None:
    page = Html(f"<p>{'x' * (fields.MAX_VALUE + 5)}</p>" * 6)

    values, told = read(page, it="//p", all=FieldSpec(xpath="//p", many=True))

    assert len(values["it"]) == fields.MAX_VALUE
    assert sum(map(len, values["all"])) == fields.MAX_CHARS - fields.MAX_VALUE
    assert {(name, trouble) for name, trouble, _ in told} == {("it", "cut"), ("all", "cut")}


@pytest.mark.slow
def test_selectors_that_take_too_long_are_null_and_cost_no_other_field() -> None:
    values, told = read(WIDE, bad="//*[following::b]", good="//b", quick="//p/..", one="//div[1]/p/b", worse="//*[preceding::b]")

    assert values == {"bad": None, "good": "z", "quick": "x y z", "one": "z", "worse": None}
    assert [(name, trouble) for name, trouble, _ in told] == [("bad", "failed"), ("worse", "failed")]
    assert all(re.fullmatch(r"it takes more than [01]\.\d+ s of CPU on this page", reason) for _, _, reason in told)
    assert read(Html("<h1>next"), h="//h1") == ({"h": "next"}, [])


_FOUR: Final = """
import resource, sys, time
from crawler.web.fields import Fields
from crawler.web.html import Html
html = Html(sys.stdin.buffer.read(), "http://e.org/")
html.document
fields = Fields({"title": "h1", **{f"f{n}": f"//*[following::b][{n}]" for n in range(1, 5)}, "last": "h1"})
begun = time.process_time()
values = fields.read(html)
took = time.process_time() - begun
from crawler.web.apart import _apart
_apart.close()
children = resource.getrusage(resource.RUSAGE_CHILDREN)
print(values, took + children.ru_utime + children.ru_stime, sep="\\n")
"""


@pytest.mark.slow
def test_all_costly_fields_of_a_page_together_take_less_than_two_seconds_of_cpu() -> None:
    page = b"<h1>x</h1>" + b"<div><p>x y <b>z</b></p></div>" * 34_000

    done = subprocess.run([sys.executable, "-c", _FOUR], input=page, capture_output=True, check=True)

    values, cpu = done.stdout.decode().splitlines()
    assert ast.literal_eval(values) == {"title": "x", "f1": None, "f2": None, "f3": None, "f4": None, "last": "x"}
    assert float(cpu) < 2, cpu


@pytest.mark.skipif(not IS_LIMITED, reason="only Linux limits the memory of a process")
@pytest.mark.parametrize("expression", ["//td/following::td", "//tr/td/following-sibling::td", "//td/ancestor::td"])
def test_a_selector_that_takes_too_much_memory_is_null_and_costs_no_other_field(
    monkeypatch: pytest.MonkeyPatch, expression: str
) -> None:
    own = apart._Apart()
    monkeypatch.setattr(apart, "_apart", own)
    page = Html("<h1>x</h1>" + "<table><tr><td>" * 40_000)

    values, told = read(page, bad=expression, good="//td//td", title="//h1")

    process = own._process
    assert process is not None  # it goes on after what was too much
    peak = int(Path(f"/proc/{process.pid}/status").read_text().split("VmHWM:")[1].split()[0]) >> 10
    own.close()
    assert values == {"bad": None, "good": "", "title": "x"}
    assert told == [("bad", "failed", "it takes more than 64 MiB of memory on this page")]
    assert peak < 200


def test_a_page_asked_by_its_css_says_that_it_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "values", lambda *_: apart.Answer(error="it takes too long"))
    page = Page.of(WIDE.source, url="http://e.org/", status_code=200)

    with pytest.raises(ValueError, match=r"^p:nth-child\(2\): it takes too long$"):
        page.css("p:nth-child(2)")


def test_costly_selectors_share_what_is_left_of_the_pages_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def too_much(*question: Any) -> apart.Answer:
        asked.append(question[-1])
        return apart.Answer(error="too long", cpu=question[-1])

    monkeypatch.setattr(apart, "values", too_much)
    monkeypatch.setattr(fields, "thread_time", lambda: 0.0)
    bad = [f"//*[following::b][{n}]" for n in range(1, 6)]

    values, told = read(WIDE, **{f"f{n}": expression for n, expression in enumerate(bad)}, css="b")

    assert asked == pytest.approx([0.8, 0.4, 0.2, 0.1, 0.1])
    assert values == {**dict.fromkeys(["f0", "f1", "f2", "f3", "f4"]), "css": "z"}
    assert [reason for _, _, reason in told] == ["too long"] * 5


def test_no_selector_is_evaluated_apart_where_no_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "values", lambda *_: apart.Answer(values=["x"], cpu=9.0))

    values, told = read(WIDE, one="//*[following::b]", two="//*[preceding::b]")

    assert values == {"one": "x", "two": None}
    assert told == [("two", "failed", "other fields took all the time that a page may take")]


@pytest.mark.usefixtures("apart_for_all")
def test_the_other_process_has_none_of_our_secrets_and_ends_with_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRAWLER_AUTHKEY", "key-of-nobody-else")
    own = apart._Apart()
    monkeypatch.setattr(apart, "_apart", own)
    read(ORDINARY, it="//h2")
    process = own._process
    assert process is not None

    if Path("/proc").is_dir():
        assert b"key-of-nobody-else" not in Path(f"/proc/{process.pid}/environ").read_bytes()
    own.close()

    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


@pytest.mark.usefixtures("apart_for_all")
def test_an_answer_over_the_size_limit_is_refused_and_the_next_question_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Html("<p>" + "x" * 5_000 + "</p><b>y</b>", "http://e.org/")
    monkeypatch.setattr(apart, "_LONGEST", 1_000)

    values, told = read(page, long="p", short="b")

    assert values == {"long": None, "short": "y"}
    assert [name for name, *_ in told] == ["long"]
