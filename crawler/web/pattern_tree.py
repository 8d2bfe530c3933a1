"""A regular expression as a tree of sets of characters, read from the parse tree of `re`, for texts of ASCII such as URLs.

    pattern ──re's own parser──▶ its tree ──read──▶ Chars, Sequence, Choice, Repeat, Edge, Look, Opaque ──written──▶ RE2

A set is an int with a bit for each of the 128 characters, so that two sets are compared in one step. Cases are resolved in it and
groups are gone: the tree says which texts match and nothing of where. So its form for another engine matches what `re` matches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence as Items
from functools import lru_cache
from importlib import import_module
from typing import Any, Final

from msgspec import Struct

ALL: Final = (1 << 128) - 1  # every character of ASCII
_TEXT: Final = "".join(map(chr, range(128)))
_TYPES: Final = int(re.ASCII | re.UNICODE | re.LOCALE)  # one excludes the others
_KEPT: Final = int(re.IGNORECASE | re.ASCII)  # flags that change which characters a set takes
_EDGES: Final = {
    "AT_BEGINNING": "start", "AT_BEGINNING_STRING": "start", "AT_END": "end", "AT_END_STRING": "end",
    "AT_BOUNDARY": "word", "AT_NON_BOUNDARY": "no word",
}  # fmt: skip
_CATEGORIES: Final = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s", "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip
_WRITTEN: Final = {"start": r"\A", "end": r"\z", "word": r"\b", "no word": r"\B"}


class Chars(Struct, frozen=True):
    """One character of a set."""

    mask: int


class Sequence(Struct, frozen=True):
    parts: tuple[Tree, ...]


class Choice(Struct, frozen=True):
    parts: tuple[Tree, ...]


class Repeat(Struct, frozen=True):
    part: Tree
    least: int
    most: int | None  # None: without end
    is_atomic: bool = False  # a*+ and (?>a): a match once taken is not tried in another way


class Edge(Struct, frozen=True):
    """A place between characters: "start", "end", "word" or "no word"."""

    kind: str


class Look(Struct, frozen=True):
    """Look-ahead and look-behind."""

    part: Tree


class Opaque(Struct, frozen=True):
    """A back-reference, or a condition on a group."""

    parts: tuple[Tree, ...] = ()


Tree = Chars | Sequence | Choice | Repeat | Edge | Look | Opaque


class Untranslatable(Exception):
    """Raised for a part that other engines do not have."""


def read(pattern: str) -> Tree:
    """Return the tree of a pattern that `re` compiles."""
    parsed = import_module("re._parser").parse(pattern)  # no public module has it
    return _sequence(parsed, parsed.state.flags & _KEPT)


def written(tree: Tree) -> str:
    """Return a pattern of RE2 that matches the same texts of ASCII. Raises Untranslatable."""
    match tree:
        case Chars(mask):
            return _characters(mask)
        case Sequence(parts):
            return "".join(map(written, parts))
        case Choice(parts):
            return f"(?:{'|'.join(map(written, parts))})"
        case Repeat(part, least, most, is_atomic=False):
            return f"(?:{written(part)}){{{least},{'' if most is None else most}}}"
        case Edge(kind):
            return _WRITTEN[kind]
    raise Untranslatable


def literal(tree: Tree) -> str:
    """Return the longest text that all matching texts contain, as far as it is easily seen; "" if there is none."""
    runs, run = [""], ""
    for part in tree.parts if isinstance(tree, Sequence) else ():
        is_one = isinstance(part, Chars) and part.mask.bit_count() == 1
        run = run + chr(part.mask.bit_length() - 1) if is_one and isinstance(part, Chars) else ""
        runs.append(run)
    return max(runs, key=len)


def _sequence(items: Any, flags: int) -> Tree:
    parts: list[Tree] = []
    for item in items:
        part = _part(item, flags)
        parts.extend(part.parts if isinstance(part, Sequence) else (part,))
    return parts[0] if len(parts) == 1 else Sequence(tuple(parts))


def _part(item: Any, flags: int) -> Tree:
    name, value = str(item[0]), item[1]
    match name:
        case "LITERAL" | "NOT_LITERAL" | "ANY" | "IN":
            return Chars(_mask(name, value, flags))
        case "BRANCH":
            return Choice(tuple(_sequence(each, flags) for each in value[1]))
        case "SUBPATTERN":
            return _sequence(value[3], ((flags & ~_TYPES if value[1] & _TYPES else flags) | value[1] & _KEPT) & ~value[2])
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, part = value
            limit = None if most >= import_module("re._constants").MAXREPEAT else int(most)
            return Repeat(_sequence(part, flags), int(least), limit, name == "POSSESSIVE_REPEAT")
        case "ATOMIC_GROUP":
            return Repeat(_sequence(value, flags), 1, 1, is_atomic=True)
        case "AT":
            return Edge(_EDGES[str(value)])
        case "ASSERT" | "ASSERT_NOT":
            return Look(_sequence(value[1], flags))
        case "GROUPREF_EXISTS":
            return Opaque(tuple(_sequence(each, flags) for each in value[1:] if each is not None))
        case "FAILURE":
            return Chars(0)
    return Opaque()


def _mask(name: str, value: Any, flags: int) -> int:
    if name == "ANY":
        return ALL  # a URL has no line end
    if name == "LITERAL" and not flags & re.IGNORECASE:
        return 1 << value if value < 128 else 0
    return _asked(tuple(value) if name == "IN" else ((name, value),), flags)


@lru_cache(maxsize=256)
def _asked(members: Items[tuple[Any, Any]], flags: int) -> int:
    """Ask `re` which characters a set takes."""
    source = f"[{''.join(_member(str(kind), value) for kind, value in members)}]"
    return sum(1 << ord(found) for found in re.findall(source, _TEXT, flags))


def _member(kind: str, value: Any) -> str:
    match kind:
        case "NEGATE":
            return "^"
        case "NOT_LITERAL":
            return f"^{_escaped(value)}"
        case "RANGE":
            return f"{_escaped(value[0])}-{_escaped(value[1])}"
        case "CATEGORY":
            return _CATEGORIES[str(value)]
    return _escaped(value)


def _escaped(character: int) -> str:
    return f"\\U{character:08x}"


def _characters(mask: int) -> str:
    if mask == ALL:
        return "(?s:.)"
    taken: Items[int] = [place for place in range(128) if mask >> place & 1]
    if not taken:
        return r"[^\x00-\x{10FFFF}]"
    if len(taken) == 1:
        return f"\\x{taken[0]:02x}"
    runs: list[list[int]] = []
    for place in taken:
        if runs and runs[-1][1] == place - 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return "[" + "".join(rf"\x{low:02x}" + (rf"-\x{high:02x}" if low != high else "") for low, high in runs) + "]"
