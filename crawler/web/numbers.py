"""Numbers as shops write them: the one that a text begins to tell, or null if it could be another.

    "$1,299.00"  "1.299,00 €"  "1 299 kr"  "CHF 1'299.–"   1299        ".99"  "£.99"   0.99        "149€99"   149.99
    "1,000"   1000    one comma before three digits groups     "1.000"   1.0    one point does not, unless `decimal` says so
    "3.11.2"  "12.05.2024"  "12:30"  "030-12345"  "5-10 €"  "x200"  "1/2"      no numbers: null

The first number of the text counts. Signs and codes of currencies may stand before or after it, with or without a space; a unit
may be glued to its end ("12kg"), a word may not be glued to its beginning ("item-12").
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from crawler.web.fields import Decimal

INT_DIGITS: Final = 18             # what fits into 64 bits, which is what travels and what databases hold
FLOAT_DIGITS: Final = 300          # more is no number anybody meant, and not a finite float
_BEFORE: Final = 16                # characters before the first digit that are looked at
_WINDOW: Final = 400               # characters from there that are looked at
_PHONE: Final = 8                  # digits behind a + that make a telephone number

_SPACES: Final = " \u00a0\u2007\u2009\u202f"
_MARKS: Final = ".,'"
# Digits and the marks between them. A space is part of the number before exactly three digits, or between a decimal sign and its
# two digits, as in "1.837, 32 €".
_RUN: Final = re.compile(
    rf"[.,٫]?[0-9]+(?:(?:[{_MARKS}٫]|[ ](?=[0-9]{{3}}(?![0-9])))[0-9]+)*(?:(?<=\.[0-9]{{3}}),[ ](?=[0-9]{{2}}(?![0-9]))[0-9]+)?"
)
_SAME: Final = {
    **dict.fromkeys(map(ord, _SPACES), " "), **dict.fromkeys(map(ord, "’ʼ＇٬"), "'"),
    **dict.fromkeys(map(ord, "−﹣－"), "-"), ord("．"): ".", ord("，"): ",", ord("＋"): "+",
}  # fmt: skip

# Letters that may be glued to a number: ISO 4217's codes and what shops write instead.
_CODES: Final = (
    "AED|ARS|AUD|BDT|BGN|BRL|BYN|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|GEL|HKD|HRK|HUF|IDR|ILS|INR|ISK|JPY|KES|KRW|KZT|MAD|MXN|"
    "MYR|NGN|NOK|NZD|PEN|PHP|PKR|PLN|RMB|RON|RSD|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|UYU|VND|XAF|XOF|ZAR|"
    r"S?Fr\.?|Rs\.?|[Kk]r\.?|Kč|zł|Ft|lei|Lei|din\.?|лв\.?|руб\.?|грн\.?|TL|RM|Rp\.?|R|S/\.?|KM|[KTU]Sh"
)
_SYMBOL: Final = r"[^\W\d_]{0,3}[\x01]"       # a sign of currency, with the letters of its country: US$
_CURRENCY: Final = rf"(?:{_SYMBOL}|{_CODES})"
# What may be glued to the front of a number: a sign, a currency, and before these a bracket or the like.
_LEFT: Final = re.compile(rf"(?:^|[^\w.,/@&\\+\x01\x02-])([-+])?{_CURRENCY}?([-+])?$|(?:^|[\s(])([-+])?{_CURRENCY} ?([-+])?$")
_NO_CENTS: Final = re.compile(r"[.,:] ?[-–—]+(?![0-9])")                 # 12,-  129:-  12.–
_CENTS: Final = re.compile(r"\x01([0-9]{2})(?![0-9])")                  # 149€99
_GLUED: Final = re.compile(rf"{_CURRENCY}(?![0-9A-Za-z])|[^\s]*")
# More digits, with nothing but a currency and a dash, a mark or a bracket in between: a range, a telephone number, two prices.
_NEXT: Final = re.compile(rf"[%°]?\)? ?{_CURRENCY}?[\s.,]{{0,3}}[-–—~]?\s{{0,3}}{_CURRENCY}?\s{{0,3}}[0-9]")
_TIMES: Final = re.compile(r"[kKMBT](?![^\W\d_])")                      # 1.5k is 1500 or not: it is not said


def number(text: str, kind: Literal["int", "float"] = "float", decimal: Decimal = "") -> int | float | None:
    """The first number in a text; null where it is none or could be another one. An int has no fraction: it is left out.

    decimal: the decimal sign, where it is known: "1.299" is 1299 with "," and 1.299 with ".".
    """
    first = re.search(r"\d", text)
    if first is None:
        return None
    start = max(first.start() - _BEFORE, 0)
    window = _plain(text[start : start + _WINDOW])
    run = _RUN.search(window)
    if run is None or run.end() == _WINDOW:
        return None
    digits, end = run.group(), run.end()
    before = window[: run.start()]
    if digits[0] in ".," and before[-1:].isalpha() | before.endswith("/"):       # "Rs.500": the end of an abbreviation
        before, digits = before + digits[0], digits[1:]
    sign = _sign(before, is_cut=start > 0)
    if sign is None or (sign == "+" and len(digits) >= _PHONE and digits.isdigit()):
        return None
    if digits.isdigit() and (cents := _CENTS.match(window, end)):
        return _value(sign, digits, cents[1], kind)
    if whole := _NO_CENTS.match(window, end):
        end = whole.end()
        decimal = decimal or ("," if whole.group().startswith(",") else "")
    parts = _parts(digits, kind, decimal) if _may_end(window, end) else None
    return None if parts is None else _value(sign, *parts, kind)


def _plain(text: str) -> str:
    """The text with one form of each digit, space, apostrophe and minus; \\x01 is any sign of a currency, \\x02 a fraction."""
    if text.isascii():
        return text.replace("\x01", " ").replace("\x02", " ").replace("$", "\x01")
    return "".join(map(_plain_character, text))


def _plain_character(character: str) -> str:
    if character.isascii():
        return _plain(character)
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.digit(character))
    if kind == "No":               # ½, ²: beside a digit it is part of the number, and we cannot say which
        return "\x02"
    return "\x01" if kind == "Sc" else _SAME.get(ord(character), character)


def _sign(before: str, *, is_cut: bool) -> str | None:
    """The sign of a number behind this text, "" if it has none; None: what is glued to it makes it something else."""
    if is_cut:
        before = " " + before[before.find(" ") + 1 :] if " " in before else before
    found = _LEFT.search(before)
    return None if found is None else "".join(group for group in found.groups() if group)


def _may_end(text: str, end: int) -> bool:
    """Whether a number can end there, or goes on as something else: a time, a date, a range, a code."""
    if text.startswith("\x02", end) or _NEXT.match(text, end) or _TIMES.match(text, end):
        return False
    glued = _GLUED.match(text, end)
    return glued is None or not re.search(r"[0-9]", glued.group())


def _parts(digits: str, kind: str, decimal: str) -> tuple[str, str] | None:
    """Whole part and fraction of digits with marks; None: they are no number."""
    if "٫" in digits:
        return _split(digits.replace("٫", "D"), "D")
    as_point, as_comma = _split(digits, "."), _split(digits, ",")
    if decimal:
        return as_point if decimal == "." else as_comma
    if as_point is None or as_comma is None or as_point == as_comma:
        return as_point if as_comma is None else as_comma
    # One mark before exactly three digits. A comma groups; so does the point where only that gives a whole number.
    return as_point if "," in digits or kind == "float" else as_comma


def _split(digits: str, decimal: str) -> tuple[str, str] | None:
    """The same where the decimal sign is known."""
    whole, mark, fraction = digits.partition(decimal)
    fraction = fraction.removeprefix(" ")
    if mark and not fraction.isdigit():
        return None
    if not whole:
        return "0", fraction
    if not whole.isdigit():
        group = next(character for character in whole if not character.isdigit())
        first, *others = whole.split(group)
        in_thousands = all(len(other) == 3 for other in others)
        in_lakhs = group == "," and len(others) > 1 and len(others[-1]) == 3 and all(len(other) == 2 for other in others[:-1])
        if not (in_thousands or in_lakhs) or not all(part.isdigit() for part in (first, *others)):
            return None
        if len(first) > (3 if in_thousands else 2) or first.startswith("0"):
            return None
        whole = first + "".join(others)
    return None if len(whole) > 1 and whole.startswith("0") else (whole, fraction)


def _value(sign: str, whole: str, fraction: str, kind: str) -> int | float | None:
    sign = "-" if "-" in sign else ""
    if kind == "int":
        return int(sign + whole) if len(whole) <= INT_DIGITS else None
    return float(f"{sign}{whole}.{fraction or 0}") if len(whole) <= FLOAT_DIGITS else None
