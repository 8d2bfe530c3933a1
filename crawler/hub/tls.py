"""TLS for the hub's wire: version 1.3, both sides show a certificate of one CA, and the hub's is for its name.

    DIR/ca.pem          the CA that both sides trust, and nobody else
    DIR/hub.pem, .key   what the hub shows
    DIR/ROLE.pem, .key  what a client shows: worker, producer or admin; its role is the OU of the subject

The key's handshake runs inside. By itself it could be relayed by an attacker between the two, who then speaks in the client's
place; with TLS that takes the hub's private key. A Unix socket has no TLS: there is no network between.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeGuard

from msgspec import Struct

from crawler.errors import UsageError
from crawler.hub.key import warn_if_open
from crawler.hub.roles import ROLES
from crawler.machine import private

CA, HUB = "ca", "hub"  # names of their files, as the roles are of theirs
DIRECTORY = "certs"  # in the data directory, where hub.certs is not set
PROBE = 1.0  # s to find out whether a server speaks TLS

# What OpenSSL calls the alert by which a hub refuses our certificate (a word of it), and what that says of the certificate.
# OpenSSL's guesses at the first bytes of a client without TLS.
_NO_TLS = ("HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL")
_ALERTS = {
    "UNKNOWN_CA": "it is not from the hub's CA",
    "DECRYPT_ERROR": "it is not from the hub's CA",
    "CERTIFICATE_EXPIRED": "it has expired",
    "CERTIFICATE_REQUIRED": "the hub has seen none",
    "UNSUPPORTED_CERTIFICATE": "it is not made for clients",
    "BAD_CERTIFICATE": "it cannot be used",
}
_EXPIRED = frozenset({9, 10})  # X509_V_ERR_: not yet valid, has expired
_NAME = frozenset({62, 64})  # X509_V_ERR_: another host name, another address
_PURPOSE = frozenset({26, 79})  # X509_V_ERR_: made for another use
_GONE = (ssl.SSLEOFError, ssl.SSLZeroReturnError)


class Tls(Struct, frozen=True):
    """TLS settings of this process. Made once, used for any number of connections."""

    context: ssl.SSLContext
    certificate: Path
    ca: Path

    def wrap_server(self, sock: socket.socket) -> ssl.SSLSocket:
        """Owns `sock` from now on; the handshake is still to come. Raises OSError."""
        return self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def wrap_client(self, sock: socket.socket, name: str) -> ssl.SSLSocket:
        """Wrap a client's socket, as `wrap_server` does; `name` is what the hub's certificate must be for."""
        return self.context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)


def for_hub(directory: str | Path) -> Tls:
    """Raises UsageError for files that are missing or do not fit."""
    tls = _load(ssl.PROTOCOL_TLS_SERVER, Path(directory), HUB)
    tls.context.verify_mode = ssl.CERT_REQUIRED
    tls.context.num_tickets = 0  # every connection shows its certificate; and nothing lies unread when a client leaves
    return tls


def refuse_unusable(tls: Tls) -> None:
    """Raise UsageError for a hub's certificate that no client would accept: it has expired, or is not from its CA."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(tls.ca)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server)
    far = tls.context.wrap_bio(to_server, to_client, server_side=True)
    try:
        for end in (near, far, near):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise UsageError(
            f"no client would accept {tls.certificate}: {error.verify_message}; remove it and its key, and "
            f"'crawler hub --make-certs {tls.certificate.parent} --names HOST,…' makes them anew"
        ) from error


def for_client(directory: str | Path, role: str) -> Tls:
    """Load the certificate of this role, or of another role if it is missing. Raises UsageError as `for_hub`."""
    folder = Path(directory)
    names = [name for name in (role, *ROLES) if (folder / f"{name}.pem").exists()]
    return _load(ssl.PROTOCOL_TLS_CLIENT, folder, names[0] if names else role)


def _load(protocol: ssl._SSLMethod, folder: Path, name: str) -> Tls:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    ca, certificate, key = folder / f"{CA}.pem", folder / f"{name}.pem", folder / f"{name}.key"
    for path in (ca, certificate, key):
        if not path.is_file():
            raise UsageError(
                f"there is no {path}; with --certs DIR (or hub.certs) name a directory with {CA}.pem, {name}.pem and "
                f"{name}.key, as 'crawler hub --make-certs DIR' makes them"
            )
    for trusted in (folder, ca, certificate, key):
        private.check_trusted(trusted)
    warn_if_open(key, "private key")
    try:
        context.load_verify_locations(ca)
        context.load_cert_chain(certificate, key, password=_no_password(key))
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "reason", None) or error.strerror or error
        raise UsageError(
            f"{certificate}, its key and {ca.name} cannot be used: {reason}; "
            "they must be PEM files, the key that of the certificate"
        ) from error
    return Tls(context, certificate, ca)


def _no_password(key: Path) -> Callable[[], str]:
    def refuse() -> str:
        raise UsageError(
            f"{key} has a password, and nobody is there to type it when a process is started again; "
            "keep the key without one, mode 0600"
        )

    return refuse


def complaint(error: Exception) -> str:
    """Text for the hub's log about a client that failed in TLS; "" if the client or the network has gone away."""
    if not _is_refusal(error):
        return ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    reason = _reason(error)
    why = "it did not begin with TLS" if reason in _NO_TLS else _words(reason)
    return f"TLS failed ({why}); a client needs TLS 1.3 and a certificate of our CA"


def explanation(error: Exception, tls: Tls, name: str) -> str:
    """Text for a client that failed to reach a hub over TLS, with the next step; "" as for `complaint`."""
    if not _is_refusal(error):
        return ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _mistrust(error, tls, name)
    reason = _reason(error)
    if "ALERT" in reason:
        why = next((words for word, words in _ALERTS.items() if word in reason), _words(reason))
        return f"it refuses our certificate {tls.certificate}: {why}; use those that were made with the hub's"
    return f"it does not speak TLS 1.3 ({_words(reason)}); start it with hub.tls = true, or set hub.tls = false here"


def _mistrust(error: ssl.SSLCertVerificationError, tls: Tls, name: str) -> str:
    code = error.verify_code
    if code in _EXPIRED:
        return f"its certificate is not valid today ({error.verify_message}); make it a new one with 'crawler hub --make-certs DIR'"
    if code in _NAME:
        return (
            f"its certificate is not for {name}; use a name it is for, "
            f"or make one with 'crawler hub --make-certs DIR --names {name}'"
        )
    if code in _PURPOSE:
        return "it shows a certificate that is no hub's; somebody else may be listening there"
    return f"its certificate is not from the CA in {tls.ca} ({error.verify_message}); use the {CA}.pem that was made with the hub's"


def _is_refusal(error: Exception) -> TypeGuard[ssl.SSLError]:
    return isinstance(error, ssl.SSLError) and not isinstance(error, _GONE)


def _reason(error: ssl.SSLError) -> str:
    return error.reason or str(error)


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ")


def speaks_tls(address: tuple[str, int]) -> bool:
    """Return whether a TLS server is there; its certificate is not checked and nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection(address, PROBE) as sock, context.wrap_socket(sock):
            return True
    except OSError:
        return False
