"""Table from libcurl's error codes to our failures. The table is the documentation."""

from __future__ import annotations

import os
from typing import Final

import pycurl

from crawler import MachineShort, Url, short_of, shortage_by_errno
from crawler_stages.clients.contract import (
    UNREACHABLE,
    BadName,
    BrokenReply,
    ConnectFailed,
    FetchFailed,
    Lacking,
    NameUnknown,
    TimedOut,
    TlsFailed,
    TooBig,
)
from crawler_stages.clients.curl.transfer import Transfer
from crawler_stages.clients.sockets import Attempt
from crawler_stages.clients.tls_failures import failed, openssl_failure


class Unreadable(BrokenReply):
    """HTTP, and not as libcurl wants it."""


class KeptClosed(ConnectFailed):
    """Raised if kept connections alone were tried, and the server had closed them (RFC 9112 §9.3.1): no failure of the server."""


_WEIRD: Final = pycurl.E_FTP_WEIRD_SERVER_REPLY  # CURLE_WEIRD_SERVER_REPLY since 7.51
_TOO_LARGE: Final = 100  # CURLE_TOO_LARGE, which pycurl has no name for
_CLIENT_CERTIFICATE: Final = 98  # CURLE_SSL_CLIENTCERT, the same

FAILURES: Final[dict[int, type[FetchFailed]]] = {  # any other code is a BrokenReply
    pycurl.E_URL_MALFORMAT: BadName,  # a URL for browsers, but not for libcurl
    pycurl.E_COULDNT_RESOLVE_HOST: NameUnknown,
    pycurl.E_COULDNT_RESOLVE_PROXY: ConnectFailed,
    pycurl.E_COULDNT_CONNECT: ConnectFailed,
    pycurl.E_OPERATION_TIMEDOUT: TimedOut,
    _WEIRD: Unreadable,
    pycurl.E_GOT_NOTHING: ConnectFailed,
    pycurl.E_SEND_ERROR: ConnectFailed,
    pycurl.E_SSL_CONNECT_ERROR: ConnectFailed,  # unless OpenSSL's number in the message says otherwise: see `tls_failures`
    pycurl.E_PEER_FAILED_VERIFICATION: TlsFailed,
    pycurl.E_SSL_CERTPROBLEM: TlsFailed,
    pycurl.E_SSL_CIPHER: TlsFailed,
    pycurl.E_SSL_ISSUER_ERROR: TlsFailed,
    pycurl.E_SSL_INVALIDCERTSTATUS: TlsFailed,
    _CLIENT_CERTIFICATE: TlsFailed,
    _TOO_LARGE: TooBig,  # a header beyond what libcurl takes, should ours be wider
}

_GONE: Final = (pycurl.E_SEND_ERROR, pycurl.E_RECV_ERROR, pycurl.E_GOT_NOTHING)
_EARLY: Final = 0.05  # s by which libcurl's clock, in whole milliseconds, may be before ours


def failure(curl: pycurl.Curl, transfer: Transfer, code: int, text: str) -> FetchFailed:
    """code, text: as CurlMulti.info_read has them."""
    attempt = transfer.attempt
    has_peer = curl.getinfo(pycurl.PRIMARY_IP) != ""
    whom = attempt.host if has_peer or not attempt.proxy else f"the proxy {Url.parse(attempt.proxy).host}"
    kind = FAILURES.get(code, BrokenReply)
    if kind is TimedOut:
        return _late(attempt, whom)
    if has_peer and attempt.proxy and transfer.is_in_tunnel:  # whatever it is that the proxy says, it is none of the site's
        return ConnectFailed(f"the proxy {Url.parse(attempt.proxy).host}: {text}")
    if code == _TOO_LARGE:  # libcurl's own limit of one line, 100 kB; it says nothing, or that it has no memory
        what = "trailer" if text else "header"
        return TooBig(f"a {what} of more than {attempt.limits.max_header_bytes} bytes; see stages.fetch.max_header_bytes")
    text = text or f"libcurl failed with its error {code}, and does not say why"
    errno: int = curl.getinfo(pycurl.OS_ERRNO)
    if not has_peer and (short := _shortage(code, errno, transfer)) is not None:
        return Lacking(short)
    if code == pycurl.E_RECV_ERROR and errno:
        kind = ConnectFailed
    elif code in (pycurl.E_SSL_CONNECT_ERROR, pycurl.E_RECV_ERROR):
        kind, text = openssl_failure(text) or (kind, text)
    if kind is ConnectFailed and code in _GONE and not attempt.is_connected and not attempt.received:
        kind = KeptClosed
    if kind is ConnectFailed and errno in UNREACHABLE:
        return ConnectFailed(f"{whom}: {os.strerror(errno)}", may_be_ours=True)
    return failed(kind, whom, os.strerror(errno) if errno and issubclass(kind, ConnectFailed) else text)


def _shortage(code: int, errno: int, transfer: Transfer) -> MachineShort | None:
    """Return what this machine lacks, if it is that which libcurl failed of."""
    if code == pycurl.E_OUT_OF_MEMORY:
        return short_of("memory")
    if code != pycurl.E_COULDNT_CONNECT:
        return None
    if not errno and transfer.attempt.is_connected:  # it never came to connect(2): the socket we gave it could not be copied
        return short_of("files")
    return shortage_by_errno(errno, transfer.addresses[0] if transfer.addresses else "")


def _late(attempt: Attempt, whom: str) -> TimedOut:
    limits = attempt.limits
    try:
        left = attempt.remaining()
    except TimedOut as late:  # says which limit it was
        return late
    if left > _EARLY:  # so it was not that one, and libcurl is told of no other but this
        return TimedOut(f"no connection to {whom} within {limits.connect_timeout:g} s; see stages.fetch.connect_timeout")
    return TimedOut(f"not finished after {limits.timeout:g} s; see stages.fetch.timeout")
