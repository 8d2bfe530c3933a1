"""URLs as browsers read them (WHATWG URL standard), the form that is sent, and the form under which the crawler knows each.

    what a person types ──seed──▶ ┐
    href on a page ──────join───▶ ├─▶ absolute URL ──as_written──▶ the URL that is sent
    anything ────────────parse──▶ Url, in its parts     └─canonical──▶ canonical URL ──key──▶ 16 bytes

As written means: as the standard serialises it, so without default port and dot segments and with the host in lower case ASCII, and
without fragment. Servers tell everything else apart, so it is sent as it stands. The canonical form only decides what is the same
page: percent-encoding is normalised in it (RFC 3986 §6.2.2) and options leave out parts of it. It is never sent.
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
MAX_LABEL: Final = 63  # characters between two dots of a host's name
MAX_NAME: Final = 253  # characters of a host's name
_PLACE_BYTES: Final = 3  # of these, the part shared by the URLs of a host; a collision takes 52 bits of work to find
_SHOWN: Final = 200  # characters of a bad URL in a message: it may be a megabyte

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

_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986 §2.3
# An octet that may be decoded. What follows a stray "%" may not: "%2%45" would become "%2E", which means something else.
_ESCAPE: Final = re.compile(r"(?<!%)(?<!%[0-9A-Fa-f])%([0-9A-Fa-f]{2})")


class Url(Struct, frozen=True):
    """A URL in its parts, each as the WHATWG standard serialises it; `str(url)` is the whole."""

    href: str
    scheme: str  # "https"
    username: str
    password: str
    host: str  # with the port, unless it is the scheme's own
    hostname: str  # without; an IPv6 address stands in brackets
    port: int | None  # None: the scheme's own
    path: str
    search: str  # with its "?"; "" where there is none, or nothing after it (see `target`)
    fragment: str  # with its "#"; "" in the same cases
    origin: str  # scheme, host and port: what robots.txt and passwords belong to

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

    @property
    def target(self) -> str:
        """Path and query as they are sent. An empty query keeps its "?", because `/a?` is not `/a`."""
        if self.search or "?" not in self.href:
            return self.path + self.search
        return self.path + ("?" if self.href.partition("#")[0].endswith("?") else "")

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
    """Return the origin of a text that the standard's parser would write unchanged; None for any other."""
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
    """Return whether a URL is visibly in the form the standard's parser writes. Takes a fifth of the time of parsing."""
    plain = _PLAIN.fullmatch(url)
    return plain is not None and _origin(plain[1]) is not None


def is_crawlable(url: str) -> bool:
    """Return whether a text is a URL, and http or https."""
    try:
        return parse(url).scheme in ("http", "https")
    except BadUrl:
        return False


def as_written(url: str | Url) -> str:
    """Return a URL as it is sent: as the standard serialises it, without fragment. BadUrl: not a URL."""
    text = str(url)
    if is_plain(text):
        return text
    try:
        return ada_url.normalize_url(text).partition("#")[0]
    except ValueError:
        return parse(text).href.partition("#")[0]


def canonical(url: str | Url, *, sort_query: bool = False, drop_params: Sequence[str] = (), strip_www: bool = False) -> str:
    """Return the form under which a URL is known; of this form it is a fixed point. BadUrl: not a URL.

    Percent-encoding is normalised: hexadecimal digits in upper case, unreserved characters decoded. sort_query: order parameters by
    name, those of one name stay in their order. drop_params: names to leave out, `*` stands for anything. strip_www:
    `www.example.org` is `example.org`.
    """
    return folded(as_written(url), sort_query=sort_query, drop_params=drop_params, strip_www=strip_www)


def folded(written: str, *, sort_query: bool = False, drop_params: Sequence[str] = (), strip_www: bool = False) -> str:
    """Return the canonical form of a URL that `as_written` gave: the same as `canonical`, without parsing it again."""
    form = written
    if "%" in form and form.startswith(_CRAWLABLE):
        form = _ESCAPE.sub(_normalised, form)
    if strip_www and form.startswith(_CRAWLABLE):
        form = _without_www(form)
    if (sort_query or drop_params) and "?" in form:
        form = _with_query(form, sort_query, tuple(drop_params))
    return form


def _normalised(escape: re.Match[str]) -> str:
    """Return an escaped octet as RFC 3986 §6.2.2 has it."""
    octet = chr(int(escape[1], 16))
    return octet if octet in _UNRESERVED else escape[0].upper()


def key(canonical: str) -> bytes:
    """Return the key that a canonical URL is deduplicated by: a cryptographic hash, so that no page can cheaply hide another.

    It begins with a hash of scheme and host: most links of a page lead to its own host, and lie beside each other wherever keys
    are kept in order. In an index of ten million, a page of it read and written for each link would be most of the hub's work.
    """
    place = _place(canonical[: canonical.find("/", len("https://"))])
    return place + blake2b(canonical.encode(), digest_size=KEY_BYTES - _PLACE_BYTES).digest()


def again(form: str, url: str, cookies: str = "") -> str:
    """Return the key text of a further visit of a page: its form with the spelling and the cookies that are sent this time.

    No canonical URL has a "#", so this is none.
    """
    return f"{form}#{cookies} {url}"


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
    """Return the URL a person means: `example.org/x` is `https://example.org/x`. Raises BadUrl if it or its host's name is none."""
    typed = text.strip()
    if lacks_scheme(typed):
        typed = f"https://{typed}"
    if _SCHEME.match(typed) and is_crawlable(typed):
        written = as_written(typed)
        if is_name(split(written)[1].partition(":")[0]):
            return written
    from crawler.web import slips  # here, because only mistakes need it

    why = slips.fault(typed)
    said = f"{shown(text)} cannot be crawled{f': {why}' if why else ''}"
    raise BadUrl(f"{said}; give an http:// or https:// URL, such as https://example.org/")


def is_name(host: str) -> bool:
    """Tell whether a host in ASCII can be looked up (RFC 1035 §2.3.4) and is no pattern; True for an IPv6 address."""
    if host.startswith("["):
        return True
    name = host.removesuffix(".")
    return len(name) <= MAX_NAME and "*" not in name and all(0 < len(label) <= MAX_LABEL for label in name.split("."))


def with_and_without_www(host: str) -> tuple[str, ...]:
    """Return the names that `strip_www` takes for this host, itself first."""
    name = bare(host)
    if name != host:
        return host, name
    other = f"www.{host}"
    return (host, other) if bare(other) == host else (host,)


def bare(host: str) -> str:
    """Return a host without a leading "www.", if what remains has a dot."""
    rest = host.removeprefix("www.")
    return rest if "." in rest else host


def _without_www(url: str) -> str:
    userinfo, host, rest = split(url)
    name = bare(host)
    if name == host:
        return url
    scheme = url[: url.index("//") + 2]
    return f"{scheme}{userinfo}{'@' if userinfo else ''}{name}{rest}"


def _with_query(url: str, is_sorted: bool, dropped: tuple[str, ...]) -> str:
    path, _, query = url.partition("?")
    if not query:
        return url  # an empty query is none of its parameters
    # Split undecoded: parts that we do not mean to change must not change.
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
