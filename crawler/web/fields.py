"""Declared fields: what `[stages.parse.fields]` wants read from a page.

    title = "h1"                                                text of the first match, white space collapsed
    price = { css = ".price::text", type = "float" }            12.5 from "now only € 12,50"
    image = { css = "img.main::attr(src)", type = "url" }       absolute
    tags  = { css = "a[rel=tag]", many = true }                 all matches, a list
    sku   = "//td[@class='sku']/text()"                         XPath: begins with "/", "(" or "xpath:"

A selector is CSS with at most one of ::text (the default), ::html, ::attr(NAME) at its end. What is not found, or is not of its
type, is null (an empty list with `many`). Selectors are checked when a Fields is made, never on a page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, Literal

import turbohtml
from msgspec import Struct
from turbohtml import Node

from crawler.errors import ConfigError
from crawler.web.html import Html
from crawler.web.joins import joiner

MAX_VALUES: Final = 10_000         # of a field with `many`, so that no page makes a record without end
MAX_CHARS: Final = 4 << 20         # of all values of such a field: elements may hold each other, and so the same text again

_NAME: Final = re.compile(r"[^\W\d]\w*")
_ENDING: Final = re.compile(r"\s*::\s*(?:(text|html)|attr\(\s*([^\s()]+)\s*\))\s*$")
# A sign if nothing is glued to its left; digits in groups of three apart by spaces or apostrophes, or digits with marks.
_NUMBER: Final = re.compile(
    r"(?:(?<!\w)[-+−])?(?:\d{1,3}(?:[ \u00a0\u202f'’]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*)"
)
_GROUPING: Final = str.maketrans("−", "-", " \u00a0\u202f'’")
_INT_DIGITS: Final = 18            # what fits into 64 bits, which is what travels and what databases hold
_FLOAT_DIGITS: Final = 300         # more is no number anybody meant, and not a finite float


class FieldSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field as a table; exactly one of `css` and `xpath`."""

    css: str = ""
    xpath: str = ""
    many: bool = False             # all matches as a list, not only the first
    type: Literal["str", "int", "float", "url"] = "str"


class Fields:
    """All declared fields, ready to be read from pages. Thread-safe.

    Raises ConfigError, naming the field, for a bad selector, a bad name, and a name in `reserved`.
    """

    def __init__(self, specs: Mapping[str, str | FieldSpec], reserved: frozenset[str] = frozenset()) -> None:
        self._fields = {name: _Field(name, _spec(spec)) for name, spec in specs.items()}
        for name in self._fields:
            if not _NAME.fullmatch(name):
                raise ConfigError(f"fields: {name!r} is not a name; use letters, digits and _ (not first a digit)")
            if name in reserved:
                raise ConfigError(f"fields.{name}: every record has a {name!r} already; choose another name")

    def read(self, html: Html) -> dict[str, Any]:
        """Every field's value on this page."""
        return {name: field.read(html) for name, field in self._fields.items()}


class _Field:
    def __init__(self, name: str, spec: FieldSpec) -> None:
        if bool(spec.css) == bool(spec.xpath):
            raise ConfigError(f"fields.{name}: give one of css and xpath")
        self._many = spec.many
        self._type = spec.type
        selector = spec.css or spec.xpath
        try:
            self._find = _css(spec.css) if spec.css else _xpath(spec.xpath)
            next(self._find(Html("").document), None)
        except (ValueError, TypeError) as error:     # TypeError: an XPath that uses a number where it needs elements
            raise ConfigError(f"fields.{name}: cannot use the selector {selector!r}: {error}") from error

    def read(self, html: Html) -> Any:
        values = ((text, self._typed(text, html)) for text in self._find(html.document))
        typed = ((text, value) for text, value in values if value is not None)
        if not self._many:
            return next((value for _, value in typed), None)
        found: list[Any] = []
        room = MAX_CHARS
        for text, value in islice(typed, MAX_VALUES):
            room -= len(text)
            if room < 0:
                break
            found.append(value)
        return found

    def _typed(self, text: str, html: Html) -> str | int | float | None:
        if self._type == "str":
            return text
        if self._type == "url":
            return joiner(html.base)(text)
        return number(text, self._type)


def number(text: str, kind: Literal["int", "float"] = "float") -> int | float | None:
    """The first number in a text: "1,299.00 €", "1.299,00", "1 299" and "1'299" are all 1299. An int drops the fraction.

    The last of two different marks is the decimal one, a mark that occurs twice is not. One comma before exactly three
    digits groups ("1,299"), one point never does ("1.299" is 1.299).
    """
    found = _NUMBER.search(text)
    if found is None:
        return None
    digits = found.group().translate(_GROUPING)
    decimal = max(".,", key=digits.rfind)
    if digits.count(decimal) > 1 or re.fullmatch(r"[-+]?\d{1,3},\d{3}", digits):
        decimal = ""
    whole, _, fraction = digits.rpartition(decimal) if decimal in digits and decimal else (digits, "", "")
    whole = whole.replace(",", "").replace(".", "")
    if kind == "int":
        return int(whole) if len(whole) <= _INT_DIGITS else None
    return float(f"{whole}.{fraction or 0}") if len(whole) <= _FLOAT_DIGITS else None


def _spec(spec: str | FieldSpec) -> FieldSpec:
    if isinstance(spec, FieldSpec):
        return spec
    if spec.startswith("xpath:"):
        return FieldSpec(xpath=spec.removeprefix("xpath:").strip())
    return FieldSpec(xpath=spec) if spec.startswith(("/", "(")) else FieldSpec(css=spec)


def _css(selector: str) -> Callable[[Node], Iterator[str]]:
    ending = _ENDING.search(selector)
    form, attribute = ending.groups() if ending else ("text", None)
    plain = selector[: ending.start()] if ending else selector

    def find(node: Node) -> Iterator[str]:
        for element in node.select(plain):
            value = element.attr(attribute) if attribute else _told(element, form)
            if value is not None:
                yield value

    return find


def _xpath(expression: str) -> Callable[[Node], Iterator[str]]:
    compiled = turbohtml.XPath(expression)

    def find(node: Node) -> Iterator[str]:
        result = compiled(node)
        for value in result if isinstance(result, list) else [result]:
            yield _told(value, "text") if isinstance(value, Node) else _scalar(value)

    return find


def _scalar(value: str | float) -> str:
    """XPath 1.0 §4.2, string(): whole numbers without a point, truth in lower case."""
    if isinstance(value, str):
        return value.strip()
    return str(value).lower() if isinstance(value, bool) else f"{value:.15g}"


def _told(node: Node, form: str | None) -> str:
    return node.html if form == "html" else " ".join(node.text.split())
