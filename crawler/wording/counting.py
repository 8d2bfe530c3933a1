"""Numbers in sentences: `1 URL waits`, `2 URLs wait`, `12,000 pages`, `3.4 MB`."""

from __future__ import annotations

from collections.abc import Sequence


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return the number with its noun: `counted(1, "URL")` is "1 URL", `counted(1200, "page")` is "1,200 pages".

    plural: needed if it is not the noun with an s, as in `counted(2, "process", "processes")`.
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def agree(n: int, singular: str, plural: str) -> str:
    """Return the form of a verb or pronoun that fits the number: `agree(1, "waits", "wait")` is "waits"."""
    return singular if n == 1 else plural


def together(names: Sequence[str]) -> str:
    """Return names as a list in a sentence: "fetch, parse and enrich"."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def sized(n: int) -> str:
    """Return a number of bytes with two or three digits: `sized(3_400_000)` is "3.4 MB"."""
    if n < 1_000:
        return f"{n} B"
    amount = float(n)
    for unit in ("kB", "MB", "GB", "TB", "PB"):  # noqa: B007  used after the loop
        amount /= 1_000
        if amount < 999.5:
            break
    return f"{amount:.1f} {unit}" if amount < 99.95 else f"{amount:.0f} {unit}"
