"""Read numbers as shops write them: the first number of a text, or null if it is ambiguous.

    "$1,299.00"  "1.299,00 €"  "1 299 kr"  "CHF 1'299.–"   1299        ".99"  "£.99"   0.99        "149€99"   149.99
    "1,000"   1000    one comma before three digits groups     "1.000"   1.0    one point does not, unless `decimal` is set
    "3.11.2"  "12.05.2024"  "12:30"  "030-12345"  "5-10 €"  "x200"  "1/2"      no numbers: null

The first number of the text counts. Signs and currency codes may stand before or after it, with or without a space. A unit may
follow it directly ("12kg"), but no word may directly precede it ("item-12").
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from crawler.web.fields import Decimal

INT_DIGITS: Final = 18             # fits into 64 bits, which is what messages and databases can hold
FLOAT_DIGITS: Final = 300          # more would not be a finite float, and nobody writes such numbers
_BEFORE: Final = 16                # characters examined before the first digit
_WINDOW: Final = 400               # characters examined from there
_PHONE: Final = 8                  # number of digits after a + that make a telephone number

_SPACES: Final = " \u00a0\u2007\u2009\u202f"
_MARKS: Final = ".,'"
# Digits and the marks between them. A space belongs to the number before exactly three digits, or between a decimal sign and two
# digits, as in "1.837, 32 €".
_RUN: Final = re.compile(
    rf"[.,٫]?[0-9]+(?:(?:[{_MARKS}٫]|[ ](?=[0-9]{{3}}(?![0-9])))[0-9]+)*(?:(?<=\.[0-9]{{3}}),[ ](?=[0-9]{{2}}(?![0-9]))[0-9]+)?"
)
_SAME: Final = {
    **dict.fromkeys(map(ord, _SPACES), " "), **dict.fromkeys(map(ord, "’ʼ＇٬"), "'"),
    **dict.fromkeys(map(ord, "−﹣－"), "-"), ord("．"): ".", ord("，"): ",", ord("＋"): "+",
}  # fmt: skip

# Letters that may stand directly beside a number: ISO 4217 codes, and what shops write instead.
_CODES: Final = (
    "AED|ARS|AUD|BDT|BGN|BRL|BYN|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|GEL|HKD|HRK|HUF|IDR|ILS|INR|ISK|JPY|KES|KRW|KZT|MAD|MXN|"
    "MYR|NGN|NOK|NZD|PEN|PHP|PKR|PLN|RMB|RON|RSD|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|UYU|VND|XAF|XOF|ZAR|"
    r"S?Fr\.?|Rs\.?|[Kk]r\.?|Kč|zł|Ft|lei|Lei|din\.?|лв\.?|руб\.?|грн\.?|TL|RM|Rp\.?|R|S/\.?|KM|[KTU]Sh"
)
_SYMBOL: Final = r"[^\W\d_]{0,3}[\x01]"       # a currency sign, with the letters of its country: US$
_CURRENCY: Final = rf"(?:{_SYMBOL}|{_CODES})"
# What may directly precede a number: a sign, a currency and, before these, a bracket or the like.
_LEFT: Final = re.compile(rf"(?:^|[^\w.,/@&\\+\x01\x02-])([-+])?{_CURRENCY}?([-+])?$|(?:^|[\s(])([-+])?{_CURRENCY} ?([-+])?$")
_NO_CENTS: Final = re.compile(r"[.,:] ?[-–—]+(?![0-9])")                 # 12,-  129:-  12.–
_CENTS: Final = re.compile(r"\x01([0-9]{2})(?![0-9])")                  # 149€99
_GLUED: Final = re.compile(rf"{_CURRENCY}(?![0-9A-Za-z])|[^\s]*")
# Further digits after no more than a currency and a dash, a mark or a bracket: a range, a telephone number, two prices.
_NEXT: Final = re.compile(rf"[%°]?\)? ?{_CURRENCY}?[\s.,]{{0,3}}[-–—~]?\s{{0,3}}{_CURRENCY}?\s{{0,3}}[0-9]")
_TIMES: Final = re.compile(r"[kKMBT](?![^\W\d_])")                      # 1.5k may or may not mean 1500


def number(text: str, kind: Literal["int", "float"] = "float", decimal: Decimal = "") -> int | float | None:
    """Return the first number in a text; None if there is none or it is ambiguous. An int drops its fraction.

    decimal: the decimal sign if it is known: "1.299" is 1299 with "," and 1.299 with ".".
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
    if digits[0] in ".," and before[-1:].isalpha() | before.endswith("/"):       # "Rs.500": the dot ends an abbreviation
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
    """Return the text with one form of digits, spaces, apostrophes and minus; \\x01 is any currency sign, \\x02 a fraction."""
    if text.isascii():
        return text.replace("\x01", " ").replace("\x02", " ").replace("$", "\x01")
    return "".join(map(_plain_character, text))


def _plain_character(character: str) -> str:
    if character.isascii():
        return _plain(character)
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.digit(character))
    if kind == "No":               # ½, ²: part of the number beside it, but ambiguous
        return "\x02"
    return "\x01" if kind == "Sc" else _SAME.get(ord(character), character)


def _sign(before: str, *, is_cut: bool) -> str | None:
    """Return the sign of a number that follows this text, "" if it has none; None if the text makes it something else."""
    if is_cut:
        before = " " + before[before.find(" ") + 1 :] if " " in before else before
    found = _LEFT.search(before)
    return None if found is None else "".join(group for group in found.groups() if group)


def _may_end(text: str, end: int) -> bool:
    """Tell whether a number can end there. It cannot if it continues as a time, a date, a range or a code."""
    if text.startswith("\x02", end) or _NEXT.match(text, end) or _TIMES.match(text, end):
        return False
    glued = _GLUED.match(text, end)
    return glued is None or not re.search(r"[0-9]", glued.group())


def _parts(digits: str, kind: str, decimal: str) -> tuple[str, str] | None:
    """Return the whole part and the fraction of digits with marks; None if they are not a number."""
    if "٫" in digits:
        return _split(digits.replace("٫", "D"), "D")
    as_point, as_comma = _split(digits, "."), _split(digits, ",")
    if decimal:
        return as_point if decimal == "." else as_comma
    if as_point is None or as_comma is None or as_point == as_comma:
        return as_point if as_comma is None else as_comma
    # One mark before exactly three digits. A comma groups; a point groups only if a whole number is wanted.
    return as_point if "," in digits or kind == "float" else as_comma


def _split(digits: str, decimal: str) -> tuple[str, str] | None:
    """Return the whole part and the fraction, split at this decimal sign; None if the digits are not a number."""
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
