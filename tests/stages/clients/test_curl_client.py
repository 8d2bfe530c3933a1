"""What is libcurl's own: one loop for all transfers, replies it refuses to read, HTTP/2. What all clients promise is in
test_client_contract.py."""

from __future__ import annotations

import gc
import logging
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pycurl
import pytest

from crawler import ConfigError, Guard, Url
from crawler_stages.clients import choice
from crawler_stages.clients.contract import BrokenReply, Client, ConnectFailed, TooBig
from crawler_stages.clients.curl.client import CurlClient
from crawler_stages.clients.curl.loop import Loop
from crawler_stages.clients.curl.transfer import Transfer
from crawler_stages.clients.requests.client import RequestsClient
from crawler_stages.clients.sockets import Attempt
from tests.peer import LIMITS, Peer, answering, body
from tests.stages.begun import BegunClient

GUARD = Guard(lambda host: True)
CROWD = 120  # transfers at once; the peer's queue of connections holds 128


@pytest.fixture
def client() -> Iterator[CurlClient]:
    client = CurlClient(LIMITS, GUARD)
    yield client
    client.close()


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "transfers"]


@pytest.mark.slow
def test_a_hundred_transfers_run_at_once_in_one_thread(serve: Callable[..., Peer], client: CurlClient) -> None:
    everybody = threading.Barrier(CROWD, timeout=LIMITS.timeout)

    def talk(connection: socket.socket) -> None:
        peer.hear(connection)
        everybody.wait()  # nobody is answered before all have asked
        connection.sendall(body(b"x" * 10_000))

    peer = serve(talk)
    loops = loop_threads()

    with ThreadPoolExecutor(CROWD) as pool:
        contents = [reply.content for reply in pool.map(lambda _: client.get(peer.url, {}), range(CROWD))]

    assert contents == [b"x" * 10_000] * CROWD
    assert peer.connections == CROWD
    assert loop_threads() == loops


@pytest.mark.slow
def test_what_is_over_is_not_kept_until_somebody_looks_for_circles(serve: Callable[..., Peer]) -> None:
    peer = serve()
    peer.talks.append(answering(body(b"x" * 100), keep=True)(peer))
    client = BegunClient(LIMITS, GUARD)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            client.get(peer.url, {})
        left = sum(isinstance(each, Transfer) for each in gc.get_objects())
    finally:
        gc.enable()
        client.close()

    assert left <= 2  # the last one, which its handle has, and the next to last, if the loop has just let go of it


def test_only_the_lines_that_were_asked_for_are_sent(serve: Callable[..., Peer], client: CurlClient) -> None:
    peer = serve()
    peer.talks.append(answering(body(b""))(peer))

    client.get(peer.url, {"X-Empty": "", "X-Full": "ü"})

    lines = peer.heard[0].split(b"\r\n")
    assert [line.partition(b":")[0] for line in lines[1:-2]] == [b"Host", b"X-Empty", b"X-Full", b"Accept-Encoding"]
    assert b"X-Full: \xfc" in lines
    with pytest.raises(ValueError, match="line break"):
        client.get(peer.url, {"X": "a\r\nCookie: b"})


def test_an_address_that_was_not_checked_is_not_connected_to() -> None:
    transfer = Transfer(Attempt(Url.parse("http://example.org/"), LIMITS, GUARD), ["8.8.8.8"], 0, None)
    address = SimpleNamespace(family=socket.AF_INET, socktype=socket.SOCK_STREAM, protocol=6, addr=("127.0.0.1", 80))

    assert transfer.on_socket(0, address) == pycurl.SOCKET_BAD

    transfer.finish(None)
    with pytest.raises(ConnectFailed, match=r"127\.0\.0\.1 is not an address that was checked"):
        transfer.wait()


