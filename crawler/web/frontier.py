"""The gate of the `urls` queue: which URLs are crawled, in what form, and why others are not.

    what a person typed ──seed──▶ New
    Visit of a stage ────admit──▶ New, or a reason in stable words: "out of scope", "too deep", "denied by pattern", …
    Visits of a page ─admit_all─▶ the same of each that the hub is not known to have

Politeness and deduplication are the broker's: here a URL gets the host it waits for and the key it is known by. It is asked about
every link of every page, so what it worked out for a URL is remembered, within bounds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from crawler.errors import BadUrl, ConfigError
from crawler.items import Admitted, New, Unknown
from crawler.settings import FrontierSettings
from crawler.stage import Shared
from crawler.web import urls
from crawler.web.page import Visit, Visits

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

QUEUE: Final = "urls"
ROOT: Final = "root/"              # shared notes of the hosts that scope starts from; the value says how each became one
SEED: Final = b"seed"              # a person named it: it may be at a private address
REDIRECT: Final = b"redirect"      # a seed redirects to it: in scope, and nothing more

TOO_DEEP: Final = "too deep"
OUT_OF_SCOPE: Final = "out of scope"

_REMEMBERED: Final = 20_000        # URLs whose target is kept: some 10 MB, a few hundred pages of links


class _Target(Struct, frozen=True):
    """What is the same for a URL whoever links to it."""

    url: str                       # canonical
    key: bytes
    host: str
    userinfo: str


class Frontier:
    """Thread-safe: threads share what is remembered and at worst work it out twice."""

    def __init__(self, settings: FrontierSettings, shared: Shared, queue: str = QUEUE) -> None:
        self._settings = settings
        self._shared = shared
        self._queue = queue
        self._is_deep_first = settings.order == "depth"
        self._allow = _compiled("frontier.allow", settings.allow)
        self._deny = _compiled("frontier.deny", settings.deny)
        self._encode: Callable[[Visit], bytes] = msgspec.msgpack.Encoder().encode
        self._targets: dict[str, _Target | str] = {}
        self._parent: tuple[str, bytes | None] = ("", None)
        self._in_scope: set[str] = set()       # roots are never taken away, so what was in scope stays in it
        self._domains: tuple[int, frozenset[str]] = (0, frozenset())

    def seed(self, text: str) -> New:
        """A task for what a person typed; its host becomes a root. Neither scope nor limits apply. BadUrl: it is no URL."""
        target = _target(self._canonical(urls.seed(text)))
        if self._root(target.host) != SEED:
            self._shared.set(ROOT + target.host, SEED)
        return New(self._queue, self._encode(Visit(target.url, is_seed=True)), target.key, target.host)

    def admit(self, found: Visit | str, parent: Visit | None = None) -> New | str:
        """A task for a URL that a page or a redirect led to, or why it is not crawled.

        parent: the visit that found it; without it the referrer, or the last URL redirected from, stands for it.
        """
        visit = found if isinstance(found, Visit) else _linked(found, parent)
        origin = parent.url if parent else visit.history[-1] if visit.history else visit.referrer
        target = self._target_of(visit.url, origin)
        if isinstance(target, str):
            return target
        if self._is_too_deep(visit.depth):
            return TOO_DEEP
        if not self._has_scope(target.host, widens=visit.is_seed and bool(visit.history)):
            return OUT_OF_SCOPE
        if target.url != visit.url:
            visit = msgspec.structs.replace(visit, url=target.url)
        return self._task(visit, target, self._key_of(origin))

    def admit_all(self, visits: Visits, unknown: Unknown) -> Admitted:
        """What `admit` says of each, without a task for those that are known by name.

        A name is the canonical URL, so that of most links nothing need be looked up but what stands on the page; of a URL with
        user info it is the key, because who links to it decides what it means.
        """
        admitted = Admitted(self._queue, [], [], {})
        if self._is_too_deep(visits.depth):
            for url in visits.urls:
                target = self._target_of(url, visits.referrer)
                _count(admitted.skipped, target if isinstance(target, str) else TOO_DEEP)
            return admitted
        has_scope: dict[str, bool] = {}                # by host; who is out of scope may be in it for the next page
        for url in unknown(visits.urls):
            target = self._target_of(url, visits.referrer)
            if isinstance(target, str):
                _count(admitted.skipped, target)
                continue
            is_in = has_scope.get(target.host)
            if is_in is None:
                is_in = has_scope[target.host] = self._has_scope(target.host, widens=False)
            if not is_in:
                _count(admitted.skipped, OUT_OF_SCOPE)
                continue
            is_as_given = url == target.url and not target.userinfo
            # Of two equal strings the page's, which other pages have as well: the very same object is found soonest.
            name = url if is_as_given else target.key if target.userinfo else target.url
            if is_as_given or unknown((name,)):
                visit = Visit(target.url, visits.depth, visits.referrer)
                admitted.tasks.append(self._task(visit, target, self._key_of(visits.referrer)))
                admitted.names.append(name)
        return admitted

    def allowed_private(self, host: str) -> bool:
        """A person named this host (as in `Url.host`), so it may be at a private address."""
        return was_seeded(self._shared, host)

    def _task(self, visit: Visit, target: _Target, parent: bytes | None) -> New:
        priority = visit.depth if self._is_deep_first else 0
        return New(self._queue, self._encode(visit), target.key, target.host, priority, depth=visit.depth, parent=parent)

    def _is_too_deep(self, depth: int) -> bool:
        return 0 < self._settings.max_depth < depth

    def _root(self, host: str) -> bytes | None:
        return self._shared.find(ROOT).get(ROOT + host)

    def _target_of(self, url: str, origin: str) -> _Target | str:
        """A URL that is linked from `origin`, or why it is not crawled whatever its depth and scope."""
        target = self._judged(url)
        if isinstance(target, _Target) and target.userinfo and not _is_trusted(target, origin):
            target = self._judged(target.url.replace(f"{target.userinfo}@", "", 1))
        return target

    def _judged(self, url: str) -> _Target | str:
        known = self._targets.get(url)
        if known is None:
            known = self._judge(url)
            if len(self._targets) >= _REMEMBERED:
                self._targets.clear()
            if len(url) <= self._settings.max_url_length:      # longer ones are not worth the room
                self._targets[url] = known
        return known

    def _judge(self, url: str) -> _Target | str:
        if len(url) > 4 * self._settings.max_url_length:       # so long that no canonical form can be short enough
            return "url too long"
        try:
            plain = self._canonical(url)
        except BadUrl:
            return "not a url"
        if not plain.startswith(("http://", "https://")):
            return "not http"
        return self._trap(plain) or self._pattern(plain) or _target(plain)

    def _canonical(self, url: str) -> str:
        settings = self._settings
        return urls.canonical(
            url, sort_query=settings.sort_query, drop_params=settings.drop_params, strip_www=settings.strip_www
        )  # fmt: skip

    def _trap(self, url: str) -> str | None:
        """A sign of a site that makes up URLs without end: calendars, relative links that deepen, sessions in the query."""
        settings = self._settings
        if len(url) > settings.max_url_length:
            return "url too long"
        path, _, query = urls.split(url)[2].partition("?")
        segments = [segment for segment in path.split("/") if segment]
        if len(segments) > settings.max_path_depth:
            return "path too deep"
        # Fewer segments than that cannot repeat too often: most URLs need no count.
        if len(segments) > settings.max_repeats and max(Counter(segments).values()) > settings.max_repeats:
            return "path repeats"
        if query and query.count("&") >= settings.max_query_keys:
            return "too many parameters"
        return None

    def _pattern(self, url: str) -> str | None:
        if any(pattern.search(url) for pattern in self._deny):
            return "denied by pattern"
        if self._allow and not any(pattern.search(url) for pattern in self._allow):
            return "not allowed by pattern"
        return None

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


def _target(canonical: str) -> _Target:
    userinfo, host, _ = urls.split(canonical)
    return _Target(canonical, urls.key(canonical), host, userinfo)


def _linked(url: str, parent: Visit | None) -> Visit:
    return Visit(url, parent.depth + 1, parent.url) if parent else Visit(url)


def _count(reasons: dict[str, int], reason: str) -> None:
    reasons[reason] = reasons.get(reason, 0) + 1


def _is_trusted(target: _Target, origin: str) -> bool:
    """User name and password stand in the URL of the page itself: relative links inherit them, and nothing else may set them."""
    scheme = target.url[: target.url.index("//") + 2]
    return origin.startswith(f"{scheme}{target.userinfo}@{target.host}/")


def _compiled(setting: str, patterns: Iterable[str]) -> list[re.Pattern[str]]:
    compiled = []
    for pattern in patterns:
        try:
            compiled.append(re.compile(pattern))
        except re.error as error:
            raise ConfigError(f"{setting}: {pattern!r} is not a regular expression: {error}") from error
    return compiled


@lru_cache(maxsize=10_000)
def _domain(host: str) -> str:
    """The registered domain by the public suffix list, the name itself where there is none: an address, `localhost`."""
    name = host[: host.index("]") + 1] if host.startswith("[") else host.partition(":")[0]
    is_address = name.startswith("[") or name.replace(".", "").isdigit()
    return name if is_address else _suffixes().privatesuffix(name.rstrip(".")) or name


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    # Imported when first needed: the list takes 0.1 s to read and only one kind of scope asks for it.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
