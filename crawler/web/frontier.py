"""The gate of the `urls` queue: which URLs are crawled, in what form, and why others are not.

    what a person typed ──seed──▶ New
    Visit of a stage ────admit──▶ New, or a reason in stable words: "out of scope", "too deep", "denied by pattern", …
    Visits of a page ─admit_all─▶ the same of each that the hub is not known to have

Politeness and deduplication are the broker's: here a URL gets the host it waits for and the key it is known by. It is asked about
every link of every page, so what it worked out for a URL is remembered, within bounds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from crawler.items import Admitted, New, Unknown
from crawler.settings import FrontierSettings
from crawler.stage import Shared
from crawler.web import urls
from crawler.web.domains import registered_domain
from crawler.web.page import Visit, Visits
from crawler.web.targets import Targets

log = logging.getLogger("crawler.frontier")

QUEUE: Final = "urls"
ROOT: Final = "root/"              # shared notes of the hosts that scope starts from; the value says how each became one
AUTH: Final = "auth/"              # prefix of shared notes with user names and passwords from the URLs of seeds, one per origin
SEED: Final = b"seed"              # a person named it: it may be at a private address
REDIRECT: Final = b"redirect"      # a seed redirects to it: in scope, and nothing more

TOO_DEEP: Final = "too deep"
OUT_OF_SCOPE: Final = "out of scope"

_REMEMBERED: Final = 20_000        # hosts known to be in scope


class Frontier:
    """Thread-safe: threads share what is remembered and at worst work it out twice."""

    def __init__(self, settings: FrontierSettings, shared: Shared, queue: str = QUEUE) -> None:
        self._settings = settings
        self._shared = shared
        self._queue = queue
        self._is_deep_first = settings.order == "depth"
        self._targets = Targets(settings)
        self._encode: Callable[[Visit], bytes] = msgspec.msgpack.Encoder().encode
        self._parent: tuple[str, bytes | None] = ("", None)
        self._in_scope: set[str] = set()       # roots are never taken away, so what was in scope stays in it
        self._domains: tuple[int, frozenset[str]] = (0, frozenset())

    def seed(self, text: str) -> New:
        """Return a task for a URL that a person typed; its host becomes a root. Neither scope nor limits apply. Raises BadUrl.

        A user name and password are not part of the task, which many can see. They are stored as a note for the origin, which only
        the fetch stage reads.
        """
        target = self._targets.seed(text)
        if target.userinfo:
            self._note_credentials(urls.origin(target.url), target.userinfo.encode())
        if self._root(target.host) != SEED:
            self._shared.set(ROOT + target.host, SEED)
        return New(self._queue, self._encode(Visit(target.url, is_seed=True)), target.key, target.host)

    def admit(self, found: Visit | str, parent: Visit | None = None) -> New | str:
        """A task for a URL that a page or a redirect led to, or why it is not crawled.

        parent: the visit that found it; without it the referrer, or the last URL redirected from, stands for it.
        """
        visit = found if isinstance(found, Visit) else _linked(found, parent)
        origin = parent.url if parent else visit.history[-1] if visit.history else visit.referrer
        target = self._targets.of(visit.url)
        if isinstance(target, str):
            return target
        if self._is_too_deep(visit.depth):
            return TOO_DEEP
        if not self._has_scope(target.host, widens=visit.is_seed and bool(visit.history)):
            return OUT_OF_SCOPE
        if target.url != visit.url:
            visit = msgspec.structs.replace(visit, url=target.url)
        priority = visit.depth if self._is_deep_first else 0
        return New(self._queue, self._encode(visit), target.key, target.host, priority, 0.0, visit.depth, self._key_of(origin))

    def admit_all(self, visits: Visits, unknown: Unknown) -> Admitted:
        """Decide about each visit as `admit` does, but make no task for a URL whose name is known.

        A name is the canonical URL. Most links on a page are written in that form, so nothing else need be computed for them.
        """
        admitted = Admitted(self._queue, [], [], {})
        if self._is_too_deep(visits.depth):
            for url in visits.urls:
                target = self._targets.of(url)
                _count(admitted.skipped, target if isinstance(target, str) else TOO_DEEP)
            return admitted
        fresh = unknown(visits.urls)
        parent = self._key_of(visits.referrer) if fresh else None
        priority = visits.depth if self._is_deep_first else 0
        has_scope: dict[str, bool] = {}                # by host; who is out of scope may be in it for the next page
        for url in fresh:
            target = self._targets.of(url)
            if isinstance(target, str):
                _count(admitted.skipped, target)
                continue
            is_in = has_scope.get(target.host)
            if is_in is None:
                is_in = has_scope[target.host] = self._has_scope(target.host, widens=False)
            if not is_in:
                _count(admitted.skipped, OUT_OF_SCOPE)
                continue
            is_as_given = url == target.url
            # Of two equal strings the page's, which other pages have as well: the very same object is found soonest.
            name = url if is_as_given else target.url
            if is_as_given or unknown((name,)):
                item = self._encode(Visit(target.url, visits.depth, visits.referrer))
                admitted.tasks.append(New(self._queue, item, target.key, target.host, priority, 0.0, visits.depth, parent))
                admitted.names.append(name)
        return admitted

    def allowed_private(self, host: str) -> bool:
        """A person named this host (as in `Url.host`), so it may be at a private address."""
        return was_seeded(self._shared, host)

    def _note_credentials(self, origin: str, userinfo: bytes) -> None:
        known = self._shared.find(AUTH).get(AUTH + origin)
        if known is not None and known != userinfo:
            log.warning("another user name or password was given for %s before; the last one is used from now on", origin)
        if known != userinfo:
            self._shared.set(AUTH + origin, userinfo)

    def _is_too_deep(self, depth: int) -> bool:
        return 0 < self._settings.max_depth < depth

    def _root(self, host: str) -> bytes | None:
        return self._shared.find(ROOT).get(ROOT + host)

    def _has_scope(self, host: str, *, widens: bool) -> bool:
        if self._settings.scope == "any" or host in self._in_scope:
            return True
        if widens and self._root(host) is None:
            self._shared.set(ROOT + host, REDIRECT)
        is_in = widens or self._is_under_root(host)
        if is_in:
            if len(self._in_scope) >= _REMEMBERED:
                self._in_scope.clear()
            self._in_scope.add(host)
        return is_in

    def _is_under_root(self, host: str) -> bool:
        if self._settings.scope == "host":
            return self._root(host) is not None
        noted = self._shared.find(ROOT)
        if len(noted) != self._domains[0]:
            self._domains = (len(noted), frozenset(_domain(name.removeprefix(ROOT)) for name in noted))
        return _domain(host) in self._domains[1]

    def _key_of(self, url: str) -> bytes | None:
        """The key of the page that leads here, which is the same for all its links. It came from a queue: it is canonical."""
        known, key = self._parent
        if known != url:
            key = urls.key(url) if url else None
            self._parent = (url, key)
        return key


def was_seeded(shared: Shared, host: str) -> bool:
    """The same for who has no frontier: a person named this host, so it may be at a private address."""
    return shared.find(ROOT).get(ROOT + host) == SEED


def _linked(url: str, parent: Visit | None) -> Visit:
    return Visit(url, parent.depth + 1, parent.url) if parent else Visit(url)


def _count(reasons: dict[str, int], reason: str) -> None:
    reasons[reason] = reasons.get(reason, 0) + 1


def _domain(host: str) -> str:
    """Return the registered domain of a host; of one that has none, an address or `localhost`, the host without its port."""
    return registered_domain(host) or (host[: host.index("]") + 1] if host.startswith("[") else host.partition(":")[0])
