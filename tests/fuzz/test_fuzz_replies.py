"""Whatever a server answers, byte for byte: every HTTP client tells a reply or why there is none, within its limits."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator

import pytest
from corpora import examples, kept
from hypothesis import given
from hypothesis import strategies as st

from crawler import Guard
from crawler_stages.clients.contract import Client, FetchFailed, Limits
from crawler_stages.clients.curl.client import CurlClient
from crawler_stages.clients.requests.client import RequestsClient
from tests.peer import Peer, answering

LIMITS = Limits(timeout=3, connect_timeout=3, min_rate=0, max_bytes=100_000, max_ratio=100, max_header_bytes=8 << 10)
LINES = st.sampled_from([
    b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 302\r\n", b"HTTP/1.0 404 \xff\r\n", b"HTTP/1.1 200\n",
    b"HTTP/9.9 200 OK\r\n",
    b"HTTP/1.1 -1 x\r\n", b"HTTP/1.1 99999 x\r\n", b"ICY 200 OK\r\n", b"HTTP/1.1 204 N\r\n", b"HTTP/1.1 304 N\r\n",
    b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\n",
])  # fmt: skip
HEADERS = st.sampled_from([
    b"Content-Length: 5\r\n", b"Content-Length: -5\r\n", b"Content-Length: 5, 5\r\n", b"Content-Length: 99999999999999999999\r\n",
    b"Content-Length: +5\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: x\r\n",
    b"Content-Encoding: gzip\r\n", b"Content-Encoding: gzip, gzip, gzip\r\n", b"Content-Encoding: deflate\r\n",
    b"Content-Encoding: br\r\n",
    b"Content-Encoding: x\r\n", b"Connection: close\r\n", b"Location: \xff\xfe\r\n", b"X: " + b"y" * 9_000 + b"\r\n", b"X\r\n",
    b": x\r\n",
    b" folded\r\n", b"X: a\rb\r\n", b"X: \0\r\n", b"Set-Cookie: a=b; Domain=\r\n", b"Trailer: X\r\n", b"Content-Type: \r\n",
])  # fmt: skip
BODIES = st.sampled_from([
    b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n", b"-5\r\nhello",
    b"ffffffffffffffffff\r\n", b"0x5\r\nhello\r\n",
    b"5\r\nhel", b"zz\r\n", gzip.compress(b"hello"), gzip.compress(b"\0" * 5_000_000), gzip.compress(b"hello")[:-4],
    gzip.compress(b"") * 50,
    b"\x1f\x8b", b"x" * 200_000,
])  # fmt: skip
REPLY = st.one_of(
    st.builds(
        lambda line, headers, end, body, noise: line + b"".join(headers) + end + body + noise,
        LINES, st.lists(HEADERS, max_size=4), st.sampled_from([b"\r\n", b"\r\n", b"\n", b""]), BODIES, st.binary(max_size=4),
    ),
    st.binary(max_size=60),
)  # fmt: skip


@pytest.fixture(scope="module", params=[RequestsClient, CurlClient], ids=["requests", "curl"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    made = request.param(LIMITS, Guard(lambda host: True), verify=True, proxies={})
    yield made
    made.close()


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.stop()


def get(client: Client, peer: Peer, reply: bytes) -> None:
    peer.talks[:] = [answering(reply)(peer)]
    with contextlib.suppress(FetchFailed):
        got = client.get(peer.url, {"User-Agent": "x"})
        assert 100 <= got.status <= 999
        assert len(got.content) <= LIMITS.max_bytes
        assert all(isinstance(name, str) and isinstance(value, str) for name, value in got.headers)
        assert sum(len(name) + len(value) for name, value in got.headers) <= LIMITS.max_header_bytes


@pytest.mark.slow
@examples(120)
@given(REPLY)
def test_any_reply_is_told_or_refused(client: Client, peer: Peer, reply: bytes) -> None:
    get(client, peer, reply)


@kept("replies")
def test_a_reply_that_was_kept_is_told_or_refused(client: Client, peer: Peer, data: bytes) -> None:
    get(client, peer, data)
