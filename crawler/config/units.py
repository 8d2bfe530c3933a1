"""Guess the number that a person meant by one with a unit, with marks between its digits, or in quotes.

max_time = "1h"          in seconds; 1h is 3600
max_bytes = "10 MB"      in bytes; 10 MB is 10000000
max_pages = "1,000"      1,000 is 1000
max_depth = -1           0 is no limit
"""

from __future__ import annotations

import re
from typing import Any, Final

from msgspec import inspect

LONGEST: Final = 40  # characters of a text that may be a number
_TIMES: Final = {
    0.001: "ms msec millisecond milliseconds", 1: "s sec secs second seconds", 60: "m min mins minute minutes",
    3_600: "h hr hrs hour hours", 86_400: "d day days", 604_800: "w wk week weeks",
}  # fmt: skip
_SIZES: Final = {
    1: "b byte bytes", 10**3: "k kb", 10**6: "m mb", 10**9: "g gb", 10**12: "t tb",
    1 << 10: "ki kib", 1 << 20: "mi mib", 1 << 30: "gi gib", 1 << 40: "ti tib",
}  # fmt: skip
_COUNTS: Final = {10**3: "k thousand", 10**6: "m million", 10**9: "g b billion"}
_FACTORS: Final = {
    unit: {word: factor for factor, words in table.items() for word in words.split()}
    for unit, table in (("seconds", _TIMES), ("bytes", _SIZES), ("", _COUNTS))
}
_NO_LIMIT: Final = frozenset(["none", "null", "no", "never", "off", "all", "inf", "infinite", "infinity", "unlimited"])
_EXACT: Final = 1 << 53  # from which a float does not represent every whole number
_PART: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-z]+)\s*", re.ASCII)
_CLOCK: Final = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d\d)", re.ASCII)
_GROUPED: Final = re.compile(r"\d{1,3}(?:([ ,.'_])\d{3})(?:\1\d{3})*", re.ASCII)
_COMMA: Final = re.compile(r"(\d+),(\d+)", re.ASCII)
_PER_SECOND: Final = re.compile(r"(?:/|\s+per\s+)s(?:ec|econd)?$|(?<=b)ps$")


def hint(value: Any, wanted: Any) -> str:
    """Return the rest of a message about a value that is not of a type, as ", in seconds; 1h is 3600"; "" if none is known."""
    number, extra = _number(inspect.type_info(wanted))
    if number is None or isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    unit, is_whole = extra.get("unit", ""), isinstance(number, inspect.IntType)
    if "zero" in extra and (value.strip().lower() in _NO_LIMIT if isinstance(value, str) else value < 0):
        return f"; 0 is {extra['zero']}"
    if not isinstance(value, str):
        is_same = is_whole and isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
        return f"; write {int(value)}" if is_same else ""
    found = meant(value, unit.partition(" ")[0], is_whole=is_whole)
    return (f", in {unit}" if unit else "") + (f"; {found}" if found else "")


def meant(text: str, unit: str, *, is_whole: bool) -> str:
    """Return a text as a number, such as "1h is 3600"; "" if it is none. unit: seconds, bytes, or "" for counts."""
    text = text.strip()
    if len(text) > LONGEST:
        return ""
    if re.fullmatch(r"-?\d+(\.\d+)?", text, re.ASCII):
        return "write it without quotes"
    value = _with_units(text.lower(), unit)
    if value is None:
        value = _with_marks(text, is_whole=is_whole)
    return "" if value is None or (is_whole and value % 1) else f"{text} is {_written(value)}"


def any_meant(text: str) -> str:
    """Return a text as a number of each unit that it may have: "5m is 300 in seconds, 5000000 otherwise"; "" if none."""
    text = text.strip()
    if len(text) > LONGEST:
        return ""
    time, size, count = (_with_units(text.lower(), unit) for unit in _FACTORS)
    parts = {"in seconds": time, "in bytes": size if count is None else None, "otherwise" if time else "": count}
    told = [f"{_written(value)} {where}".rstrip() for where, value in parts.items() if value is not None]
    return f"{text} is {', '.join(told)}" if told else ""


def _number(info: inspect.Type) -> tuple[inspect.IntType | inspect.FloatType | None, dict[str, str]]:
    """Return the number in a type, with what `crawler.config.bounds` says about it; None if it has none or more beside."""
    if isinstance(info, inspect.Metadata):
        return _number(info.type)[0], {key: word for key, word in (info.extra or {}).items() if isinstance(word, str)}
    if isinstance(info, inspect.UnionType):
        parts = [part for part in info.types if not isinstance(part, inspect.NoneType)]
        return _number(parts[0]) if len(parts) == 1 else (None, {})
    return (info if isinstance(info, inspect.IntType | inspect.FloatType) else None), {}


def _with_units(text: str, unit: str) -> float | None:
    """Return the number of a text such as 1h, 1h30m, 1:30:00, 10 mb or 5k; None if it is none of this unit."""
    if unit == "seconds" and (clock := _CLOCK.fullmatch(text)):
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return hours * 3_600 + minutes * 60 + seconds
    if unit == "bytes":
        text = _PER_SECOND.sub("", text)
    total, end = 0.0, 0
    while part := _PART.match(text, end):
        factor = _FACTORS[unit].get(part[2])
        if factor is None:
            return None
        total += float(part[1]) * factor
        end = part.end()
    return round(total, 6) if end == len(text) and end else None


def _with_marks(text: str, *, is_whole: bool) -> float | None:
    """Return the number of a text with marks between thousands or with a decimal comma; None if it may be another."""
    if is_whole:
        return int(re.sub(r"\D", "", text)) if _GROUPED.fullmatch(text) else None
    comma = _COMMA.fullmatch(text)
    return float(f"{comma[1]}.{comma[2]}") if comma and len(comma[2]) != 3 else None


def _written(value: float) -> str:
    """Return the number as TOML takes it."""
    return f"{int(value)}" if value == int(value) else f"{value:.6f}".rstrip("0")
