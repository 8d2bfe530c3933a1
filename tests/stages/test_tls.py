"""Certificates: checked by name, with authorities that can be told."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.clients.base import Client, ConnectFailed, TlsFailed
from tests.peer import Peer, answering, body


@pytest.mark.slow
def test_tls_is_verified_by_name_and_can_be_told_whom_to_trust(
    serve: Callable[..., Peer], make: Callable[..., Client], certificate: Path
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    peer = serve()

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            answering(body(b"x" * 200_000))(peer)(tls)

    peer.talks.append(talk)
    port = peer.host.rpartition(":")[2]

    trusting = make(verify=str(certificate))
    assert trusting.get(f"https://localhost:{port}/", {}).content == b"x" * 200_000
    with pytest.raises(TlsFailed, match=r"IP address mismatch|no alternative certificate subject name"):
        trusting.get(f"https://127.0.0.1:{port}/", {})
    with pytest.raises(TlsFailed, match="self-signed"):
        make().get(f"https://localhost:{port}/", {})


def test_a_handshake_cut_off_is_no_verdict_on_a_certificate(serve: Callable[..., Peer], make: Callable[..., Client]) -> None:
    peer = serve(lambda connection: connection.recv(4096))

    with pytest.raises(ConnectFailed):
        make().get(f"https://{peer.host}/", {})
