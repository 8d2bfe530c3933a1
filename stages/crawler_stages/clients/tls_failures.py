"""TLS failures by kind: some are final, others are failed connections that are tried again. The table is the documentation.

A failure is final only if another attempt would end the same way: a certificate of ours or the server's is rejected, the protocol
is too old, or the server does not speak TLS on this port. Everything else that ends a handshake (the server closes the session,
resets the connection, runs out of memory) says nothing about the site.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from crawler_stages.clients.contract import ConnectFailed, FetchFailed, NoTls, TlsFailed

if TYPE_CHECKING:
    import ssl

_ALERT: Final = 1000  # OpenSSL adds this to an alert's number in RFC 8446 §6 (SSL_AD_REASON_OFFSET)

# OpenSSL's reason number (sslerr.h): its name in Python's ssl module, and its kind. Any other number is a ConnectFailed.
_FINAL: Final[dict[int, tuple[str, type[FetchFailed]]]] = {
    134: ("CERTIFICATE_VERIFY_FAILED", TlsFailed),
    _ALERT + 42: ("SSLV3_ALERT_BAD_CERTIFICATE", TlsFailed),           # these concern our certificate, or that we have none
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
    267: ("WRONG_VERSION_NUMBER", NoTls),                              # the reply does not begin like a TLS record
}  # fmt: skip
_BY_NAME: Final = dict(_FINAL.values())

_NUMBER: Final = r"(?i)error:([0-9A-F]{8}):"
_END: Final = (0, 294)  # the server closed the session; the connection ended (UNEXPECTED_EOF_WHILE_READING)
_HUNG_UP: Final = "the server closed the connection during TLS"
_REASON: Final = 0x7F_FFFF  # the part of an OpenSSL 3 error number that is the reason; the rest names the library


def tls_failure(host: str, error: ssl.SSLError, text: str) -> FetchFailed:
    """Return our exception for an error of the standard library. text: the message of that error."""
    import ssl  # here, because libcurl does not need it

    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsFailed(f"{host}: certificate verify failed: {getattr(error, 'verify_message', text)}")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):  # versions differ in which of the two they raise
        return ConnectFailed(f"{host}: {_HUNG_UP}")
    return failed(_BY_NAME.get(getattr(error, "reason", None) or "", ConnectFailed), host, text)


def openssl_failure(text: str) -> tuple[type[FetchFailed], str] | None:
    """Return kind and text for a message that contains OpenSSL's error number, as libcurl's do; None if there is no number."""
    found = re.search(_NUMBER, text)
    if found is None:
        return None
    number = int(found[1], 16) & _REASON
    return _FINAL.get(number, ("", ConnectFailed))[1], _HUNG_UP if number in _END else text


def failed(kind: type[FetchFailed], host: str, text: str) -> FetchFailed:
    """Return an exception of this kind, with advice in the message if there is any."""
    if issubclass(kind, NoTls):
        text = "does not speak TLS; if it speaks plain HTTP, write http:// instead of https://"
    return kind(f"{host}: {text}")
