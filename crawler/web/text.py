"""The text of a page as a reader sees it: paragraphs, and a line for each list item and table row.

    copy of the tree ──Shown──▶ what is shown, of <main> if there is one ──text──▶ lists and tables as plain blocks ──▶ text
                                                                      └─────▶ `markdown`

The library lays tables out as a padded grid, and drops words directly in lists. So these become plain blocks before it reads the
tree, with marks for the line ends before them. The cells of a row are two spaces apart: the text is never much longer than the
page.
"""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import suppress
from itertools import islice
from typing import Final

from turbohtml import Document, Element, Namespace, Node, Text

from crawler.web.words import BLOCKS, QUOTE, UNSEEN, is_hidden

_AROUND: Final = frozenset({"navigation", "banner", "contentinfo", "search"})  # roles of parts that are not the page's own
_REMOVED: Final = tuple(sorted(UNSEEN - {"head", "title", "desc", "script", "style", "template", "noscript"} | {"nav", "aside"}))
_OF_BODY: Final = ("header", "footer")  # those of an article belong to it
_OF_SVG: Final = ("title", "desc")
_QUOTES: Final = 10_000  # <q> elements that get their quotation marks, each of which takes memory
_BREAKS: Final = 100_000  # elements in <pre> that get their line ends, each of which takes memory
_NOTICE: Final = 1_000  # characters of a <noscript>; one with an open <p> in it holds all the rest of the page
_LISTS: Final = ("ul", "ol", "menu", "dir")
CELLS: Final = ("td", "th")
_BLOCKS: Final = (
    "table", "thead", "tbody", "tfoot", "caption", "blockquote", "fieldset", "legend", "select", "textarea", "optgroup", "dialog",
    "noscript",
)  # fmt: skip
_ALL: Final = (*_REMOVED, *_OF_BODY, *_OF_SVG, *_LISTS, *CELLS, *_BLOCKS, "main", "tr", "option", "pre")
_BREAKING: Final = tuple(sorted(BLOCKS))  # elements that begin a line, in a <pre> too
# A <noscript> as far as its end tag or the next one; compiled by `re` when a page has one that may be open.
_NOSCRIPT: Final = r"(?is)<noscript\b((?:(?!</?noscript\b).)*+)(</noscript)?"
_BLOCK_TAG: Final = rf"(?i)<(/?)(?:{'|'.join(sorted(BLOCKS - {'br', 'hr'}))})\b"

# Marks in the text. Pages contain such characters only by mistake.
_NEXT: Final = "\1"  # one line end before it, and no empty line
_CELL: Final = "\2"  # the start of a cell


class Shown:
    """Part of a page that is its own content: menus, banners, footers and hidden elements are removed from the tree.

    by_tag: the elements that text and Markdown need, in the page's order; also those that were removed.
    """

    def __init__(self, tree: Document, source: bytes | str = "", more: tuple[str, ...] = ()) -> None:
        """source: of the page. more: further tags of elements to find. Each costs time: a page has hundreds of links."""
        self.by_tag: dict[str, list[Element]] = defaultdict(list)
        # All searches before the first change: the library's index of a tree lasts until then.
        for element in tree.iter_elements(_ALL + more):
            self.by_tag[element.tag].append(element)
        self.by_tag["q"] = list(islice(tree.iter_elements("q"), _QUOTES))
        told = tree.select("[role], [hidden], [style], [popover]")
        for element in self._removed(source):
            element.decompose()
        mains = list(self.by_tag["main"])
        for element in told + self.by_tag["dialog"]:
            role = element.attr("role")
            if role in _AROUND or is_hidden(element):
                element.decompose()
            elif role == "main":
                mains.append(element)
        self.nodes = _with_words(tree, mains) if mains else [tree]

    def elements(self, *tags: str) -> list[Element]:
        """Return those of these tags, tag by tag."""
        return [element for tag in tags for element in self.by_tag.get(tag, ())]

    def _removed(self, source: bytes | str) -> list[Element]:
        return [
            *self.elements(*_REMOVED),
            *(each for each in self.elements(*_OF_BODY) if isinstance(each.parent, Element) and each.parent.tag == "body"),
            *(each for each in self.elements(*_OF_SVG) if each.namespace is Namespace.SVG),
            *self._notices(source),
        ]

    def _notices(self, source: bytes | str) -> list[Element]:
        """Return the <noscript> elements that hold only what is for readers without scripts.

        One whose end tag the standard ignores, as in `<noscript><p>Turn on scripts</noscript>`, holds all the rest of its parent.
        """
        short = [each for each in self.elements("noscript") if len(each.text) <= _NOTICE]
        if all(each.next_sibling is not None or not each.text.strip() for each in short) or not _has_open_notice(source):
            return short
        return [each for each in short if each.next_sibling is not None]


def _has_open_notice(source: bytes | str) -> bool:
    """Tell whether a <noscript> of a page may be left open: it has no end tag, or begins other blocks than it ends."""
    page = source if isinstance(source, str) else source.decode("latin-1")
    for content, end in re.findall(_NOSCRIPT, page):
        tags: list[str] = re.findall(_BLOCK_TAG, content)
        if not end or tags.count("/") * 2 != len(tags):
            return True
    return False


