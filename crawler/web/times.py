"""Read the time of day that stands beside a date, and its time zone.

    10:15   10:15:00.5   10h15   10.15 Uhr   10 PM   午後3時15分      +02:00   GMT+2   Z   EST   CEST

A zone by letters is one of RFC 2822 or one with a single meaning; with any other, such as IST or ET, the time is not understood.
"""

from __future__ import annotations

import re
from datetime import time, timedelta, timezone
from typing import Final

_BEFORE: Final = 40  # characters examined before a date

_CLOCK: Final = (  # 10:15  10:15:00.5  10h15  10.15 Uhr  10 PM
    r"(?P<hour>[0-9]{1,2})(?:(?:[:h]|\.(?=[0-9]{2}\s?Uhr))(?P<minute>[0-9]{2})"
    r"(?::(?P<second>[0-9]{2})(?:[.,](?P<part>[0-9]{1,9}))?)?(?![0-9:])"
    r"|(?=\s?[AaPp]\.?[Mm]\b))"
)
_HALF: Final = r"(?:\s?(?P<half>[AaPp])\.?[Mm]\b\.?)?"
_ZONE: Final = (
    r"(?:\s?\(?(?P<zone>(?:UTC|GMT)?[+-][0-9]{1,2}(?::?[0-9]{2})?(?![0-9])|(?:Z|UTC|MEZ|MESZ|MSK|[A-Z]{1,4}T)(?![\w-]))\)?)?"
)
_TIME_AFTER: Final = re.compile(
    r"(?:T|[:,;.|@()\s–—-]{0,4}(?:(?:at|um|à|a las|alle|alle ore|ore|kl\.?|klo|o|в|о|lúc|om|às)\s)?)"
    rf"{_CLOCK}{_HALF}(?:\s?Uhr)?{_ZONE}"
)
_TIME_BEFORE: Final = re.compile(
    rf"(?<![0-9:.]){_CLOCK}{_HALF}(?:\s?Uhr)?{_ZONE}[,;|\s–—-]{{0,4}}(?:(?:on|am|le|el|il|den)\s)?(?:[A-Za-z]+,?\s)?$"
)
_TIME_EAST: Final = re.compile(
    r"\s?(?P<half>午前|午後|上午|下午|오전|오후)?\s?(?P<hour>[0-9]{1,2})\s?[時时시点點:]\s?(?P<minute>[0-9]{1,2})(?:\s?[分분]|(?![0-9]))"
)
_AFTERNOON: Final = frozenset({"P", "p", "午後", "下午", "오후"})
_ZONES: Final = {                  # hours from UTC: RFC 2822 §4.3, and letters that have one meaning only
    "Z": 0, "UT": 0, "UTC": 0, "GMT": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
    "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2, "EEST": 3, "MSK": 3, "JST": 9, "KST": 9,
}  # fmt: skip


def time_beside(text: str, start: int, end: int) -> time | None:
    """Return the time directly after or before the date that stands there in the text, None if there is none.

    Raises ValueError for one that does not exist or whose zone has no single meaning.
    """
    found = _TIME_AFTER.match(text, end) or _TIME_EAST.match(text, end) or _TIME_BEFORE.search(text, max(start - _BEFORE, 0), start)
    if found is None:
        return None
    parts = found.groupdict()
    hour, half = int(parts["hour"]), parts["half"]
    if half:
        if not 1 <= hour <= 12:
            raise ValueError(f"{found.group()!r} is no time of day")
        hour = hour % 12 + (12 if half in _AFTERNOON else 0)
    part = (parts.get("part") or "").ljust(6, "0")[:6]
    return time(hour, int(parts["minute"] or 0), int(parts.get("second") or 0), int(part), _zone(parts.get("zone") or ""))


def _zone(name: str) -> timezone | None:
    """Return a time zone, None for no name. Raises ValueError for one that is not known."""
    if not name:
        return None
    if name in _ZONES:
        return timezone(timedelta(hours=_ZONES[name]))
    offset = re.fullmatch(r"(?:UTC|GMT)?([+-])([0-9]{1,2}):?([0-9]{2})?", name)
    if offset is None:
        raise ValueError(f"{name!r} is no time zone with one meaning")
    minutes = int(offset[2]) * 60 + int(offset[3] or 0)
    return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
