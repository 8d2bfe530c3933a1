"""Headers that identify us to a site, and which of them are for this site alone.

    every site ─────▶ User-Agent, Accept, the headers that a person set
    this host only ─▶ Authorization: from a seed's URL of this origin, or configured for it
                  └─▶ Cookie: what it or a host of its domain set, if cookies are on

Headers of the second kind are never sent to another host: each redirect is a request of its own, with its own headers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from crawler import AUTH, ConfigError, Shared, Url, Visit, authorization, basic_auth, header_fault
from crawler_stages.clients.contract import Reply
from crawler_stages.fetch.redirects import Redirects, learned

if TYPE_CHECKING:
    from crawler import Hosts
    from crawler_stages.fetch.cookies import Cookies

_ACCEPT: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"  # what browsers say, and servers expect
_NEWS: Final = 1.0  # s between reads of the notes: another worker's seed may have brought a password
_ORIGINS: Final = 10_000  # origins remembered as known
_NAMES: Final = {"authorization": "Authorization", "cookie": "Cookie"}
_PRIVATE: Final = {"authorization": "auth", "cookie": "cookies", "proxy-authorization": "proxy"}  # used instead


class Identity:
    """Thread-safe."""

    def __init__(
        self, agent: str, headers: Mapping[str, str], auth: Mapping[str, str], *, has_cookies: bool, shared: Shared | None = None,
        hosts: Hosts | None = None,
    ) -> None:  # fmt: skip
        """headers: for every site. auth: by host or origin, `user:password` or a whole value such as `Bearer TOKEN`.

        shared: holds the user names and passwords from the URLs of seeds. hosts: headers and credentials of single hosts.
        """
        self.agent = agent
        _refuse_header("user_agent", "User-Agent", agent)
        for name, value in headers.items():
            _refuse_header("headers", name, value)
            if name.lower() in _PRIVATE:
                raise ConfigError(
                    f"stages.fetch.headers: {name} would go to every site that is crawled; "
                    f"set stages.fetch.{_PRIVATE[name.lower()]} instead"
                )
            if name.lower() == "user-agent":
                raise ConfigError(
                    f"stages.fetch.headers: {name} would not be the name that is looked for in robots.txt; "
                    "set stages.fetch.user_agent instead"
                )
        own = {name.lower() for name in headers}
        ours = {"User-Agent": agent, "Accept": _ACCEPT}
        self._headers = {**{name: value for name, value in ours.items() if name.lower() not in own}, **headers}
        self._auth = {_where(name): _authorization(name, value) for name, value in auth.items()}
        self._cookies = _cookies() if has_cookies else None
        self._redirects = Redirects(self._cookies)
        self._typed = _Typed(shared) if shared is not None else None
        self._hosts = hosts
        self._known: dict[str, tuple[Mapping[str, str], str]] = {}  # by host that has a table, within bounds
        self._is_everywhere_the_same = not (self._auth or has_cookies or hosts)

    def headers(self, url: Url, *, is_seed: bool = False) -> Mapping[str, str]:
        """Return the headers for a request of this URL. is_seed: a person typed it, perhaps just now with a password."""
        typed = self._typed.of(url.origin, is_seed) if self._typed else ""
        if self._is_everywhere_the_same and not (typed or url.username or url.password):
            return self._headers
        headers, configured = self._of_host(url.host)
        credentials = _basic(url) or typed or self._auth.get(url.origin) or self._auth.get(url.host) or configured
        cookies = [self._cookies.of(url) if self._cookies else "", headers.get("Cookie", "")]
        own = {"Authorization": credentials, "Cookie": "; ".join(filter(None, cookies))}
        return {**headers, **{name: value for name, value in own.items() if value}}

    def _of_host(self, host: str) -> tuple[Mapping[str, str], str]:
        """Return the headers for a host, and the value of Authorization that is set for it."""
        table = self._hosts.of(host) if self._hosts else None
        if table is None:
            return self._headers, ""
        known = self._known.get(host)
        if known is None:
            mine = {_NAMES.get(name.lower(), name): value for name, value in table.headers.items()}
            taken = {name.lower() for name in mine}
            rest = {name: value for name, value in self._headers.items() if name.lower() not in taken}
            known = {**rest, **mine}, (authorization(table.auth) or "") if table.auth else ""
            if len(self._known) >= _ORIGINS:
                self._known.clear()
            self._known[host] = known
        return known

    def arrive(self, visit: Visit) -> None:
        """Take the cookies that the redirects on the way to a visit have set, if that was in another process."""
        trail = visit.trail
        if self._cookies is not None and trail and trail.jar != self._cookies.name:
            for url, header in learned(trail):
                self._cookies.learn(Url.parse(url), [header])

    def learn(self, url: Url, reply: Reply) -> Sequence[str]:
        """Keep the cookies of a reply. Returns its Set-Cookie headers if they changed anything."""
        if self._cookies is None:
            return ()
        headers = [value for name, value in reply.headers if name.lower() == "set-cookie"]
        return headers if headers and self._cookies.learn(url, headers) else ()

    def follow(self, visit: Visit, target: str, most: int, sent: str, news: Sequence[str]) -> Visit | str:
        """Return the visit that a redirect leads to, or why there is none: see `Redirects.follow`."""
        if self._hosts and (fixed := self._of_host(Url.parse(visit.url).host)[0].get("Cookie", "")):
            sent = sent.removesuffix(fixed).removesuffix("; ")  # it is sent with every visit, so it changes nothing
        return self._redirects.follow(visit, target, most, sent, news)


class _Typed:
    """User names and passwords from the URLs of seeds, by origin. Thread-safe.

    They are stored as notes before the seed is put. So the notes are read for each new origin and each seed, and from time to time.
    Reading them for each page would ask the hub again whenever any note has changed.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._met: set[str] = set()
        self._notes: Mapping[str, bytes] = {}
        self._read_at = -_NEWS

    def of(self, origin: str, is_seed: bool) -> str:
        """Return the header for an origin; "" for none."""
        now = time.monotonic()
        if is_seed or origin not in self._met or now - self._read_at > _NEWS:
            self._notes = self._shared.find(AUTH)
            self._read_at = now
            if len(self._met) >= _ORIGINS:
                self._met.clear()
            self._met.add(origin)
        noted = self._notes.get(AUTH + origin)
        if not noted:
            return ""
        user, _, password = noted.partition(b":")
        return basic_auth(unquote_to_bytes(user), unquote_to_bytes(password))