def text(tree: Document, source: bytes | str = "") -> str:
    """Return the text of a page. The tree is used up. source: what the tree was made of."""
    shown = Shown(tree, source)
    _break_lines(shown.elements("pre"))
    for each in shown.elements(*_LISTS):
        if _is_loose(each):
            _plain_list(each)
    _plain_tables(shown)
    for each in shown.elements(*_BLOCKS):
        each.tag = "div"
    for option in shown.elements("option"):
        option.tag = "div"
        _mark(option, _NEXT)
    for quote in shown.elements("q"):
        quote.insert(0, Text(QUOTE))
        quote.append(Text(QUOTE))
    shown.by_tag.clear()  # on a large page as much memory as its text
    return "\n\n".join(_tidy(node.to_text()) for node in shown.nodes)


def _with_words(tree: Document, mains: list[Element]) -> list[Node]:
    """Return the topmost <main>s, those with words. If none has words, the page is shown as a whole."""
    if len(mains) > 1:
        mains = tree.select("main, [role=main]")  # in the page's order
        mains = [each for each in mains if not isinstance(each.parent, Element) or each.parent.closest("main, [role=main]") is None]
    return [each for each in mains if each.parent is not None and any(not text.isspace() for text in each.strings)] or [tree]


def _break_lines(pres: list[Element]) -> None:
    """Put line ends where elements in a <pre> break the line: of these the library takes the text alone."""
    inner: set[Element] = set()  # those in another <pre>, which have been looked at with it
    left = _BREAKS
    for pre in pres:
        if pre in inner:
            continue
        found = list(islice(pre.iter_elements(_BREAKING), left))
        left -= len(found)
        for element in found:
            if element.tag == "pre":
                inner.add(element)
            if element.tag == "br":
                element.append(Text("\n"))
                continue
            if _is_within_line(element.previous_sibling, -1):
                _mark(element, "\n")
            if _is_within_line(element.next_sibling, 0) and not _is_block(element.next_sibling):
                element.append(Text("\n"))


def _is_within_line(beside: Node | None, place: int) -> bool:
    """Tell whether the node beside an element leaves it within a line. place: of the character that would end that line."""
    return beside is not None and not (isinstance(beside, Text) and beside.data[place:][:1] == "\n")


def _is_block(node: Node | None) -> bool:
    return isinstance(node, Element) and node.tag in BLOCKS


def _is_loose(items: Element) -> bool:
    """Tell whether words stand directly in a list."""
    for item in items:  # no generator: most items are the white space between others
        if type(item) is Text:
            if not item.data.isspace():
                return True
        elif type(item) is Element and item.tag != "li":
            return True
    return False


def _plain_list(items: Element) -> None:
    number = _start(items) if items.tag == "ol" else 0
    for item in items:
        if isinstance(item, Element) and item.tag == "li":
            _mark(item, f"{_NEXT}{number}. " if number else f"{_NEXT}* ")
            item.tag = "div"
            number += number > 0
    items.tag = "div"


def _plain_tables(shown: Shown) -> None:
    for cell in shown.elements(*CELLS):
        cell.tag = "span"
        if len(cell) == 1 and isinstance(only := cell[0], Element) and only.tag == "p":
            only.tag = "span"
        _mark(cell, _CELL)
    table = None
    for row in shown.elements("tr"):
        row.tag = "div"
        above = row.parent.parent if row.parent is not None else None
        if above is table:
            first = next(iter(row), None)
            _mark(first if isinstance(first, Element) and first.tag == "span" else row, _NEXT)
        table = above


def _mark(element: Element, mark: str) -> None:
    """Put a mark at the start of an element, in the text that is there: a node of its own would take more time and memory."""
    first = next(iter(element), None)
    if isinstance(first, Text):
        first.data = mark + first.data
    else:
        element.insert(0, Text(mark))


def _start(element: Element) -> int:
    with suppress(ValueError):
        return max(1, int((element.attr("start") or "1")[:9]))
    return 1


def _tidy(text: str) -> str:
    if _CELL in text:
        text = _with_rows(text)
    if _NEXT in text:
        *before, last = text.split(_NEXT)  # of the line ends before a mark one stays
        text = "".join([each[:-1] if each.endswith("\n\n") else each for each in before]) + last
    return text.replace("\xa0", " ").strip()


def _with_rows(text: str) -> str:
    """Lay out the lines that have cells."""
    found = []
    end = -1
    while (cell := text.find(_CELL, end + 1)) >= 0:
        start = text.rfind("\n", 0, cell) + 1
        found.append(text[end + 1 : start])
        end = text.find("\n", cell)
        found.append(_row(text[start : end if end >= 0 else len(text)]))
        if end < 0:
            return "".join(found)
        found.append("\n")
    return "".join(found) + text[end + 1 :]


def _row(line: str) -> str:
    start = _NEXT if line.startswith(_NEXT) else ""
    return start + "  ".join([cell.strip() for cell in line.replace(_NEXT, "").split(_CELL) if cell and not cell.isspace()])
