"""Reading a Set-Cookie header as browsers do: RFC 6265bis (draft-ietf-httpbis-rfc6265bis), §5.1 and §5.6.

    "a=1; Domain=.example.org; Max-Age=60" ──parse──▶ SetCookie, or None: the whole header is ignored
    "Wed, 09-Nov-99 23:12:40 GMT"          ──read_date──▶ s since the epoch, or None

What is read here depends on the header alone. Whether the cookie may be set from a URL is decided by the jar: see `cookies`.
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import datetime
from typing import Final

from msgspec import Struct

MAX_COOKIE: Final = 4_096  # bytes of name and value together; a longer one is ignored (§5.6, step 5)
MAX_ATTRIBUTE: Final = 1_024  # bytes of an attribute's value; a longer one is ignored (§5.6)
MAX_LIFE: Final = 400 * 86_400.0  # s that a cookie is kept at most (§5.5)
PAST: Final = -1.0  # s since the epoch: an expiry that has passed

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BLANKS: Final = " \t"
_MAX_AGE: Final = re.compile(r"-?[0-9]+")

# The grammar of a date, §5.1.1: what follows a number and is no digit belongs to the token and says nothing.
_DELIMITERS: Final = re.compile(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME: Final = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\D.*)?", re.ASCII | re.DOTALL)
_DAY: Final = re.compile(r"(\d{1,2})(?:\D.*)?", re.ASCII | re.DOTALL)
_YEAR: Final = re.compile(r"(\d{2,4})(?:\D.*)?", re.ASCII | re.DOTALL)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FIRST_YEAR: Final = 1601


class SetCookie(Struct, frozen=True, kw_only=True):
    """A Set-Cookie header, read. Of an attribute that is repeated the last counts."""

    name: str  # "": the cookie has no name
    value: str
    domain: str = ""  # in lower case, without a leading dot; "": of the host that sets it alone
    path: str = ""  # "": the directory of the URL that sets it
    expires: float | None = None  # s since the epoch; None: with the crawl
    is_secure: bool = False


def parse(header: str, now: float) -> SetCookie | None:
    """Read the value of a Set-Cookie header, bytes as Latin-1 (§5.6). now: s since the epoch. None: it is ignored."""
    if _CONTROL.search(header):
        return None
    pair, _, rest = header.partition(";")
    name, equals, value = pair.partition("=")
    if not equals:
        name, value = "", pair
    name, value = name.strip(_BLANKS), value.strip(_BLANKS)
    if len(name) + len(value) > MAX_COOKIE or not (name or value):
        return None
    attributes = _attributes(rest)
    path = attributes.get("path", "")
    return SetCookie(
        name=name, value=value, domain=attributes.get("domain", "").removeprefix(".").lower(),
        path=path if path.startswith("/") else "", expires=_expiry(attributes, now), is_secure="secure" in attributes,
    )  # fmt: skip


def _attributes(text: str) -> dict[str, str]:
    """Return the attributes by name in lower case, the last of each that can be read."""
    found = {}
    for part in text.split(";"):
        name, _, value = part.partition("=")
        name, value = name.strip(_BLANKS).lower(), value.strip(_BLANKS)
        is_unreadable = (name == "max-age" and not _MAX_AGE.fullmatch(value)) or (name == "expires" and read_date(value) is None)
        if len(value) <= MAX_ATTRIBUTE and not is_unreadable:
            found[name] = value
    return found


def _expiry(attributes: dict[str, str], now: float) -> float | None:
    """Return when a cookie ends; None: with the crawl. Max-Age outranks Expires (§5.7, step 7)."""
    if "max-age" in attributes:
        seconds = int(attributes["max-age"])
        return now + min(seconds, MAX_LIFE) if seconds > 0 else PAST
    date = read_date(attributes["expires"]) if "expires" in attributes else None
    return None if date is None else min(date, now + MAX_LIFE)


def read_date(text: str) -> float | None:
    """Read a date as §5.1.1 does, in s since the epoch: its parts in any order, day of the week and zone ignored. None: no date."""
    time = day = year = None
    month = 0
    for token in _DELIMITERS.split(text):
        if time is None and (found := _TIME.fullmatch(token)):
            time = int(found[1]), int(found[2]), int(found[3])
        elif day is None and (found := _DAY.fullmatch(token)):
            day = int(found[1])
        elif not month and token[:3].lower() in _MONTHS:
            month = _MONTHS.index(token[:3].lower()) + 1
        elif year is None and (found := _YEAR.fullmatch(token)):
            year = int(found[1])
    if time is None or day is None or not month or year is None:
        return None
    year += 1900 if 70 <= year <= 99 else 2000 if year <= 69 else 0
    try:
        moment = datetime(year, month, day, *time)  # UTC: see timegm
    except ValueError:  # there is no such day or time
        return None
    return float(timegm(moment.timetuple())) if year >= _FIRST_YEAR else None
