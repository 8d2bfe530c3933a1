"""Refuse XPaths that can never find anything on an HTML page: each is a usual slip, and the message says what is meant.

@href   ../a   text()      start at the document, which has no attributes, no parent and no text: //a/@href
h1   ./h1   /h1            start there as well, and its only element is html: //h1
//H1   //a/@HREF           names are in small letters, whatever the page has (HTML, §13.2.5.8)
//li[0]   //li[-1]         positions count from 1, and the last one is [last()]
//h1::text                 an ending of our CSS
"""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = r"[A-Za-z_][\w.-]*"
# Where an operand begins, and its first step. `and` and the like are operators behind an operand only.
_OPERAND: Final = re.compile(
    r"(?:^|[(,|=<>+]|(?<=[\w)*.\]'\"]\s)(?:and|or|div|mod)(?=\s))\s*"
    rf"(?P<path>(?P<root>/?)(?:(?P<axis>{_NAME})\s*::\s*|(?P<at>@)\s*)?(?P<test>\.\.|\./(?!/)\s*(?P<child>{_NAME})|\*|{_NAME}))"
    r"(?=(?P<call>\s*\()?)"
)
_UPWARD: Final = frozenset({"parent", "ancestor", "following", "preceding", "following-sibling", "preceding-sibling"})
_PREDICATE: Final = re.compile(r"\[[^\[\]]*\]")
_POSITION: Final = re.compile(r"\[\s*(0|-\s*\d+)\s*\]")
_LARGE: Final = re.compile(rf"(?<![\w.:(-])(@?)(?:{_NAME}::)?([A-Z][\w-]*)(?![\w.-]*\s*[(:])")
_ENDING: Final = re.compile(rf"::\s*(?:(text|html)\b|attr\(\s*[\"']?({_NAME}))")


def refuse(expression: str, masked: str) -> str:
    """Return what is wrong with an expression and what to write instead; "" if it may find something.

    masked: the expression with the contents of its strings replaced, of the same length.
    """
    if ending := _ENDING.search(masked):
        path = expression[: ending.start()].strip()
        name = expression[slice(*ending.span(2))]
        meant = f"{path}/@{name}" if name else path if ending[1] == "text" else "css, which has ::html"
        return f"{ending[0].split('(')[0]} is an ending of CSS; in XPath write {meant}"
    if position := _POSITION.search(masked):
        last = "" if position[1] == "0" else "; the last one is [last()], the one before it [last() - 1]"
        return f"{position[0]} finds nothing; positions count from 1{last}"
    if large := _LARGE.search(masked):
        return f"{large[1]}{large[2]} finds nothing: names are in small letters here; write {large[1]}{large[2].lower()}"
    return _refuse_start(masked)


def _refuse_start(masked: str) -> str:
    """Refuse a path that starts at the document and cannot find anything there."""
    bare = masked
    while _PREDICATE.search(bare):  # what is in brackets starts at the element before them
        bare = _PREDICATE.sub("", bare)
    for operand in _OPERAND.finditer(bare):
        axis = "attribute" if operand["at"] else operand["axis"] or "child"
        test, is_call = operand["test"], bool(operand["call"])
        if is_call and test != "text" and axis not in _UPWARD:  # a function, or a test for all nodes
            continue
        name = operand["child"] or test
        if test == ".." or axis in _UPWARD:
            return f"{operand['path']} finds nothing: it starts at the document, which has nothing above or beside it"
        if axis == "attribute":
            return f"{operand['path']} finds nothing: the document has no attributes; name their element, as in //a/@{name}"
        if axis == "child" and is_call:
            return "text() finds nothing: the document has no text of its own; name its element, as in //h1/text()"
        if axis == "child" and name not in ("*", "html"):
            return f"{operand['path']} finds nothing: it starts at the document, whose only element is html; write //{name}"
    return ""
