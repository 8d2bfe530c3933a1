"""Compile and check the selectors of fields before the first page: CSS with our own endings, and XPath 1.0.

    h1   h1::text   h1::html   img::attr(src)       text, markup, or an attribute of each element
    nav ::attr(href)                                a space before ::attr: of the element and of all elements inside it
    h1::text, h2::text                              one ending for all parts

An error says what to write instead. An XPath that would fail only on some pages (an unknown function, variable or prefix, a wrong
number of arguments) is found by evaluating its parts on a small document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

import turbohtml
from turbohtml import Node

from crawler.tables import nearest
from crawler.web.html import Html

Find = Callable[[Node], Iterator[str | None]]
"""A function that returns what a selector finds in a document, in order: texts; None for an element without the attribute."""

_ENDING: Final = re.compile(r"""(\s*)::\s*(?:(text|html)|attr\(\s*(?:"([^"]+)"|'([^']+)'|([^\s()"']+))\s*\))\s*$""")
_QUOTED: Final = re.compile(r"""\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\[[^\]"']*\]""")
_ENDINGS: Final = "::text, ::html and ::attr(NAME)"
_PSEUDO: Final = re.compile(r"(?<!:):([a-z-]+)", re.IGNORECASE)

_BY_TEXT: Final = "CSS cannot look at text; use XPath, as in //h1[contains(., 'word')]"
_NO_LAYOUT: Final = "a page is not laid out here; leave it out, or select by class or attribute"
_INSTEAD: Final = {                # what jQuery, parsel and others have, and what to write here
    **dict.fromkeys(("contains", "icontains", "-soup-contains", "-soup-contains-own", "has-text", "containsown"), _BY_TEXT),
    **dict.fromkeys(("matches", "matchesown"), "use :is(a, b) for one of several selectors; text is matched by XPath"),
    **dict.fromkeys(("visible", "hidden", "animated"), _NO_LAYOUT),
    **dict.fromkeys(("text", "html", "attr"), ""),                     # one colon is missing: see `_unknown`
    "eq": "write :nth-of-type(N), which counts from 1", "nth": "write :nth-of-type(N), which counts from 1",
    "gt": "write :nth-of-type(n+N), which counts from 1", "lt": "write :nth-of-type(-n+N), which counts from 1",
    "first": "write :first-of-type; a field takes the first match anyway", "last": "write :last-of-type",
    "even": "write :nth-of-type(even)", "odd": "write :nth-of-type(odd)",
    "header": "write :is(h1, h2, h3, h4, h5, h6)", "input": "write :is(input, select, textarea, button)",
    "button": 'write :is(button, [type="button"])', "parent": "write :has(*)", "selected": "write :checked",
    "image": 'write [type="image"]', "checkbox": 'write [type="checkbox"]', "radio": 'write [type="radio"]',
}  # fmt: skip
_CLASSES: Final = [
    "any-link", "checked", "default", "disabled", "empty", "enabled", "first-child", "first-of-type", "has", "is", "lang",
    "last-child", "last-of-type", "link", "not", "nth-child", "nth-last-child", "nth-last-of-type", "nth-of-type", "only-child",
    "only-of-type", "optional", "read-only", "required", "root", "scope", "where",
]  # fmt: skip

_NODE_TESTS: Final = frozenset({"text", "node", "comment", "processing-instruction"})
_OPERATORS: Final = frozenset({"and", "or", "div", "mod"})
_CALL: Final = re.compile(r"(?<![\w.$@:-])([A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?)\s*\(")
_VARIABLE: Final = re.compile(r"\$\s*[\w:.-]+")
_PREFIX: Final = re.compile(r"(?<![\w.:-])([A-Za-z_][\w.-]*):(?!:)([A-Za-z_*][\w.-]*)(?![\w.-]*\s*\()")
_STRING: Final = re.compile(r'"[^"]*"|' + r"'[^']*'")
# Various kinds of nodes, so that all parts of an expression are evaluated.
_SAMPLE: Final = '<html lang=en><body id=a class="b c">1<!-- c --><p title=t>2<a href="/x">3</a></p><ul><li>4<li>5</ul></body>'


def css(selector: str) -> Find:
    """Compile a CSS selector. Raises ValueError with a message for the person who wrote it."""
    plain, form, attribute = _split(selector)
    try:
        list(_sample().select(plain))
    except ValueError as error:
        raise ValueError(_taught(selector, plain, str(error))) from error

    def texts(node: Node) -> Iterator[str]:
        for element in node.select(plain):
            yield element.html if form == "html" else told(element)

    def attributes(node: Node) -> Iterator[str | None]:
        for element in node.select(plain):
            yield element.attr(attribute)

    return attributes if attribute else texts


def xpath(expression: str) -> Find:
    """Compile an XPath. Raises ValueError with a message for the person who wrote it."""
    try:
        compiled = turbohtml.XPath(expression)
        compiled(_sample())
        _refuse_parts(expression)
    except (ValueError, TypeError) as error:       # TypeError: a number where elements are needed
        raise ValueError(_taught_xpath(expression, str(error))) from error

    def find(node: Node) -> Iterator[str]:
        result = compiled(node)
        for value in result if isinstance(result, list) else [result]:
            yield told(value) if isinstance(value, Node) else _scalar(value)

    return find


def told(node: Node) -> str:
    """Return the text of an element, with white space collapsed."""
    return " ".join(node.text.split())


def _split(selector: str) -> tuple[str, str, str]:
    """Return the selector without its ending, its form (text or html) and its attribute. Raises ValueError."""
    parts = _alternatives(selector)
    endings = [_ENDING.search(part) for part in parts]
    last = endings[-1]
    if last is None:
        if any(endings):
            raise ValueError(f"an ending is for the whole selector; put it at the end, once: {_ENDINGS}")
        return selector, "text", ""
    form, attribute = last[2] or "text", last[3] or last[4] or last[5] or ""
    if any(found and (found[2] or "text", found[3] or found[4] or found[5] or "") != (form, attribute) for found in endings):
        raise ValueError("give all parts the same ending, or make each a field of its own")
    plain = []
    for part, found in zip(parts, endings, strict=True):
        bare = part[: found.start()] if found else part
        if not bare.strip():
            raise ValueError(f"no element before {(found or last)[0].strip()}; write *{(found or last)[0].strip()} for any")
        has_space = bool(found and found[1] and attribute)
        plain.append(f":is({bare})[{attribute}], :is({bare}) [{attribute}]" if has_space else bare)
    return ",".join(plain), form, attribute


def _alternatives(selector: str) -> list[str]:
    """Return the parts between commas; commas within brackets and quotes do not count."""
    parts, depth, start = [], 0, 0
    masked = _QUOTED.sub(lambda found: "_" * len(found[0]), selector)
    for place, character in enumerate(masked):
        depth += (character in "([") - (character in ")]")
        if character == "," and not depth:
            parts.append(selector[start:place])
            start = place + 1
    return [*parts, selector[start:]]


def _taught(selector: str, plain: str, error: str) -> str:
    """Return what is wrong with a CSS selector, and what to write instead."""
    masked = _QUOTED.sub(lambda found: "_" * len(found[0]), selector)
    for opening, closing in ("[]", "()"):
        if masked.count(opening) > masked.count(closing):
            return f"a {opening!r} is not closed"
        if masked.count(opening) < masked.count(closing):
            return f"a {closing!r} closes nothing"
    if re.search(r"""["']""", masked):
        return "a quote is not closed"
    if found := re.search(r"::\s*([\w-]*)(.*)", masked):
        name, behind = found.groups()
        if name == "attr" and "(" not in behind:
            return "::attr needs a name, as in ::attr(href)"
        if name in ("text", "html", "attr"):
            return f"::{name} ends a selector; nothing may follow it"
        near = "" if name in ("after", "before") else nearest(name, ["text", "html", "attr"])
        return f"::{name} is not known; a selector may end with {_ENDINGS}" + (f"; did you mean ::{near}?" if near else "")
    if "unknown pseudo-class" in error and (unknown := _unknown(masked)):
        return unknown
    if function := re.match(r"\s*([a-z-]+)\(", plain):
        return f"CSS has no function {function[1]}(); if it is XPath, write xpath: in front"
    return re.sub(r'^invalid CSS selector ".*": ', "", error, flags=re.DOTALL)


def _unknown(masked: str) -> str:
    """Describe the first unknown pseudo-class and what to write instead; "" if all are known."""
    for name in _PSEUDO.findall(masked):
        low = name.lower()
        if low in ("text", "html", "attr"):
            return f":{name} is not known; did you mean ::{low}{'(NAME)' if low == 'attr' else ''}?"
        if low in _INSTEAD:
            return f":{name} is not CSS; {_INSTEAD[low]}"
        if not _is_known(low):
            near = nearest(low, _CLASSES)
            return f":{name} is not known" + (f"; did you mean :{near}?" if near else "")
    return ""


def _is_known(name: str) -> bool:
    for form in (f":{name}", f":{name}(a)", f":{name}(1)"):
        try:
            list(_sample().select(form))
        except ValueError:
            continue
        return True
    return False


def _refuse_parts(expression: str) -> None:
    """Raise ValueError for parts that fail on any document, also inside predicates that no node of the sample has reached."""
    masked = _STRING.sub(lambda found: found[0][0] + "_" * (len(found[0]) - 2) + found[0][0], expression)
    if found := _VARIABLE.search(masked):
        raise ValueError(f"{found[0]} has no value; write the value itself, in quotes")
    for found in _PREFIX.finditer(masked):
        turbohtml.XPath(f"//{found[0]}")(_sample())
    for found in _CALL.finditer(masked):
        if found[1] not in _NODE_TESTS | _OPERATORS:
            end = _closing(masked, found.end())
            turbohtml.XPath(expression[found.start() : end])(_sample())


def _closing(masked: str, place: int) -> int:
    """Return the position after the bracket that closes the one before `place`; brackets in strings do not count."""
    text, depth = _STRING.sub(lambda found: "_" * len(found[0]), masked), 1
    while depth and place < len(text):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        place += 1
    return place


def _taught_xpath(expression: str, error: str) -> str:
    """Return what is wrong with an XPath, and what to write instead."""
    message = error.removeprefix("xpath: ")
    step = re.search(r"/\s*([A-Za-z_][\w.-]*)\s*\(", _STRING.sub("", expression))
    if "trailing" in message and step and step[1] not in _NODE_TESTS:
        return f"{step[1]}() is no step of a path; a function stands around a path, as in string(//h1); an element's text is text()"
    if "unknown function" in message:
        return f"{message}; XPath 1.0 has contains(), starts-with(), normalize-space(), string(), count() and others"
    if "prefix" in message:
        return f"{message}; HTML has none: write the name alone, or *[name()='x:y']"
    return message


def _scalar(value: str | float) -> str:
    """Convert a value as string() of XPath 1.0 §4.2 does: whole numbers without a point, truth values in lower case."""
    if isinstance(value, str):
        return value.strip()
    return str(value).lower() if isinstance(value, bool) else f"{value:.15g}"


@lru_cache(maxsize=1)
def _sample() -> Node:
    return Html(_SAMPLE).document
