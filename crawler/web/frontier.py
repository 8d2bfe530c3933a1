"""Gate of the `urls` queue: decides which URLs are crawled, in which form, and gives a reason for the others.

    what a person typed ──seed──▶ New
    Visit of a stage ────admit──▶ New, or a reason in stable words: "out of scope", "too deep", "denied by pattern", …
    Visits of a page ─admit_all─▶ the same of each that the hub is not known to have

Politeness and deduplication are the broker's: here a URL gets its host and its key. The gate is asked about every link of every
page, so its answers are remembered, within bounds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from crawler.config.settings import FrontierSettings
from crawler.errors import BadUrl
from crawler.items import Admitted, New, Unknown
from crawler.stage import Shared
from crawler.web import urls
from crawler.web.names import SiteNames
from crawler.web.page import Visit, Visits
from crawler.web.scope import ANOTHER_SITE, OUT_OF_SCOPE, Scope
from crawler.web.targets import Target, Targets

log = logging.getLogger(__name__)

QUEUE: Final = "urls"
AUTH: Final = "auth/"  # prefix of shared notes with user names and passwords from the URLs of seeds, one per origin

TOO_DEEP: Final = "too deep"

_TOLD: Final = 10  # seeds that lead out of scope that a warning names, enough to read


class Frontier:
    """Frontier for any number of threads: they share one memory, and at worst work out an answer twice."""

    def __init__(self, settings: FrontierSettings, shared: Shared, queue: str = QUEUE) -> None:
        self._settings = settings
        self._shared = shared
        self._queue = queue
        self._is_deep_first = settings.order == "depth"
        self._targets = Targets(settings)
        self._names = SiteNames(shared) if settings.strip_www else None
        self._encode: Callable[[Visit], bytes] = msgspec.msgpack.Encoder().encode
        self._parent: tuple[str, bytes | None] = ("", None)
        self._scope = Scope(settings, shared)
        self._told: set[str] = set()  # seeds that lead out of scope

    def seed(self, text: str) -> New:
        """Return a task for a URL that a person typed; its host becomes a root. Neither scope nor limits apply. Raises BadUrl.

        A user name and password are not part of the task, which many can see. They are stored as a note for the origin, which only
        the fetch stage reads.
        """
        target = self._targets.seed(text)
        if target.userinfo:
            self._note_credentials(urls.origin(target.url), target.userinfo.encode())
        self._scope.add_seed(target.url, target.host)
        return New(self._queue, self._encode(Visit(target.url, is_seed=True)), target.key, target.host)

    def admit(self, found: Visit | str, parent: Visit | None = None) -> New | str:
        """Return a task for a URL that a page or a redirect led to, or why it is not crawled.

        parent: the visit that found it; without it the referrer, or the last URL redirected from, stands for it.
        """
        visit = found if isinstance(found, Visit) else _linked(found, parent)
        origin = parent.url if parent else visit.history[-1] if visit.history else visit.referrer
        target = self._targets.of(visit.url)
        if isinstance(target, str):
            return target
        if self._names:
            target = self._named(target, visit.history)
        if self._is_too_deep(visit.depth):
            return TOO_DEEP
        if not self._scope.has(target.url, target.host) and (refusal := self._redirected(visit, target)):
            return refusal
        if target.url != visit.url:
            visit = msgspec.structs.replace(visit, url=target.url)
        key = self._key_after_redirects(visit, target) if visit.history else target.key
        priority = visit.depth if self._is_deep_first else 0
        return New(self._queue, self._encode(visit), key, target.host, priority, 0.0, visit.depth, self._key_of(origin))

    def judge(self, visit: Visit) -> New | str:
        """Judge a visit that was queued under other rules: as `admit`, but URLs that a person named stay."""
        if visit.is_seed and not visit.history:
            target = self._targets.seed(visit.url)
            return New(self._queue, b"", target.key, target.host)
        return self.admit(visit)

    def replay(self, firsts: Iterable[Visit]) -> None:
        """Determine the scope again. firsts: all seeds and the targets of their redirects, in their order."""
        self._scope.forget()
        for visit in firsts:
            if visit.is_seed:
                self.admit(visit) if visit.history else self._scope.add_seed(visit.url, urls.split(visit.url)[1])

    def admit_all(self, visits: Visits, unknown: Unknown) -> Admitted:
        """Decide about each visit as `admit` does, but make no task for a URL whose name is known.

        A name is the canonical form of a URL. Most links on a page are written in that form, so nothing else need be computed for
        them.
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
        scope, goes_by_path = self._scope, self._scope.goes_by_path
        has_scope: dict[str, bool] = {}  # by host; one that is out of scope may be in it for the next page
        for url in fresh:
            target = self._targets.of(url)
            if isinstance(target, str):
                _count(admitted.skipped, target)
                continue
            if self._names:
                target = self._named(target)
            is_in = has_scope.get(target.host)
            if is_in is None:
                is_in = has_scope[target.host] = scope.has_host(target.host)
            if not is_in or (goes_by_path and not scope.has_path(target.url, target.host)):
                _count(admitted.skipped, OUT_OF_SCOPE)
                continue
            is_as_given = url == target.form
            # Of two equal strings the page's, which other pages have as well: the very same object is found soonest.
            name = url if is_as_given else target.form
            if is_as_given or unknown((name,)):
                item = self._encode(
                    Visit(target.url, visits.depth, visits.referrer, is_sitemap=visits.are_sitemaps, indexes=visits.indexes)
                )
                admitted.tasks.append(New(self._queue, item, target.key, target.host, priority, 0.0, visits.depth, parent))
                admitted.names.append(name)
        return admitted

    def _note_credentials(self, origin: str, userinfo: bytes) -> None:
        known = self._shared.find(AUTH).get(AUTH + origin)
        if known is not None and known != userinfo:
            log.warning("another user name or password was given for %s before; the last one is used from now on", origin)
        if known != userinfo:
            self._shared.set(AUTH + origin, userinfo)

    def _is_too_deep(self, depth: int) -> bool:
        return 0 < self._settings.max_depth < depth

    def _redirected(self, visit: Visit, target: Target) -> str:
        """Return why a visit that is out of scope is not taken; "" if a seed redirects there and that brings it into scope."""
        if not visit.is_seed or not visit.history:
            return OUT_OF_SCOPE
        start = visit.history[0]
        refusal = self._scope.refusal(start, target.url, target.host)
        if refusal and start not in self._told and len(self._told) < _TOLD:
            self._told.add(start)
            where = "another site" if refusal == ANOTHER_SITE else f"out of scope (frontier.scope = {self._settings.scope!r})"
            log.warning(
                "%s redirects to %s, which is %s; it is not crawled; to crawl it: name it as a URL to begin from, or set "
                "frontier.seed_redirects to 'any'", start, target.url, where,
            )  # fmt: skip
        return refusal

    def _named(self, target: Target, history: tuple[str, ...] = ()) -> Target:
        """Return the target under the name that its site wants. That of a redirect is sent as it is, and may tell that name."""
        if self._names is None:
            return target
        if history:
            if urls.is_crawlable(history[-1]):
                self._names.learn(urls.as_written(history[-1]), target.url)
            return target
        host = self._names.host(target.host)
        if host == target.host:
            return target
        scheme, _, rest = target.url.partition("//")
        return msgspec.structs.replace(target, url=f"{scheme}//{host}{rest.removeprefix(target.host)}", host=host)

    def _key_after_redirects(self, visit: Visit, target: Target) -> bytes:
        """Return the key of where a redirect leads, which may be a page that is known already.

        It is visited again if its URL is spelled differently than before in this chain of redirects, as a site that insists on one
        spelling asks for, or if other cookies would be sent with it. Each spelling with each set of cookies is visited once.
        """
        again = visit.trail.again if visit.trail else ""
        is_other_spelling = target.url not in visit.history and any(self._form(url) == target.form for url in visit.history)
        return urls.key(urls.again(target.form, target.url, again)) if again or is_other_spelling else target.key

    def _form(self, url: str) -> str:
        """Return the canonical form of a URL that a stage gave; of a text that is no URL, the text."""
        try:
            return self._targets.form(urls.as_written(url))
        except BadUrl:
            return url

    def _key_of(self, url: str) -> bytes | None:
        """Return the key of the page that leads here, which is the same for all its links."""
        known, key = self._parent
        if known != url:
            key = urls.key(self._form(url)) if url else None
            self._parent = (url, key)
        return key


def _linked(url: str, parent: Visit | None) -> Visit:
    return Visit(url, parent.depth + 1, parent.url) if parent else Visit(url)


def _count(reasons: dict[str, int], reason: str) -> None:
    reasons[reason] = reasons.get(reason, 0) + 1
