"""Between a client and a server: proxies, name servers, and what a client does not read."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pycurl
import pytest

from crawler import AddressRefused, ConfigError, Visit
from crawler.demo.loopback import Loopback, Request, Response
from crawler_stages.clients.contract import BrokenReply, Client, ConnectFailed, NoTls, TimedOut
from crawler_stages.clients.curl.transfer import Transfer
from crawler_stages.fetch import Fetch
from tests.peer import LIMITS

Make = Callable[..., Client]


class Proxy(Loopback):
    """Answers for every site, and remembers how it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, str]] = []

    def answer(self, request: Request) -> Response:
        self.asked.append((request.target, request.host, request.headers.get("Proxy-Authorization", "")))
        return Response(body=b"by proxy")


def test_a_proxy_is_asked_for_whole_urls_with_its_own_password(make: Make) -> None:
    with Proxy() as proxy:
        client = make(is_private_allowed=False, http=f"http://me:word@127.0.0.1:{proxy.port}")

        reply = client.get("http://example.org/a?b=[]", {"User-Agent": "test"})
        client.get("http://example.net:81/", {})

    assert reply.content == b"by proxy"
    assert proxy.asked == [
        ("http://example.org/a?b=[]", "example.org", "Basic bWU6d29yZA=="),
        ("http://example.net:81/", "example.net:81", "Basic bWU6d29yZA=="),
    ]


def test_a_proxy_is_not_used_to_reach_what_a_page_may_not(make: Make) -> None:
    with Proxy() as proxy:
        client = make(is_private_allowed=False, http=f"http://127.0.0.1:{proxy.port}")

        for url in ("http://127.0.0.1/", "http://[::ffff:7f00:1]/", "http://localhost:81/", "http://169.254.169.254/"):
            with pytest.raises(AddressRefused):
                client.get(url, {})

    assert proxy.asked == []


def test_the_proxy_itself_is_no_place_for_a_page_to_lead_to(make: Make) -> None:
    with Proxy() as proxy:
        client = make(is_private_allowed=False, http=f"http://127.0.0.1:{proxy.port}")
        client.get("http://example.org/", {})

        for scheme in ("http", "https"):
            with pytest.raises(AddressRefused):
                client.get(f"{scheme}://127.0.0.1:{proxy.port}/", {})

    assert len(proxy.asked) == 1


def test_https_goes_through_a_tunnel_and_what_is_at_its_end_is_verified(make: Make) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def tunnel() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(4096))
                connection.sendall(b"HTTP/1.1 200 Established\r\n\r\n")
                heard.append(connection.recv(4096))
                connection.sendall(b"this is no TLS, whatever the proxy says")

        thread = threading.Thread(target=tunnel)
        thread.start()
        with pytest.raises(NoTls):
            make(https=f"http://me:word@127.0.0.1:{listener.getsockname()[1]}").get("https://example.org/", {"User-Agent": "test"})
        thread.join()

    assert heard[0].startswith(b"CONNECT example.org:443 ")
    assert b"Proxy-Authorization: Basic bWU6d29yZA==\r\n" in heard[0].title().replace(b"Bwu6D29Yza==", b"bWU6d29yZA==")
    assert b"example.org" in heard[1]  # server name of the TLS hello
    assert b"test" not in heard[0] + heard[1]


REFUSAL = 100 << 20  # bytes that a proxy sends after its refusal


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 407 Who are you\r\nContent-Length: %d\r\n\r\n" % REFUSAL, "answers CONNECT with status 407"),
        (b"HTTP/1.1 503 Later\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % REFUSAL, "answers CONNECT with status 503"),
        (b"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1/\r\n\r\n", "answers CONNECT with status 302"),
        (b"HTTP/1.1 403 No\r\n", "answers CONNECT with (status 403|a header that cannot be read)"),
    ],
)
def test_a_proxy_that_refuses_a_tunnel_is_left_at_once_whatever_follows(make: Make, answer: bytes, told: str) -> None:
    sent = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            nonlocal sent
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(4096)
                connection.sendall(answer)
                while sent < REFUSAL:
                    sent += connection.send(b"x" * 65_536)

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(ConnectFailed, match=f"the proxy 127.0.0.1:{listener.getsockname()[1]} {told}"):
            make(https=f"http://127.0.0.1:{listener.getsockname()[1]}").get("https://example.org/", {})
        thread.join()

    assert sent < REFUSAL // 4  # what fits into buffers


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50_000, b"HTTP/1.1 100 Go on\r\n\r\n" * 50_000, b"x" * 400_000]
)
def test_an_answer_to_connect_that_does_not_end_is_a_failed_attempt(make: Make, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def talk() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=talk)
        thread.start()
        with pytest.raises((ConnectFailed, BrokenReply)):
            make(https=f"http://127.0.0.1:{listener.getsockname()[1]}").get("https://example.org/", {})
        thread.join()


