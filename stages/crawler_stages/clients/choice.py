"""Choice of the HTTP client a fetch stage uses, and the log line about it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from crawler import ConfigError, Guard, how_to_install
from crawler_stages.clients.contract import Client, Limits

LIBCURL: Final = 0x08_0B_00  # 8.11: the oldest that has passed the tests of the clients


def preload(name: str) -> None:
    """Import the client that `choose` will make."""
    kind = "requests" if name == "requests" or _lacking() else "curl"
    import_module(f"crawler_stages.clients.{kind}.client")


def refuse(name: str, verify: bool | str = True) -> None:
    """Raise ConfigError for a client that is not installed, and for a file of certificate authorities that cannot be read."""
    if name == "curl" and (reason := _lacking()):
        raise ConfigError(f"stages.fetch.client: 'curl' cannot be used, {reason}; {how_to_install('fast')}, or set 'requests'")
    if isinstance(verify, str):
        import ssl  # here, because few crawls have their own authorities

        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(verify)
        except OSError as error:
            raise ConfigError(_unreadable(verify, error)) from error


def _unreadable(verify: bool | str, error: OSError) -> str:
    return f"stages.fetch.verify: {verify!r} cannot be read: {error.strerror or error}; write true, false, or a file of authorities"


def choose(
    name: str, limits: Limits, guard: Guard, *, verify: bool | str = True, proxies: Mapping[str, str] | None = None
) -> tuple[Client, str]:
    """Return the client, and its name for the log. name: "requests", "curl", or "auto" for curl where it can be used."""
    refuse(name)
    reason = "" if name == "requests" else _lacking()
    try:
        if name == "requests" or reason:
            from crawler_stages.clients.requests.client import RequestsClient  # here, because it takes its time

            client: Client = RequestsClient(limits, guard, verify=verify, proxies=proxies)
            return client, f"requests ({reason})" if reason else "requests"
        from crawler_stages.clients.curl.client import CurlClient  # here, because pycurl is an extra

        return CurlClient(limits, guard, verify=verify, proxies=proxies), f"libcurl {_version()[1]}"
    except OSError as error:
        raise ConfigError(_unreadable(verify, error)) from error


def _lacking() -> str:
    """Return why libcurl cannot be used; "" if it can."""
    try:
        version = _version()
    except ImportError as error:  # not there, or there without its libcurl
        return f"without libcurl: {error}"
    if version[2] < LIBCURL:
        return f"libcurl {version[1]} is older than 8.11"
    missing = [protocol for protocol in ("http", "https") if protocol not in version[8]]
    return f"libcurl {version[1]} is without {missing[0]}" if missing else ""


def _version() -> Any:
    return import_module("pycurl").version_info()
