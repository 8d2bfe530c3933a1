"""URLs as browsers read them (WHATWG URL standard), and the one form under which the crawler knows each.

    what a person types ──seed──▶ ┐
    href on a page ──────join───▶ ├─▶ absolute URL ──canonical──▶ canonical URL ──key──▶ 16 bytes
    anything ────────────parse──▶ Url, in its parts

Canonical means: no fragment, no default port, dot segments resolved, host in lower case ASCII. The case of path and query and
the order of a query's parameters are kept, because servers tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import blake2b
from typing import Final
from urllib.parse import unquote_plus

import ada_url
from msgspec import Struct

from crawler.errors import BadUrl

KEY_BYTES: Final = 16
MAX_PORT: Final = 65_535
_PLACE_BYTES: Final = 3            # of these, what the URLs of a host have in common; two of one key take 52 bits of work to find
_SHOWN: Final = 200                # characters of a bad URL in a message: it may be a megabyte

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://", re.ASCII | re.IGNORECASE)
# Three patterns that few processes use: `re` compiles them when they are first needed, and remembers that.
# A host with a dot, localhost or an IPv6 address, maybe a port, and then the end or the rest of a URL.
_HOST: Final = r"(?i)(?:[^\s/?#@:\\]+\.[^\s/?#@:\\]+|localhost|\[[0-9a-f:.]+\])(?::\d{1,5})?(?=[/?#]|$)"
# Possible user info: everything up to the last @ before the path begins. The text may be cut off, or not be a URL at all.
_USERINFO: Final = r"^(?!mailto:)(\s*(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?[/\\]*)[^/\\?#]*@"
# The same for text that is not a URL, where a / may be part of a password.
_LIKE_USERINFO: Final = r"(?s)^(?!mailto:)(\s*(?:[a-zA-Z][a-zA-Z0-9+.-]*:(?=[/\\]))?+[/\\]*+)[^:@]*:.*@"
_CRAWLABLE: Final = ("http://", "https://")
# What a URL nearly always looks like: no user info, segments that do not begin with a dot, nothing that is to be escaped. It is as
# the standard's parser would write it, if its origin is.
_PLAIN: Final = re.compile(
    r"(https?://[a-z0-9.:-]{1,270}+)(?=/)((?:/[\w!$&'()*+,:;=@~-][\w!$&'()*+,:;=@~.-]*+)*+/?)(\?[\w!$&()*+,./:;=?@~%-]+)?", re.ASCII
)


class Url(Struct, frozen=True):
    """A URL in its parts, each as the WHATWG standard serialises it; `str(url)` is the whole."""

    href: str
    scheme: str                    # "https"
    username: str
    password: str
    host: str                      # with the port, unless it is the scheme's own
    hostname: str                  # without; an IPv6 address stands in brackets
    port: int | None               # None: the scheme's own
    path: str
    search: str                    # with its "?"; "" where there is none, or nothing after it
    fragment: str                  # with its "#", likewise
    origin: str                    # scheme, host and port: what robots.txt, cookies and passwords belong to

    @classmethod
    def parse(cls, url: str, base: str | Url | None = None) -> Url:
        """Read a URL of any scheme, relative to `base` if given. BadUrl: the standard calls it a failure."""
        if base is None and (plain := _PLAIN.fullmatch(url)) and (origin := _origin(plain[1])):
            text, path, search = plain.groups("")
            return cls(url, origin.scheme, "", "", origin.host, origin.hostname, origin.port, path, search, "", text)
        try:
            ada = ada_url.URL(_scalar(url), None if base is None else _scalar(str(base)))
        except ValueError:
            relative = "" if base is None else f" relative to {shown(str(base))}"
            raise BadUrl(f"{shown(url)} is not a URL{relative}; expected a URL such as https://example.org/") from None
        return cls(
            href=ada.href,
            scheme=ada.protocol[:-1],
            username=ada.username,
            password=ada.password,
            host=ada.host,
            hostname=ada.hostname,
            port=int(ada.port) if ada.port else None,
            path=ada.pathname,
            search=ada.search,
            fragment=ada.hash,
            origin=ada.origin,
        )

    def join(self, href: str) -> str | None:
        return join(self.href, href)

    def __str__(self) -> str:
        return self.href


parse = Url.parse


class _Origin(Struct, frozen=True):
    """Parts of a URL without path, named as there."""

    scheme: str
    host: str
    hostname: str
    port: int | None


@lru_cache(maxsize=10_000)
def _origin(text: str) -> _Origin | None:
    """Of what the standard's parser would write just so; None: it would not."""
    try:
        ada = ada_url.URL(f"{text}/")
    except ValueError:
        return None
    if ada.href != f"{text}/":
        return None
    return _Origin(ada.protocol[:-1], ada.host, ada.hostname, int(ada.port) if ada.port else None)


