"""The options of the fetch stage, `[stages.fetch]`, and which of them cannot work."""

from __future__ import annotations

import re
from typing import ClassVar, Final, Literal

from msgspec import field

from crawler import (
    BadUrl,
    BodyBytes,
    Collected,
    ConfigError,
    Delay,
    Expansion,
    Factor,
    HeaderBytes,
    Mistakes,
    Rate,
    Redirects,
    Stage,
    Timeout,
    Url,
    __version__,
    product_token,
)
from crawler_stages.clients.choice import refuse
from crawler_stages.fetch.identity import Identity

AGENT: Final = f"crawler/{__version__}"
# What parsers read, and gzipped sitemaps. Heritrix and Nutch fetch all that is linked and sort it out later; Colly and spider
# have such a gate. A type that is not said is let in.
READABLE: Final = ["text/*", "*/xml", "*/*+xml", "*/json", "*/*+json", "application/gzip", "application/x-gzip"]
_NO_HOST: Final = re.compile(r"[/@\s]")  # part of a URL, not of a host; a host may have a port
_SHOWN: Final = 80  # characters of a value in an error


class FetchOptions(Stage.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of `[stages.fetch]`."""

    client: Literal["auto", "curl", "requests"] = "auto"  # HTTP client; auto: curl where pycurl is installed, else requests
    timeout: Timeout = 60.0  # s for a request, from the call to the last byte; curl and Heritrix no limit, Scrapy 180
    connect_timeout: Timeout = 10.0  # s for TCP and TLS together
    min_rate: Rate = 100.0  # bytes a second on average, from 20 s after the first byte on; 0: any. Modems have 5,000
    max_bytes: BodyBytes = 10 << 20  # of a body, decoded or as sent; Nutch 1 MiB, Scrapy 1 GiB; more of smaller ones at once
    max_ratio: Expansion = 200.0  # decoded to sent, above 1 MiB; HTML has 10, bombs 1,000
    max_redirects: Redirects = 10  # on the way to a page; browsers 20, Heritrix 20
    max_header_bytes: HeaderBytes = 64 << 10  # of a header block
    content_types: list[str] = field(default_factory=lambda: list(READABLE))  # bodies of others are not read; [] reads all
    user_agent: str = ""  # "": crawler/VERSION, and the contact; the name it begins with is ours in robots.txt
    contact: str = ""  # URL or e-mail address of who runs this crawl: shown to every site
    headers: dict[str, str] = field(default_factory=dict)  # sent with every request
    auth: dict[str, str] = field(default_factory=dict)  # by host, sent to no other: "user:password", or "Bearer TOKEN"
    cookies: bool = False  # sent back as browsers do; each worker process has its own
    proxy: str | dict[str, str] = ""  # http:// URL, of one for each scheme; the environment's are not used
    revalidate: bool = False  # keep pages, and ask in later crawls for what has changed since
    state: str = ""  # directory of the kept pages; "": the context's; where that has none either, none are kept
    robots: bool = True  # robots.txt is obeyed
    sitemaps: bool = False  # those that a seed's robots.txt names are visited; they may list pages nobody links to
    pause_after_robots: Delay | None = (
        None  # s between a robots.txt and the page it was fetched for; None: the context's delay, frontier.delay
    )
    max_crawl_delay: Delay = 60.0  # s; a longer Crawl-delay is cut to this; Nutch skips the host at 30
    adaptive: Factor = 0.0  # times a page's seconds its host rests, 30 s at most; Heritrix 5
    allow_private: list[str] = field(default_factory=list)  # hosts that may be at private addresses, as in URLs; seeds may
    verify: bool | str = True  # check certificates; a string is the file of the authorities to trust

    OPERATIONAL: ClassVar[frozenset[str]] = frozenset({
        "client", "timeout", "connect_timeout", "min_rate", "max_bytes", "max_ratio", "max_header_bytes", "user_agent",
        "contact", "headers", "auth", "cookies", "proxy", "revalidate", "state", "pause_after_robots", "max_crawl_delay",
        "adaptive", "verify",
    })  # fmt: skip


def check(options: FetchOptions, table: str) -> None:
    """Raise Mistakes for options that cannot work: see `Stage.check`."""
    found = Collected()
    with found.mistakes():
        Identity(agent(options), options.headers, options.auth, has_cookies=False)
    with found.mistakes():
        _refuse_nameless(options)
    with found.mistakes():
        proxies(options.proxy)
    with found.mistakes():
        refuse(options.client, options.verify)
    for host in options.allow_private:
        if _NO_HOST.search(host):
            wrong = f"{host!r} is not a host; write it as in URLs, without scheme and path"
            found.each.append(f"stages.fetch.allow_private: {wrong}")
    if found.each:
        raise Mistakes([message.replace("stages.fetch", table, 1) for message in found.each])


def agent(options: FetchOptions) -> str:
    """Return the User-Agent that is sent."""
    return options.user_agent or AGENT + (f" (+{options.contact})" if options.contact else "")


def _refuse_nameless(options: FetchOptions) -> None:
    """Raise ConfigError for a User-Agent without a name that a robots.txt could use."""
    typed = options.user_agent
    if typed and not product_token(typed):
        raise ConfigError(
            f"stages.fetch.user_agent: {typed[:_SHOWN]!r} does not begin with a name, by which robots.txt could mean us; begin it "
            "with letters, '-' or '_' (RFC 9309 §2.2.1), for example 'ExampleBot/1.0 (+https://example.org/bot)'"
        )


def proxies(option: str | dict[str, str]) -> dict[str, str]:
    """Return the proxy for each scheme that has one. Raises ConfigError."""
    found = {"http": option, "https": option} if isinstance(option, str) else option
    for scheme, proxy in found.items():
        try:
            is_usable = not proxy or Url.parse(proxy).scheme == "http"
        except BadUrl:
            is_usable = False
        if scheme not in ("http", "https") or not is_usable:  # the value may hold a password: it is not shown
            raise ConfigError(_unusable(scheme))
    return {scheme: proxy for scheme, proxy in found.items() if proxy}


def _unusable(scheme: str) -> str:
    if scheme not in ("http", "https"):
        return f"stages.fetch.proxy: {scheme!r} is no scheme that is fetched; name a proxy for http, https or both"
    return (
        f"stages.fetch.proxy: the proxy for {scheme} is no URL of an HTTP proxy; write http://HOST:PORT, such as "
        "http://127.0.0.1:3128 (SOCKS, and TLS to the proxy itself, are not supported)"
    )
