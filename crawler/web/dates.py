"""Read dates as they are written: the one date of a text in ISO 8601, or null if it is ambiguous. Today's date is never looked at.

    2024-05-12T10:15:00+02:00   20240512T101500Z   2024-W19-7   Sun, 12 May 2024 10:15:00 GMT      ISO 8601, RFC 2822, RFC 9110
    12.05.2024   13/04/2024   2024/05/12   12 May 2024   May 12, 2024   12. März 2024   12 de mayo de 2024   2024年5月12日
    03/04/2024       null: 3 April or 4 March; `day_first` says which
    12/05/24   May 2024   12 May   yesterday   5-12 May 2024   10 PM ET      null

A time and a time zone are kept: `2024-05-12T22:15:00-05:00`; see `times`. Between points the day comes first unless `day_first` is
false. Text around the date does not matter, but a second date makes it null. Years are Gregorian: 1403 is Persian, 2567 Thai.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final

from crawler.web.months import is_month, month
from crawler.web.times import time_beside

_WINDOW: Final = 1000  # characters examined
_YEARS: Final = (range(1583, 2400), range(9999, 10000))  # ISO 8601: earlier years by agreement only; 9999 stands for "never"

_BEFORE: Final = r"(?<![0-9A-Za-z.,-])(?<![0-9]/)"
_AFTER: Final = r"(?![0-9])(?![-/.][0-9])"
_OF: Final = r"(?:\s?(?:de|del|of|d['’])\s?|[\s/-]|[.,]\s?|\b)"
_ORDINAL: Final = r"(?:st|nd|rd|th|er|re|ste|º|ª|°|-[ao]|\.)?"
_NAME: Final = r"(?P<name>(?:[^\W\d_]|[\u0900-\u0dff]){2,}[.॰׳]?)"  # with the vowel signs of India, which are no letters
_YEAR: Final = r"(?P<year>[0-9]{4})"
_DAY: Final = r"(?P<day>[0-9]{1,2})"
_NUMBER: Final = r"(?P<month>[0-9]{1,2})"
_FORMS: Final = tuple(
    re.compile(form)
    for form in (
        rf"{_BEFORE}{_YEAR}(?P<sign>[-/.]|\. )\s?{_NUMBER}(?P=sign)\s?{_DAY}{_AFTER}",  # 2024-05-12  2024. 05. 12.
        rf"{_BEFORE}{_YEAR}\s?[年년]\s?{_NUMBER}\s?[月월]\s?{_DAY}\s?[日일號号]?",  # 2024年5月12日
        rf"{_BEFORE}(?P<first>[0-9]{{1,2}})(?P<sign>[-/.]|\. )\s?(?P<second>[0-9]{{1,2}})(?P=sign)\s?{_YEAR}{_AFTER}",
        rf"{_BEFORE}{_DAY}\s?{_ORDINAL}{_OF}{{0,2}}{_NAME},?{_OF}{{0,2}}{_YEAR}(?![0-9])",  # 12 de mayo de 2024
        rf"(?<![^\W_]){_NAME}[\s-]?{_DAY}(?:st|nd|rd|th)?(?:,\s?|\s|-){_YEAR}(?![0-9])",  # May 12, 2024
        rf"(?<![^\W_]){_NAME}\s{_DAY}\s(?P<clock>[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}})\s{_YEAR}(?![0-9])",  # May 12 10:15:00 2024
        rf"{_BEFORE}{_YEAR}(?:\.|,|\sm\.|-)?\s?{_NAME}[\s-]{_DAY}(?![0-9])",  # 2024. május 12.
        rf"{_BEFORE}{_DAY} tháng {_NUMBER}(?:,| năm)? {_YEAR}",  # 12 tháng 5, 2024
    )
)
_WHOLE: Final = re.compile(r"[0-9]{8}(?:T[0-9:.,]+(?:Z|[+-][0-9:]+)?)?|[0-9]{4}-?W[0-9]{2}-?[1-7]")  # other forms of ISO 8601
_RANGE_BEFORE: Final = re.compile(
    r"[0-9][^\W\d_]{0,2}\.?(?:\s(?P<name>[^\W\d_]{3,}\.?))?\s*(?:[-–—/&+~]|to|bis|and|und|et|y|e|à|a|al|au|do|i|и|до|по)\s*$"
)
_RANGE_AFTER: Final = re.compile(r"\s*(?:[-–—~]|to|bis|until|à|al|au|do|до|по)\s*(?![0-9]{1,2}[:h][0-9]{2})[0-9]")
_SAME: Final = {"‐": "-", "‑": "-", "－": "-", "／": "/", "．": ".", "：": ":"}


def read_date(text: str, language: str = "", day_first: bool | None = None) -> str | None:
    """Return the date of a text, with its time and time zone if it has them; None if there is none or it is ambiguous.

    language: of the page, as in <html lang>; a few names of months mean two. day_first: the order in 03/04/2024, if it is known.
    """
    plain = _plain(text[:_WINDOW])
    if _WHOLE.fullmatch(plain):
        return _iso(plain)
    values: set[str] = set()
    for found, day in _days(plain, language, day_first):
        if day is None or _is_range(plain, found):
            return None
        try:
            values.add(_with_time(day, found, plain))
        except ValueError:
            return None
    return values.pop() if len(values) == 1 else None


def read_formatted(text: str, form: str) -> str | None:
    """Return the date of a text that has this form, as of `datetime.strptime`; None if it has not."""
    try:
        found = datetime.strptime(_plain(text[:_WINDOW]), form)
    except ValueError:
        return None
    return found.isoformat() if _has_time(form) else found.date().isoformat()


def check_form(form: str) -> None:
    """Raise ValueError if this form of `datetime.strptime` does not tell the day, the month and the year."""
    without = f"{form!r} does not tell day, month and year; write one like %d.%m.%Y"
    if not re.search(r"%[YyGcx]", form):
        raise ValueError(without)
    sample = datetime(2023, 11, 25, 22, 31, 42, tzinfo=UTC)
    try:
        found = datetime.strptime(sample.strftime(form), form)
    except ValueError as error:
        raise ValueError(f"{form!r} is no form of a date ({error}); write one like %d.%m.%Y") from error
    if found.date() != sample.date():
        raise ValueError(without)


def _has_time(form: str) -> bool:
    return re.search(r"%[HIcXTR]", form) is not None


def _plain(text: str) -> str:
    """Return the text with digits of ASCII, white space collapsed and without invisible characters."""
    if not text.isascii():
        text = "".join(map(_plain_character, unicodedata.normalize("NFC", text)))
    return " ".join(text.split())


def _plain_character(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.digit(character))
    return "" if kind == "Cf" else _SAME.get(character, character)


def _iso(text: str) -> str | None:
    try:
        if "T" not in text:
            day = date.fromisoformat(text)
            return day.isoformat() if _is_year(day.year) else None
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.isoformat() if _is_year(moment.year) else None


def _is_year(year: int) -> bool:
    return any(year in years for years in _YEARS)


def _days(text: str, language: str, day_first: bool | None) -> Iterator[tuple[re.Match[str], date | None]]:
    """Yield every date of a text; None for one that is ambiguous or does not exist."""
    taken: list[tuple[int, int]] = []
    for form in _FORMS:
        for found in form.finditer(text):
            if any(found.start() < end and start < found.end() for start, end in taken):
                continue
            parts = found.groupdict()
            if "name" in parts:
                if _is_no_month(parts["name"]):
                    continue
                order = (month(parts["name"], language), int(parts["day"]))
            elif "first" in parts:
                order = _order(int(parts["first"]), int(parts["second"]), parts["sign"].strip(), day_first)
            else:
                order = (int(parts["month"]), int(parts["day"]))
            taken.append(found.span())
            yield found, _day(int(parts["year"]), *order)


def _is_no_month(name: str) -> bool:
    return all(month(name, language) is None for language in ("", "hr", "pl", "cs"))


def _order(first: int, second: int, sign: str, day_first: bool | None) -> tuple[int | None, int]:
    """Return month and day of two numbers; no month if both orders are possible and nothing says which."""
    if day_first is None:
        if sign == "." or first == second or first > 12 >= second:
            day_first = second <= 12
        elif second > 12:
            day_first = False
        else:
            return None, first
    return (second, first) if day_first else (first, second)


def _day(year: int, month: int | None, day: int) -> date | None:
    if month is None or not _is_year(year):
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _is_range(text: str, found: re.Match[str]) -> bool:
    """Tell whether a date is the end or the beginning of a span of days."""
    before = _RANGE_BEFORE.search(text, max(found.start() - 30, 0), found.start())
    if before and (before["name"] is None or is_month(before["name"])):
        return True
    return _RANGE_AFTER.match(text, found.end()) is not None


def _with_time(day: date, found: re.Match[str], text: str) -> str:
    """Return the date in ISO 8601 with the time beside it, if there is one. Raises ValueError for a time that is not understood."""
    if clock := found.groupdict().get("clock"):
        return f"{day.isoformat()}T{clock}"
    moment = time_beside(text, found.start(), found.end())
    return day.isoformat() if moment is None else datetime.combine(day, moment).isoformat()
