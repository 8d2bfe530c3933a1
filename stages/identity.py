"""Who we are to a site: the header we come with, and what of it is for this site alone.

    every site ─────▶ User-Agent, Accept, the headers that a person set
    this host only ─▶ Authorization: what a person set for it, or what stands in the URL
                  └─▶ Cookie: what it set itself, if cookies are on

Nothing of the second kind goes to a host it is not for: each redirect is a request of its own, and gets a header of its own.
"""

from __future__ import annotations

import base64
import threading
from collections import OrderedDict
from collections.abc import Mapping
from email.message import Message
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.parse import unquote_to_bytes
from urllib.request import Request

from crawler import ConfigError, Url
from stages.clients.base import Reply

MAX_COOKIES: Final = 50            # of a host; RFC 6265 §6.1 asks for no less
MAX_COOKIE: Final = 4_096          # bytes of one, likewise
HOSTS: Final = 500                 # with cookies; the one not asked for longest is forgotten for the next

_ACCEPT: Final = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"   # what browsers say, and servers expect
_PRIVATE: Final = {"authorization": "auth", "cookie": "cookies", "proxy-authorization": "proxy"}   # what is there instead


class Identity:
    """Thread-safe."""

    def __init__(self, agent: str, headers: Mapping[str, str], auth: Mapping[str, str], *, has_cookies: bool) -> None:
        """headers: for every site. auth: by host or origin, `user:password` or a whole value such as `Bearer TOKEN`."""
        self.agent = agent
        for name in headers:
            if name.lower() in _PRIVATE:
                raise ConfigError(
                    f"stages.fetch.headers: {name} would go to every site that is crawled; "
                    f"set stages.fetch.{_PRIVATE[name.lower()]} instead"
                )
        self._headers = {"User-Agent": agent, "Accept": _ACCEPT, **headers}
        self._auth = {_where(name): _authorization(name, value) for name, value in auth.items()}
        self._cookies = Cookies() if has_cookies else None

    def headers(self, url: Url) -> dict[str, str]:
        """For a request of this URL."""
        authorization = _basic(url) or self._auth.get(url.origin) or self._auth.get(url.host)
        cookie = self._cookies.of(url) if self._cookies else ""
        own = {"Authorization": authorization, "Cookie": cookie}
        return self._headers | {name: value for name, value in own.items() if value}

    def learn(self, url: Url, reply: Reply) -> bool:
        """Keep the cookies of a reply. True: this host had none of ours before, so it may say something else now."""
        return self._cookies is not None and self._cookies.learn(url, reply)


class Cookies:
    """What hosts set, each for itself: a cookie for a whole domain is kept for the host that set it, a port is another host.

    Kept in this process, bounded; gone with it. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jars: OrderedDict[str, CookieJar] = OrderedDict()      # by host

    def of(self, url: Url) -> str:
        """The value of a Cookie header; "" is none."""
        with self._lock:
            jar = self._jars.get(url.host)
            if jar is None:
                return ""
            self._jars.move_to_end(url.host)
        request = _request(url)
        jar.add_cookie_header(request)
        return request.get_header("Cookie") or ""

    def learn(self, url: Url, reply: Reply) -> bool:
        """True: these are the first."""
        values = [value for name, value in reply.headers if name.lower() == "set-cookie" and len(value) <= MAX_COOKIE]
        if not values:
            return False
        with self._lock:
            jar = self._jars.setdefault(url.host, CookieJar(DefaultCookiePolicy(strict_ns_domain=DefaultCookiePolicy.DomainStrict)))
            self._jars.move_to_end(url.host)
            if len(self._jars) > HOSTS:
                self._jars.popitem(last=False)
        before = len(jar)
        jar.extract_cookies(_Answer(values[:MAX_COOKIES]), _request(url))  # type: ignore[arg-type]
        for cookie in list(jar)[:-MAX_COOKIES]:
            jar.clear(cookie.domain, cookie.path, cookie.name)
        return before == 0 < len(jar)


class _Answer:
    """A reply, as far as `http.cookiejar` looks at it: not at its type."""

    def __init__(self, values: list[str]) -> None:
        self._message = Message()
        for value in values:
            self._message["Set-Cookie"] = value

    def info(self) -> Message:
        return self._message


def _request(url: Url) -> Request:
    return Request(url.href)  # noqa: S310  never opened: http.cookiejar wants to be asked in this form


def _where(name: str) -> str:
    """An origin, or a host with any scheme, as in `Url`."""
    text = name if "://" in name else f"http://{name}"
    url = Url.parse(text)
    if url.path != "/" or url.search or url.scheme not in ("http", "https"):
        raise ConfigError(f"stages.fetch.auth: {name!r} is not a host; expected one such as example.org, or https://example.org")
    return url.origin if "://" in name else url.host


def _authorization(name: str, value: str) -> str:
    scheme, _, rest = value.partition(" ")
    if rest and scheme.isalpha() and ":" not in value:
        return value
    user, colon, password = value.partition(":")
    if not colon:
        raise ConfigError(f"stages.fetch.auth: the value for {name} is neither user:password nor a scheme and a token ('Bearer …')")
    return _encoded(user.encode(), password.encode())


def _basic(url: Url) -> str:
    """User name and password of the URL itself; a page can set them for its own host only (see the frontier)."""
    if not (url.username or url.password):
        return ""
    return _encoded(unquote_to_bytes(url.username), unquote_to_bytes(url.password))


def _encoded(user: bytes, password: bytes) -> str:
    return f"Basic {base64.b64encode(user + b':' + password).decode()}"
