"""The cookies that sites set, and which of them go back with a request: RFC 6265bis §5.7 and §5.8. The jar of both HTTP clients.

    reply of a URL ──learn──▶ jar: by site, then by name, domain and path ──of──▶ Cookie header for a URL

A site is a registered domain by the public suffix list, or a host that has none. Cookies are kept in this process, within bounds,
and gone with it. As in browsers another port is not another host.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from msgspec import Struct

from crawler import Url, is_public_suffix, registered_domain
from crawler_stages.fetch.set_cookie import SetCookie, parse

MAX_COOKIES: Final = 50  # of a domain; RFC 6265bis §6.1 asks for no less
MAX_OF_SITE: Final = 180  # of a site, as in Chrome
SITES: Final = 500  # with cookies; the one not asked for longest is forgotten for the next
MAX_SENT: Final = 12_288  # bytes of one Cookie header; servers commonly take 8 to 16 kB of headers
MAX_HEADERS: Final = 1_000  # Set-Cookie headers of one reply that are read

_SECURE_PREFIX: Final = "__secure-"
_HOST_PREFIX: Final = "__host-"

_Key = tuple[str, str, bool, str]  # name, domain, whether of this host alone, path


class _Cookie(Struct):
    name: str
    value: str
    domain: str
    is_host_only: bool
    path: str
    expires: float | None  # s since the epoch; None: with the jar
    is_secure: bool
    created: int  # counts up; a cookie that is set anew keeps it
    used: int  # the same count, when it was last set or sent

    @property
    def key(self) -> _Key:
        return self.name, self.domain, self.is_host_only, self.path

    @property
    def pair(self) -> str:
        """The cookie as it is sent."""
        return f"{self.name}={self.value}" if self.name else self.value


class Cookies:
    """A cookie jar, within bounds. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """clock: s since the epoch."""
        self.name = secrets.token_hex(8)  # tells this jar from those of other processes
        self._clock = clock
        self._lock = threading.Lock()
        self._sites: OrderedDict[str, dict[_Key, _Cookie]] = OrderedDict()
        self._count = 0

    def of(self, url: Url) -> str:
        """Return the Cookie header for a URL; "" for none (§5.8.3): longer paths first, then the cookies that were set earlier.

        Of more than `MAX_SENT` bytes the newest cookies are sent, as far as they fit.
        """
        with self._lock:
            site = _site(url.hostname)
            cookies = self._sites.get(site)
            if cookies is None:
                return ""
            self._sites.move_to_end(site)
            self._drop_expired(cookies)
            found = _fitting([cookie for cookie in cookies.values() if _goes_to(cookie, url)])
            for cookie in found:
                cookie.used = self._next()
        found.sort(key=lambda cookie: (-len(cookie.path), cookie.created))
        return "; ".join(cookie.pair for cookie in found)

    def learn(self, url: Url, headers: Iterable[str]) -> bool:
        """Take the Set-Cookie headers of a reply, in order. Returns whether the jar has other cookies or values than before."""
        has_changed = False
        now = self._clock()
        for _, header in zip(range(MAX_HEADERS), headers, strict=False):
            given = parse(header, now)
            cookie = _cookie(given, url) if given else None
            if cookie:
                with self._lock:
                    has_changed |= self._store(cookie, url)
        return has_changed

    def _store(self, cookie: _Cookie, url: Url) -> bool:
        """Store a cookie in place of one of its name, domain and path (§5.7, from step 20). Returns False: nothing has changed."""
        site = _site(url.hostname)
        cookies = self._sites.setdefault(site, {})
        self._sites.move_to_end(site)
        self._drop_expired(cookies)
        if not (cookie.is_secure or url.scheme == "https") and any(_hides(cookie, other) for other in cookies.values()):
            return False
        old = cookies.pop(cookie.key, None)
        if cookie.expires is not None and cookie.expires <= self._clock():
            if not cookies:
                del self._sites[site]
            return old is not None
        cookie.used = self._next()
        cookie.created = old.created if old else cookie.used
        cookies[cookie.key] = cookie
        self._keep_to_bounds(cookies, cookie.domain)
        return old is None or old.value != cookie.value

    def _keep_to_bounds(self, cookies: dict[_Key, _Cookie], domain: str) -> None:
        """Drop surplus cookies, the least recently used first: of the domain, of the site, and of all sites."""
        of_domain = [cookie for cookie in cookies.values() if cookie.domain == domain]
        if len(of_domain) > MAX_COOKIES:
            del cookies[_least(of_domain).key]
        if len(cookies) > MAX_OF_SITE:
            del cookies[_least(cookies.values()).key]
        if len(self._sites) > SITES:
            self._sites.popitem(last=False)

    def _drop_expired(self, cookies: dict[_Key, _Cookie]) -> None:
        now = self._clock()
        for cookie in [each for each in cookies.values() if each.expires is not None and each.expires <= now]:
            del cookies[cookie.key]

    def _next(self) -> int:
        self._count += 1
        return self._count


