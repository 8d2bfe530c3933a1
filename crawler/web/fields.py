"""Declared fields: values that `[stages.parse.fields]` selects from a page.

    title = "h1"                                                words of the first match, as a reader sees them
    price = { css = ".price::text", type = "float" }            12.5 from "now only € 12,50"
    day   = { css = "time", type = "date" }                     2024-05-12 from "Published: 12 May 2024"
    image = { css = "img.main::attr(src)", type = "url" }       absolute
    tags  = { css = "a[rel=tag]", many = true }                 all matches, a list
    sku   = "//td[@class='sku']/text()"                         XPath: begins with "/", "./", "(" or "xpath:"

A selector is CSS with at most one of ::text (the default), ::html, ::attr(NAME) at its end: see `selectors`; for XPath see
`xpaths`. The first match is the value. If it lacks the attribute or is not of the field's type, the value is null; a later match is
never used. With `many` a null stays in the list, so that the lists of two fields stay in step. For what counts as a number or a
date see `numbers` and `dates`. A selector is checked when a Fields is made; where it still fails on a page the field is null.

All fields of a page share MOST_TIME. Selectors that are cheap on the page are evaluated first, here; then those that could take
long, in a process that can be ended (see `apart`). A field for which no time is left is null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from time import thread_time
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from msgspec import Struct

from crawler.errors import Collected, ConfigError
from crawler.web.html import Html
from crawler.web.joins import joiner
from crawler.web.lazy import lazy

FIELD_NOTE: Final = "field/"  # prefix of the shared notes with an example of a text that could not be read, one per field
OF_OUTPUTS: Final = frozenset({"_extra", "_key"})  # columns that outputs add: for values without another column, and a key
MAX_VALUE: Final = 1 << 20  # characters of one value
MAX_VALUES: Final = 10_000  # of a field with `many`, so that no page makes a record without end
MOST_TIME: Final = 1.6  # s of CPU for all fields of a page, with the process that evaluates selectors apart
LAST_BEGUN: Final = 1.0  # s of CPU after which no selector is begun here, where it cannot be ended
NO_TIME: Final = "other fields took all the time that a page may take"
MAX_CHARS: Final = 4 << 20  # of all values of a page: elements may hold each other, and so the same text again

if TYPE_CHECKING:
    from turbohtml import Node

    from crawler.web.numbers import number as number
    from crawler.web.xpath_cost import Shape

_NAME: Final = re.compile(r"[^\W\d]\w*")

Type = Literal["str", "int", "float", "url", "date"]
Decimal = Literal["", ".", ","]  # the decimal sign of a number; "": see `numbers`
Trouble = Type | Literal["failed", "cut"]
Told = Callable[[str, Trouble, str], None]
"""A function that receives the name of a field and what happened on a page: the type that a text is not of, with the text;
"failed", with the reason why the selector failed; or "cut" for a value, or a list of values, beyond a limit."""
Convert = Callable[[str, Html], str | int | float | None]


class Find(Protocol):
    """A selector, compiled."""

    def is_affordable(self, shape: Shape) -> bool:
        """Tell whether it is evaluated within about a second on a page of this shape."""

    def __call__(self, node: Node, most: int, cut: Callable[[], None], *, only_first: bool) -> Iterator[str | None]:
        """Return what it finds in a document, in order, with words cut at `most` characters; None for a missing attribute.

        cut: called if not all could be read.
        """


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
    many: bool = False  # all matches as a list, not only the first
    type: Type = "str"
    decimal: Decimal = ""  # the decimal sign of a number, for ambiguous cases like "1.299"; "": see `numbers`
    day_first: bool | None = None  # of a date such as 03/04/2024; without it that is null
    format: str = ""  # the only form of a date that is read, as of `datetime.strptime`: %d.%m.%Y


class Fields:
    """All declared fields, ready to be read from pages. Thread-safe.

    Raises ConfigError that names every bad selector, every bad name and every name that is in `reserved`.
    """

    def __init__(self, specs: Mapping[str, str | FieldSpec], reserved: frozenset[str] = frozenset(), table: str = "fields") -> None:
        """table: the name of the fields' table in messages."""
        found = Collected()
        self._fields: list[_Field] = []
        for name, spec in specs.items():
            with found.mistakes():
                if not _NAME.fullmatch(name):
                    raise ConfigError(f"{table}: {name!r} is not a name; use letters, digits and _ (no digit first)")
                if name in reserved:
                    raise ConfigError(f"{table}.{name}: every record has a {name!r} already; choose another name")
                if name.lower() in OF_OUTPUTS:  # without case, as SQLite compares names
                    raise ConfigError(f"{table}.{name}: outputs have a column {name.lower()!r} of their own; choose another name")
                self._fields.append(_Field(name, _spec(spec), f"{table}.{name}"))
        found.refuse()

    def read(self, html: Html, told: Told = lambda name, trouble, text: None) -> dict[str, Any]:
        """Return every field's value on this page. told: called for each text or selector that made a value null or was cut."""
        if not self._fields:
            return {}
        page = _Reading(html, told)
        values: dict[str, Any] = dict.fromkeys(field.name for field in self._fields)  # in this order, whichever is read first
        costly = [field for field in self._fields if not field.read_here(page, values)]
        for place, field in enumerate(costly, 1):
            share = page.time_left() / (1 if place == len(costly) else 2)  # one that takes too long leaves time for others
            values[field.name] = field.read_apart(page, share)
        return values


