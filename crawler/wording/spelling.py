"""Guess which known name an unknown one probably means."""

from __future__ import annotations

from collections.abc import Iterable

SPELLING = 0.6  # share of letters in common from which a name counts as meant: 'timout' has 0.92 of 'timeout'


def suggestion(word: str, names: Iterable[str]) -> str:
    """did you mean 'timeout'? - or, when nothing is near, what there is."""
    there = sorted(names)
    near = nearest(word, there)
    return f"did you mean {near!r}?" if near else f"there are {', '.join(there)}" if there else "there is none"


def nearest(word: str, names: Iterable[str]) -> str:
    """The name that was probably meant, or ""."""
    import difflib  # here, because it is for mistakes

    return next(iter(difflib.get_close_matches(word, list(names), n=1, cutoff=SPELLING)), "")
