"""Texts that should have been numbers, by field: counted by the parse stage, reported in the summary of a crawl."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crawler.counting import agree, counted
from crawler.texts import words

COUNTER: Final = "/fields/"        # in the name of a counter, between the stage and the field
MOST: Final = 10                   # fields that are reported


def tally(counters: Mapping[str, int], examples: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return by field how many of its texts were no number, with an example. examples: one text by field."""
    found: dict[str, dict[str, Any]] = {}
    for name, n in sorted(counters.items()):
        _, mark, field = name.partition(COUNTER)
        if mark:
            one = found.setdefault(field, {"texts": 0, "example": examples.get(field, "")})
            one["texts"] += n
    return found


def told(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Describe these counts for a person: `price: 14 texts were no number, for example 'call us'`."""
    lines = []
    for field, one in list(found.items())[:MOST]:
        example = f", for example '{words(one['example'])}'" if one["example"] else ""
        lines.append(f"{field}: {counted(one['texts'], 'text')} {agree(one['texts'], 'was', 'were')} no number{example}")
    return lines