class _Reading:
    """One page while its fields are read."""

    def __init__(self, html: Html, told: Told) -> None:
        self.html = html
        self.told = told
        self.room = MAX_CHARS
        self.time_apart = 0.0  # s of CPU that another process took
        self._start = thread_time()
        self.last_begun = self._start + LAST_BEGUN

    def time_left(self) -> float:
        """Return the s of CPU that the fields of the page may still take."""
        return MOST_TIME - (thread_time() - self._start) - self.time_apart

    @lazy
    def shape(self) -> Shape:
        from crawler.web.xpath_cost import Shape  # here, because few crawls have fields

        return Shape(self.html.document, len(self.html.source))

    def cut(self, name: str, text: str) -> str:
        """Return the text within the limits of a value and of a page."""
        self.told(name, "cut", "")
        return text[: min(MAX_VALUE, self.room)]


class _Field:
    def __init__(self, name: str, spec: FieldSpec, key: str) -> None:
        self.name = name
        self._spec = spec
        _check(spec, key)
        selector = spec.css or spec.xpath
        try:
            self._find = _compiled(spec)
        except ValueError as error:
            table = '; a table has its values in quotes: { css = ".price" }' if selector.startswith("{") else ""
            raise ConfigError(f"{key}: cannot use the selector {selector!r}: {error}{table}") from error
        try:
            self._convert = _converter(spec)
        except ValueError as error:
            raise ConfigError(f"{key}.format: {error}") from error

    def read_here(self, page: _Reading, values: dict[str, Any]) -> bool:
        """Put the field's value on this page into `values`; return False if its selector could take long there."""
        if thread_time() > page.last_begun:
            page.told(self.name, "failed", NO_TIME)
            return True
        document = page.html.document
        cut = partial(page.told, self.name, "cut", "")
        try:
            if not self._find.is_affordable(page.shape):
                return False
            values[self.name] = self._value(self._find(document, MAX_VALUE + 1, cut, only_first=not self._spec.many), page)
        except Exception as error:  # noqa: BLE001 - whatever a selector meets on this page costs the field, not the page
            self._failed(page, error)
        return True

    def read_apart(self, page: _Reading, seconds: float) -> Any:
        """Return the field's value on this page, evaluated in a process that is ended after so much CPU."""
        if seconds <= 0:
            page.told(self.name, "failed", NO_TIME)
            return None
        from crawler.web.apart import Kind, values  # here, because it is for few pages

        spec = self._spec
        kind: Kind = "css" if spec.css else "xpath"
        most_values = MAX_VALUES + 1 if spec.many else 1
        answer = values(page.html, kind, spec.css or spec.xpath, MAX_VALUE + 1, most_values, MAX_CHARS, seconds)
        page.time_apart += answer.cpu
        if answer.error:
            page.told(self.name, "failed", answer.error)
            return None
        if answer.is_cut:
            page.told(self.name, "cut", "")
        try:
            return self._value(iter(answer.values), page)
        except Exception as error:  # noqa: BLE001 - as in read_here
            self._failed(page, error)
            return None

    def _failed(self, page: _Reading, error: Exception) -> None:
        page.told(self.name, "failed", str(error).removeprefix("xpath: ") or type(error).__name__)

    def _value(self, texts: Iterator[str | None], page: _Reading) -> Any:
        return self._list(texts, page) if self._spec.many else self._typed(next(texts, None), page)

    def _list(self, texts: Iterator[str | None], page: _Reading) -> list[Any]:
        found: list[Any] = []
        for text in texts:
            if len(found) == MAX_VALUES or page.room <= 0:
                page.told(self.name, "cut", "")
                break
            found.append(self._typed(text, page))
        return found

    def _typed(self, text: str | None, page: _Reading) -> str | int | float | None:
        """Return a text as a value of the field's type; None, with a word to `told`, if it is none."""
        if text is None:
            return None
        value: str | int | float | None = text
        if self._convert is None:
            if len(text) > MAX_VALUE or len(text) > page.room:
                value = page.cut(self.name, text)
        else:
            value = self._convert(text, page.html)
            if value is None and text.strip():
                page.told(self.name, self._spec.type, text)
        if isinstance(value, str):
            page.room -= len(value)
        return value


