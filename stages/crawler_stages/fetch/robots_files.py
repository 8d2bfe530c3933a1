"""The robots.txt of every origin: fetched once, shared by all workers of the hub, kept a day.

rules(origin) ── this process knows them ──────────────────────────▶ Robots
              └─ a shared note has them ───────────────────────────▶ Robots
              └─ asked for: 2xx its rules · 4xx none · redirects ≤ 5 ▶ Robots, noted for the others
                            5xx, 429, no answer: the old copy, or the failure itself (RFC 9309 §2.3.1)
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

import msgspec
from msgspec import Struct

from crawler import AddressRefused, CallRefused, CrawlerError, Robots, RobotsNote, Shared, Url, read_robots
from crawler_stages.clients.contract import FetchFailed, Reply

log = logging.getLogger(__name__)

MAX_BYTES: Final = 500 << 10  # read of a file; RFC 9309 §2.5 asks for no less
FRESH: Final = 24 * 3600.0  # s; RFC 9309 §2.4 asks for no more
STALE: Final = 3600.0  # s an old copy serves on where its server does not answer
MAX_REDIRECTS: Final = 5  # RFC 9309 §2.3.1.2
_KEPT_BYTES: Final = 8 << 20  # of files whose rules are kept in this process; rules take some ten times as much

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Unwilling(FetchFailed):
    """Raised if the server answers robots.txt with a 429 or 5xx."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"status {reply.status}")
        self.reply = reply


class Rules(Struct, frozen=True):
    """Rules of an origin, and how they came to this process."""

    robots: Robots
    was_fetched: bool  # just now, by this call: the host has been asked once already
    fetched_at: float  # s since the epoch, by whichever worker


class _Asking:
    """Request for a robots.txt in flight, shared by the threads that wait for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.failure: CrawlerError | None = None


class RobotsFiles:
    """Thread-safe; of the threads that want the same file one asks, the others wait and hear the same."""

    def __init__(self, shared: Shared, ask: Callable[[str, int], Reply], clock: Callable[[], float] = time.time) -> None:
        """ask: fetches a URL, of a long body a part, and raises FetchFailed."""
        self._shared = shared
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._asking: WeakValueDictionary[str, _Asking] = WeakValueDictionary()  # gone when no thread waits
        self._known: OrderedDict[str, tuple[float, int, Robots]] = OrderedDict()  # by origin: expires, size; least used first
        self._size = 0
        self._has_said = False  # that a note cannot be read or stored

    def rules(self, origin: str) -> Rules:
        """Return the rules of an origin. Raises FetchFailed, AddressRefused: the rules are unknown, so nothing is allowed now."""
        known = self.known(origin)
        if known is not None:
            return known
        with self._lock:
            asking = self._asking.setdefault(origin, _Asking())
        with asking.lock:
            known = self.known(origin)
            if known is not None:
                return known
            if asking.failure is not None:  # else each who waited would ask in turn, and wait as long again
                raise asking.failure
            try:
                return self._note(origin)
            except (FetchFailed, AddressRefused) as error:
                asking.failure = error
                with self._lock:  # later callers ask again
                    self._asking.pop(origin, None)
                raise

    def known(self, origin: str) -> Rules | None:
        """Return the rules if they are known without waiting; None if a server has to be asked."""
        with self._lock:
            expires, _, robots = self._known.get(origin, (0.0, 0, None))
            if robots is None or expires <= self._clock():
                return None
            self._known.move_to_end(origin)
        return Rules(robots, was_fetched=False, fetched_at=expires - FRESH)

    def _note(self, origin: str) -> Rules:
        """Return the shared note, read from the hub again if need be."""
        kept = self._noted(origin)
        is_fresh = kept is not None and kept.expires > self._clock()
        if kept is None or not is_fresh:
            kept = self._fetch(origin, kept)
            # Of two workers that asked at once, the second takes the first one's answer: one of them may go on with its page.
            theirs = self._noted(origin) if b"delay" in kept.body.lower() else None
            is_fresh = theirs is not None and theirs.expires > self._clock()
            if theirs is not None and is_fresh:
                kept = theirs
            else:
                self._share(origin, kept)
        return Rules(self._learn(origin, kept), was_fetched=not is_fresh, fetched_at=kept.expires - FRESH)

    def _noted(self, origin: str) -> RobotsNote | None:
        note = self._shared.get(f"robots/{origin}")
        kept = read_robots(note, self._clock())
        if note and kept is None:
            self._say(f"what the hub has of the robots.txt of {origin} cannot be read; it is fetched again")
        return kept

    def _share(self, origin: str, kept: RobotsNote) -> None:
        """Share a robots.txt with the other workers. If the hub does not take it, each fetches the file by itself."""
        try:
            self._shared.set(f"robots/{origin}", msgspec.msgpack.encode(kept))
        except CallRefused as error:
            self._say(f"the robots.txt of {origin} is not shared with other workers: {error}")

    def _say(self, text: str) -> None:
        """Log the first trouble of a kind: there may be one for each host."""
        log.log(logging.DEBUG if self._has_said else logging.WARNING, "%s", text)
        self._has_said = True

    def _fetch(self, origin: str, old: RobotsNote | None) -> RobotsNote:
        try:
            reply = self._follow(f"{origin}/robots.txt")
            if reply.status == 429 or reply.status >= 500:
                raise Unwilling(reply)
        except FetchFailed:
            if old is None:
                raise
            return msgspec.structs.replace(old, expires=self._clock() + STALE)
        body = reply.content if 200 <= reply.status < 300 else b""
        return RobotsNote(self._clock() + FRESH, reply.status, body)

    def _follow(self, url: str) -> Reply:
        for _ in range(MAX_REDIRECTS):
            reply = self._ask(url, MAX_BYTES)
            location = next((value for name, value in reply.headers if name.lower() == "location"), None)
            target = Url.parse(url).join(location) if location and reply.status in _REDIRECTS else None
            if target is None:
                return reply
            url = target
        return self._ask(url, MAX_BYTES)

    def _learn(self, origin: str, kept: RobotsNote) -> Robots:
        robots, size = Robots(kept.body), len(kept.body) + 1_000  # bytes; an empty file takes room as well
        with self._lock:
            self._size += size - self._known.pop(origin, (0.0, 0, robots))[1]
            self._known[origin] = (kept.expires, size, robots)
            while self._size > _KEPT_BYTES:
                self._size -= self._known.popitem(last=False)[1][1]
        return robots
