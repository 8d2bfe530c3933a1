"""Selectors: what is refused before the first page, and what is read as users of parsel and jQuery know it."""

from __future__ import annotations

from typing import Any

import pytest

from crawler.errors import ConfigError
from crawler.web.fields import Fields, FieldSpec
from crawler.web.html import Html

PAGE = Html(
    """<html lang=en><body class=top><h2>Two</h2><h1>One</h1>
    <ul><li class="first big">a<li class="\ffirst\t">b<li class=firstly>c<li>d</ul>
    <nav class=menu><a href=1>x</a><p><a href=2 DATA-ID=7>y</a></p><a>z</a></nav>
    <svg viewBox="0 0 1 1"><a xlink:href="/s">s</a></svg><p @click=go x:y=z>p</p></body></html>""",
    "http://example.org/",
)

# Each passes as XPath and fails only where the part in question is evaluated.
ODD_XPATHS = [
    "//li[foo()]", "//li[$v]", "//li[contains(.)]", "//li[substring(.)]", "//li[last(1)]", '//li[count("x")]',
    '//li[re:test(.,"[")]',
    "//li[@x:y]", "//li[re:match(.)]", "//li[str:tokenize(.)]", '//li[matches(.,"[")]', '//a[@href | "x"]', '//li["x"/a]',
    "//li[has-class()]", "//li[has-class(@class)]", "//li[has-class(1)]", "//li[has-class('a' 'b')]", "//li[has-class('a',)]",
    "//nope[sum('a')]", "//nope[position(1)]", "//nope[string-length(1, 2)]", "//nope[a:b(.)]", "//nope[concat('a')]",
    "//nope[translate(., 'a')]", "//nope[not()]", "//nope[true(1)]", "//nope[lang()]", "//nope[@a][foo(bar(.))]",
    "//nope[count(1+1)]",
    "//nope[sum(string(.))]", "//nope/foo:bar", "//nope/foo:*", "//nope[(1|2)]", "//nope[count(//a | 3)]", "//nope[. = $x]",
    "//nope[self::x:y]", "//nope/@*[local-name(3, 4)]", '//nope[replace(.,"(","x")]', '//nope[@zz and count("b")]',
    "//nope[@zz or foo()]", "//nope[a or 'x'/b]", "//nope[a = ('x'|b)]", "//nope[contains(@zz, sum(.,1))]", "//nope[string(.)/a]",
    "//nope[count(a)[1]]", '//nope[re:test(., concat("[", "a"))]', "//nope[(1)/a]", '//nope[count(concat("a", "b"))]',
    "//nope[boolean(a or 'x'/b)]", "(//nope)[foo()]", "//nope[set:difference('a', b)]", "//nope[a[b[c[foo()]]]]",
    "//nope[key('a', 'b')]",
    "//nope[ends-with(.)]", "//nope[tokenize(., ',')]", "//nope[current()]", "//nope[contains(foo(), ')')]", "//nope['a]' = foo()]",
]  # fmt: skip


@pytest.mark.parametrize("expression", ODD_XPATHS)
def test_an_xpath_that_can_only_fail_is_refused(expression: str) -> None:
    with pytest.raises(ConfigError, match=r"fields\.it: cannot use the selector"):
        Fields({"it": expression})


