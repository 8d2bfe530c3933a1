"""Check of addresses before connecting: the public internet is allowed, and of all else only what a person named.

    host ──resolve once──▶ addresses ──each against the table──▶ socket addresses to connect to, or AddressRefused

A name is never resolved a second time between check and connection, so a name server that changes its answer gains nothing. The
table is our own: `ipaddress.is_global` calls multicast, NAT64 and, by version, 6to4 addresses global.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from crawler.errors import AddressRefused, BadUrl

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SocketAddress = tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]

_LABEL: Final = 64  # characters that a part of a name between dots must be shorter than (RFC 1035 §2.3.4)
METADATA: Final = "a cloud's metadata service"

_METADATA: Final = frozenset(
    map(ipaddress.ip_address, ("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"))
)  # AWS and most others, Alibaba, Azure, Oracle, AWS over IPv6

# IANA special-purpose registries (RFC 6890 and its updates).
_SPECIAL_V4: Final = [
    (ipaddress.IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this host (RFC 791)"),
        ("10.0.0.0/8", "private (RFC 1918)"),
        ("100.64.0.0/10", "carrier-grade NAT (RFC 6598)"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local (RFC 3927)"),
        ("172.16.0.0/12", "private (RFC 1918)"),
        ("192.0.0.0/24", "reserved for protocols (RFC 6890)"),
        ("192.0.2.0/24", "documentation (RFC 5737)"),
        ("192.88.99.0/24", "6to4 relay (RFC 7526)"),
        ("192.168.0.0/16", "private (RFC 1918)"),
        ("198.18.0.0/15", "benchmarking (RFC 2544)"),
        ("198.51.100.0/24", "documentation (RFC 5737)"),
        ("203.0.113.0/24", "documentation (RFC 5737)"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved (RFC 1112)"),
    )
]
_SPECIAL_V6: Final = [
    (ipaddress.IPv6Network(network), reason)
    for network, reason in (
        ("::1/128", "loopback"),
        ("::/128", "unspecified"),
        ("64:ff9b:1::/48", "local NAT64 (RFC 8215)"),
        ("2001::/23", "reserved for protocols, Teredo among them (RFC 2928)"),
        ("2001:db8::/32", "documentation (RFC 3849)"),
        ("2002::/16", "6to4 (RFC 7526)"),
        ("3fff::/20", "documentation (RFC 9637)"),
        ("fc00::/7", "private (RFC 4193)"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local (RFC 3879)"),
        ("ff00::/8", "multicast"),
    )
]
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: how a v6-only network reaches all of IPv4, good and bad
_ISATAP: Final = 0x00005EFE  # RFC 5214: interface identifier before an IPv4 address
_PINNED: Final = 100_000  # hosts remembered as public


@lru_cache(maxsize=4096)
def refusal(ip: str) -> str | None:
    """Return why an address must not be connected to, or None if it belongs to the public internet."""
    address = ipaddress.ip_address(ip.partition("%")[0])
    return _refusal_v4(address) if isinstance(address, ipaddress.IPv4Address) else _refusal_v6(address)


def _refusal_v4(address: ipaddress.IPv4Address) -> str | None:
    if address in _METADATA:
        return METADATA
    return next((reason for network, reason in _SPECIAL_V4 if address in network), None)


def _refusal_v6(address: ipaddress.IPv6Address) -> str | None:
    if address in _METADATA:
        return METADATA
    if address.ipv4_mapped is not None:
        return _refusal_v4(address.ipv4_mapped)
    embedded = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if address in _NAT64:
        return _refusal_v4(embedded)
    for network, reason in _SPECIAL_V6:
        if address in network:
            return reason
    if address not in _GLOBAL_V6:
        return "not global unicast (RFC 4291)"
    if int(address) >> 32 & 0xFDFF_FFFF == _ISATAP:  # the bit left out tells a global IPv4 address from a local one
        return _refusal_v4(embedded)
    return None


class Guard:
    """Resolves names for a client and refuses addresses. Thread-safe.

    is_private_allowed: asked with the host as in `Url.host`; True if a person named this very host. Even then a name that was
    public once stays public (it cannot be rebound inwards), a name must not mix public and private addresses, and a metadata
    service must be named by its address.
    """

    def __init__(self, is_private_allowed: Callable[[str], bool]) -> None:
        self._is_private_allowed = is_private_allowed
        self._public: dict[str, None] = {}  # hosts a person named that were public when first resolved
        self._lock = threading.Lock()

    def resolve(self, hostname: str, port: int, host: str) -> list[SocketAddress]:
        """The socket addresses to connect to, in the order to try them. Raises AddressRefused, BadUrl, OSError.

        It takes as long as the resolver does, which knows no deadline of ours.
        """
        name = hostname.strip("[]")
        found = lookup(name, port)
        refused = [(address, reason) for _, (address, *_) in found if (reason := refusal(address))]
        if not self._is_private_allowed(host):
            if refused:
                raise AddressRefused(host, *refused[0])
            return found
        self._check_named(host, name, len(found), refused)
        return found

    def resolve_trusted(self, hostname: str, port: int) -> list[SocketAddress]:
        """Resolve a host that a person configured, such as a proxy, at any address."""
        return lookup(hostname.strip("[]"), port)

    def check(self, hostname: str, host: str) -> None:
        """Check a host without a resolver, because a proxy is going to resolve it. Raises AddressRefused."""
        name = hostname.strip("[]").rstrip(".")
        is_local = name == "localhost" or name.endswith(".localhost")  # RFC 6761 §6.3
        reason = "loopback" if is_local else refusal(name) if _is_address(name) else None
        if reason and not self._is_private_allowed(host):
            raise AddressRefused(host, name, reason)

    def _check_named(self, host: str, name: str, found: int, refused: list[tuple[str, str]]) -> None:
        with self._lock:
            if not refused:
                if len(self._public) >= _PINNED:
                    self._public.pop(next(iter(self._public)))
                self._public[host] = None
                return
            was_public = host in self._public
        address, reason = refused[0]
        if was_public or len(refused) < found:
            raise AddressRefused(host, address, f"{reason}, while the name has public addresses too", is_named=True)
        if reason == METADATA and address != name:
            raise AddressRefused(host, address, reason, is_named=True)


def lookup(name: str, port: int) -> list[SocketAddress]:
    """Return all addresses of a name, by one question to the resolver. Raises OSError: it has none. Raises BadUrl: no name."""
    is_plain = name.isascii() and all(0 < len(label) < _LABEL for label in name.removesuffix(".").split("."))
    try:
        # As bytes: for text, Python imports its IDNA codec with the tables of Unicode, 3 ms before the first page.
        found = socket.getaddrinfo(name.encode("ascii" if is_plain else "idna"), port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # from Python's IDNA codec; its message differs between versions
        raise BadUrl(f"{name[:200]!r} is not a host name: each part between dots must have 1 to 63 characters") from error
    return [(family, address[:2] if family == socket.AF_INET else address) for family, _, _, _, address in found]  # type: ignore[misc]  # of inet: a pair or four


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
