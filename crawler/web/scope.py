"""Decides which URLs belong to a crawl: by host, registered domain or directory of the seeds, and by where a seed redirects.

    scope       a URL is in scope if
    "host"      its host, with its port, is that of a seed
    "domain"    its registered domain is that of a seed
    "path"      its host is that of a seed, and its path is in the directory of this seed
    "any"       always

    a seed redirects to     seed_redirects = "site"                       "any"     "never"
    a URL in scope          followed                                      followed  followed
    another host            added to the scope if it is of the same site  added     not followed

A site is a registered domain by the public suffix list, or the host itself where there is none: an address, `localhost`, `co.uk`.
The scope is stored as shared notes, so that all workers and later runs agree on it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from crawler.config.settings import FrontierSettings
from crawler.errors import CallRefused
from crawler.notes import BELOW, GONE, REDIRECT, ROOT, SEED, hosts
from crawler.stage import Shared
from crawler.web import urls
from crawler.web.domains import is_same_site, site

log = logging.getLogger(__name__)

OUT_OF_SCOPE: Final = "out of scope"
ANOTHER_SITE: Final = "seed redirects to another site"

_REMEMBERED: Final = 20_000  # hosts known to be in scope


class Scope:
    """Scope for any number of threads: they share one memory, and at worst work out an answer twice."""

    def __init__(self, settings: FrontierSettings, shared: Shared) -> None:
        self._settings = settings
        self._shared = shared
        self.goes_by_path = settings.scope == "path"
        self._hosts: set[str] = set()  # in scope; roots are never removed, so this only grows
        self._sites: tuple[Mapping[str, bytes], frozenset[str]] = ({}, frozenset())  # the notes, and their meaning
        self._directories: tuple[Mapping[str, bytes], frozenset[str]] = ({}, frozenset())

    def add_seed(self, url: str, host: str) -> None:
        """Bring a seed's host and directory into scope. url: canonical."""
        for name in self._names_of(host):
            if self._root(name) != SEED:
                self._shared.set(ROOT + name, SEED)
        self._add_directory(url, host)

    def forget(self) -> None:
        """Remove everything from scope but the hosts of seeds, because the rules have changed; the seeds must be added again."""
        hosts = [name for name, how in self._shared.find(ROOT).items() if how != SEED]
        for name in [*hosts, *self._shared.find(BELOW)]:
            self._shared.set(name, GONE)
        self._hosts.clear()
        self._sites = self._directories = ({}, frozenset())

    def has(self, url: str, host: str) -> bool:
        """Tell whether a URL is in scope. url: canonical; host: its host, with port."""
        return self.has_host(host) and (not self.goes_by_path or self.has_path(url, host))

    def has_host(self, host: str) -> bool:
        """Tell whether URLs of this host may be in scope: all of them, unless scope goes by path."""
        if self._settings.scope == "any" or host in self._hosts:
            return True
        is_in = self._site_has_root(host) if self._settings.scope == "domain" else self._has_root(host)
        if is_in:
            if len(self._hosts) >= _REMEMBERED:
                self._hosts.clear()
            self._hosts.add(host)
        return is_in

    def has_path(self, url: str, host: str) -> bool:
        """Tell whether a URL is in a directory that is in scope, or is that directory without its last slash."""
        path = path_of(url)
        return any(self._is_below_root(f"{name}{path}") for name in self._names_of(host))

    def _is_below_root(self, place: str) -> bool:
        directories = self._all_directories()
        slash = place.find("/")
        while slash >= 0:
            if place[: slash + 1] in directories:
                return True
            slash = place.find("/", slash + 1)
        return f"{place}/" in directories

    def refusal(self, start: str, url: str, host: str) -> str:
        """Return why the redirect of a seed to a URL that is not in scope yet is not followed.

        If it is, the URL's host and directory come into scope, and the answer is "". start: the seed.
        """
        rule = self._settings.seed_redirects
        if rule == "site" and not is_same_site(urls.split(start)[1], host):
            return ANOTHER_SITE
        if rule == "never" or (rule == "site" and self.goes_by_path and _is_above(url, start)):
            return OUT_OF_SCOPE
        try:
            if self._root(host) is None:
                self._shared.set(ROOT + host, REDIRECT)
            self._add_directory(url, host)
        except CallRefused as refused:  # the hub has another rule than this stage
            log.debug("%s stays out of scope: %s", host, refused)
            return ANOTHER_SITE
        return ""

    def _add_directory(self, url: str, host: str) -> None:
        name = f"{BELOW}{host}{directory(path_of(url))}"
        if self.goes_by_path and not self._shared.find(BELOW).get(name):
            self._shared.set(name, SEED)

    def _root(self, host: str) -> bytes | None:
        return self._shared.find(ROOT).get(ROOT + host) or None

    def _has_root(self, host: str) -> bool:
        roots = self._shared.find(ROOT)  # of most pages each link to another host is looked up here
        if not self._settings.strip_www:
            return bool(roots.get(ROOT + host))
        return any(roots.get(ROOT + name) for name in self._names_of(host))

    def _names_of(self, host: str) -> tuple[str, ...]:
        """Return the names that the settings take for one host: with `strip_www`, with and without www."""
        return urls.with_and_without_www(host) if self._settings.strip_www else (host,)

    def _site_has_root(self, host: str) -> bool:
        noted = self._shared.find(ROOT)
        if noted is not self._sites[0]:  # the same mapping as long as nothing changes
            self._sites = (noted, frozenset(map(site, hosts(noted, ROOT))))
        return site(host) in self._sites[1]

    def _all_directories(self) -> frozenset[str]:
        noted = self._shared.find(BELOW)
        if noted is not self._directories[0]:
            self._directories = (noted, frozenset(hosts(noted, BELOW)))
        return self._directories[1]


def was_seeded(shared: Shared, host: str) -> bool:
    """Tell whether a person named this host, so that it may be at a private address."""
    return shared.find(ROOT).get(ROOT + host) == SEED


def path_of(url: str) -> str:
    """Return the path of a URL as it is sent, in its canonical form."""
    return urls.split(urls.folded(url))[2].partition("?")[0] or "/"


def directory(path: str) -> str:
    """Return the directory that a seed's path stands for: all up to its last slash.

    A single segment that has no dot, as in `/docs`, is a directory itself: the whole host was hardly meant.
    """
    above, _, last = path.rpartition("/")
    return f"/{last}/" if not above and last and "." not in last else f"{above}/"


def _is_above(url: str, start: str) -> bool:
    """Tell whether the directory of a URL contains that of the seed: a page that is gone may lead to the front page."""
    here, there = directory(path_of(url)), directory(path_of(start))
    return here != there and there.startswith(here)
