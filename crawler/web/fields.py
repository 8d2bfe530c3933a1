"""Declared fields: what `[stages.parse.fields]` wants read from a page.

    title = "h1"                                                text of the first match, white space collapsed
    price = { css = ".price::text", type = "float" }            12.5 from "now only € 12,50"
    image = { css = "img.main::attr(src)", type = "url" }       absolute
    tags  = { css = "a[rel=tag]", many = true }                 all matches, a list
    sku   = "//td[@class='sku']/text()"                         XPath: begins with "/", "(" or "xpath:"

A selector is CSS with at most one of ::text (the default), ::html, ::attr(NAME) at its end: see `selectors`. The first match is the
value. If it lacks the attribute or is not of the field's type, the value is null; a later match is never used. With `many` a null
stays in the list, so that the lists of two fields stay in step. For what counts as a number see `numbers`. Selectors are checked
when a Fields is made, never on a page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct

from crawler.errors import Collected, ConfigError
from crawler.web.html import Html
from crawler.web.joins import joiner

NO_NUMBER: Final = "no number/"    # prefix of the shared notes with an example of a text that was no number, one per field
MAX_VALUES: Final = 10_000         # of a field with `many`, so that no page makes a record without end
MAX_CHARS: Final = 4 << 20         # of all values of such a field: elements may hold each other, and so the same text again

if TYPE_CHECKING:
    from crawler.web.numbers import number as number

_NAME: Final = re.compile(r"[^\W\d]\w*")

Decimal = Literal["", ".", ","]     # the decimal sign of a number; "": see `numbers`
NoNumber = Callable[[str, str], None]
"""A function that receives the name of a field and a text that is no number."""


def __getattr__(name: str) -> Any:
    """Import `number` when it is asked for: a crawl without fields starts without its patterns."""
    if name != "number":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from crawler.web.numbers import number

    return number


class FieldSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field as a table; exactly one of `css` and `xpath`."""

    css: str = ""
    xpath: str = ""
    many: bool = False             # all matches as a list, not only the first
    type: Literal["str", "int", "float", "url"] = "str"
    decimal: Decimal = ""          # the decimal sign of a number, for ambiguous cases like "1.299"; "": see `numbers`


class Fields:
    """All declared fields, ready to be read from pages. Thread-safe.

    Raises ConfigError that names every bad selector, every bad name and every name that is in `reserved`.
    """

    def __init__(self, specs: Mapping[str, str | FieldSpec], reserved: frozenset[str] = frozenset(), table: str = "fields") -> None:
        """table: the name of the fields' table in messages."""
        found = Collected()
        self._fields: dict[str, _Field] = {}
        for name, spec in specs.items():
            with found.mistakes():
                if not _NAME.fullmatch(name):
                    raise ConfigError(f"{table}: {name!r} is not a name; use letters, digits and _ (no digit first)")
                if name in reserved:
                    raise ConfigError(f"{table}.{name}: every record has a {name!r} already; choose another name")
                self._fields[name] = _Field(name, _spec(spec), f"{table}.{name}")
        found.refuse()

    def read(self, html: Html, no_number: NoNumber = lambda name, text: None) -> dict[str, Any]:
        """Return every field's value on this page. no_number: called for each text that should have been a number."""
        return {name: field.read(html, no_number) for name, field in self._fields.items()}


class _Field:
    def __init__(self, name: str, spec: FieldSpec, key: str) -> None:
        if bool(spec.css) == bool(spec.xpath):
            wrong = "give css or xpath, not both" if spec.css else "the selector is empty; give css or xpath"
            raise ConfigError(f"{key}: {wrong}")
        if spec.decimal and spec.type not in ("int", "float"):
            raise ConfigError(f'{key}: decimal is for numbers; set type = "float" or "int", or leave it out')
        self._name = name
        self._spec = spec
        # Here, because most crawls declare no fields, and compiling these modules' patterns takes 2 % of the start.
        from crawler.web.numbers import number
        from crawler.web.selectors import css, xpath

        self._number = number
        try:
            self._find = css(spec.css) if spec.css else xpath(spec.xpath)
        except ValueError as error:
            raise ConfigError(f"{key}: cannot use the selector {spec.css or spec.xpath!r}: {error}") from error

    def read(self, html: Html, no_number: NoNumber) -> Any:
        texts = self._find(html.document)
        if not self._spec.many:
            return self._typed(next(texts, None), html, no_number)
        found: list[Any] = []
        room = MAX_CHARS
        for text in islice(texts, MAX_VALUES):
            room -= len(text or "")
            if room < 0:
                break
            found.append(self._typed(text, html, no_number))
        return found

    def _typed(self, text: str | None, html: Html, no_number: NoNumber) -> str | int | float | None:
        kind = self._spec.type
        if text is None or kind == "str":
            return text
        if kind == "url":
            return joiner(html.base)(text)
        value = self._number(text, kind, self._spec.decimal)
        if value is None and text:
            no_number(self._name, text)
        return value


def _spec(spec: str | FieldSpec) -> FieldSpec:
    if isinstance(spec, FieldSpec):
        return spec
    if spec.startswith("xpath:"):
        return FieldSpec(xpath=spec.removeprefix("xpath:").strip())
    return FieldSpec(xpath=spec) if spec.startswith(("/", "(")) else FieldSpec(css=spec)
