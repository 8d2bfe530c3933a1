"""Read numbers as shops write them: the first number of a text, or null if it is ambiguous.

    "$1,299.00"  "1.299,00 €"  "1 299 kr"  "CHF 1'299.–"   1299        ".99"  "£.99"   0.99        "149€99"   149.99
    "1,000"   1000    one comma before three digits groups     "1.000"   1.0    one point does not, unless `decimal` is set
    "1.299 €"  "12.500 kr"   1299, 12500    with a currency whose countries group by points; "$1.299" is null: see `currencies`
    "3.11.2"  "12.05.2024"  "12 May"  "12:30"  "030-12345"  "5-10 €"  "5 to 10"  "x200"  "1.5 million"    no numbers: null
    "1/2"  "1 ½"  "10²"  "5Ⅳ"  "5 ①"  "3 * 4"  "2 + 1"  "1 : 2"  "5' 11"  "≥ 5"    null: part of another number, or of none
    "3 for $10"  "10x de R$ 12,99"     null: the first number is not the price

The first number of the text counts. Signs and currency codes may stand before or after it, with or without a space. A unit may
follow it directly ("12kg"), but no word may directly precede it ("item-12"), except in scripts without spaces.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final, Literal

from crawler.web.currencies import CURRENCY, POINT_SIGN, SIGN, decimal_sign, is_beside, mark

if TYPE_CHECKING:
    from crawler.web.fields import Decimal

INT_DIGITS: Final = 18  # fits into 64 bits, which is what messages and databases can hold
FLOAT_DIGITS: Final = 300  # more would not be a finite float, and real pages have no such numbers
_BEFORE: Final = 16  # characters examined before the first digit
_WINDOW: Final = 400  # characters examined from there
_PHONE: Final = 8  # number of digits after a + that make a telephone number

_MARKS: Final = ".,'"
# Digits and the marks between them. A space belongs to the number before exactly three digits, or between a decimal sign and two
# digits, as in "1.837, 32 €".
_RUN: Final = re.compile(
    rf"[.,٫]?[0-9]+(?:(?:[{_MARKS}٫]|[ ](?=[0-9]{{3}}(?![0-9])))[0-9]+)*(?:(?<=\.[0-9]{{3}}),[ ](?=[0-9]{{2}}(?![0-9]))[0-9]+)?"
)
_SAME: Final = {
    **dict.fromkeys("’ʼ＇٬", "'"), **dict.fromkeys("−﹣－‐‑", "-"), **dict.fromkeys("‒―", "–"), **dict.fromkeys("～〜", "~"),
    **dict.fromkeys("⁄∕／", "/"), **dict.fromkeys("✕✖⨯╳∗＊⋅", "×"), "′": "'", "∶": ":",
    "．": ".", "，": ",", "＋": "+", "：": ":",
}  # fmt: skip
_RAISED: Final = "\x02"  # ², ①, Ⅳ: part of the number beside it, or a mark of a footnote
_FRACTION: Final = "\x04"  # ½: part of the number beside it
_NO_SPACES: Final = "\u0600-\u06ff\u0900-\u0e7f\u3005-\u30ff\u3400-\u9fff\uac00-\ud7af"  # letters that touch a number: 税込1,299円

# The long patterns are compiled by `re` when a text first needs them, which for most crawls is late or never.
# What may directly precede a number: a dash that begins the text; a sign, a currency and, before these, a bracket or the like.
_LEFT: Final = (
    rf"^(?:- |– ?)$|(?:^|[{_NO_SPACES}]|[^\w.,/@&\\+±~≈≤≥<>{SIGN}{_RAISED}{_FRACTION}{POINT_SIGN}-])([-+])?{CURRENCY}?([-+])?$"
    rf"|(?:^|[\s(])([-+])?{CURRENCY}[ :]{{0,2}}([-+])?$"
)
_LABEL: Final = re.compile(r"(?i)(?:☎|\b(?:v|ver|versi[oó]n\w*|release|tel|t[eé]l[eé]f?\w*|phone|fax|mobile?|isbn))\W{0,3}$")
_ABOUT: Final = re.compile(rf"[±~≈≤≥] ?$|{_FRACTION}(?: ?| (?:of|de|von|di|van) )$")  # ≥ 5; ½ 5, ¼ of 20
_NO_CENTS: Final = re.compile(r"[.,:] ?[-–—]+(?![0-9])")  # 12,-  129:-  12.–
_CENTS: Final = re.compile(rf"[{SIGN}{POINT_SIGN}]([0-9]{{2}})(?![0-9])")  # 149€99
_APART: Final = rf"([.,]) ([0-9]{{2}})(?= ?(?:{CURRENCY})?\W*$)"  # $119. 95
_GLUED: Final = rf"{CURRENCY}(?![0-9A-Za-z])|[^\s]*"
# Further digits after no more than a currency and a dash, a mark, a bracket or a word like "to": a range, a telephone number, two
# prices, an hour.
_WORD: Final = r"(?:to|bis|à|a|al|au|do|до|til|till|tot|ate|até|par|or|ou|oder|and|und|et|y|e|h|×|x)\s"
_NEXT: Final = rf" ?[&/] ?[0-9]| ?[%°‰]?\)? ?{CURRENCY}?[\s.,…]{{0,3}}(?:[-–—~]|{_WORD})?\s{{0,3}}{CURRENCY}?\s{{0,3}}[0-9]"
# What makes another number of one without a currency: 10 ², 3 * 4, 1 : 2, 2 + 1, 5' 11, 6 ft 2, 1 and a half.
_COMBINED: Final = (
    rf" ?(?:[-–—&+]|(?:and|und|et|y|e|og|och|en|i) )? ?{_RAISED}| ?[*×^:=+±∓→'\"/] ?[0-9]"
    r"| ?(?:ft|feet|foot|lbs?|hrs?|hours?|mins?|minutes?|Std)\.?,? ?[0-9]|(?i: and (?:a|one|three) (?:half|third|quarter|fourth))"
)
# With a currency too: 1 ½, 1 - ½, 5 € ½, 5 €⁹⁹. One raised digit behind a currency is the mark of a footnote.
_WITH_MORE: Final = rf" ?{CURRENCY}?(?:[\s.,(]{{0,3}}(?:[-–—&+]|(?:and|und|et|y|e|og|och|en|i)\s)?\s?{_FRACTION}| ?{_RAISED}{{2}})"
# A number of pieces or instalments, before the price of them: "3 for $10", "10x de R$ 12,99".
_PIECES: Final = (
    rf" ?(?:[x×]|for|für|pour|por|per|za|за|voor|fois|veces|mal)\s{{1,2}}(?:(?:de|je|of|à|a)\s)?"
    rf"(?:{CURRENCY}\s?[0-9]|[0-9][0-9.,]*\s?{CURRENCY}(?!\w))"
)
# 1.5k may or may not mean 1500; the words for thousands and millions.
_TIMES: Final = re.compile(
    r"[kKMBT](?![^\W\d_])| ?[kKmM](?:[€£\x01\x03]|EUR\b)| ?(?:[十百千万萬億亿兆拾佰仟]|[십백천만억조](?![가-힣]))"
    r"| ?(?:(?i:dozens?|hundred|thousand|"
    r"milli?[oó]n\w*|milh\w+|billi?on\w*|trillion\w*|mio|mrd|milj\w*|mil|mln|mlrd|mld|bn|mn|lakhs?|lacs?|"
    r"crores?|cr|тыс|млн|млрд|tys|tis|milyon|milyar|juta|ribu|triệu|nghìn|ngàn|tỷ)(?![^\W\d_]))"
)
_CLOCK: Final = re.compile(r" ?(?:[aApP]\.?[mM]\b|Uhr\b)")
_DAY: Final = re.compile(r"(?:st|nd|rd|th|er|º|\.)?,? (?:(?:of|de) )?([^\W\d_]{3,})")
_MONTH: Final = re.compile(r"([^\W\d_]{3,})\.?,? $")
_DIGIT: Final = re.compile(r"\d")
_CLEAR: Final = re.compile(r"[$€£]?([1-9][0-9]*|0)(?:\.([0-9]{1,2}))?")  # most texts, read without further ado
_ONE_MARK: Final = re.compile(r"[1-9][0-9]{0,2}([.,])[0-9]{3}")


def number(text: str, kind: Literal["int", "float"] = "float", decimal: Decimal = "") -> int | float | None:
    """Return the first number in a text; None if there is none or it is ambiguous. An int drops its fraction.

    decimal: the decimal sign if it is known: "1.299" is 1299 with "," and 1.299 with ".".
    """
    if decimal != "," and (clear := _CLEAR.fullmatch(text)):
        return _value("", clear[1], clear[2] or "", kind)
    first = _DIGIT.search(text)
    if first is None:
        return None
    start = max(first.start() - _BEFORE, 0)
    window = _plain(text[start : start + _WINDOW])
    run = _RUN.search(window)
    if run is None or (run.end() == len(window) and len(text) > start + _WINDOW):
        return None
    digits, end = run.group(), run.end()
    before = window[: run.start()]
    if digits[0] in ".," and before[-1:].isalpha() | before.endswith("/"):  # "Rs.500": the dot ends an abbreviation
        before, digits = before + digits[0], digits[1:]
    sign = _sign(before, is_cut=start > 0)
    if sign is None or _is_phone(before, sign, digits, window[end:]):
        return None
    if digits.isdigit() and (cents := _CENTS.match(window, end)):
        return _value(sign, digits, cents[1], kind)
    if window[end : end + 2] in (". ", ", ") and (apart := re.compile(_APART).match(window, end)):
        if is_beside(before, window[apart.end() :]):
            digits, end = digits + apart[1] + apart[2], apart.end()
    elif whole := _NO_CENTS.match(window, end):
        end = whole.end()
        decimal = decimal or ("," if "." in digits or whole.group().startswith(",") else "")
    if not _may_end(before, digits, window, end):
        return None
    parts = _parts(digits, kind, decimal, before, window[end:])
    return None if parts is None else _value(sign, *parts, kind)


def _plain(text: str) -> str:
    """Return the text with one form of digits, spaces, apostrophes, minus and currencies, without invisible characters."""
    if text.isascii():
        return text.replace(SIGN, " ").replace(_RAISED, " ").replace(_FRACTION, " ").replace(POINT_SIGN, " ").replace("$", SIGN)
    return "".join(map(_plain_character, text))


def _plain_character(character: str) -> str:
    if character.isascii():
        return _plain(character)
    if same := _SAME.get(character):
        return same
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.digit(character))
    if kind == "Sc":
        return mark(character)
    if kind == "No":
        return _RAISED if unicodedata.numeric(character).is_integer() and character != "⅟" else _FRACTION
    return {"Nl": _RAISED, "Zs": " ", "Cf": ""}.get(kind, character)  # Cf: marks of direction, zero-width spaces


def _sign(before: str, *, is_cut: bool) -> str | None:
    """Return the sign of a number that follows this text, "" if it has none; None if the text makes it something else."""
    if not before or before == SIGN:
        return ""
    if is_cut:
        before = " " + before[before.find(" ") + 1 :] if " " in before else before
    if _ABOUT.search(before):
        return None
    if before[-1] in " (:" and not re.search("[-+–]", before):  # all that _LEFT looks for is a sign
        return ""
    found = re.search(_LEFT, before)
    if found is None:
        return None
    if found[1] and found[2]:
        return None
    return "-" if found.group() in ("- ", "– ", "–") else "".join(group for group in found.groups() if group)


def _is_phone(before: str, sign: str, digits: str, after: str) -> bool:
    """Tell whether this is a telephone number, a version or the number of a book, by its label or its plus."""
    if sign == "+" and not re.search(r"[.,']", digits):
        more = re.match(r"[\s()0-9.-]*", after)
        if len(re.findall("[0-9]", digits + (more.group() if more else ""))) >= _PHONE:
            return True
    return len(before) > 1 and not before.isspace() and _LABEL.search(before) is not None


def _may_end(before: str, digits: str, text: str, end: int) -> bool:
    """Tell whether a number can end there. It cannot if it continues as a time, a date, a range or a code."""
    if end == len(text):
        return not _is_day(before, digits, text, end)
    if text.startswith(_RAISED, end) or _TIMES.match(text, end) or _CLOCK.match(text, end):
        return False
    if re.compile(_WITH_MORE).match(text, end):
        return False
    if re.compile(_COMBINED).match(text, end) and not is_beside(before, text[end:]):
        return False
    if text[end:].strip() == "-":  # 12.50-: minus, as accountants write it, or the first half of a range
        return digits.isdigit() and text[end:] != "-"
    if _DIGIT.search(text, end):
        if digits.isdigit() and re.compile(_PIECES).match(text, end) and not is_beside(before, text[end:]):
            return False
        glued = re.compile(_GLUED).match(text, end)
        if re.compile(_NEXT).match(text, end) or (glued and _DIGIT.search(glued.group())):
            return False
    return not _is_day(before, digits, text, end)


def _is_day(before: str, digits: str, text: str, end: int) -> bool:
    """Tell whether a number is the day or the year of a date with the name of a month."""
    if not digits.isdigit() or len(digits) > 4:
        return False
    words = [found[1] for found in (_DAY.match(text, end), before.endswith(" ") and _MONTH.search(before)) if found]
    if not words:
        return False
    from crawler.web.months import is_month

    return any(is_month(word) for word in words)


def _parts(digits: str, kind: str, decimal: str, before: str, after: str) -> tuple[str, str] | None:
    """Return the whole part and the fraction of digits with marks; None if they are not a number."""
    if digits.isdigit():
        return _split(digits, ".")
    if "٫" in digits:
        return _split(digits.replace("٫", "D"), "D")
    if not decimal and (one := _ONE_MARK.fullmatch(digits)):
        by_currency = decimal_sign(before, after, one[1])
        if by_currency is None:
            return None
        # A comma groups; a point groups only if a whole number is wanted.
        decimal = by_currency or ("." if one[1] == "," or kind == "float" else ",")
    if decimal:
        return _split(digits, decimal)
    as_point, as_comma = _split(digits, "."), _split(digits, ",")
    return as_point if as_comma is None else as_comma


def _split(digits: str, decimal: str) -> tuple[str, str] | None:
    """Return the whole part and the fraction, split at this decimal sign; None if the digits are not a number."""
    whole, sign, fraction = digits.partition(decimal)
    fraction = fraction.removeprefix(" ")
    if sign and not fraction.isdigit():
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
