"""TLS: certificates are checked by name, with authorities that can be told, and failures are told apart by kind.

Servers that fail send raw bytes, so that every version of Python and OpenSSL gets the same.
"""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from crawler_stages.clients.contract import Client, ConnectFailed, NoTls, TlsFailed
from tests.certificates import self_signed
from tests.peer import Peer, Talk, answering, body

ALERT, HANDSHAKE = 0x15, 0x16  # types of record: RFC 8446 §5.1
TLS_1_0, TLS_1_2 = b"\x03\x01", b"\x03\x03"


def record(kind: int, content: bytes, version: bytes = TLS_1_2) -> bytes:
    return bytes([kind]) + version + struct.pack("!H", len(content)) + content


def says(reply: bytes) -> Talk:
    """Answer the client's first message with these bytes, and hang up once the client has."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(reply)
        connection.recv(65_536)

    return talk


def alert(number: int) -> Talk:
    return says(record(ALERT, bytes([2, number])))


def hangs_up(connection: socket.socket, said: bytes = b"") -> None:
    connection.recv(65_536)
    connection.sendall(said)


def closes_the_session(connection: socket.socket) -> None:
    hangs_up(connection, record(ALERT, b"\x01\x00"))


def stops_in_the_middle(connection: socket.socket) -> None:
    hangs_up(connection, record(HANDSHAKE, bytes(64))[:20])


def resets(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


SERVER_HELLO_1_0 = b"\x02\x00\x00\x26" + TLS_1_0 + bytes(32) + b"\x00\x00\x2f\x00"

TRIED_AGAIN: dict[str, Talk] = {
    "hangs up": hangs_up,
    "hangs up in a message": stops_in_the_middle,
    "close_notify": closes_the_session,
    "reset": resets,
    "internal_error": alert(80),
    "user_canceled": alert(90),
    "handshake_failure": alert(40),
    "bad_record_mac": alert(20),
}
UNSAFE: dict[str, Talk] = {
    "bad_certificate": alert(42),
    "unsupported_certificate": alert(43),
    "certificate_revoked": alert(44),
    "certificate_expired": alert(45),
    "certificate_unknown": alert(46),
    "unknown_ca": alert(48),
    "certificate_required": alert(116),
    "protocol_version": alert(70),
    "insufficient_security": alert(71),
    "TLS 1.0": says(record(HANDSHAKE, SERVER_HELLO_1_0, TLS_1_0)),
}


def served(talk: Talk, serve: Callable[..., Peer]) -> str:
    return f"https://localhost:{serve(talk).host.rpartition(':')[2]}/"


@pytest.fixture
def over_tls(serve: Callable[..., Peer]) -> Callable[..., str]:
    """Start a server with this certificate; returns its URL."""

    def start(certificate: Path, content: bytes = b"") -> str:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
        peer = serve()

        def talk(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as tls:
                answering(body(content))(peer)(tls)

        peer.talks.append(talk)
        return f"https://localhost:{peer.host.rpartition(':')[2]}/"

    return start


def test_an_authority_can_be_told(over_tls: Callable[..., str], make: Callable[..., Client], certificate: Path) -> None:
    url = over_tls(certificate, b"x" * 200_000)

    assert make(verify=str(certificate)).get(url, {}).content == b"x" * 200_000


def test_a_certificate_for_another_name_is_refused(
    over_tls: Callable[..., str], make: Callable[..., Client], certificate: Path
) -> None:
    url = over_tls(certificate).replace("localhost", "127.0.0.1")

    with pytest.raises(TlsFailed, match=r"127\.0\.0\.1"):
        make(verify=str(certificate)).get(url, {})


def test_a_self_signed_certificate_is_refused(over_tls: Callable[..., str], make: Callable[..., Client], certificate: Path) -> None:
    with pytest.raises(TlsFailed, match="localhost"):
        make().get(over_tls(certificate), {})


def test_an_expired_certificate_is_refused(over_tls: Callable[..., str], make: Callable[..., Client], tmp_path: Path) -> None:
    expired = self_signed(tmp_path / "expired.pem", days=-1)

    with pytest.raises(TlsFailed, match="localhost"):
        make(verify=str(expired)).get(over_tls(expired), {})


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("days", [365, -1], ids=["valid", "expired"])
def test_where_nothing_is_to_be_verified_any_certificate_is_accepted(
    over_tls: Callable[..., str], make: Callable[..., Client], tmp_path: Path, name: str, days: int
) -> None:
    url = over_tls(self_signed(tmp_path / "any.pem", days=days), b"page").replace("localhost", name)

    assert make(verify=False).get(url, {}).content == b"page"


@pytest.mark.parametrize("talk", TRIED_AGAIN.values(), ids=TRIED_AGAIN)
def test_a_handshake_that_ends_without_a_verdict_is_a_failed_connection(
    serve: Callable[..., Peer], make: Callable[..., Client], talk: Talk
) -> None:
    with pytest.raises(ConnectFailed, match="localhost"):
        make().get(served(talk, serve), {})


@pytest.mark.parametrize("talk", UNSAFE.values(), ids=UNSAFE)
def test_an_alert_about_a_certificate_or_an_old_protocol_is_final(
    serve: Callable[..., Peer], make: Callable[..., Client], talk: Talk
) -> None:
    with pytest.raises(TlsFailed, match="localhost"):
        make().get(served(talk, serve), {})


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0-OpenSSH_9.9\r\n"])
def test_a_server_that_does_not_speak_tls_is_told_from_one_that_fails(
    serve: Callable[..., Peer], make: Callable[..., Client], reply: bytes
) -> None:
    with pytest.raises(NoTls, match="does not speak TLS; if it speaks plain HTTP, write http:// instead of https://"):
        make().get(served(says(reply), serve), {})
