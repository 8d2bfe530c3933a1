"""Following a redirect: to another visit, or nowhere because it goes round in a loop or on for too long.

    /p ──302──▶ /gate ──302, Set-Cookie──▶ /p, with the cookie        followed: other cookies are sent than before
    /a ──302──▶ /b ──302──▶ /a, with the same cookies                 a loop

Another worker process may make the next visit, with a cookie jar of its own. So a visit carries the Set-Cookie headers of the
redirects that led to it. Nothing is followed for ever: the history of a visit grows with each redirect, up to `max_redirects`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from crawler import Trail, Url, Visit

if TYPE_CHECKING:
    from crawler_stages.fetch.cookies import Cookies

LOOP: Final = "redirect loop"
TOO_MANY: Final = "too many redirects"

_MAX_LEARNED: Final = 16 << 10  # bytes of Set-Cookie headers that a visit brings; the oldest are left out first
_MAX_AGAIN: Final = 20  # chains with cookies of their own that may have one URL visited again
_URLS: Final = 10_000  # that are counted
_NONE: Final = "-"  # in `Trail.again`: no cookies are sent this time

_Learned = list[tuple[str, str]]  # URL and Set-Cookie header


class Redirects:
    """Decides where redirects lead, for one worker process. Thread-safe: at worst threads count one visit too few."""

    def __init__(self, cookies: Cookies | None = None) -> None:
        """cookies: the jar of the process; None: no cookies are kept."""
        self._cookies = cookies
        self._again: dict[str, int] = {}  # by URL: how often chains with cookies of their own have led to it

    def follow(self, visit: Visit, target: str, most: int, sent: str = "", news: Sequence[str] = ()) -> Visit | str:
        """Return the visit that a redirect leads to, or why there is none: LOOP or TOO_MANY.

        sent: the Cookie header of this visit. news: the Set-Cookie headers of its reply, if they changed what is in the jar.
        """
        history = (*visit.history, visit.url)
        before = visit.trail.sent if visit.trail else ()
        states = (*before, *[""] * (len(visit.history) - len(before)), digest(sent))
        now = digest(self._cookies.of(Url.parse(target))) if self._cookies else ""
        if (target, now) in zip(history, states, strict=False):
            return LOOP
        if len(visit.history) >= most:
            return TOO_MANY
        known = [*learned(visit.trail), *((visit.url, header) for header in news)]
        trail = self._trail(history, states, target, now, known)
        return Visit(target, visit.depth, visit.referrer, history, visit.is_seed, trail, visit.is_sitemap, visit.indexes)

    def _trail(self, history: tuple[str, ...], states: tuple[str, ...], target: str, now: str, known: _Learned) -> Trail | None:
        """Return the cookies that the next visit needs to know. A known page is visited again if this chain has changed some."""
        is_return = target in history
        if self._cookies is None or not (known or any(states) or is_return):
            return None
        again = now or _NONE if is_return else ""
        if known and now and not is_return and self._is_worth_a_visit(target):
            again = now
        return Trail(states, again, msgspec.msgpack.encode(_within(known)) if known else b"", self._cookies.name)

    def _is_worth_a_visit(self, target: str) -> bool:
        """Count the chains that lead to a URL with cookies of their own: on a site that counts visitors any redirect is one."""
        times = self._again.get(target, 0)
        if len(self._again) >= _URLS:
            self._again.clear()
        self._again[target] = times + 1
        return times < _MAX_AGAIN


def told(led: str, most: int, *, wants_cookies: bool) -> str:
    """Say why a redirect is not followed. most: redirects that are followed. wants_cookies: cookies may end the loop."""
    if led != LOOP:
        return f"more than {most} redirects"
    return "a loop, and it sets a cookie: stages.fetch.cookies = true sends cookies back" if wants_cookies else "a loop"


def digest(cookie: str) -> str:
    """Return a short name for the cookies of a request that does not tell them; "" for none."""
    return blake2b(cookie.encode("latin-1", "replace"), digest_size=6).hexdigest() if cookie else ""


def learned(trail: Trail | None) -> _Learned:
    """Return the Set-Cookie headers of the redirects on the way, oldest first."""
    return msgspec.msgpack.decode(trail.learned, type=_Learned) if trail and trail.learned else []


def _within(known: _Learned) -> _Learned:
    """Return the newest of these that fit into _MAX_LEARNED."""
    room = _MAX_LEARNED
    for place in range(len(known) - 1, -1, -1):
        room -= sum(map(len, known[place]))
        if room < 0:
            return known[place + 1 :]
    return known