def join(base: str, href: str) -> str | None:
    """Return the absolute URL of a link, without fragment, user name and password: a page must not set credentials.

    None: not a URL, or not http(s).
    """
    try:
        url = ada_url.join_url(base, href)
    except ValueError:
        # Only a lone surrogate is worth a second try: the standard reads it as U+FFFD, an encoder refuses it.
        if _scalar(href) == href:
            return None
        return join(base, _scalar(href))
    return without_userinfo(url.partition("#")[0]) if url.startswith(_CRAWLABLE) else None


def is_plain(url: str) -> bool:
    """It is as the standard's parser would write it, and one can see so: in a fifth of the time that parsing takes."""
    plain = _PLAIN.fullmatch(url)
    return plain is not None and _origin(plain[1]) is not None


def is_crawlable(url: str) -> bool:
    """http or https, and a URL at all."""
    try:
        return parse(url).scheme in ("http", "https")
    except BadUrl:
        return False


def canonical(
    url: str | Url, *, sort_query: bool = False, drop_params: Sequence[str] = (), strip_www: bool = False
) -> str:
    """The form under which a URL is known; of this form it is a fixed point. BadUrl: not a URL.

    sort_query: order parameters by name, those of one name stay in their order. drop_params: names to leave out, `*` stands
    for anything. strip_www: `www.example.org` is `example.org`.
    """
    plain = str(url)
    if not is_plain(plain):
        try:
            plain = ada_url.normalize_url(plain).partition("#")[0]
        except ValueError:
            plain = parse(plain).href.partition("#")[0]
    if strip_www and plain.startswith(_CRAWLABLE):
        plain = _without_www(plain)
    if (sort_query or drop_params) and "?" in plain:
        plain = _with_query(plain, sort_query, tuple(drop_params))
    return plain


def key(canonical: str) -> bytes:
    """What a canonical URL is deduplicated by. A cryptographic hash, so that nobody can cheaply hide one page behind another.

    It begins with a hash of scheme and host: most links of a page lead to its own host, and lie beside each other wherever keys
    are kept in order. In an index of ten million, a page of it read and written for each link would be most of the hub's work.
    """
    place = _place(canonical[: canonical.find("/", len("https://"))])
    return place + blake2b(canonical.encode(), digest_size=KEY_BYTES - _PLACE_BYTES).digest()


@lru_cache(maxsize=10_000)
def _place(origin: str) -> bytes:
    return blake2b(origin.encode(), digest_size=_PLACE_BYTES).digest()


def split(canonical: str) -> tuple[str, str, str]:
    """User info, host and the rest (path and query) of a canonical http(s) URL, without parsing it again."""
    start = canonical.index("//") + 2
    end = canonical.index("/", start)
    userinfo, _, host = canonical[start:end].rpartition("@")
    return userinfo, host, canonical[end:]


def lacks_scheme(text: str) -> bool:
    """Tell whether the text is a host, perhaps with a path, that `seed` would take for https."""
    typed = text.strip()
    return not _SCHEME.match(typed) and re.match(_HOST, typed) is not None


