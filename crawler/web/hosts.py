"""Settings of single hosts: which tables of [hosts] apply to a host, and their combined values.

    [hosts."*.example.org"]  delay = 5                  all hosts below example.org, not example.org itself
    [hosts."www.example.org"]  delay = 1, auth = "…"    this one: of several tables the most specific counts, key by key

A host is written as it stands in URLs: with its port, unless that is the usual one. Credentials go to one host alone, so a table
for many hosts may have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from crawler.config.settings import HostSettings
from crawler.errors import BadUrl, Collected, ConfigError
from crawler.web import urls
from crawler.web.headers import authorization, header_fault

if TYPE_CHECKING:
    from crawler.web.urls import Url

WILDCARD: Final = "*."
CREDENTIALS: Final = frozenset({"authorization", "cookie"})  # headers that may be sent to a single host only
_REFUSED: Final = {                # headers that cannot be set here, and the setting to use instead
    "proxy-authorization": "stages.fetch.proxy", "user-agent": "stages.fetch.user_agent, the name that is looked for in robots.txt",
}  # fmt: skip
_REMEMBERED: Final = 10_000  # hosts


class Hosts:
    """The settings of hosts by name. Thread-safe. The tables must have passed `check`."""

    def __init__(self, tables: Mapping[str, HostSettings]) -> None:
        self._single = {named(name): table for name, table in tables.items() if not name.startswith(WILDCARD)}
        wild = {name.removeprefix(WILDCARD): table for name, table in tables.items() if name.startswith(WILDCARD)}
        self._below = {f".{named(name)}": table for name, table in wild.items()}
        self.of = lru_cache(maxsize=_REMEMBERED)(self._of)  # of a host as in `Url.host`; None: no table applies

    def _of(self, host: str) -> HostSettings | None:
        suffixes = sorted((suffix for suffix in self._below if host.endswith(suffix)), key=len)
        tables = [self._below[suffix] for suffix in suffixes]  # the most specific one last
        if host in self._single:
            tables.append(self._single[host])
        return _together(tables) if tables else None


def _together(tables: list[HostSettings]) -> HostSettings:
    values: dict[str, Any] = {}
    headers: dict[str, str] = {}
    for table in tables:
        for name, value in table.headers.items():
            headers = {known: kept for known, kept in headers.items() if known.lower() != name.lower()} | {name: value}
        values |= {key: value for key in HostSettings.__struct_fields__ if (value := getattr(table, key)) not in (None, "")}
    return HostSettings(**(values | {"headers": headers}))


def named(name: str) -> str:
    """Return a host as it stands in URLs. Raises BadUrl for text that is not a host."""
    scheme = "https" if name.endswith(":443") else "http"
    url = urls.parse(f"{scheme}://{name}/")
    if url.path != "/" or url.search or url.fragment or url.username or url.password or not url.host:
        raise BadUrl(f"{urls.shown(name)} is not a host")
    return url.host


def of_other_ports(tables: Mapping[str, HostSettings], seeds: Iterable[str]) -> list[str]:
    """Return a warning for each table that is for another port of a seed's host, and for no host of a seed."""
    hosts = {found.host: found.hostname for seed in seeds if (found := _parsed(seed)) is not None}
    warnings = []
    for name in tables:
        host = "" if name.startswith(WILDCARD) else named(name)
        meant = [seed for seed, hostname in hosts.items() if hostname == host.partition(":")[0]]
        if host and meant and host not in hosts:
            warnings.append(f'warning: [hosts."{name}"] is not for {meant[0]}: a host has its port; write [hosts."{meant[0]}"]')
    return warnings


def _parsed(seed: str) -> Url | None:
    try:
        return urls.parse(seed)
    except BadUrl:
        return None


def check(tables: Mapping[str, HostSettings], place: Callable[[str], str] = lambda _: "") -> None:
    """Raise ConfigError with all mistakes in the tables. place: says where a key was set."""
    found = Collected()
    seen: dict[str, str] = {}
    for name, table in tables.items():
        with found.mistakes():
            where = place(f"hosts.{name}")
            shown = urls.shown(name, is_quoted=False)
            title = f'{where}: [hosts."{shown}"]' if where else f'[hosts."{shown}"]'
            host = _refuse_name(name, title)
            if host in seen:
                raise ConfigError(f'{title} and [hosts."{seen[host]}"] are the same host; keep one')
            seen[host] = name
            _refuse_headers(name, table, title)
    found.refuse()


def _refuse_name(name: str, title: str) -> str:
    """Return the host or wildcard of a table as it stands in URLs. Raises ConfigError."""
    mark = WILDCARD if name.startswith(WILDCARD) else ""
    bare = name.removeprefix(WILDCARD)
    example = 'write it as in URLs, such as "example.org", "example.org:8080", or "*.example.org" for all hosts below it'
    if "://" in bare or "/" in bare or "@" in bare:
        try:
            host = urls.parse(bare if "://" in bare else f"http://{bare}").host
        except BadUrl:
            host = ""
        raise ConfigError(f"{title} is not a host; " + (f'write [hosts."{mark}{host}"]' if host and "*" not in host else example))
    try:
        return mark + named(bare) if "*" not in bare else _refuse_star(title, example)
    except BadUrl as error:
        raise ConfigError(f"{title} is not a host; {example}") from error


def _refuse_star(title: str, example: str) -> str:
    raise ConfigError(f"{title}: a * stands only at the beginning, before a dot; {example}")


def _refuse_headers(name: str, table: HostSettings, title: str) -> None:
    """Raise ConfigError for headers that cannot be sent, and for credentials that would go to more than one host."""
    if table.auth and authorization(table.auth) is None:
        raise ConfigError(f"{title}: auth is neither user:password nor a scheme and a token ('Bearer …')")
    for header, value in table.headers.items():
        if said := header_fault(header, value):
            raise ConfigError(f"{title}: {said}")
        if header.lower() in _REFUSED:
            raise ConfigError(f"{title}: {header} is not set for one host; see {_REFUSED[header.lower()]}")
    secret = next((header for header in table.headers if header.lower() in CREDENTIALS), "auth" if table.auth else "")
    if secret and name.startswith(WILDCARD):
        below = name.removeprefix(WILDCARD)
        raise ConfigError(f"{title}: {secret} would go to every host below {below}; write a table for each of them")
