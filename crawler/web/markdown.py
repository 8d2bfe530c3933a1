"""The text of a page as Markdown: CommonMark, with the tables of GitHub.

    copy of the tree ──Shown──▶ what is shown ──links absolute, layout tables as blocks──▶ the library ──emphasis──▶ Markdown

The library writes emphasis next to letters beyond ASCII as HTML. So it writes marks here, and these become ** and * where
CommonMark allows it (§6.2: left- and right-flanking delimiter runs). Where it does not, as around 「太字」 in other text, they move
past the punctuation, or are left out.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

from turbohtml import Document, Element, Markdown, Text

from crawler.web.joins import join_all
from crawler.web.text import CELLS, Shown

_MARK: Final = "\3"  # begins a mark for emphasis; its second character says which
_ENDS: Final = {"b": "B", "i": "I", "s": "S"}
_DELIMITERS: Final = {"b": "**", "i": "*", "s": "~~"}
_NEAR: Final = 16  # marks in a row that are looked through for a character
_SYNTAX: Final = frozenset("[]()`\\!<>*_~|#&")  # punctuation that may be Markdown: marks do not move past it

# What makes a table one of layout: a cell of a pipe table is one line.
_TALL: Final = ("table", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "form", "hr", "figure", "article", "section")
_LISTS: Final = ("ul", "ol", "dl")
_FORM_BLOCKS: Final = ("fieldset", "legend", "select", "textarea", "optgroup", "option", "dialog")
_PARTS: Final = ("thead", "tbody", "tfoot", "tr", *CELLS)
_NUMBERS: Final = re.compile(r"\s*\d+(?:\s+\d+)*\s*")  # the column beside code, a number for each line
_SPACE: Final = "\t\n\f\r "  # what HTML strips from a URL
_NOWHERE: Final = "about:"  # stands for a URL that no reader can follow
_KEPT: Final = re.compile(r"(?:mailto|tel|sms|ftps?|irc|xmpp|magnet):", re.IGNORECASE)


def markdown(tree: Document, base: str, room: int, encoding: str = "utf-8", source: bytes | str = "") -> tuple[str, bool]:
    """Return the text of a page as Markdown, and whether links are missing. The tree is used up.

    base: what links are relative to. room: characters of all their URLs; links beyond it become plain text.
    encoding: the page's, in which the queries of links are sent. source: what the tree was made of.
    """
    shown = Shown(tree, source, ("img",))
    is_cut = _make_absolute(shown, base, room, encoding)
    _simplify(shown)
    found = "\n\n".join(node.to_markdown(_FORM) for node in shown.nodes)
    # The library's way to write a no-break space, unless the page is about it.
    if "&#160;" in found and not any("&#160;" in node.text for node in shown.nodes):
        found = found.replace("&#160;", " ")
    found = found.replace("\xa0", " ")
    del tree, shown  # for a page of emphasis alone, what follows takes as much memory
    return _with_emphasis(found) if _MARK in found else found, is_cut


def _simplify(shown: Shown) -> None:
    """Make plain blocks of tables of layout and of forms."""
    for table in shown.elements("table"):
        if table.tag == "table" and _is_layout(table):  # otherwise a table around it was one of layout
            _as_blocks(table)
    for block in shown.elements(*_FORM_BLOCKS):
        block.tag = "div"


def _make_absolute(shown: Shown, base: str, room: int, encoding: str) -> bool:
    """Make the URLs of links and images absolute; those that lead nowhere, as javascript: and data:, become their text.

    Returns True if there was no room for all of them.
    """
    links = [link for node in shown.nodes for link in node.iter_elements("a")]
    hrefs = [link.attr("href") for link in links]
    once = [href for href in dict.fromkeys(hrefs) if href is not None]
    known: dict[str, str] = {}
    if len(base) * len(once) <= room:  # else one by one, and no further than there is room
        known = dict(zip(once, _absolute(base, once, encoding), strict=True))

    def absolute(href: str) -> str:
        nonlocal room
        url = known.get(href)
        if url is None:
            url = known[href] = _absolute(base, (href,), encoding)[0] if room >= 0 else _NOWHERE
        room -= len(url)
        return url if room >= 0 else _NOWHERE

    for link, href in zip(links, hrefs, strict=True):
        if href is None:
            continue
        if (url := absolute(href)) is _NOWHERE:
            del link.attrs["href"]
        elif url != href:
            link.attrs["href"] = url
    for image in shown.elements("img"):
        source = image.attr("src")
        if source and not source.isspace() and image.parent is not None:
            if (url := absolute(source)) is _NOWHERE:
                image.replace_with(Text(image.attr("alt") or ""))
            else:
                image.attrs["src"] = url
    return room < 0


def _absolute(base: str, hrefs: Sequence[str], encoding: str) -> list[str]:
    """Return the absolute URL of each, with its fragment; _NOWHERE for what no reader can follow."""
    hrefs = [href.strip(_SPACE) for href in hrefs]
    paths = [href if "#" not in href else href.partition("#")[0] for href in hrefs]
    once = list(dict.fromkeys(paths))  # many links of a page lead to places in one other, or in itself
    urls = dict(zip(once, join_all(base, once, encoding), strict=True))
    return [
        (urls[path] if path is href else urls[path] + href[len(path) :]) if href and urls[path]
        else base + href if not path and (base or not href)
        else href if _KEPT.match(href) else _NOWHERE
        for href, path in zip(hrefs, paths, strict=True)
    ]  # fmt: skip


def _is_layout(table: Element) -> bool:
    if table.attr("role") in ("presentation", "none") or next(table.iter_elements(_TALL), None) is not None:
        return True
    parts = [part.tag for part in table.iter_elements(("tr", *CELLS))]
    if "th" in parts:
        return False
    rows = parts.count("tr")
    return rows < 2 or len(parts) - rows <= rows or next(table.iter_elements(_LISTS), None) is not None


def _as_blocks(table: Element) -> None:
    """Make a table of layout plain blocks, and the tables in it with it, so that each element is looked at once."""
    parts = list(table.iter_elements((*_PARTS, "caption", "table")))
    is_code = next(table.iter_elements("pre"), None) is not None
    for part in parts:
        if is_code and part.tag in CELLS and _is_numbers(part):
            part.decompose()
        else:
            part.tag = "div"
    table.tag = "div"


def _is_numbers(cell: Element) -> bool:
    """Tell whether a cell holds the line numbers of the code in a later cell."""
    if cell.next_sibling is None or next(cell.iter_elements("table"), None) is not None:
        return False  # with tables in it, its text would be read once for each level
    return _NUMBERS.fullmatch(cell.text) is not None


def _marked(kind: str) -> Callable[[Element, str], str]:
    start, end = f"{_MARK}{kind}", f"{_MARK}{_ENDS[kind]}"
    return lambda _element, inner: inner if not inner or "\n\n" in inner else start + inner + end


_FORM: Final = Markdown(
    tables=Markdown.Tables(cell_blocks="text"),
    converters={
        **dict.fromkeys(("b", "strong"), _marked("b")), **dict.fromkeys(("i", "em"), _marked("i")),
        **dict.fromkeys(("del", "s", "strike"), _marked("s")),
    },
)  # fmt: skip


def _with_emphasis(text: str) -> str:
    """Replace the marks by delimiters, or by nothing."""
    first, *rest = text.split(_MARK)  # no pattern: it would look at each character
    kinds = ["", *[each[:1] for each in rest]]
    texts = [first, *[each[1:] for each in rest]]  # after the mark of the same place
    last = len(kinds) - 1
    opened: list[int] = []
    outer = dict.fromkeys(_ENDS, 0)  # number of open ones of each kind
    delimiters = [""] * len(kinds)
    for place, kind in enumerate(kinds):
        if kind in _ENDS:
            inner = texts[place]
            # As most emphasis is: nothing to move, and letters within. Then its end has nothing to do either.
            if (
                inner[:1].isalnum() and inner[-1].isalnum() and texts[place - 1]
                and place < last and kinds[place + 1] == _ENDS[kind] and not outer[kind]
            ):  # fmt: skip
                delimiters[place] = delimiters[place + 1] = _DELIMITERS[kind]
                kinds[place + 1] = ""
                continue
            _move_space(texts, place - 1, place, inner.lstrip())
            opened.append(place)
            outer[kind] += 1
        elif opened and kind == _ENDS[kinds[opened[-1]]]:
            _move_space(texts, place, place - 1, texts[place - 1].rstrip())
            start = opened.pop()
            outer[kinds[start]] -= 1
            if not outer[kinds[start]] and _settled(texts, delimiters, start, place):
                delimiters[start] = delimiters[place] = _DELIMITERS[kinds[start]]
    found = [""] * (2 * len(kinds))
    found[::2], found[1::2] = delimiters, texts
    return "".join(found)


def _move_space(texts: list[str], to: int, place: int, stripped: str) -> None:
    """Move white space at the edge of emphasis to the text before or after it."""
    if len(stripped) < len(texts[place]):
        if to < place:
            texts[to] += texts[place][: len(texts[place]) - len(stripped)]
        else:
            texts[to] = texts[place][len(stripped) :] + texts[to]
        texts[place] = stripped


def _settled(texts: list[str], delimiters: list[str], start: int, end: int) -> bool:
    """Tell whether an emphasis can stand from one place to another, perhaps after its punctuation has moved out of it."""
    before, after = _before(texts, start), _behind(texts, end)
    first, last = _behind(texts, start, end), _before(texts, end, start)
    if not first or (not texts[start - 1] and delimiters[start - 1] and not delimiters[start]):
        return False  # there is nothing in it, or it would run into the one before: **a***b*
    if _flanks(first, before) and _flanks(last, after):
        return True
    if end > start + 1:
        return False
    inner = texts[start]
    bare = inner if _flanks(first, before) else inner.lstrip(_movable(inner))
    front, core = inner[: len(inner) - len(bare)], bare if _flanks(last, after) else bare.rstrip(_movable(bare))
    back = bare[len(core) :]
    if not core or not _flanks(core[0], front[-1:] or before) or not _flanks(core[-1], back[:1] or after):
        return False
    texts[start - 1] += front
    texts[start], texts[end] = core, back + texts[end]
    return True


def _movable(text: str) -> str:
    return "".join(char for char in set(text) if _is_punctuation(char) and char not in _SYNTAX)


def _flanks(inside: str, outside: str) -> bool:
    """Tell whether a run of * between these characters opens or closes emphasis."""
    return not _is_punctuation(inside) or not outside or outside.isspace() or _is_punctuation(outside)


def _is_punctuation(char: str) -> bool:
    return not char.isalnum() and bool(char) and unicodedata.category(char)[0] in "PS"


def _before(texts: list[str], place: int, least: int = 0) -> str:
    """Return the last character before the mark of a place; "" if there is none from `least` on, or none near."""
    if place > least and texts[place - 1]:
        return texts[place - 1][-1]
    return next((texts[each][-1] for each in range(place - 1, max(least, place - _NEAR) - 1, -1) if texts[each]), "")


def _behind(texts: list[str], place: int, end: int = sys.maxsize) -> str:
    if place < min(len(texts), end) and texts[place]:
        return texts[place][0]
    return next((texts[each][0] for each in range(place, min(len(texts), end, place + _NEAR)) if texts[each]), "")
