"""Which scheme a host is taken to speak that was typed without one."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from crawler.web import schemes
from crawler.web.schemes import Found, choose, probe
from tests.certificates import self_signed
from tests.site import Site


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where each connection is handed to `serve`."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with closing(connection):
                    serve(connection)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    self_signed(path)
    return path


def handshake(certificate: Path) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(connection: socket.socket) -> None:
        with suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()

    return serve


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_server_that_speaks_tls_is_taken_for_https_whatever_its_certificate(certificate: Path) -> None:
    with listening(handshake(certificate)) as port:
        assert probe("127.0.0.1", port) == Found.HTTPS


def test_a_server_that_refuses_our_handshake_in_tls_speaks_https() -> None:
    alert = b"\x15\x03\x03\x00\x02\x02\x28"  # fatal: handshake failure

    with listening(lambda connection: (connection.recv(4096), connection.sendall(alert))[1]) as port:
        assert probe("127.0.0.1", port) == Found.HTTPS


def test_a_server_that_speaks_plain_http_is_taken_for_http() -> None:
    with Site({"/": "tea"}) as site:
        (taken,) = choose([f"127.0.0.1:{site.port}/x"])

        assert taken.url == f"http://127.0.0.1:{site.port}/x"
        assert str(taken) == f"127.0.0.1:{site.port}/x answers over http only: taken as http://127.0.0.1:{site.port}/x"
        assert site.log == []  # no request was made to find out


@pytest.mark.parametrize("said", [b"", b"220 mail.example.org\r\n", b"\0" * 50])
def test_a_server_that_speaks_something_else_is_taken_for_http_where_the_port_was_typed(said: bytes) -> None:
    with listening(lambda connection: connection.sendall(said)) as port:
        assert probe("127.0.0.1", port) == Found.HTTP


def test_where_nobody_answers_https_is_taken_and_said() -> None:
    port = closed_port()

    (taken,) = choose([f"127.0.0.1:{port}"])

    assert taken.url == f"https://127.0.0.1:{port}/"
    assert str(taken) == (
        f"127.0.0.1:{port} answers neither over https nor over http: taken as https://127.0.0.1:{port}/; "
        "check its spelling, or write http:// before it"
    )
    assert choose(["name.invalid"])[0].found == Found.NOTHING


@pytest.mark.parametrize(
    ("tls", "http", "found", "url"),
    [
        (True, True, Found.HTTPS, "https://example.org/a"),
        (False, True, Found.HTTP, "http://example.org/a"),
        (None, True, Found.HTTP, "http://example.org/a"),
        (None, False, Found.NOTHING, "https://example.org/a"),
    ],
)
def test_the_usual_ports_are_asked_in_turn(
    monkeypatch: pytest.MonkeyPatch, tls: bool | None, http: bool, found: Found, url: str
) -> None:
    # Nobody may listen at ports 443 and 80 of a test's machine: what is asked there is answered here.
    monkeypatch.setattr(schemes, "_speaks_tls", lambda host, port: tls if port == 443 else None)
    monkeypatch.setattr(schemes, "_listens", lambda host, port: http and port == 80)

    (taken,) = choose(["example.org/a"])

    assert (taken.found, taken.url) == (found, url)


def test_a_scheme_that_was_typed_is_not_questioned_and_a_host_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int | None]] = []
    monkeypatch.setattr(schemes, "probe", lambda *place: asked.append(place) or Found.HTTP)

    taken = choose(
        ["http://example.org/", "example.org", "example.org/a", "example.org:443/b", "[::1]:8000", "https://example.com"]
    )

    assert [each.typed for each in taken] == ["example.org", "example.org/a", "example.org:443/b", "[::1]:8000"]
    assert sorted(asked, key=str) == sorted([("example.org", None), ("example.org", 443), ("::1", 8000)], key=str)


def test_of_very_many_hosts_some_are_asked_and_https_is_assumed_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemes, "probe", lambda *place: Found.HTTP)

    taken = choose([f"h{number}.example.org" for number in range(1_000)])

    assert [each.found for each in taken] == [Found.HTTP] * schemes.MOST + [Found.NOT_ASKED] * (1_000 - schemes.MOST)
    assert taken[-1].url == "https://h999.example.org/"
    assert "has no scheme: taken as https" in str(taken[-1])


@pytest.mark.slow
def test_a_host_that_does_not_answer_at_all_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr(schemes, "PATIENCE", 0.2)
    monkeypatch.setattr(schemes, "probe", lambda *place: never.wait() or Found.NOTHING)
    began = time.monotonic()

    (taken,) = choose(["example.org"])
    never.set()

    assert taken.found == Found.NOT_ASKED
    assert taken.url == "https://example.org/"
    assert time.monotonic() - began < 60


def test_behind_a_proxy_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemes, "probe", lambda *place: 1 / 0)

    (taken,) = choose(["example.org"], can_ask=False)

    assert taken.url == "https://example.org/"