def test_a_name_is_resolved_once_a_minute_and_anew_after_a_failure(
    serve: Callable[..., Peer], client: CurlClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = serve()
    peer.talks += [answering(body(b"fine"), keep=True)(peer)]
    asked: list[bytes] = []
    resolve = socket.getaddrinfo

    def count(name: bytes, *args: int, **kwargs: int) -> object:
        asked.append(name)
        return resolve(name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", count)
    url = f"http://localhost:{peer.host.rpartition(':')[2]}/"

    for _ in range(3):
        client.get(url, {})
    assert asked == [b"localhost"]

    with socket.create_server(("127.0.0.1", 0)) as free:
        gone = f"http://localhost:{free.getsockname()[1]}/"
    for _ in range(2):
        with pytest.raises(ConnectFailed):
            client.get(gone, {})
    assert asked == [b"localhost"] * 3


ODD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nno colon\r\n\r\nodd"


def test_a_host_whose_replies_libcurl_refuses_is_read_by_our_own_reader_from_then_on(
    serve: Callable[..., Peer], client: CurlClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "crawler_stages")
    peer = serve()
    peer.talks.append(answering(ODD, keep=True)(peer))

    contents = [client.get(peer.url, {}).content for _ in range(3)]

    assert contents == [b"odd"] * 3
    assert len(peer.heard) == 4  # once too many, and for the first page only
    assert caplog.text.count("this host is asked by requests from now on") == 1


def test_what_nobody_can_read_is_broken(serve: Callable[..., Peer], client: CurlClient) -> None:
    peer = serve()
    peer.talks.append(answering(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n")(peer))

    with pytest.raises(BrokenReply):
        client.get(peer.url, {})


def test_what_is_raised_while_a_header_is_looked_at_is_raised_to_who_asked(serve: Callable[..., Peer], client: CurlClient) -> None:
    peer = serve()
    peer.talks.append(answering(body(b"abc"))(peer))

    def wants(status: int, headers: list[tuple[str, str]]) -> bool:
        raise LookupError("no idea")

    with pytest.raises(LookupError, match="no idea"):
        client.get(peer.url, {}, wants=wants)


def test_a_transfer_that_is_left_ends_and_holds_up_no_other(serve: Callable[..., Peer]) -> None:
    client = CurlClient(msgspec.structs.replace(LIMITS, max_bytes=1 << 20), GUARD)
    left = threading.Event()

    def pour(connection: socket.socket) -> None:
        peer.hear(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                connection.sendall(bytes(65_536))
        finally:
            left.set()

    peer = serve(pour)
    peer.talks.append(answering(body(b"next"))(peer))

    with pytest.raises(TooBig, match="max_bytes"):
        client.get(peer.url, {})

    assert left.wait(LIMITS.timeout)
    assert client.get(peer.url, {}).content == b"next"
    client.close()


def test_closing_ends_what_runs_and_refuses_what_comes(serve: Callable[..., Peer], client: CurlClient) -> None:
    asked = threading.Event()

    def talk(connection: socket.socket) -> None:
        peer.hear(connection)
        asked.set()
        peer.stopped.wait()

    peer = serve(talk)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(client.get, peer.url, {})
        assert asked.wait(LIMITS.timeout)

        client.close()

        with pytest.raises(ConnectFailed, match="ended"):
            running.result(LIMITS.timeout)
    with pytest.raises(ConnectFailed, match="ended"):
        client.get(peer.url, {})
    client.close()


def test_a_loop_that_fails_leaves_nobody_waiting_and_the_next_request_has_a_new_one(
    serve: Callable[..., Peer], client: CurlClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    peer = serve()
    peer.talks.append(answering(body(b"fine"))(peer))

    def fail(self: Loop) -> None:
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_reap", fail)
        with pytest.raises(ConnectFailed, match="ended"):
            client.get(peer.url, {})

    assert client.get(peer.url, {}).content == b"fine"
    assert "the loop of transfers failed" in caplog.text


NGINX = """\
daemon off; master_process off; pid "{work}/pid"; error_log stderr;
events {{ }}
http {{
    access_log off; client_body_temp_path "{work}/a"; proxy_temp_path "{work}/b"; fastcgi_temp_path "{work}/c";
    uwsgi_temp_path "{work}/d"; scgi_temp_path "{work}/e";
    server {{
        listen 127.0.0.1:{port} ssl http2; ssl_certificate "{cert}"; ssl_certificate_key "{cert}";
        add_header X-Was $server_protocol; return 200 "{content}";
    }}
}}
"""


@pytest.mark.slow
def test_http_2_is_spoken_where_tls_offers_it(tmp_path: Path, certificate: Path) -> None:
    if shutil.which("nginx") is None:
        pytest.skip("optional: HTTP/2 is tried against nginx; install it")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(work=tmp_path, port=port, cert=certificate, content="x" * 1_000), encoding="utf-8")
    with subprocess.Popen(["nginx", "-e", "stderr", "-c", str(config)], stderr=subprocess.DEVNULL) as nginx:
        client = CurlClient(LIMITS, GUARD, verify=str(certificate))
        try:
            replies = [_until_there(client, f"https://localhost:{port}/") for _ in range(3)]
        finally:
            client.close()
            nginx.terminate()

    assert [(reply[0], dict(reply[1])["x-was"], reply[2]) for reply in replies] == [(200, "HTTP/2.0", b"x" * 1_000)] * 3


def _until_there(client: Client, url: str) -> tuple[int, list[tuple[str, str]], bytes]:
    for _ in range(500):
        try:
            reply = client.get(url, {})
        except ConnectFailed:
            threading.Event().wait(0.01)  # nginx says to nobody when it listens
        else:
            return reply.status, reply.headers, reply.content
    raise AssertionError(f"nothing answers at {url}")


def without_pycurl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycurl", None)


def with_an_old_libcurl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pycurl, "version_info", lambda: (4, "7.61.1", 0x073D01, "Linux", 0, "", 0, "", ("http", "https")))


def with_a_libcurl_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pycurl, "version_info", lambda: (4, "9.0.0", 0x090000, "Linux", 0, "", 0, "", ("http",)))


def test_auto_is_libcurl_where_it_is_installed() -> None:
    client, what = choice.choose("auto", LIMITS, GUARD)
    client.close()

    assert (type(client), what) == (CurlClient, f"libcurl {pycurl.version_info()[1]}")


@pytest.mark.parametrize(
    ("hamper", "reason"),
    [
        (without_pycurl, "without libcurl: "),
        (with_an_old_libcurl, "libcurl 7.61.1 is older than"),
        (with_a_libcurl_without_tls, "libcurl 9.0.0 is without https"),
    ],
)
def test_auto_is_requests_elsewhere_and_says_why(
    hamper: Callable[[pytest.MonkeyPatch], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hamper(monkeypatch)

    client, what = choice.choose("auto", LIMITS, GUARD)
    client.close()

    assert isinstance(client, RequestsClient)
    assert what.startswith(f"requests ({reason}")
    with pytest.raises(ConfigError, match=rf"stages\.fetch\.client: 'curl' cannot be used, {reason}.*pip install .*\[fast\]"):
        choice.choose("curl", LIMITS, GUARD)


@pytest.mark.parametrize("name", ["requests", "curl"])
def test_authorities_that_cannot_be_read_are_said_at_the_start(name: str, tmp_path: Path) -> None:
    (tmp_path / "junk.pem").write_bytes(b"no certificate")

    for file in ("missing.pem", "junk.pem"):
        with pytest.raises(ConfigError, match=r"stages\.fetch\.verify: .* cannot be read"):
            choice.choose(name, LIMITS, GUARD, verify=str(tmp_path / file))
