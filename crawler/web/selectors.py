"""Compile and check CSS selectors before the first page, with endings of our own.

    h1   h1::text   h1::html   img::attr(src)       text, markup, or an attribute of each element
    nav ::attr(href)   ::attr(id)                   a space before ::attr: of all elements below it that have the attribute
    h1::text, h2::text                              one ending for all parts; the order is the document's

An error says what to write instead, also for what jQuery, parsel and others have beside CSS. XPath: see `xpaths`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from turbohtml import Node

from crawler.web.html import Html
from crawler.web.words import each_words
from crawler.web.xpath_cost import AFFORDABLE
from crawler.wording.spelling import nearest

if TYPE_CHECKING:
    from crawler.web.xpath_cost import Shape

_ATTRIBUTE: Final = r"""(?:"([^"]+)"|'([^']+)'|((?:\\[0-9A-Fa-f]{1,6}\s|[^\s()"'])+))"""
_ENDING: Final = re.compile(rf"(\s*)::\s*(?:(text|html)|attr\(\s*{_ATTRIBUTE}\s*\))\s*$")
_PLAIN_NAME: Final = re.compile(r"[a-z][a-z-]*")  # of an attribute that a selector finds as it is written
_ESCAPE: Final = re.compile(r"\\(?:([0-9A-Fa-f]{1,6})\s?|(.))")
_QUOTED: Final = re.compile(r"""\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\[[^\]"']*\]""")
_DIGIT: Final = re.compile(r"([.#])(\d[\w-]*)|(?<![\w\\.#-])(\d[\w-]*)")  # a name that begins with a digit
_AXIS: Final = re.compile(r"(?:(?:child|self|descendant|ancestor|parent|following|preceding)[a-z-]*\s*::|[\w*-]+/)\s*(.+)")
_STRINGS: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
_LOOKS: Final = re.compile(r":has\(", re.IGNORECASE)
_COUNTS: Final = re.compile(r":nth-|-of-type", re.IGNORECASE)
_ENDINGS: Final = "::text, ::html and ::attr(NAME)"
_PSEUDO: Final = re.compile(r"(?<!:):([a-z-]+)(\(?)", re.IGNORECASE)