def _refuse_header(option: str, name: str, value: str) -> None:
    """Raise ConfigError for a header that cannot be sent. Its value is not shown, because it may be a secret."""
    if said := header_fault(name, value):
        raise ConfigError(f"stages.fetch.{option}: {said}")


def _cookies() -> Cookies:
    from crawler_stages.fetch.cookies import Cookies  # here, because few crawls keep cookies

    return Cookies()


def _where(name: str) -> str:
    """An origin, or a host with any scheme, as in `Url`."""
    text = name if "://" in name else f"http://{name}"
    url = Url.parse(text)
    if url.path != "/" or url.search or url.scheme not in ("http", "https"):
        raise ConfigError(f"stages.fetch.auth: {name!r} is not a host; expected one such as example.org, or https://example.org")
    return url.origin if "://" in name else url.host


def _authorization(name: str, value: str) -> str:
    header = authorization(value)
    if header is None:
        raise ConfigError(f"stages.fetch.auth: the value for {name} is neither user:password nor a scheme and a token ('Bearer …')")
    return header


def _basic(url: Url) -> str:
    """Return user name and password of the URL itself. URLs from a frontier have none."""
    if not (url.username or url.password):
        return ""
    return basic_auth(unquote_to_bytes(url.username), unquote_to_bytes(url.password))
