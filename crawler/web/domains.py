"""Registered domains and public suffixes, by the public suffix list (https://publicsuffix.org).

    www.shop.example.co.uk:8080 ──registered_domain──▶ example.co.uk
    co.uk, github.io            ──is_public_suffix──▶  True: names below it belong to different people

The list comes with `publicsuffixlist`; nothing is fetched. Both of its sections count, as in browsers, so `github.io` is a public
suffix. A top-level domain that is not listed is one too, by the list's implicit rule `*`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


@lru_cache(maxsize=10_000)
def registered_domain(host: str) -> str | None:
    """Return the public suffix of a host and one label more: what one owner has registered.

    host: as in `Url.host` or `Url.hostname`. None: an address, a name of one label such as `localhost`, or a public suffix itself.
    """
    name = _name(host)
    return None if is_address(name) else _suffixes().privatesuffix(name)


@lru_cache(maxsize=10_000)
def is_public_suffix(host: str) -> bool:
    """Tell whether names directly below this one belong to different owners. An address is no suffix; a single label is one."""
    name = _name(host)
    return not is_address(name) and bool(_suffixes().is_public(name))


def site(host: str) -> str:
    """Return the registered domain of a host or, where there is none, its name without the port. host: as above."""
    return registered_domain(host) or _name(host)


def is_same_site(one: str, other: str) -> bool:
    """Tell whether two hosts are of one site. A name with and without `www.` is, which needs no look into the list."""
    names = {_name(host).removeprefix("www.") for host in (one, other)}
    return len(names) == 1 or site(one) == site(other)


def is_address(hostname: str) -> bool:
    """Tell whether the host of a canonical URL, without port, is an IP address and not a name."""
    return hostname.startswith("[") or hostname.replace(".", "").isdigit()


def _name(host: str) -> str:
    """Return a host without port and without the dot that makes a name absolute."""
    return host[: host.index("]") + 1] if host.startswith("[") else host.partition(":")[0].removesuffix(".").lower()


@lru_cache(maxsize=1)
def _suffixes() -> PublicSuffixList:
    # Imported when first needed: the list takes 0.1 s to read, and most crawls do not need it.
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