_BY_TEXT: Final = "CSS cannot look at text; use XPath, as in //h1[contains(., 'word')]"
_BY_PATTERN: Final = "CSS cannot look at text; use XPath, as in //h1[re:test(., 'word')]"
_NO_LAYOUT: Final = "a page is not laid out here; leave it out, or select by class or attribute"
_INSTEAD: Final = {                # what jQuery, parsel and others have, and what to write here
    **dict.fromkeys(("contains", "icontains", "-soup-contains", "-soup-contains-own", "has-text", "contains-text", "text-is",
                     "containsown", "containswholetext", "containswholeowntext", "min-text-length"), _BY_TEXT),
    **dict.fromkeys(("text-matches", "matchesown", "matcheswholetext", "matches-text"), _BY_PATTERN),
    **dict.fromkeys(("matches", "any", "-webkit-any", "-moz-any"), "use :is(a, b) for one of several selectors; text is for XPath"),
    **dict.fromkeys(("visible", "hidden", "animated", "is-visible", "matches-css"), _NO_LAYOUT),
    **dict.fromkeys(("upward", "closest"), "use XPath, as in //h1/ancestor::div[1]"),
    "xpath": "make it an XPath: it begins with a slash or with xpath:", "nth-match": "use XPath, as in (//h1)[2]",
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


class Css:
    """A compiled CSS selector. Raises ValueError with a message for the person who wrote it."""

    def __init__(self, selector: str) -> None:
        self._plain, self._form, self._attribute, self._is_below = _split(selector)
        self._looks = len(_LOOKS.findall(self._plain))
        self._counts = bool(_COUNTS.search(self._plain))
        if said := _refused(selector, self._attribute):
            raise ValueError(said)
        try:
            _sample().select_one(self._plain)
        except ValueError as error:
            raise ValueError(_taught(selector, self._plain, str(error))) from error

    def is_affordable(self, shape: Shape) -> bool:
        """Tell whether it is evaluated within about a second on a page of this shape.

        Most selectors are linear in it. Counting siblings takes a look at all of them for each, :has() one at all that is below.
        """
        if not self._looks and not self._counts:
            return True
        work = float(shape.nodes) ** (1 + self._looks) if self._looks else 0.0
        if self._counts:
            work += float(shape.nodes) * (shape.nodes if float(shape.nodes) ** 2 <= AFFORDABLE / 2 else shape.width)
        return work <= AFFORDABLE

    def __call__(self, node: Node, most: int, cut: Callable[[], None], *, only_first: bool = False) -> Iterator[str | None]:
        """Return the values in document order, each element's words cut at `most` characters. cut: as for `each_words`."""
        if only_first and not self._is_below:
            element = node.select_one(self._plain)
            elements = [element] if element is not None else []
        else:
            elements = node.select(self._plain)
        if name := self._attribute:
            values = [element.attr(name) for element in elements]
            return iter([value for value in values if value is not None] if self._is_below else values)
        # One by one, because elements may hold each other: all their texts together may be long.
        return (element.html for element in elements) if self._form == "html" else each_words(elements, most, cut)


def _refused(selector: str, attribute: str) -> str:
    """Return what to write instead of a selector that the engine takes although it means nothing here; "" if it is fine."""
    masked = _within(selector)
    if re.search(r"\s\|\s", masked):
        return "a comma stands between selectors of which one is to match; | is for XPath, as in //h1 | //h2"
    if found := re.search(r"(?:^|[^\w*|\\-])((?!\*)[\w-]*)\|(?![=|])\s*([\w-]+|\*)", masked):
        prefix, name = found.groups()
        meant = f"{prefix} {name}, for elements inside <{prefix}>" if prefix in ("svg", "math") and name != "*" else name
        return f"{prefix}|{name} has a prefix of a namespace, and none can be declared here; write {meant}"
    if found := re.search(r"\[\s*([\w*-]+)\|(?!=)([\w-]+)", _STRINGS.sub("", selector)):
        name = found[2]
        return f"[{found[1]}|{name}] has a prefix of a namespace; write [{name}], or [xlink\\:{name}] for xlink:{name}"
    if "|" in attribute:
        return f"::attr({attribute}) has a prefix of a namespace; write ::attr({attribute.replace('|', ':')})"
    if found := _DIGIT.search(masked):
        kind, name = found[1] or "", found[2] or found[3]
        instead = {"#": f"write [id='{name}']", ".": f"write [class~='{name}']"}.get(kind, "if it is XPath, write xpath: in front")
        return f"{kind}{name}: a name does not begin with a digit in CSS; {instead}"
    return ""


def _within(selector: str) -> str:
    """Return the selector with its parts in quotes, brackets and parentheses replaced."""
    masked, depth = [], 0
    plain = _ESCAPE.sub(lambda found: "_" * len(found[0]), selector)
    for character in _QUOTED.sub(lambda found: "_" * len(found[0]), plain):
        depth -= character in ")]"
        masked.append("_" if depth > 0 else character)
        depth += character in "(["
    return "".join(masked)


def _split(selector: str) -> tuple[str, str, str, bool]:
    """Return the selector without its ending, its form (text or html), its attribute, and whether it looks below the element.

    Raises ValueError.
    """
    parts = _alternatives(selector)
    endings = [_ENDING.search(part) for part in parts]
    last = endings[-1]
    if last is None:
        if any(endings):
            raise ValueError(f"an ending is for the whole selector; put it at the end, once: {_ENDINGS}")
        return selector, "text", "", False
    form, attribute = _ending(last)
    if any(found and _ending(found) != (form, attribute) for found in endings):
        raise ValueError("give all parts the same ending, or make each a field of its own")
    plain, is_below = [], False
    for part, found in zip(parts, endings, strict=True):
        bare = part[: found.start()] if found else part
        if not bare.strip() and not (found and attribute):
            raise ValueError(f"no element before {(found or last)[0].strip()}; write *{(found or last)[0].strip()} for any")
        if found and attribute and (found[1] or not bare):
            is_below = True
            bare += f" [{attribute}]" if _PLAIN_NAME.fullmatch(attribute) else " *"
        plain.append(bare)
    return ",".join(plain), form, attribute, is_below


def _ending(found: re.Match[str]) -> tuple[str, str]:
    """Return the form and the attribute that an ending asks for, without the escapes of CSS."""
    name = found[3] or found[4] or found[5] or ""
    return found[2] or "text", _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)) if escape[1] else escape[2], name)


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
    if said := _xpath(masked):
        return said
    if found := re.search(r"::\s*([\w-]*)(.*)", masked):
        name, behind = found.groups()
        if name == "attr" and "(" not in behind:
            return "::attr needs a name, as in ::attr(href)"
        if name == "attr" and re.match(r"\(\s*\)", behind):
            return "::attr() needs a name, as in ::attr(href)"
        if name in ("text", "html", "attr"):
            return f"::{name} ends a selector; nothing may follow it"
        near = "" if name in ("after", "before") else nearest(name, ["text", "html", "attr"])
        return f"::{name} is not known; a selector may end with {_ENDINGS}" + (f"; did you mean ::{near}?" if near else "")
    if different := re.search(r"\[\s*([\w|-]+)\s*!=\s*([^\]]*)\]", selector):
        return f"[{different[1]}!=…] is not CSS; write :not([{different[1]}={different[2].strip()}])"
    if attribute := re.fullmatch(r"([^@]*[\w\])])\s*/?\s*@([\w:-]+)\s*", selector):
        return f"an attribute is read with ::attr(NAME), as in {attribute[1].strip().rstrip('/')}::attr({attribute[2]})"
    if call := re.match(r"\s*\w+\.(css|xpath|select|select_one|find)\(\s*(_+)", masked):
        return f"it is Python; write the selector alone: {selector[call.start(2) + 1 : call.end(2) - 1]}"
    if combinator := re.search(r">>>?|/deep/", masked):
        return f"{combinator[0]} is not CSS; write a space for any depth, > for a child"
    if "unknown pseudo-class" in error and (unknown := _unknown(masked)):
        return unknown
    if function := re.match(r"\s*([a-z-]+)\(", plain):
        return f"CSS has no function {function[1]}(); if it is XPath, write xpath: in front"
    return re.sub(r'^invalid CSS selector ".*": ', "", error, flags=re.DOTALL)


def _xpath(masked: str) -> str:
    """Return what to write instead of an XPath that was taken for CSS; "" if it is none."""
    text = masked.strip()
    if text in (".", ".."):
        return "a dot is followed by the name of a class; if it is XPath, write a path, as //h1"
    if attribute := re.match(r"@([\w:-]+)$", text):
        return f"an attribute is read from its element, as in a::attr({attribute[1]}), or in XPath //a/@{attribute[1]}"
    if step := _AXIS.match(text):
        return f"it is no CSS; if it is XPath, write //{step[1] if '::' in step[0] else text}"
    return ""


def _unknown(masked: str) -> str:
    """Describe the first unknown pseudo-class and what to write instead; "" if all are known."""
    for name, bracket in _PSEUDO.findall(masked):
        low = name.lower()
        if low == "text" and bracket:
            return f":{name}() is not CSS; {_BY_TEXT}"
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


@lru_cache(maxsize=1)
def _sample() -> Node:
    return Html("<body><p>").document
