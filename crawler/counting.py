"""Numbers in sentences: `1 URL waits`, `2 URLs wait`, `12,000 pages`."""

from __future__ import annotations


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return the number with its noun: `counted(1, "URL")` is "1 URL", `counted(1200, "page")` is "1,200 pages".

    plural: needed if it is not the noun with an s, as in `counted(2, "process", "processes")`.
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def agree(n: int, singular: str, plural: str) -> str:
    """Return the form of a verb or pronoun that fits the number: `agree(1, "waits", "wait")` is "waits"."""
    return singular if n == 1 else plural