def domain_matches(host: str, domain: str) -> bool:
    """Tell whether a host is a domain or below it (§5.1.3). An address is below nothing."""
    return host == domain or (host.endswith(f".{domain}") and not _is_address(host))


def default_path(url: Url) -> str:
    """Return the directory of a URL, without its last slash (§5.1.4)."""
    return url.path[: url.path.rfind("/")] or "/"


def path_matches(path: str, cookie_path: str) -> bool:
    """Tell whether a path is that of a cookie or below it (§5.1.4)."""
    return path == cookie_path or (path.startswith(cookie_path) and (cookie_path.endswith("/") or path[len(cookie_path)] == "/"))


def _cookie(given: SetCookie, url: Url) -> _Cookie | None:
    """Return the cookie that a URL sets; None: it may not (§5.7, up to step 19)."""
    host, domain = url.hostname, given.domain
    if not domain.isascii():
        return None
    if domain and is_public_suffix(domain):
        if domain != host:
            return None
        domain = ""
    is_too_open = given.is_secure and url.scheme != "https"
    if is_too_open or (domain and not domain_matches(host, domain)) or not _keeps_prefix(given, is_host_only=not domain):
        return None
    return _Cookie(
        given.name, given.value, domain or host, not domain, given.path or default_path(url), given.expires, given.is_secure, 0, 0
    )  # fmt: skip


def _keeps_prefix(given: SetCookie, *, is_host_only: bool) -> bool:
    """Tell whether a cookie is what its name promises (§4.1.3). A cookie without a name may not look as if it had such a name."""
    said = (given.name or given.value).lower()
    is_promised = said.startswith((_SECURE_PREFIX, _HOST_PREFIX))
    if not given.name:
        return not is_promised
    if said.startswith(_HOST_PREFIX) and not (is_host_only and given.path == "/"):
        return False
    return given.is_secure or not is_promised


def _hides(cookie: _Cookie, secure: _Cookie) -> bool:
    """Tell whether a cookie of plain HTTP would take the place of a secure one ("leave secure cookies alone", §5.7)."""
    is_near = domain_matches(cookie.domain, secure.domain) or domain_matches(secure.domain, cookie.domain)
    return secure.is_secure and cookie.name == secure.name and is_near and path_matches(cookie.path, secure.path)


def _goes_to(cookie: _Cookie, url: Url) -> bool:
    if cookie.is_secure and url.scheme != "https":
        return False
    is_of_host = cookie.domain == url.hostname if cookie.is_host_only else domain_matches(url.hostname, cookie.domain)
    return is_of_host and path_matches(url.path, cookie.path)


def _fitting(cookies: list[_Cookie]) -> list[_Cookie]:
    """Return the newest of these cookies that fit into one header."""
    if sum(len(cookie.pair) + 2 for cookie in cookies) <= MAX_SENT:
        return cookies
    room, found = MAX_SENT, []
    for cookie in sorted(cookies, key=lambda cookie: cookie.created, reverse=True):
        if len(cookie.pair) + 2 <= room:
            room -= len(cookie.pair) + 2
            found.append(cookie)
    return found


def _least(cookies: Iterable[_Cookie]) -> _Cookie:
    """Return the cookie to drop first: one that is not secure, used longest ago (§5.7, last step)."""
    return min(cookies, key=lambda cookie: (cookie.is_secure, cookie.used))


def _site(hostname: str) -> str:
    return registered_domain(hostname) or hostname


def _is_address(hostname: str) -> bool:
    return hostname.startswith("[") or hostname.replace(".", "").isdigit()
