"""The words of an element as a reader sees them, on one line.

    <a><h3>Card</h3><p>12 Main St<br>Town</a>        Card 12 Main St Town
    <b>Big</b>ger <span hidden>no</span>             Bigger

Blocks, table cells and <br> separate words; other elements do not. Left out is what a browser does not show: scripts, `hidden`,
`display: none`, closed dialogs and popovers, and the fallback content of <iframe>, <object>, <video> and the like. Style sheets are
not read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from turbohtml import CData, Element, Node, Text

MAX_WORDS: Final = 1 << 20  # characters; a value of a record is cut there

MAX_STEPS: Final = 2_000_000  # nodes that are looked at for the words of many nodes: about 0.5 s

# Elements that begin and end a line or a cell: HTML standard §15.3, and <br>.
BLOCKS: Final = frozenset({
    "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "dialog", "dir", "div", "dl",
    "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr",
    "html", "legend", "li", "listing", "main", "menu", "nav", "ol", "optgroup", "option", "p", "plaintext", "pre", "search",
    "section", "select", "summary", "table", "tbody", "td", "textarea", "tfoot", "th", "thead", "tr", "ul", "xmp",
})  # fmt: skip
# Elements a browser does not show: no part of the text, or the fallback for a medium that it can show.
UNSEEN: Final = frozenset({
    "audio", "canvas", "datalist", "desc", "embed", "head", "iframe", "noembed", "noframes", "noscript", "object", "script",
    "style", "template", "title", "video",
})  # fmt: skip
# Elements within a line that show nothing but their text.
INLINE: Final = frozenset({
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "data", "del", "dfn", "em", "font", "i", "img", "ins", "kbd", "label", "mark",
    "s", "samp", "small", "span", "strong", "sub", "sup", "time", "u", "var", "wbr",
})  # fmt: skip
QUOTE: Final = '"'  # what <q> stands for

_HIDING: Final = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))(?![\w-])", re.IGNORECASE)


def words(node: Node, most: int = MAX_WORDS) -> str:
    """Return the words of a node, white space collapsed, cut at `most` characters. The node itself counts as shown."""
    return _read(node, most)[0]


def each_words(nodes: Iterable[Node], most: int, cut: Callable[[], None]) -> Iterator[str]:
    """Yield the words of each node. After MAX_STEPS nodes within these, call `cut` and stop: they may hold each other."""
    left = MAX_STEPS
    for node in nodes:
        if left < 0:
            cut()
            return
        text, steps = _read(node, most)
        left -= steps
        yield text


def _read(node: Node, most: int) -> tuple[str, int]:
    """Return the words of a node and about how many nodes were looked at."""
    steps = 0
    for element in node.iter_elements():
        steps += 1
        if (
            element.tag not in INLINE
            or element.attr("hidden") is not None
            or element.attr("style") is not None
            or element.attr("popover") is not None
        ):
            pieces = _pieces(node, most)
            text, steps = "".join(pieces), steps + len(pieces)
            break
    else:  # nothing separates or hides words: most texts, and then the parser's own is the same
        text = node.text
    text = " ".join(text.split())
    return (text if len(text) <= most else text[:most].rstrip()), steps


def is_hidden(element: Element) -> bool:
    """Tell whether an element's own attributes hide it. `hidden=until-found` does not: a reader can find it."""
    hidden, style = element.attr("hidden"), element.attr("style")
    if hidden is not None and hidden.strip().lower() != "until-found":
        return True
    is_closed = element.attr("open") is None or element.tag != "dialog"
    if is_closed and (element.tag == "dialog" or element.attr("popover") is not None):
        return True
    return style is not None and _HIDING.search(style) is not None


def _pieces(node: Node, most: int) -> list[str]:
    """Return the texts below a node and the separators between them, up to `most` characters."""
    pieces: list[str] = []
    above: list[Node] = [node]  # the nodes that hold the current one
    shown = sys.maxsize  # of these; the later ones are hidden
    for child in node.descendants:
        parent = child.parent
        while above[-1] is not parent:
            pieces.append(_separator(above.pop()))
        if len(above) < shown:
            shown = sys.maxsize
        if isinstance(child, (Text, CData)):
            if shown == sys.maxsize:
                data = child.data
                pieces.append(data)
                most -= sum(map(len, data.split()))
                if most < 0:
                    break
        else:
            above.append(child)
            pieces.append(_separator(child))
            if shown == sys.maxsize and isinstance(child, Element) and (child.tag in UNSEEN or is_hidden(child)):
                shown = len(above)
    return pieces


def _separator(node: Node) -> str:
    """Return the separator for the start or the end of an element."""
    tag = node.tag if isinstance(node, Element) else ""
    return " " if tag in BLOCKS else QUOTE if tag == "q" else ""