def test_a_proxy_that_is_not_there_is_named(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(ConnectFailed, match=f"the proxy 127.0.0.1:{port}: Connection refused"):
        make(http=f"http://127.0.0.1:{port}").get("http://example.org/", {})


def test_the_proxies_of_the_environment_are_not_used(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy() as proxy, Proxy() as site:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")

        make().get(site.url, {})

    assert (len(proxy.asked), len(site.asked)) == (0, 1)


@pytest.mark.parametrize("proxy", ["socks5://h:1", "https://h:1", "h", {"ftp": "http://h:1"}])
def test_a_proxy_that_cannot_be_used_is_said_at_the_start(proxy: str | dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"stages\.fetch\.proxy: .*(write http://HOST:PORT|name a proxy for http)"):
        Fetch(Fetch.Options(proxy=proxy)).open()


def test_a_resolver_that_does_not_answer_costs_no_more_than_connecting_may(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def ponder(*_: object, **__: object) -> None:
        released.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "given up")

    monkeypatch.setattr(socket, "getaddrinfo", ponder)

    with pytest.raises(TimedOut, match=r"no address of example\.org within 0\.1 s"):
        make(limits=msgspec.structs.replace(LIMITS, connect_timeout=0.1)).get("http://example.org/", {})

    assert not released.is_set()  # so the resolver still ponders
    released.set()


def test_a_name_that_changes_its_address_is_connected_to_where_it_was_checked(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["8.8.8.8", "127.0.0.1"] * 5
    reached: list[str] = []

    def answer(name: bytes, port: int, type: int) -> list[object]:
        return [(socket.AF_INET, type, 6, "", (answers.pop(0), port))]

    def connect(self: socket.socket, address: tuple[str, int]) -> None:
        reached.append(address[0])
        raise ConnectionRefusedError(111, "Connection refused")

    def open_socket(self: Transfer, purpose: int, address: Any) -> int:
        reached.append(address.addr[0])
        return pycurl.SOCKET_BAD

    client = make(is_private_allowed=False)
    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setattr("crawler_stages.clients.sockets.TimedSocket.connect", connect)
    monkeypatch.setattr(Transfer, "on_socket", open_socket)

    for _ in range(5):
        with pytest.raises(ConnectFailed):
            client.get("http://rebind.example/", {})
        with pytest.raises(AddressRefused):
            client.get("http://rebind.example/", {})

    assert reached == ["8.8.8.8"] * 5


class Gallery(Loopback):
    """Images of as many bytes as their path says."""

    def answer(self, request: Request) -> Response:
        size = int(request.target[1:])
        return Response(headers={"Content-Type": "image/png"}, body=b"x" * size)


@pytest.mark.parametrize(("size", "is_kept"), [(1_000, True), (300_000, False)])
def test_a_body_that_is_not_wanted_is_not_read_unless_that_saves_a_connection(make: Make, size: int, is_kept: bool) -> None:
    with Gallery() as gallery:
        client = make()

        replies = [client.get(f"{gallery.url}{size}", {}, wants=lambda status, headers: status != 200) for _ in range(2)]

    assert [(reply.content, reply.is_skipped, reply.status) for reply in replies] == [(b"", True, 200)] * 2
    assert [reply.received for reply in replies] == [size if is_kept else 0] * 2


class Typed(Loopback):
    """Everything is of one type."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def answer(self, request: Request) -> Response:
        return Response(headers={"Content-Type": self._kind}, body=b"body")


@pytest.mark.parametrize(
    ("kind", "path", "is_read"),
    [
        ("text/html; charset=utf-8", "a", True), ("TEXT/PLAIN", "a", True), ("application/rss+xml", "a", True), ("", "a", True),
        ("application/gzip", "a", True), ("image/png", "a", False), ("video/mp4", "a", False), ("application/zip", "a", False),
        ("application/octet-stream", "a", False), ("application/octet-stream", "sitemap.xml.gz", True),
    ],
)  # fmt: skip
def test_a_body_of_a_type_that_nobody_reads_is_left_and_told(kind: str, path: str, is_read: bool) -> None:
    with Typed(kind) as site:
        host = f"127.0.0.1:{site.port}"
        fetch = Fetch(Fetch.Options(robots=False, allow_private=[host]))
        fetch.open()

        report, page = fetch.process(Visit(f"{site.url}{path}"))

        fetch.close()
    assert (page.status_code, page.content_type, page.content) == (200, kind, b"body" if is_read else b"")
    assert fetch.take_counts().get("body/skipped", 0) == (0 if is_read else 1)
    assert ("see stages.fetch.content_types" in report.text) is not is_read


def test_with_no_types_all_bodies_are_read() -> None:
    with Typed("image/png") as site:
        fetch = Fetch(Fetch.Options(robots=False, allow_private=[f"127.0.0.1:{site.port}"], content_types=[]))
        fetch.open()

        _, page = fetch.process(Visit(site.url))

        fetch.close()
    assert page.content == b"body"
