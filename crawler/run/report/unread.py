"""Fields that could not be read, were cut or matched nowhere: counted by the parse stage, reported in the summary of a crawl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from crawler.wording.counting import agree, counted
from crawler.wording.texts import words

COUNTER: Final = "/fields/"  # in the name of a counter, between the stage and the field
MOST: Final = 10  # fields that are reported
_NOT: Final = {"int": "no number", "float": "no number", "date": "no unambiguous date", "url": "no http(s) URL"}


def tally(counters: Mapping[str, int], examples: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return by field how many of its texts were not of its type, how often its selector failed, and how much was cut.

    examples: by field the type and such a text, separated by a space; by "FIELD/failed" the word failed and the reason.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, n in sorted(counters.items()):
        _, mark, key = name.partition(COUNTER)
        field, _, trouble = key.partition("/")
        if not mark or trouble not in ("", "failed", "cut"):  # a counter of a user's own
            continue
        kind, _, example = examples.get(field, "").partition(" ")
        reason = examples.get(f"{field}/failed", "").partition(" ")[2]
        one = found.setdefault(field, {"unread": 0, "type": kind, "example": example, "failed": 0, "reason": reason, "cut": 0})
        one[trouble or "unread"] += n
    return found


def unmatched(counters: Mapping[str, int]) -> list[str]:
    """Return the fields whose selector matched on no page, though there were pages to read it from."""
    seen: dict[str, set[str]] = {}
    for name in counters:
        _, mark, key = name.partition(COUNTER)
        field, _, outcome = key.partition("/")
        if mark:
            seen.setdefault(field, set()).add(outcome)
    return sorted(field for field, outcomes in seen.items() if outcomes == {"missed"})


def nowhere(fields: Sequence[str]) -> list[str]:
    """Describe these fields for a person, in one line."""
    if not fields:
        return []
    shown = ", ".join(fields[:MOST]) + (f" and {len(fields) - MOST} more" if len(fields) > MOST else "")
    return [f"{shown}: matched on no page; 'crawler shell URL' is for trying selectors"]


def told(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Describe these counts for a person: `price: 14 texts were no number, for example 'call us'`."""
    return [f"{field}: {'; '.join(_told(one))}" for field, one in list(found.items())[:MOST]]


def _told(one: Mapping[str, Any]) -> list[str]:
    lines = []
    if n := one["unread"]:
        example = f", for example '{words(one['example'])}'" if one["example"] else ""
        lines.append(f"{counted(n, 'text')} {agree(n, 'was', 'were')} {_NOT.get(one['type'], 'not readable')}{example}")
    if n := one["failed"]:
        reason = f": {words(one['reason'])}" if one["reason"] else ""
        lines.append(f"the selector failed on {counted(n, 'page')}{reason}")
    if n := one["cut"]:
        lines.append(f"{counted(n, 'value')} {agree(n, 'was', 'were')} cut")
    return lines
