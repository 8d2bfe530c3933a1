"""TLS failures by kind: which are final, and which are a failed connection that is tried again. The table is the documentation.

Final is only what another try would end the same way: a verdict on a certificate, ours or the server's; a protocol too old; a
server that does not speak TLS on this port. Everything else that ends a handshake (a server that hangs up, closes the session,
resets the connection, runs out of memory) says nothing about the site.
"""

from __future__ import annotations

import re
import ssl
from typing import Final

from stages.clients.base import ConnectFailed, FetchFailed, NoTls, TlsFailed

_ALERT: Final = 1000               # OpenSSL's number of an alert: this and its number in RFC 8446 §6 (SSL_AD_REASON_OFFSET)

# OpenSSL's reason number (sslerr.h): its name in Python's ssl module, and what it means. Anything else is a ConnectFailed.
_FINAL: Final[dict[int, tuple[str, type[FetchFailed]]]] = {
    134: ("CERTIFICATE_VERIFY_FAILED", TlsFailed),
    _ALERT + 42: ("SSLV3_ALERT_BAD_CERTIFICATE", TlsFailed),           # these are about a certificate of ours, or that we have none
    _ALERT + 43: ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", TlsFailed),
    _ALERT + 44: ("SSLV3_ALERT_CERTIFICATE_REVOKED", TlsFailed),
    _ALERT + 45: ("SSLV3_ALERT_CERTIFICATE_EXPIRED", TlsFailed),
    _ALERT + 46: ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", TlsFailed),
    _ALERT + 48: ("TLSV1_ALERT_UNKNOWN_CA", TlsFailed),
    _ALERT + 113: ("TLSV1_BAD_CERTIFICATE_STATUS_RESPONSE", TlsFailed),
    _ALERT + 116: ("TLSV13_ALERT_CERTIFICATE_REQUIRED", TlsFailed),
    258: ("UNSUPPORTED_PROTOCOL", TlsFailed),                          # TLS 1.0 and 1.1, small keys: no longer safe (RFC 8996)
    338: ("UNSAFE_LEGACY_RENEGOTIATION_DISABLED", TlsFailed),
    394: ("DH_KEY_TOO_SMALL", TlsFailed),
    _ALERT + 70: ("TLSV1_ALERT_PROTOCOL_VERSION", TlsFailed),
    _ALERT + 71: ("TLSV1_ALERT_INSUFFICIENT_SECURITY", TlsFailed),
    156: ("HTTP_REQUEST", NoTls),
    267: ("WRONG_VERSION_NUMBER", NoTls),                              # the reply does not begin as a TLS record does
}  # fmt: skip
_BY_NAME: Final = dict(_FINAL.values())

_NUMBER: Final = re.compile(r"error:([0-9A-F]{8}):", re.IGNORECASE)
_END: Final = (0, 294)             # the other side closed the session; the connection ended (UNEXPECTED_EOF_WHILE_READING)
_HUNG_UP: Final = "the server closed the connection within TLS"
_REASON: Final = 0x7F_FFFF         # the part of OpenSSL 3's number that is the reason; the rest is the library


def tls_failure(host: str, error: ssl.SSLError, text: str) -> FetchFailed:
    """Our failure for one of the standard library's, to be raised. text: what the error says."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailed(f"{host}: certificate verify failed: {getattr(error, 'verify_message', text)}")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):    # which of the two differs between versions
        return ConnectFailed(f"{host}: {_HUNG_UP}")
    return failed(_BY_NAME.get(getattr(error, "reason", None) or "", ConnectFailed), host, text)


def openssl_failure(text: str) -> tuple[type[FetchFailed], str] | None:
    """Kind and text for a message that has OpenSSL's number in it, as libcurl's have. None: there is no number."""
    found = _NUMBER.search(text)
    if found is None:
        return None
    number = int(found[1], 16) & _REASON
    return _FINAL.get(number, ("", ConnectFailed))[1], _HUNG_UP if number in _END else text


def failed(kind: type[FetchFailed], host: str, text: str) -> FetchFailed:
    """A failure of this kind, to be raised, with the next step where there is one."""
    if issubclass(kind, NoTls):
        text = "does not speak TLS; if it speaks plain HTTP, write http:// instead of https://"
    return kind(f"{host}: {text}")
