"""Currencies as they are written beside a price, and what they say about the marks within it.

    12.500 kr   Rp 31.500   1.899 €     12500, 31500, 1899   in these countries a point groups, and no price has three decimals
    423.923 KD                          423.923              the dinars and the rial of Oman have three
    $1.299   £1.299                     null                 a slip, fuel, or Latin America: it cannot be known

`mark` gives signs of currency one form, so that patterns need not list them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

SIGN: Final = "\x01"  # any sign of Unicode's category Sc, such as $
POINT_SIGN: Final = "\x03"  # one of a country where a point groups, such as €
_POINT_SIGNS: Final = frozenset("€₫₺₽₴₲₡₸₾₼₩¥￥")

# ISO 4217 codes, and what shops write instead. In these countries a point groups digits, or nobody writes fractions.
_POINT: Final = (
    r"(?:ARS|CLP|COP|COL|UYU)\x01?|AR\x01|U\x01[SD]|BAM|BGN|BRL|BYN|CRC|CZK|DKK|EUR|HRK|HUF|IDR|ISK|JPY|KRW|KZT|MKD|NOK|PLN|PYG|RON|RSD|RUB|SEK|TRY|UAH|VND|"
    r"[Kk]r\.?|Kč|zł|Ft|lei|Lei|din\.?|дин\.?|ден\.?|лв\.?|руб\.?|р\.|грн\.?|TL|Rp\.?|R\x01|KM|VNĐ|[đĐ]|Gs\.?|円|元|원|"
    "(?i:euros?|kron[aeo]r?|złotych|forint|рубл[а-я]{1,2}|lirası|reais|đồng|rupiah|yen|won)"
)
_COMMA_THREE: Final = r"TND|DT|د\.ت"  # currencies with three decimals, after a comma as a rule
_THREE: Final = r"KWD|BHD|OMR|JOD|IQD|LYD|KD|BD|JD|د\.ك"  # after a point
_OTHER: Final = (
    "AED|AUD|BDT|BOB|CAD|CHF|CNY|DOP|EGP|GBP|GEL|GHS|GTQ|HKD|ILS|INR|KES|LKR|MAD|MXN|MYR|NGN|NPR|NZD|PAB|PEN|PHP|PKR|QAR|RMB|SAR|"
    r"SGD|THB|TWD|TZS|UGX|USD|XAF|XOF|ZAR|S?Fr\.?|Rs\.?|RM|R|S/\.?|B/\.?|Bs\.?|[KTU]Sh|Tk\.?|บาท|"
    "(?i:dollars?|d[oó]lar(?:es)?|pesos?|rupees?|dirhams?|riyals?|shekels?)"
)
_SIGNED: Final = rf"[^\W\d_]{{0,3}}[{SIGN}{POINT_SIGN}]"  # a sign of currency, with the letters of its country: US$
CURRENCY: Final = rf"(?:{_SIGNED}|{_POINT}|{_THREE}|{_COMMA_THREE}|{_OTHER})"

_BEFORE: Final = r"(?<![^\W\d_])(?:{}) ?[-+]?$"
_AFTER: Final = r" ?(?:{})(?![^\W\d_])"
# Fuel and energy are sold at three decimals: 1,599 €/l
_PER: Final = re.compile(r"\W*[^\W\d_]{0,3}\W*(?:/|per |pro |je |par |al )\s?(?:l|L|ℓ|ltr?|[Ll]it\w*|k[Ww]h|gal\w*)(?![^\W\d_])")


def mark(character: str) -> str:
    """Return the one form of a sign of currency."""
    return POINT_SIGN if character in _POINT_SIGNS else SIGN


def is_beside(before: str, after: str, currency: str = CURRENCY) -> bool:
    """Tell whether a currency stands directly before or after a number."""
    return bool(_found(_BEFORE, currency).search(before) or _found(_AFTER, currency).match(after))


def decimal_sign(before: str, after: str, sign: str) -> str | None:
    """Return the decimal sign of a number with one mark before three digits, by the currency around it.

    sign: the mark. "": there is no currency; None: it could be both.
    """
    if not is_beside(before, after):
        return ""
    if _PER.match(after):
        return None
    if is_beside(before, after, _COMMA_THREE):
        return sign
    if sign == "," or is_beside(before, after, _THREE):
        return "."
    return "," if is_beside(before, after, f"{_POINT}|{POINT_SIGN}") else None


@cache
def _found(where: str, currency: str) -> re.Pattern[str]:
    return re.compile(where.format(currency))
