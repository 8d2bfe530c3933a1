"""Target of a URL, the same for every page that links to it: the URL to send, its form and key, or why it is never crawled.

    URL ──as_written──▶ what is sent ──traps, patterns──▶ Target, or a reason in stable words
                             └─canonical, with the settings──▶ form and key

Traps and patterns look at the URL that is sent. A frontier asks about every link of every page, so answers are remembered, within
bounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from crawler.config.settings import FrontierSettings
from crawler.errors import BadUrl
from crawler.web import urls

if TYPE_CHECKING:
    from crawler.web.patterns import Search

_REMEMBERED: Final = 20_000  # URLs whose target is kept: some 10 MB, a few hundred pages of links


class Target(Struct, frozen=True):
    """Destination of a URL."""

    url: str  # as it is sent
    form: str  # canonical, as the settings have it: URLs of one form are one page
    key: bytes  # of the form
    host: str  # of the URL
    userinfo: str = ""  # of a seed: the user info in its URL, which is not part of `url`


class Targets:
    """Targets for any number of threads: they share one memory, and at worst work out an answer twice. Raises ConfigError for a bad
    pattern."""

    def __init__(self, settings: FrontierSettings) -> None:
        self._settings = settings
        self._allow = _searches("frontier.allow", settings.allow, settings.max_url_length)
        self._deny = _searches("frontier.deny", settings.deny, settings.max_url_length)
        self._has_patterns = bool(self._allow or self._deny)
        self._folds = bool(settings.sort_query or settings.drop_params or settings.strip_www)
        self._few_segments = min(settings.max_path_depth, settings.max_repeats)
        self._known: dict[str, Target | str] = {}

    def __len__(self) -> int:
        """Number of targets remembered."""
        return len(self._known)

    def seed(self, text: str) -> Target:
        """Return the target of a URL that a person typed; no limit applies to it. Raises BadUrl if it is no URL."""
        typed = urls.seed(text)
        userinfo, host, _ = urls.split(typed)
        plain = urls.without_userinfo(typed)
        form = self.form(plain)
        return Target(plain, form, urls.key(form), host, userinfo)

    def of(self, url: str) -> Target | str:
        """Return the target of a URL that a page or a stage gave, or why it is not taken; user name and password are removed."""
        known = self._known.get(url)
        if known is None:
            known = self._judge(url)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            if len(url) <= self._settings.max_url_length:  # longer ones are not worth the room
                self._known[url] = known
        return known

    def _judge(self, url: str) -> Target | str:
        if len(url) > 4 * self._settings.max_url_length:  # too long in any of its forms
            return "url too long"
        try:
            plain = urls.as_written(url)
        except BadUrl:
            return "not a url"
        if not plain.startswith(("http://", "https://")):
            return "not http"
        if "@" in plain:
            plain = urls.without_userinfo(plain)  # a page must not set credentials
        _, host, rest = urls.split(plain)
        against = self._trap(plain, rest) or (self._pattern(plain) if self._has_patterns else None)
        if against:
            return against
        form = self.form(plain) if self._folds or "%" in plain else plain  # most URLs are in canonical form
        return Target(plain, form, urls.key(form), host)

    def form(self, written: str) -> str:
        """Return the form under which a URL as written is known."""
        settings = self._settings
        return urls.folded(
            written, sort_query=settings.sort_query, drop_params=settings.drop_params, strip_www=settings.strip_www
        )  # fmt: skip

    def _trap(self, url: str, rest: str) -> str | None:
        """Return a sign of a site that makes up URLs without end: calendars, relative links that deepen, sessions in the query.

        rest: its path and query."""
        settings = self._settings
        if len(url) > settings.max_url_length:
            return "url too long"
        path, _, query = rest.partition("?")
        if path.count("/") > self._few_segments:  # if not, there are few: most URLs need not be looked at
            segments = [segment for segment in path.split("/") if segment]
            if len(segments) > settings.max_path_depth:
                return "path too deep"
            if len(segments) > settings.max_repeats and max(Counter(segments).values()) > settings.max_repeats:
                return "path repeats"
        if query and query.count("&") >= settings.max_query_keys:
            return "too many parameters"
        return None

    def _pattern(self, url: str) -> str | None:
        for search in self._deny:
            if search(url):
                return "denied by pattern"
        if not self._allow:
            return None
        for search in self._allow:
            if search(url):
                return None
        return "not allowed by pattern"


def _searches(setting: str, patterns: Sequence[str], longest: int) -> list[Search]:
    if not patterns:
        return []
    from crawler.web.patterns import searches  # here, because most crawls have none

    return searches(setting, patterns, longest)