def _check(spec: FieldSpec, key: str) -> None:
    """Raise ConfigError for options that do not go together."""
    if bool(spec.css) == bool(spec.xpath):
        wrong = "give css or xpath, not both" if spec.css else "the selector is empty; give css or xpath"
        raise ConfigError(f"{key}: {wrong}")
    if spec.decimal and spec.type not in ("int", "float"):
        raise ConfigError(f'{key}: decimal is for numbers; set type = "float" or "int", or leave it out')
    for option, is_given in (("format", bool(spec.format)), ("day_first", spec.day_first is not None)):
        if is_given and spec.type != "date":
            raise ConfigError(f'{key}: {option} is for dates; set type = "date", or leave it out')
    if spec.format and spec.day_first is not None:
        raise ConfigError(f"{key}: give format or day_first, not both; a format has its own order")


# The modules are imported here, because most crawls declare no fields, and compiling their patterns takes 2 % of the start.
def _compiled(spec: FieldSpec) -> Find:
    """Return a field's selector. Raises ValueError."""
    if spec.css:
        from crawler.web.selectors import Css

        return Css(spec.css)
    from crawler.web.xpaths import XPath

    return XPath(spec.xpath)


def _converter(spec: FieldSpec) -> Convert | None:
    """Return what makes a value of a text, None for a text. Raises ValueError for a form of dates that tells no date."""
    if spec.type == "url":
        return lambda text, html: joiner(html.base, html.encoding)(text) if len(text) <= MAX_VALUE else None
    if spec.type in ("int", "float"):
        from crawler.web.numbers import number

        kind: Literal["int", "float"] = "int" if spec.type == "int" else "float"
        return lambda text, html: number(text, kind, spec.decimal)
    if spec.type == "date":
        from crawler.web.dates import check_form, read_date, read_formatted

        if spec.format:
            check_form(spec.format)
            return lambda text, html: read_formatted(text, spec.format)
        return lambda text, html: read_date(text, html.language or "", spec.day_first)
    return None


def _spec(spec: str | FieldSpec) -> FieldSpec:
    if isinstance(spec, FieldSpec):
        return spec
    spec = spec.strip()
    if spec.startswith("xpath:"):
        return FieldSpec(xpath=spec.removeprefix("xpath:").strip())
    return FieldSpec(xpath=spec) if spec.startswith(("/", "(", "./", "../")) else FieldSpec(css=spec)
