"""The cookies that hosts set, where a crawl is to send them back."""

from __future__ import annotations

import threading
from collections import OrderedDict
from email.message import Message
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final
from urllib.request import Request

from crawler import Url
from stages.clients.base import Reply

MAX_COOKIES: Final = 50            # of a host; RFC 6265 §6.1 asks for no less
MAX_COOKIE: Final = 4_096          # bytes of one, likewise
HOSTS: Final = 500                 # with cookies; the one not asked for longest is forgotten for the next


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
