"""The most steps that `re` takes to search a text for a pattern: a factor times a power of the text's length, or no such limit.

    tree ──ways──▶ in how many ways can a part match from one place?      1, k, k * n, ... or without limit
         ──steps─▶ how many steps does it take to try all of them?       of one start; then of all starts in the text

`re` goes back: when the rest of a pattern fails, a part is matched in another way and the rest is tried again. So ways multiply
along a sequence. A repetition has one way for each length, but only one if what follows it cannot begin within it, as in `[^/]+/`.
A repetition of a part that itself has several ways has no limit: `(a+)+`. The estimate is never too low; it may be too high.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Final

from msgspec import Struct

from crawler.web.pattern_tree import ALL, Chars, Choice, Edge, Look, Opaque, Repeat, Sequence, Tree

FOR_EVER: Final = 99  # a power that means that there is no limit
_END: Final = 1 << 128  # in a set of what may follow: the end of the text
_SUCCESS: Final = 1 << 129  # the same: the search is over, with success
_AGAIN: Final = 1 << 130  # of a part that looks at text without taking it, so that its steps are repeated further on
_SMALL: Final = 64  # a repetition of up to this many, or of exactly _EXACT at most, counts as a factor
_EXACT: Final = 1_000
_SHORTEST: Final = 64  # characters of a text that an estimate is for: k steps are at most k/64 * n


class Cost(Struct, frozen=True, order=True):
    """factor * n**power"""

    power: int = 0
    factor: int = 1

    def __mul__(self, other: Cost) -> Cost:
        return Cost(min(FOR_EVER, self.power + other.power), min(1 << 64, self.factor * other.factor))

    def __add__(self, other: Cost) -> Cost:
        less, more = sorted((self, other))
        factor = less.factor if less.power == more.power else -(-less.factor // _SHORTEST)
        return Cost(more.power, min(1 << 64, more.factor + factor))

    def at(self, length: int) -> float:
        """Return the steps for a text of this length."""
        return float("inf") if self.power >= FOR_EVER else float(self.factor) * float(length) ** self.power


_ONE: Final = Cost()
_LINEAR: Final = Cost(1)
_NOTHING: Final = Cost(0, 0)


class Effort(Struct, frozen=True):
    """The cost of a part of a pattern from one place in the text."""

    ways: Cost
    steps: Cost
    inside: int = 0  # characters that its repetitions take; with _AGAIN


_NO_LIMIT: Final = Effort(Cost(FOR_EVER), Cost(FOR_EVER), ALL | _AGAIN)


def search_cost(tree: Tree) -> Cost:
    """Return the most steps of a search: tried from each place of the text, unless the pattern begins with ^."""
    parts = tree.parts if isinstance(tree, Sequence) else (tree,)
    effort = _effort(tree, _SUCCESS)
    if parts and isinstance(parts[0], Edge) and parts[0].kind == "start":
        return effort.steps + _LINEAR
    first, is_empty = _first(tree)
    # A start within a repetition's text repeats its work. If none can be there, all of them together take each character once.
    if effort.steps.power == 0 or (effort.steps.power == 1 and not is_empty and not first & effort.inside):
        return Cost(1, effort.steps.factor)
    return effort.steps * _LINEAR


def _effort(tree: Tree, follows: int) -> Effort:
    """follows: the first characters of what comes after the part, with _END and _SUCCESS."""
    match tree:
        case Chars():
            return Effort(_ONE, _ONE)
        case Sequence(parts):
            return _of_sequence(parts, follows)
        case Choice(parts):
            return _of_choice(parts, follows)
        case Repeat():
            return _of_repeat(tree, follows)
        case Look(part):
            inner = _effort(part, 0)
            return Effort(_ONE, inner.steps, inner.inside | _AGAIN)
        case Opaque(parts):
            return Effort(_ONE, _LINEAR, ALL | _AGAIN) if not parts else _NO_LIMIT
    return Effort(_ONE, _ONE)


def _of_sequence(parts: tuple[Tree, ...], follows: int) -> Effort:
    ways, steps, inside = _ONE, _NOTHING, 0
    for place, part in enumerate(parts):
        effort = _effort(part, _next(parts[place + 1 :], follows))
        steps += ways * effort.steps
        ways *= effort.ways
        inside |= effort.inside
    return Effort(ways, steps if steps.factor else _ONE, inside)


def _of_choice(parts: tuple[Tree, ...], follows: int) -> Effort:
    efforts = [_effort(part, follows) for part in parts]
    ways, steps, inside, seen, is_one = _NOTHING, _NOTHING, 0, 0, True
    for part, effort in zip(parts, efforts, strict=True):
        first, is_empty = _first(part)
        first |= follows if is_empty else 0
        is_one = is_one and not first & seen
        seen |= first
        ways += effort.ways
        steps += effort.steps
        inside |= effort.inside
    if is_one:  # at most one of them can get beyond its first character
        ways, steps = max(effort.ways for effort in efforts), max(effort.steps for effort in efforts) + Cost(0, len(parts))
    return Effort(ways, steps, inside)


def _of_repeat(repeat: Repeat, follows: int) -> Effort:
    first, is_empty = _first(repeat.part)
    after = follows if repeat.least <= 1 else follows & ~_SUCCESS  # of each time it is matched; the first may not be enough
    inner = _effort(repeat.part, after | first if repeat.most != 1 else after)
    is_plain = inner.ways == _ONE and not is_empty
    if repeat.most is not None and repeat.most <= (_EXACT if repeat.most == repeat.least else _SMALL):
        return _few(repeat, inner, is_single=is_plain and not first & follows)
    if not is_plain:
        return _NO_LIMIT
    # It takes what there is, and the search is over: this happens once.
    if follows & _SUCCESS and (not follows & _END or (follows == _END | _SUCCESS and repeat.part == Chars(ALL))):
        return Effort(_ONE, inner.steps, inner.inside)
    # A part of one way takes each character once, whatever its length, so its steps are not repeated.
    steps = _LINEAR * inner.steps if inner.inside & _AGAIN else max(_LINEAR, inner.steps)
    return Effort(_ONE if repeat.is_atomic or not first & follows else _LINEAR, steps, inner.inside | _all(repeat.part))


def _few(repeat: Repeat, inner: Effort, *, is_single: bool) -> Effort:
    """Cost of a repetition with a small limit: as if it were written out."""
    most = repeat.most or 0
    ways, steps, total = _ONE, _NOTHING, _NOTHING
    for count in range(most + 1):
        if count >= repeat.least:
            total += ways
        if count < most:
            steps += ways * inner.steps
            ways *= inner.ways
    return Effort(_ONE if is_single or repeat.is_atomic else total, steps if steps.factor else _ONE, inner.inside)


def _next(parts: tuple[Tree, ...], follows: int) -> int:
    """Return the first characters of what comes after a part of a sequence."""
    found, is_sure = 0, True
    for part in parts:
        if isinstance(part, Edge) and part.kind == "end":
            return found | _END | (follows & _SUCCESS if is_sure and not found else 0)
        first, is_empty = _first(part)
        found |= first
        if not is_empty:
            return found
        is_sure = is_sure and isinstance(part, Repeat) and part.least == 0  # what else is empty may still fail
    return found | (follows if is_sure else follows & ~_SUCCESS)


def _first(tree: Tree) -> tuple[int, bool]:
    """Return the characters that a part may begin with, and whether it may be empty."""
    match tree:
        case Chars(mask):
            return mask, False
        case Sequence(parts):
            found = 0
            for part in parts:
                first, is_empty = _first(part)
                found |= first
                if not is_empty:
                    return found, False
            return found, True
        case Choice(parts):
            firsts = [_first(part) for part in parts]
            return reduce(or_, (first for first, _ in firsts), 0), any(is_empty for _, is_empty in firsts)
        case Repeat(part, least):
            first, is_empty = _first(part)
            return first, is_empty or least == 0
        case Look() | Opaque():
            return ALL, True
    return 0, True


def _all(tree: Tree) -> int:
    """Return all characters that a part may take."""
    match tree:
        case Chars(mask):
            return mask
        case Sequence(parts) | Choice(parts):
            return reduce(or_, map(_all, parts), 0)
        case Repeat(part):
            return _all(part)
        case Edge():
            return 0
    return ALL
