"""What every HTTP client promises, on real sockets: a server that says exactly what a test tells it to."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard

from crawler import AddressRefused
from crawler_stages.clients.coding import MAX_MEMBERS
from crawler_stages.clients.contract import (
    BadName,
    BrokenReply,
    Client,
    ConnectFailed,
    FetchFailed,
    Limits,
    Reply,
    TimedOut,
    TooBig,
)
from tests.peer import LIMITS, Peer, Talk, answering, body


@pytest.fixture
def client(make: Callable[..., Client]) -> Client:
    return make()


def limits(**values: float) -> Limits:
    return Limits(**{name: values.get(name, getattr(LIMITS, name)) for name in Limits.__struct_fields__})


def ask(serve: Callable[..., Peer], client: Client, reply: bytes, *, keep: bool = False, cut: int = 0) -> Reply:
    peer = serve()
    peer.talks.append(answering(reply, keep=keep)(peer))
    return client.get(peer.url, {"User-Agent": "test"}, cut)


def test_a_reply_is_status_headers_content_and_time(serve: Callable[..., Peer], client: Client) -> None:
    begun = time.monotonic()
    reply = ask(serve, client, b"HTTP/1.1 404 Gone Fishing\r\nX-A: 1\r\nX-B: \xfc\r\nX-A: 2\r\nContent-Length: 3\r\n\r\nabc")

    assert (reply.status, reply.content, reply.received) == (404, b"abc", 3)
    assert [pair for pair in reply.headers if pair[0] == "X-A"] == [("X-A", "1"), ("X-A", "2")]
    assert ("X-B", "ü") in reply.headers
    assert 0 < reply.seconds <= time.monotonic() - begun


def test_the_url_is_sent_as_it_stands_and_headers_as_given(serve: Callable[..., Peer], client: Client) -> None:
    peer = serve()
    peer.talks.append(answering(body(b""))(peer))

    client.get(f"http://{peer.host}//a%7E/~b;c?d=%2F&e=[]", {"User-Agent": "test", "X-Y": "z"})

    lines = peer.heard[0].decode().split("\r\n")
    assert lines[0] == "GET //a%7E/~b;c?d=%2F&e=[] HTTP/1.1"
    assert {f"Host: {peer.host}", "User-Agent: test", "X-Y: z"} <= set(lines)
    assert not any(line.lower().startswith(("cookie", "authorization", "referer")) for line in lines)


@pytest.mark.parametrize("target", ["/a?", "/?", "/a??", "/a?b=%7e", "/%7e?", "/a"])
def test_an_empty_query_is_sent_and_not_with_the_next_request(serve: Callable[..., Peer], client: Client, target: str) -> None:
    peer = serve()
    peer.talks += [answering(body(b""))(peer)] * 2

    client.get(f"http://{peer.host}{target}", {})
    client.get(f"http://{peer.host}/next", {})

    assert [heard.split(b" ")[1].decode() for heard in peer.heard] == [target, "/next"]


def test_redirects_are_not_followed_and_cookies_not_kept(serve: Callable[..., Peer], client: Client) -> None:
    peer = serve()
    reply = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    peer.talks.append(answering(reply, keep=True)(peer))

    assert [client.get(peer.url, {}).status for _ in range(2)] == [302, 302]
    assert b"ookie" not in peer.heard[1]


def test_a_connection_is_used_again(serve: Callable[..., Peer], client: Client) -> None:
    peer = serve()
    peer.talks.append(answering(body(b"x" * 100_000), keep=True)(peer))

    for _ in range(3):
        client.get(peer.url, {})

    assert (peer.connections, len(peer.heard)) == (1, 3)


def test_a_kept_connection_that_the_server_closes_is_no_failure(serve: Callable[..., Peer], client: Client) -> None:
    peer = serve()

    def closes_on_the_second_request(connection: socket.socket) -> None:
        peer.hear(connection)
        connection.sendall(body(b"first"))
        peer.hear(connection)

    peer.talks += [closes_on_the_second_request, answering(body(b"second"))(peer)]

    assert [client.get(peer.url, {}).content for _ in range(2)] == [b"first", b"second"]


def test_many_kept_connections_that_the_server_closes_are_no_failure(serve: Callable[..., Peer], client: Client) -> None:
    peer, many = serve(), 8
    all_are_here = threading.Barrier(many)

    def closes_on_the_second_request(connection: socket.socket) -> None:
        peer.hear(connection)
        all_are_here.wait(LIMITS.timeout)
        connection.sendall(body(b"first"))
        peer.hear(connection)

    peer.talks += [*([closes_on_the_second_request] * many), answering(body(b"second"))(peer)]
    with ThreadPoolExecutor(many) as threads:
        replies = [*threads.map(lambda _: client.get(peer.url, {}).content, range(many))]

    assert replies == [b"first"] * many
    assert client.get(peer.url, {}).content == b"second"


BIG = b"tea " * 50_000
RAW_DEFLATE = zlib.compress(BIG)[2:-4]


@pytest.mark.parametrize(
    ("coding", "sent"),
    [
        ("gzip", gzip.compress(BIG)),
        ("X-GZIP", gzip.compress(BIG)),
        ("gzip", gzip.compress(BIG[:5]) + gzip.compress(BIG[5:])),
        ("gzip", gzip.compress(BIG) + b"junk after the end" * 9_000),
        ("deflate", zlib.compress(BIG)),
        ("deflate", RAW_DEFLATE),
        ("zstd", zstandard.compress(BIG)),
        ("zstd", zstandard.compress(BIG[:5]) + zstandard.compress(BIG[5:])),
        ("deflate, gzip", gzip.compress(zlib.compress(BIG))),
        ("identity", BIG),
        ("utf-8", BIG),
        ("gzip", BIG),
    ],
)
def test_codings_are_undone(serve: Callable[..., Peer], client: Client, coding: str, sent: bytes) -> None:
    peer = serve()
    peer.talks.append(answering(body(sent, f"Content-Encoding: {coding}"), keep=True)(peer))

    replies = [client.get(peer.url, {}) for _ in range(2)]

    assert [reply.content for reply in replies] == [BIG, BIG]
    assert replies[0].received == len(sent)
    assert peer.connections == 1


def test_brotli_is_undone_where_it_is_installed(serve: Callable[..., Peer], client: Client) -> None:
    brotli = pytest.importorskip("brotli", reason="brotli is not installed: servers are not asked for it")

    assert ask(serve, client, body(brotli.compress(BIG), "Content-Encoding: br")).content == BIG
    with pytest.raises(BrokenReply, match="cut short"):
        ask(serve, client, body(brotli.compress(BIG)[:-5], "Content-Encoding: br"))
    with pytest.raises(TooBig):
        ask(serve, client, body(brotli.compress(bytes(8 << 20), quality=1), "Content-Encoding: br"))


def test_chunks_are_joined_and_win_over_a_length(serve: Callable[..., Peer], client: Client) -> None:
    header = b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX: y\r\n\r\n"

    assert ask(serve, client, header + chunked).content == b"abcde"


def test_a_body_without_length_ends_with_the_connection(serve: Callable[..., Peer], client: Client) -> None:
    assert ask(serve, client, b"HTTP/1.0 200 OK\r\n\r\nabc").content == b"abc"


def test_no_more_than_asked_for_is_read(serve: Callable[..., Peer], make: Callable[..., Client]) -> None:
    reply = ask(serve, make(limits(max_bytes=100)), body(b"x" * 3_000_000), cut=1_000)

    assert reply.content == b"x" * 1_000


@pytest.mark.parametrize(
    "reply",
    [
        b"<html>no header</html>",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        body(gzip.compress(BIG)[:-20], "Content-Encoding: gzip"),
        body(gzip.compress(BIG)[:50] + b"x" * 50, "Content-Encoding: gzip"),
        body(zstandard.compress(BIG)[:8] + b"x" * 50, "Content-Encoding: zstd"),
        body(b"abc", "Content-Encoding: compress"),
        body(b"abc", "Content-Encoding: gzip, gzip, gzip"),
        body(gzip.compress(b"") * (MAX_MEMBERS + 1), "Content-Encoding: gzip"),
    ],
)
def test_a_broken_reply_is_a_failure_and_not_a_page(serve: Callable[..., Peer], client: Client, reply: bytes) -> None:
    with pytest.raises(BrokenReply):
        ask(serve, client, reply)


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 2"])
def test_an_empty_reply_is_a_failure(serve: Callable[..., Peer], client: Client, reply: bytes) -> None:
    with pytest.raises((ConnectFailed, BrokenReply)):
        ask(serve, client, reply)


BOMB = gzip.compress(bytes(64 << 20))


@pytest.mark.parametrize(
    ("reply", "setting"),
    [
        (body(b"x" * 200_001), "max_bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n" + b"x" * 300_000, "max_bytes"),
        (body(gzip.compress(b"x" * 200_001), "Content-Encoding: gzip"), "max_bytes"),
        (body(BOMB, "Content-Encoding: gzip"), "max_bytes"),
        (body(gzip.compress(BOMB), "Content-Encoding: gzip, gzip"), "max_bytes"),
        (body(zstandard.compress(bytes(64 << 20)), "Content-Encoding: zstd"), "max_bytes"),
        (b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 1_000 + b"\r\n") * 90, "max_header_bytes"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000, "max_header_bytes"),
    ],
)
def test_what_is_too_big_is_left(serve: Callable[..., Peer], make: Callable[..., Client], reply: bytes, setting: str) -> None:
    with pytest.raises(TooBig, match=setting):
        ask(serve, make(limits(max_bytes=200_000, max_header_bytes=30_000)), reply)


def test_a_line_of_the_header_without_end_is_left(serve: Callable[..., Peer], make: Callable[..., Client]) -> None:
    with pytest.raises((TooBig, BrokenReply), match=r"\w$"):  # libcurl shows no line before its end
        ask(serve, make(limits(max_header_bytes=30_000)), b"HTTP/1.1 200 OK\r\nX: " + b"y" * 60_000)


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: "]
)
def test_a_line_without_end_is_a_failure_with_a_reason(
    serve: Callable[..., Peer], make: Callable[..., Client], start: bytes
) -> None:
    with pytest.raises(TooBig, match=r"a (header|trailer) of more than 30000 bytes; see stages\.fetch\.max_header_bytes"):
        ask(serve, make(limits(max_header_bytes=30_000)), start + b"y" * 300_000)


def test_what_expands_too_much_is_left_before_it_is_too_big(serve: Callable[..., Peer], make: Callable[..., Client]) -> None:
    with pytest.raises(TooBig, match="max_ratio"):
        ask(serve, make(limits(max_ratio=20)), body(BOMB, "Content-Encoding: gzip"))


def drip(peer: Peer, start: bytes, pause: float = 0.02) -> Talk:
    """A byte at a time, for ever: every single receive is fast."""

    def talk(connection: socket.socket) -> None:
        peer.hear(connection)
        connection.sendall(start)
        while not peer.stopped.wait(pause):
            connection.sendall(b"1")

    return talk


@pytest.mark.slow
@pytest.mark.parametrize(
    "start",
    [
        b"HTTP/1.1 ",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n",
    ],
)
def test_a_drip_ends_at_the_deadline(serve: Callable[..., Peer], make: Callable[..., Client], start: bytes) -> None:
    peer = serve()
    peer.talks.append(drip(peer, start))

    with pytest.raises(TimedOut, match="timeout"):  # and the drip goes on as long as somebody listens
        make(limits(timeout=0.2)).get(peer.url, {})


def test_silence_ends_at_the_deadline(serve: Callable[..., Peer], make: Callable[..., Client]) -> None:
    peer = serve()

    def talk(connection: socket.socket) -> None:
        peer.stopped.wait()

    peer.talks.append(talk)

    with pytest.raises(TimedOut):
        make(limits(timeout=0.1)).get(peer.url, {})


def test_closing_ends_a_call_that_waits_and_refuses_later_ones(serve: Callable[..., Peer], client: Client) -> None:
    asked = threading.Event()
    peer = serve()

    def talk(connection: socket.socket) -> None:
        peer.hear(connection)
        asked.set()
        peer.stopped.wait()

    peer.talks.append(talk)
    failures: list[FetchFailed] = []

    def call() -> None:
        try:
            client.get(peer.url, {})
        except FetchFailed as failure:
            failures.append(failure)

    thread = threading.Thread(target=call)
    thread.start()
    assert asked.wait(20)

    client.close()

    thread.join(20)
    assert len(failures) == 1
    with pytest.raises(FetchFailed):
        client.get(peer.url, {})


def test_a_rate_below_the_minimum_ends_it(
    serve: Callable[..., Peer], make: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler_stages.clients.sockets.GRACE", 0.1)
    monkeypatch.setattr("crawler_stages.clients.curl.loop.SWEEP", 0.05)
    peer = serve()
    peer.talks.append(drip(peer, b"HTTP/1.1 200 OK\r\n\r\n"))

    with pytest.raises(TimedOut, match="min_rate"):
        make(limits(min_rate=100_000)).get(peer.url, {})


def test_nobody_there(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(ConnectFailed, match="refused"):
        client.get(f"http://127.0.0.1:{port}/", {})


def test_a_host_that_is_no_name(client: Client) -> None:
    with pytest.raises(BadName, match=r"'a\.\.b' is not a host name: each part between dots must have 1 to 63 characters"):
        client.get("http://a..b/", {})


def test_a_private_address_is_never_connected_to(serve: Callable[..., Peer], make: Callable[..., Client]) -> None:
    peer = serve(lambda connection: None)

    with pytest.raises(AddressRefused, match="loopback"):
        make(is_private_allowed=False).get(peer.url, {})

    assert peer.connections == 0
