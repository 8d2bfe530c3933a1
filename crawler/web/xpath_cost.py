"""Estimate how much work an XPath is on a page, from its axes and the page's shape, before it is evaluated.

    //div[count(preceding-sibling::div) > 5]     for each div its siblings, sorted: elements * siblings * siblings

turbohtml evaluates in C and cannot be interrupted. Most axes are linear in the page; those to siblings, ancestors and whatever
follows or precedes sort what they find, and a path in a predicate begins anew for each element. The estimate is a decision between
evaluating here and where it can be ended (see `apart`), so it is an upper bound within a small factor, and no more exact than that.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import turbohtml
from msgspec import Struct
from turbohtml import Node

from crawler.web.lazy import lazy

AFFORDABLE: Final = 2e8  # units of work, each 1 to 5 ns as measured: under a second
_WIDTHS: Final = (64, 512, 4_096)  # siblings that are looked for
_DEPTHS: Final = (32, 100, 300)
_NODES: Final = tuple(1 << power for power in range(18, 5, -1))
_DENSE: Final = 80  # bytes of a page to one node, mostly fewer
_CHARS: Final = 10  # characters of a text that are one unit of work
_TOKEN: Final = re.compile(
    r"(?P<axis>[a-z]+(?:-[a-z]+)*)\s*::|(?P<below>//)|(?P<step>/)|(?P<open>[\[(])|(?P<new>[|,=<>+]|(?<=[\s)\]])(?:and|or|div|mod)(?=[\s(\[]))|(?P<last>last\(\))"
)
_NAME: Final = re.compile(r"\s*([A-Za-z_][\w.-]*)(?!\s*[\w.(:-])")
_SIMPLE: Final = re.compile(r"\s*(?:\d+|@[\w-]+(?:\s*=\s*[\"']_*[\"'])?)\s*")  # a predicate that looks at no other element
_CONTEXT: Final = re.compile(r"[\w\])*.]\s*$")  # the part before the slash of a relative path


class Bounds(Struct, frozen=True):
    """Upper bounds of what tells the cost of an XPath on a page."""

    nodes: int
    width: int  # children of one element
    depth: int  # elements within each other
    text: float  # work to make the text of a node, on average: an element's is part of that of all around it

    def count(self, name: str) -> int:
        """Return how many elements have this name."""
        return self.nodes


class Shape:
    """The measures of one page; each is taken when first needed, in time linear in the page."""

    def __init__(self, document: Node, size: int) -> None:
        self._document = document
        self.size = size  # bytes

    @lazy
    def nodes(self) -> int:
        return max(1, self.count("node()"))

    @lazy
    def width(self) -> int:
        return next((width for width in _WIDTHS if width >= self.nodes or not self._has(f"//node()[{width + 1}]")), self.nodes)

    @lazy
    def depth(self) -> int:
        return next((depth for depth in _DEPTHS if not self._has("/*" * (depth + 1))), self.nodes)

    @lazy
    def text(self) -> float:
        return 1 + self.depth * self.size / self.nodes / _CHARS

    def count(self, name: str) -> int:
        found = _compiled(f"count(//{name})")(self._document)
        return int(found) if isinstance(found, float) else self.nodes

    def _has(self, path: str) -> bool:
        return bool(_compiled(f"boolean({path})")(self._document))


def is_affordable(masked: str, harmless: int, shape: Shape) -> bool:
    """Tell whether an expression may be evaluated in our own process. harmless: see `harmless_nodes`.

    What is dear to find out is found out only if it makes a difference.
    """
    if shape.nodes <= harmless and shape.size <= _DENSE * shape.nodes:
        return True
    rough = Bounds(shape.nodes, shape.width, shape.depth, shape.text)
    return cost(masked, rough) <= AFFORDABLE or cost(masked, shape) <= AFFORDABLE


def harmless_nodes(masked: str) -> int:
    """Return with how many nodes, of up to _DENSE bytes each, no page makes an expression take long, whatever its shape."""
    return next((n for n in _NODES if cost(masked, Bounds(n, n, n // 2, 1 + n * _DENSE / _CHARS / 2)) <= AFFORDABLE), 0)


@lru_cache(maxsize=64)
def _compiled(expression: str) -> turbohtml.XPath:
    return turbohtml.XPath(expression)


class _Place(Struct):
    """The position in the walk along an expression."""

    reach: float = 1.0  # nodes that the path has reached
    visited: float = 1.0  # nodes that are looked at to get there, for each of which a predicate is evaluated
    is_path: bool = False


def cost(masked: str, shape: Bounds | Shape) -> float:
    """Return the work of evaluating an expression for one node. masked: with the contents of its strings replaced."""
    place, total, at = _Place(), 1.0, 0
    while found := _TOKEN.search(masked, at):
        at = found.end()
        if found["axis"]:
            total += _axis(found["axis"], place, shape)
        elif found["below"]:
            total += _below(place, shape)
            if name := _NAME.match(masked, at):
                place.visited = place.reach = shape.count(name[1])
                at = name.end()
        elif found["step"]:
            total += _child(masked, at, place, shape)
        elif found["open"]:
            end = closing(masked, at)
            total += shape.nodes if masked[:at].endswith("id(") else 0  # id() looks through the page
            inner = masked[at : end - 1]
            total += _inside(found["open"], inner, place, shape)
            at = end
        elif found["last"]:
            total += shape.width
        else:
            total += shape.text if found["new"] in "=<>" else 0
            place = _Place()
    return total


def _axis(axis: str, place: _Place, shape: Bounds | Shape) -> float:
    """Follow an axis from the nodes reached so far; return the work of that."""
    nodes, width, depth, reach = shape.nodes, shape.width, shape.depth, place.reach
    match axis:
        case "following-sibling" | "preceding-sibling":
            work, place.visited = reach * (width * width + depth * depth), reach * width
        case "following" | "preceding":
            work, place.visited = reach * nodes * nodes, reach * nodes
        case "ancestor" | "ancestor-or-self":
            work, place.visited = reach * depth * depth, reach * depth
        case "descendant" | "descendant-or-self":
            return _below(place, shape)
        case "parent":
            return reach * width  # they are put in order
        case _:
            return reach
    place.reach, place.is_path = min(nodes, place.visited), True
    return work


def _below(place: _Place, shape: Bounds | Shape) -> float:
    """Step to all that is below the nodes reached so far; return the work of that."""
    work = float(shape.nodes)
    if place.is_path and place.reach > 1:  # a node is found once from each element around it, then put in order
        work *= min(place.reach, shape.depth) * shape.depth + shape.width
    place.visited = place.reach = shape.nodes
    place.is_path = True
    return work


def _child(masked: str, at: int, place: _Place, shape: Bounds | Shape) -> float:
    """Step to children, attributes or the parent; return the work of that."""
    if masked.startswith("..", at):
        return _axis("parent", place, shape)
    if masked.startswith(("@", "."), at):
        return place.reach
    if not place.is_path:  # from one node
        place.visited = place.reach = min(shape.nodes, shape.width)
        place.is_path = True
        return place.reach
    place.visited = min(shape.nodes, place.reach * shape.width)
    work = place.reach + place.visited * shape.width / 4  # the results are put in order, which is quick
    place.reach = place.visited
    return work


def _inside(bracket: str, inner: str, place: _Place, shape: Bounds | Shape) -> float:
    if bracket == "[":
        return place.visited * (1 if _SIMPLE.fullmatch(inner) else cost(inner, shape))
    work = cost(inner, shape)
    if not inner.strip():
        return work
    if "/" in inner:  # it may stand for its result, as in (//a)[1]
        place.visited = place.reach = shape.nodes
        place.is_path = True
    return work + shape.text


def closing(text: str, place: int) -> int:
    """Return the position after the bracket that closes the one before `place`."""
    depth = 1
    while depth and place < len(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(text[place], 0)
        place += 1
    return place