@pytest.mark.parametrize("expression", ["//li[re:test(., concat('(', @data-re))]", "substring(//h1, 1, //span[@class='length'])"])
def test_an_xpath_that_fails_only_on_some_pages_costs_the_field_there(expression: str) -> None:
    told: list[str] = []
    fields = Fields({"it": FieldSpec(xpath=expression), "h": "h1"})

    assert fields.read(PAGE, lambda name, what, text: told.append(what)) == {"it": None, "h": "One"}
    assert told == ["failed"]


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        # has-class as in parsel
        ("//li[has-class('first')]", ["a", "b"]), ("//li[has-class('first', \"big\")]", ["a"]),
        ("//li[not(has-class('first'))]", ["c", "d"]),
        ("//li[@class and has-class( 'firstly' )]/text()", ["c"]), ("//li[contains(., 'has-class(')]", []),
        ("count(//li[has-class('first')])", ["2"]),
        # parts that look odd alone and are right
        ("//li[. = 'a' or . = 'b'][last()]", ["b"]), ("//or | //and | //h1", ["One"]), ("//h1[not(or)][not(and/or)]", ["One"]),
        ("//li[position() < 3 and position() >= 2]", ["b"]), ("//a[contains(@href, '1') or @href = '2']", ["x", "y"]),
        ("//li[1]/following-sibling::li[1]", ["b"]), ("//*[name() = 'a'][@*[name() = 'xlink:href']]", ["s"]),
        ("//p[. != ']']", ["y", "p"]),
        ("//li[re:test(., '^[ab]$')]", ["a", "b"]), ("//li[starts-with(@class, 'first') = true()]", ["a", "c"]),
        # what only a page can tell
        ("//li[re:test(., concat('(', @nope, ')'))]", ["a", "b", "c", "d"]), ("substring(//h1, 2, string-length(//h1))", ["ne"]),
        # ::attr: quoted, escaped, of all elements below
        ('nav a::attr("href")', ["1", "2", None]), ("nav ::attr(href)", ["1", "2"]), (".menu > ::attr(href)", ["1"]),
        ("body ::attr(class)", ["first big", "\ffirst\t", "firstly", "menu"]), ("svg a::attr(xlink\\:href)", ["/s"]),
        ("svg a::attr(xlink:href)", ["/s"]), ("svg a::attr('xlink:href')", ["/s"]), ("svg a::attr(xlink\\3a href)", ["/s"]),
        ("svg ::attr(xlink:href)", ["/s"]), ("svg::attr(viewBox)", ["0 0 1 1"]), ("svg::attr(viewbox)", ["0 0 1 1"]),
        ("body ::attr(viewBox)", ["0 0 1 1"]), ("nav ::attr(data-id)", ["7"]), ("nav ::attr(DATA-ID)", ["7"]),
        ("p::attr(@click)", [None, "go"]),
        ("body ::attr(@click)", ["go"]),
        ("::attr(data-id)", ["7"]), (" ::attr(@click)", ["go"]),
        # groups: in the order of the document
        ("h1::text, h2::text", ["Two", "One"]), ("h1, h2", ["Two", "One"]), ("h2::attr(href), nav a::attr(href)", [None, "1",
        "2", None]),
        ("h1::html, h2::html", ["<h2>Two</h2>", "<h1>One</h1>"]), ("svg::attr(href), nav ::attr(href)", ["1", "2"]),
    ],
)  # fmt: skip
def test_a_selector_finds_what_users_of_parsel_expect(spec: str, values: list[Any]) -> None:
    selector = {"xpath": spec} if spec.startswith(("/", "count(", "substring(")) else {"css": spec}
    many, one = FieldSpec(**selector, many=True), FieldSpec(**selector)  # type: ignore[arg-type]  # all selectors are text

    assert Fields({"many": many, "one": one}).read(PAGE) == {"many": values, "one": values[0] if values else None}


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("p:contains(x)", "use XPath, as in //h1[contains(., 'word')]"), ("p:CONTAINS('x')", "use XPath"),
        ("p:has-text('x')", "use XPath"), ("p:-soup-contains('x')", "use XPath"), ("p:-soup-contains-own('x')", "use XPath"),
        ("p:text('x')", "use XPath"), ("p:text-is('x')", "use XPath"), ("p:containsOwn(x)", "use XPath"), ("p:icontains(x)",
        "use XPath"),
        ("p:text-matches('x')", "re:test"), ("p:matchesOwn(x)", "re:test"), ("p:upward(2)", "ancestor"), ("p:xpath(//a)", "xpath:"),
        ("a[href!=b]", "write :not([href=b])"), ("a[ href != 'b' ]", "write :not([href='b'])"), ("div a[data-x!=\"b\"] > b",
        "write :not([data-x="),
        ("a >> b", ">> is not CSS; write a space for any depth, > for a child"), ("a /deep/ b", "/deep/ is not CSS"),
        ("a >>> b", ">>> is not"),
        ("li:eq(0)", ":nth-of-type(N)"), ("li:first", ":first-of-type"), ("a:visible", "not laid out"), ("p:nth-match(1)",
        "(//h1)[2]"),
        ("p:-webkit-any(a)", ":is(a, b)"), ("h1::attr()", "::attr"), ("h1::text::attr(x)", "::text ends a selector"),
    ],
)  # fmt: skip
def test_what_is_no_css_is_refused_with_what_to_write_instead(selector: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Fields({"it": selector})

    assert words in str(caught.value)


# As it is written in [stages.parse.fields], and the first value.
FOUND = [
    (".//h1", "One"), ("./html//h1", "One"), ("//h1", "One"), (" //h1 ", "One"), ("\n//h1\n", "One"), ("xpath: .//h1", "One"),
    ("/html/body/h1", "One"), ("/*/body/h1", "One"), ("xpath:html/body/h1", "One"), ("xpath:descendant::h1", "One"),
    ("(//h1)[1]", "One"), ("//li[last() - 1]", "c"), ("//a/text()|//h2", "Two"), ("//h1 | //h2", "Two"), ("//h2|//h1", "Two"),
    ("//nav/a/@href", "1"), ("//a[@href='2']/..", "y"), ("//a[@href = '2']/parent::p/@class", None),
    ("//li[1]/following-sibling::li[1]", "b"), ("//div/h1 | //div", None), ("//div", None), ("//and | //h1", "One"),
    ("xpath:string(1)", "1"), ("xpath:string(//h1)", "One"), ("xpath:count(//a)", "4"), ("xpath:count(//a) div 0", "Infinity"),
    ("xpath:-1 div 0", "-Infinity"), ("xpath:0 div 0", "NaN"), ("xpath:sum(//li)", "NaN"), ("xpath:number(//nav/a/@href)", "1"),
    ("xpath:1 div 0", "Infinity"), ("xpath:1 div 4", "0.25"), ("xpath:0.1 + 0.2", "0.3"), ("xpath:-0", "0"), ("xpath:2 * 3", "6"),
    ("xpath:100000000000000000000 * 10", "1000000000000000000000"), ("xpath:1 div 10000000", "0.0000001"),
    ("xpath:boolean(//h1)", "true"), ("xpath:not(//h1)", "false"), ("xpath:concat(//h1, ' - ', //h2)", "One - Two"),
    ("xpath:normalize-space(//h1)", "One"), ("xpath:id('nope')", None), ("xpath:name(//svg/*)", "a"),
    ("//*[name() = 'a'][@*[name() = 'xlink:href']]", "s"), ("//svg/@viewBox", "0 0 1 1"), ("//linearGradient", None),
    ("//p[contains(., 'H1')]", None), ("//li[. = 'd' or . = 'X0']", "d"), ("//li[text() = 'b']", "b"), ("//li[a/@href]", None),
    ("*|h1", "One"), ("svg a", "s"), ("svg a::attr(xlink:href)", "/s"), ("[xlink\\:href]", "s"), ("[lang|=en] h1", "One"),
    ("li:nth-child(2n+1)", "a"), ("li:nth-child(4)", "d"), (".\\31 a", None), ("#\\31 23", None), (".col-2", None),
    ("[id='1']", None),
    ("li[class~='2x']", None), ("h1, h2", "Two"), (".w-1\\/2", None), ("li:not(.first):nth-of-type(3)", "c"),
]  # fmt: skip


@pytest.mark.parametrize(("selector", "value"), FOUND)
def test_what_a_selector_finds(selector: str, value: str | None) -> None:
    told: list[str] = []

    assert Fields({"it": selector}).read(PAGE, lambda name, what, text: told.append(text)) == {"it": value}
    assert told == []


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        # a path that starts at the document and finds nothing there
        ("xpath:@href", "@href finds nothing: the document has no attributes; name their element, as in //a/@href"),
        ("xpath:attribute::href", "as in //a/@href"), ("xpath:string(@href)", "as in //a/@href"),
        ("xpath:..", ".. finds nothing: it starts at the document, which has nothing above or beside it"), ("../a", ".. finds"),
        ("xpath:parent::node()", "nothing above or beside it"), ("xpath:following::b", "nothing above or beside it"),
        ("xpath:h1", "h1 finds nothing: it starts at the document, whose only element is html; write //h1"), ("./h1", "write //h1"),
        ("/h1", "write //h1"), ("/body/h1", "write //body"), ("(h1)[1]", "write //h1"), ("xpath:count(a)", "write //a"),
        ("xpath:concat(//h1, h2)", "write //h2"), ("//h1 | h2", "write //h2"), ("//h1 and h2", "write //h2"),
        ("xpath:text()", "the document has no text of its own"), ("xpath:h1/text()", "write //h1"), ("xpath:div", "write //div"),
        # names, positions, endings
        ("//H1", "H1 finds nothing: names are in small letters here; write h1"), ("//a/@HREF", "write @href"),
        ("//div[H2]", "write h2"), ("//li[0]", "[0] finds nothing; positions count from 1"),
        ("//li[-1]", "the last one is [last()]"), ("//h1::text", "::text is an ending of CSS; in XPath write //h1"),
        ("//a::attr(href)", "in XPath write //a/@href"), ("//a::attr('href')", "in XPath write //a/@href"),
        ("//h1::html", "in XPath write css, which has ::html"), ("//svg:a", "HTML has none: write the name alone"),
        ("//h1/string()", "as in string(//h1)"), ("xpath:foo()", "unknown function 'foo'"), ("xpath:$x", "$x has no value"),
        # XPath that was taken for CSS
        ("h1/text()", "if it is XPath, write //h1/text()"), ("descendant::h1", "if it is XPath, write //h1"),
        ("@href", "as in a::attr(href), or in XPath //a/@href"), ("..", "a dot is followed by the name of a class"),
        (".", "a dot is followed by the name of a class"), ("count(//a)", "if it is XPath, write xpath: in front"),
        ("string(1)", "if it is XPath, write xpath: in front"), ("1 div 0", "if it is XPath, write xpath: in front"),
        ("h1 | h2", "a comma stands between selectors"),
        # namespaces, and names with digits
        ("svg|a", "svg|a has a prefix of a namespace, and none can be declared here; write svg a, for elements inside <svg>"),
        ("math|mi", "write math mi"), ("svg|*", "write *"), ("|a", "write a"), ("x|y", "write y"), ("div > svg|a", "write svg a"),
        ("svg|a::attr(href)", "write svg a"), ("a, svg|a", "write svg a"), ("[xlink|href]", "write [href], or [xlink\\:href]"),
        ("a[*|href]", "write [href], or [xlink\\:href]"), ("svg a::attr(xlink|href)", "write ::attr(xlink:href)"),
        ("#1", "write [id='1']"), (".2x", "write [class~='2x']"), ("li.2x", "write [class~='2x']"),
        ("1", "does not begin with a digit"),
    ],
)  # fmt: skip
def test_a_selector_that_finds_nothing_anywhere_is_refused_with_what_to_write_instead(selector: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Fields({"it": selector})

    assert words in str(caught.value)
