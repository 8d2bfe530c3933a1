"""Compile and check XPath 1.0 before the first page, with has-class() as in parsel.

turbohtml finds many mistakes only when a part is evaluated, which on some pages it is and on others not: an unknown function in a
predicate, a wrong number of arguments, a variable, a prefix, a path after a string. So each part of an expression (what stands in
brackets, each argument, each side of an operator) is evaluated alone, on a small document, when the expression is compiled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import turbohtml
from turbohtml import Node

from crawler.web.html import Html
from crawler.web.words import each_words
from crawler.web.xpath_checks import refuse
from crawler.web.xpath_cost import Shape, closing, harmless_nodes, is_affordable

_NODE_TESTS: Final = frozenset({"text", "node", "comment", "processing-instruction"})
_WITH_PATTERN: Final = frozenset({"matches", "replace", "re:test", "re:replace"})
_OPERATORS: Final = frozenset({"and", "or", "div", "mod"})
_CALL: Final = re.compile(r"(?<![\w.$@:])(?<![\w.]-)([A-Za-z_][\w.-]*(?::[A-Za-z_][\w.-]*)?)\s*\(")
_VARIABLE: Final = re.compile(r"\$\s*[\w:.-]+")
_PREFIX: Final = re.compile(r"(?<![\w.:-])([A-Za-z_][\w.-]*):(?!:)(?:[A-Za-z_][\w.-]*|\*)(?![\w.-]*\s*\()")
_STRING: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
_BETWEEN: Final = re.compile(r",|[!<>]?=|[<>]|(?<![\w.:@/$-])(?:and|or)(?![\w.:/(-])")  # what separates parts
# Elements anywhere by name and attributes, and their texts or an attribute: in a small page linear enough not to be looked at.
_SHORT: Final = re.compile(
    r"""(?:[a-z-]+\(|\()?//[\w-]+(?:\[(?:\d+|@[\w-]+(?:\s*=\s*["'][^"']*["'])?)\])*(?:/text\(\)|/@[\w-]+)?\)?"""
)
_SMALL: Final = 256 << 10  # bytes of a page
_HAS_CLASS: Final = re.compile(r"(?<![\w.$@:])(?<![\w.]-)has-class\s*\(")
_CLASSES: Final = "concat(' ', normalize-space(translate(@class, '\f', ' ')), ' ')"
# Various kinds of nodes, so that all parts of an expression are evaluated.
_SAMPLE: Final = '<html lang=en><body id=a class="b c">1<!-- c --><p title=t>2<a href="/x">3</a></p><ul><li>4<li>5</ul></body>'


class XPathError(ValueError):
    """An expression that cannot work; the message is for the person who wrote it."""


class XPath:
    """A compiled expression. Raises XPathError when made if it can only fail on a page."""

    def __init__(self, expression: str) -> None:
        try:
            _refuse_slips(expression)
            full = _with_classes(expression)
            self._compiled = turbohtml.XPath(full)
            self._masked = _masked(full)
            self._is_short = bool(_SHORT.fullmatch(self._masked))
            self._harmless = harmless_nodes(self._masked)
            for part in (full, *_parts(full)):
                _evaluate(part, full)
        except XPathError:
            raise
        except (ValueError, TypeError, re.error) as error:  # TypeError: a number where elements are needed
            raise XPathError(_taught(expression, error)) from error

    def is_affordable(self, shape: Shape) -> bool:
        """Tell whether it is evaluated within about a second on a page of this shape."""
        if self._is_short and shape.size <= _SMALL:
            return True
        return is_affordable(self._masked, self._harmless, shape)

    def __call__(self, node: Node, most: int, cut: Callable[[], None], *, only_first: bool = False) -> Iterator[str]:
        """Return the values in document order, each element's words cut at `most` characters. cut: as for `each_words`.

        Raises what turbohtml raises, which is for instance re.error for a pattern that the page itself supplies.
        """
        result = self._compiled(node)
        values = result if isinstance(result, list) else [result]
        return _texts(values[:1] if only_first else values, most, cut)


def _texts(values: Sequence[Any], most: int, cut: Callable[[], None]) -> Iterator[str]:
    texts = each_words((value for value in values if isinstance(value, Node)), most, cut)
    for value in values:
        if not isinstance(value, Node):
            yield _scalar(value)
        elif (text := next(texts, None)) is not None:
            yield text
        else:
            return


def _scalar(value: str | float) -> str:
    """Convert a value as string() of XPath 1.0 §4.2 does: numbers without an exponent, truth values in lower case."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return str(value).lower()
    if not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    text = f"{value + 0.0:.15g}"  # + 0.0: a negative zero is 0
    return format(Decimal(text), "f") if "e" in text else text


def _masked(expression: str, *, brackets: bool = False) -> str:
    """Return the expression with the contents of its strings replaced. brackets: also those of brackets and parentheses."""
    masked = _STRING.sub(lambda found: found[0][0] + "_" * (len(found[0]) - 2) + found[0][0], expression)
    if not brackets:
        return masked
    depth, characters = 0, []
    for character in masked:
        depth -= character in ")]"
        characters.append("_" if depth else character)
        depth += character in "(["
    return "".join(characters)


def _refuse_slips(expression: str) -> None:
    masked = _masked(expression)
    if found := _VARIABLE.search(masked):
        raise XPathError(f"{found[0]} has no value; write the value itself, in quotes")
    if said := refuse(expression, masked):
        raise XPathError(said)


def _with_classes(expression: str) -> str:
    """Return the expression with has-class('a', 'b') written in XPath 1.0."""
    while found := _HAS_CLASS.search(_masked(expression)):
        end = _closing(_masked(expression), found.end())
        inner = expression[found.end() : end - 1]
        names = _STRING.findall(inner)
        if not names or _STRING.sub("", inner).replace(",", "").strip() or _STRING.sub("", inner).count(",") != len(names) - 1:
            raise XPathError("has-class() takes names of classes in quotes, as in has-class('a', 'b')")
        tests = " and ".join(f"contains({_CLASSES}, concat(' ', {name}, ' '))" for name in names)
        expression = f"{expression[: found.start()]}boolean({tests}){expression[end:]}"
    return expression


def _parts(expression: str) -> Iterator[str]:
    """Yield every part that can be evaluated alone, from the outside to the inside."""
    masked = _masked(expression)
    for found in _PREFIX.finditer(masked):
        yield f"//{found[0]}"
    for found in _CALL.finditer(masked):
        if found[1] not in _NODE_TESTS | _OPERATORS:
            yield expression[found.start() : _closing(masked, found.end())]
    yield from _split(expression)
    for found in re.finditer(r"[(\[]", masked):
        yield from _split(expression[found.end() : _closing(masked, found.end()) - 1])


def _split(part: str) -> Iterator[str]:
    """Yield the sides of the operators of a part, and its arguments."""
    start = 0
    for found in _BETWEEN.finditer(_masked(part, brackets=True)):
        yield part[start : found.start()]
        start = found.end()
    yield part[start:]


def _closing(masked: str, place: int) -> int:
    """Return the position after the bracket that closes the one before `place`; brackets in strings do not count."""
    return closing(_STRING.sub(lambda found: "_" * len(found[0]), masked), place)


def _evaluate(part: str, whole: str) -> None:
    """Evaluate a part on the sample. A part that is no expression is passed over: the whole is one."""
    try:
        compiled = turbohtml.XPath(part)
    except ValueError:
        return
    for node in (_sample(), *_sample().select("p")):
        try:
            compiled(node)
        except MemoryError:  # substring() with a length that is no number, which on another page it may be
            pass
        except re.error as error:
            if any(str(error) in _regex_errors(value) for value in _constants(whole)):
                raise


def _regex_errors(value: str) -> Iterator[str]:
    """Yield the messages of a value that is no regular expression, or no replacement."""
    try:
        re.compile(value)
    except re.error as error:
        yield str(error)
    try:
        re.sub("x", value, "x")
    except re.error as error:
        yield str(error)


def _constants(expression: str) -> Iterator[str]:
    """Yield the arguments of regular expressions that are the same on every page."""
    masked = _masked(expression)
    for call in _CALL.finditer(masked):
        if call[1] not in _WITH_PATTERN:
            continue
        for argument in _split(expression[call.end() : _closing(masked, call.end()) - 1]):
            if not re.search(r"[\w@./*$]", _CALL.sub("", _STRING.sub("", argument))):
                with suppress(ValueError):
                    yield str(turbohtml.XPath(argument)(_sample()))


def _taught(expression: str, error: Exception) -> str:
    """Return what is wrong with an XPath, and what to write instead."""
    if isinstance(error, re.error):
        return f"it has no regular expression in place of one: {error}"
    message = str(error).removeprefix("xpath: ")
    step = re.search(r"/\s*([A-Za-z_][\w.-]*)\s*\(", _STRING.sub("", expression))
    if "trailing" in message and step and step[1] not in _NODE_TESTS:
        return f"{step[1]}() is no step of a path; a function stands around a path, as in string(//h1); an element's text is text()"
    if "unknown function" in message:
        return f"{message}; XPath 1.0 has contains(), starts-with(), normalize-space(), string(), count() and others"
    if "prefix" in message:
        return f"{message}; HTML has none: write the name alone, or *[name()='x:y']"
    if "non-node-set" in message:
        return f"{message}; it takes elements, as //li, not a text or a number"
    return message


@lru_cache(maxsize=1)
def _sample() -> Node:
    return Html(_SAMPLE).document