def without_userinfo(canonical: str) -> str:
    """Return a canonical http(s) URL without its user info."""
    if "@" not in canonical:
        return canonical
    userinfo, host, rest = split(canonical)
    return f"{canonical[: canonical.index('//') + 2]}{host}{rest}" if userinfo else canonical


def origin(canonical: str) -> str:
    """Return scheme, host and port of a canonical http(s) URL without user info, as in `Url.origin`."""
    return canonical[: canonical.index("/", canonical.index("//") + 2)]


def seed(text: str) -> str:
    """What a person means by this: `example.org/x` is `https://example.org/x`. BadUrl: we cannot tell."""
    typed = text.strip()
    if lacks_scheme(typed):
        typed = f"https://{typed}"
    if not _SCHEME.match(typed) or not is_crawlable(typed):
        why = fault(typed)
        said = f"{shown(text)} cannot be crawled{f': {why}' if why else ''}"
        raise BadUrl(f"{said}; give an http:// or https:// URL, such as https://example.org/")
    return canonical(typed)


def fault(typed: str) -> str:
    """Return what is wrong with a text meant as a URL, without repeating it; "" if it is not one of the usual slips."""
    web = re.match(r"https?(:?[/\\]*)", typed, re.IGNORECASE)
    if web is None or not web[1]:
        return ""
    if not _SCHEME.match(typed):
        return "two slashes follow http: or https:"
    place = re.split(r"[/?#\\]", typed[web.end() :])[0].rpartition("@")[2]
    host, _, port = place.partition("]:") if place.startswith("[") else place.partition(":")
    if not host.strip():
        return "its host is missing"
    if re.search(r"\s", place.strip()):
        return "there is a space in its host"
    if port and re.fullmatch(r"[0-9]+", port) is None:
        return "its port is not a number"
    if port and int(port[:9]) > MAX_PORT:
        return f"its port is above {MAX_PORT}"
    return "its host is not a host's name or address"


def _without_www(url: str) -> str:
    userinfo, host, rest = split(url)
    bare = host.removeprefix("www.")
    if bare == host or "." not in bare:
        return url
    scheme = url[: url.index("//") + 2]
    return f"{scheme}{userinfo}{'@' if userinfo else ''}{bare}{rest}"


def _with_query(url: str, is_sorted: bool, dropped: tuple[str, ...]) -> str:
    path, _, query = url.partition("?")
    # Split as it stands, not decoded and encoded again: what we do not mean to change must not change.
    pairs = [(unquote_plus(pair.partition("=")[0]), pair) for pair in query.split("&")]
    if dropped:
        pairs = [(name, pair) for name, pair in pairs if not _is_dropped(name, dropped)]
    if is_sorted:
        pairs.sort(key=lambda pair: pair[0])
    kept = "&".join(pair for _, pair in pairs)
    return f"{path}?{kept}" if kept else path


@lru_cache(maxsize=4096)
def _is_dropped(name: str, dropped: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in dropped)


def _scalar(text: str) -> str:
    """Lone surrogates replaced, as the standard's scalar value strings have it; anything else comes back as it was."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def shown(text: str, *, is_quoted: bool = True) -> str:
    """Return text that was typed or sent by a server as it may stand in a message: cut, and without user name and password."""
    hidden, n = re.subn(_LIKE_USERINFO, lambda found: f"{found[1]}(hidden)@", text, count=1)
    hidden = hidden if n else masked(text)
    cut = hidden if len(hidden) <= _SHOWN else f"{hidden[:_SHOWN]}…"
    return repr(cut) if is_quoted else cut


def masked(text: str) -> str:
    """Return a URL, or a text meant as one, with its user info hidden."""
    return re.sub(_USERINFO, lambda found: f"{found[1]}(hidden)@", text, count=1)
