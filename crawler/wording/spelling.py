"""Guess which known name an unknown one probably means."""

from __future__ import annotations

from collections.abc import Iterable

SPELLING = 0.6  # share of letters in common from which a name counts as meant: 'timout' has 0.92 of 'timeout'


def suggestion(word: str, names: Iterable[str], table: str = "") -> str:
    """Return "did you mean 'fetch.timeout'?" or, if nothing is near, what there is. table: that the names are of, if any."""
    there = sorted(names)
    near = nearest(word, there)
    meant = f"{table}.{near}" if table else near
    return f"did you mean {meant!r}?" if near else f"there are {', '.join(there)}" if there else "there is none"


def nearest(word: str, names: Iterable[str]) -> str:
    """Return the name that was probably meant, or ""."""
    import difflib  # here, because it is for mistakes

    return next(iter(difflib.get_close_matches(word, list(names), n=1, cutoff=SPELLING)), "")
