"""The HTTP client the project installs with: `requests`, down to its adapter.

    get ──▶ adapter ──▶ pool of the host, or of the proxy ──▶ connection (`sockets`) ──▶ answer (`head`, `response`, `coding`)

A `Session` on top of it would merge settings, cookies, proxies of the environment and redirects into each request, none of which a
crawler wants, for a third of the time a request takes. The adapter is one pool of connections for all threads: hosts are asked by
whichever thread is free, so a pool to each thread would hardly ever find its connection again.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, RemoteDisconnected
from typing import Any, Final

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context

from crawler import Guard, Url
from crawler_stages.clients.coding import ACCEPTED, BLOCK, Source, read_body
from crawler_stages.clients.contract import BadName, BrokenReply, ConnectFailed, FetchFailed, Limits, Reply, TimedOut, TooBig, Wants
from crawler_stages.clients.requests.response import Response
from crawler_stages.clients.sockets import CLOSED, Attempt, TimedSocket, connect, current, kept_connections, lacking, running
from crawler_stages.clients.tls_failures import tls_failure

HOSTS_KEPT: Final = 256  # hosts with open connections; the one not used for longest is closed for the next
_DRAINED: Final = BLOCK  # bytes of a body that is not wanted, read all the same if that saves a connection
_REFUSED: Final = re.compile(r"Tunnel connection failed: (\d+)")  # http.client, of a proxy


class TimedTlsSocket(TimedSocket, ssl.SSLSocket):
    """A `TimedSocket` over TLS: `SSLContext.sslsocket_class` makes it of a socket."""


class RequestsClient:
    """`Client` over requests.

    size: calls at once. verify: False for no certificate checks, or the path of a CA bundle. proxies: an http:// URL by scheme.
    """

    def __init__(
        self, limits: Limits, guard: Guard, *, size: int = 16, verify: bool | str = True, proxies: Mapping[str, str] | None = None
    ) -> None:
        self._limits = limits
        self._guard = guard
        self._proxies = dict(proxies or {})
        if verify is False:  # as configured: a warning for each host would bury all others
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._adapter = _Adapter(_context(verify), size, self._proxies.values())
        self._attempts: set[Attempt] = set()  # that run
        self._is_closed = False

    def get(self, url: str, headers: Mapping[str, str], cut: int = 0, wants: Wants | None = None) -> Reply:
        parts = Url.parse(url)
        proxy = self._proxies.get(parts.scheme, "")
        if proxy:
            self._guard.check(parts.hostname, parts.host)
        request = requests.PreparedRequest()
        request.method = "GET"
        request.url = f"{parts.origin}{parts.target}"  # without a password: that is a header's business
        request.headers = CaseInsensitiveDict({"Accept-Encoding": ACCEPTED, **headers})
        attempt = running.attempt = Attempt(parts, self._limits, self._guard, proxy)
        self._attempts.add(attempt)
        try:
            if self._is_closed:  # after the line above: `close` ends the connections it finds there
                raise ConnectFailed(CLOSED)
            with _failures(parts.host):
                return self._reply(request, attempt, cut, wants)
        finally:
            running.attempt = None
            self._attempts.discard(attempt)

    def running(self) -> list[Attempt]:
        return list(self._attempts.copy())

    def close(self) -> None:
        self._is_closed = True
        for attempt in self._attempts.copy():
            attempt.end()
        self._adapter.close()

    def _reply(self, request: requests.PreparedRequest, attempt: Attempt, cut: int, wants: Wants | None) -> Reply:
        raw = self._send(request, attempt).raw
        headers = list(raw.headers.items())
        is_skipped = wants is not None and not wants(raw.status, headers)
        is_whole = False
        try:
            if is_skipped:
                content, received, is_whole = b"", *_drained(raw)
            else:
                content, received = self._body(raw, cut)
                is_whole = not cut or len(content) < cut
        finally:
            # With a rest unread the next reply would begin in the middle of this one.
            raw.release_conn() if is_whole else raw.close()
        seconds = time.monotonic() - attempt.start
        return Reply(
            status=raw.status, headers=headers, content=content, received=received, seconds=seconds, is_skipped=is_skipped
        )  # fmt: skip

    def _body(self, raw: Any, cut: int) -> tuple[bytes, int]:
        """The content, and bytes as sent."""
        limits = self._limits
        promised = raw.length_remaining or 0
        if promised > limits.max_bytes and not cut:
            raise TooBig(f"a body of {promised} bytes; see stages.fetch.max_bytes")
        most = max(limits.max_bytes, cut + BLOCK)  # the block that reaches the cut may go beyond it
        source = Source(lambda size: bytes(raw.read(size, decode_content=False)), most)
        codings = raw.headers.getlist("content-encoding")
        content = read_body(source, codings, max_bytes=limits.max_bytes, max_ratio=limits.max_ratio, cut=cut)
        return content, source.received

    def _send(self, request: requests.PreparedRequest, attempt: Attempt) -> requests.Response:
        try:
            return self._adapter.send(request, stream=True)
        except requests.ConnectionError:
            # A kept connection that the server has just closed is no failure (RFC 9112 §9.3.1): the request is repeated, on
            # a connection of its own or at worst on another kept one.
            if attempt.is_connected or attempt.received:
                raise
            return self._adapter.send(request, stream=True)


def _drained(raw: Any) -> tuple[int, bool]:
    """Bytes of an unwanted body that were read, and whether that was all."""
    if raw.length_remaining is None or raw.length_remaining > _DRAINED:
        return 0, False
    return len(raw.read(_DRAINED, decode_content=False)), True


class _Guarded(HTTPConnection):
    response_class = Response

    def _new_conn(self) -> Any:
        return connect(current(), self.host, self.port)

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        """Send the attempt's target unchanged, as a browser does. urllib3 would encode it again: brackets in a query, for one."""
        super().request(method, current().target, *args, **kwargs)


class _GuardedTls(_Guarded, HTTPSConnection):
    """TLS connection to a checked address. SNI, certificate and Host header have the name: urllib3 keeps both apart."""

    def _tunnel(self) -> None:
        """Open the tunnel. From Python 3.12 on the header of a refusal is read to its end before its status is looked at."""
        try:
            super()._tunnel()
        except HTTPException as error:
            proxy = Url.parse(current().proxy).host
            raise ConnectFailed(f"the proxy {proxy} answers CONNECT with a header that cannot be read: {error}") from error


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Guarded


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTls


class _Adapter(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext, size: int, proxies: Iterable[str]) -> None:
        self._context = context
        super().__init__(pool_connections=kept_connections(HOSTS_KEPT), pool_maxsize=size, max_retries=0)
        self._managers = {proxy: self.proxy_manager_for(proxy, ssl_context=context) for proxy in proxies}
        for manager in (self.poolmanager, *self._managers.values()):
            manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **options)

    def get_connection_with_tls_context(self, request: Any, verify: Any, proxies: Any = None, cert: Any = None) -> Any:
        manager: Any = self._managers.get(current().proxy, self.poolmanager)
        return manager.connection_from_url(request.url)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Do nothing: certificates belong to the context, which reads them once and not again for each connection."""

    def request_url(self, request: Any, proxies: Any) -> str:
        """Return the URL for urllib3, which uses it only to tell a proxy that forwards from one that tunnels. The attempt's target
        is sent."""
        target = current().target
        return target if target.startswith("http:") else "/"

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        """Build a response with the parts we use: no cookie jar, no guess of an encoding."""
        response = requests.Response()
        response.status_code, response.url, response.raw, response.request = resp.status, req.url, resp, req
        return response


def _context(verify: bool | str) -> ssl.SSLContext:
    context = create_urllib3_context()
    context.sslsocket_class = TimedTlsSocket
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(certifi.where() if verify is True else verify)
    return context


@contextmanager
def _failures(host: str) -> Iterator[None]:
    """Turn errors of requests, urllib3 and http.client into ours."""
    try:
        yield
    except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
        raise lacking(error) or _failure(host, error) from error


def _failure(host: str, error: Exception) -> FetchFailed:
    text = f"{host}: {_cause(error)}"
    inner = _innermost(error)
    if refused := _REFUSED.match(str(inner)):
        return ConnectFailed(f"the proxy {Url.parse(current().proxy).host} answers CONNECT with status {refused[1]}")
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError | ssl.SSLError):
        return tls_failure(host, inner, _cause(error)) if isinstance(inner, ssl.SSLError) else ConnectFailed(text)
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
        return TimedOut(text)
    if isinstance(error, requests.exceptions.InvalidURL | urllib3.exceptions.LocationValueError):
        return BadName(text)
    if isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError | HTTPException):
        return ConnectFailed(text) if isinstance(inner, RemoteDisconnected | ConnectionError) else BrokenReply(text)
    return ConnectFailed(text)


def _innermost(error: BaseException) -> BaseException:
    """Libraries wrap errors in each other, as argument or as reason; what happened is in the middle."""
    inner = getattr(error, "reason", None)
    if not isinstance(inner, BaseException):
        inner = next((argument for argument in error.args if isinstance(argument, BaseException)), None)
    return error if inner is None else _innermost(inner)


def _cause(error: BaseException) -> str:
    inner = _innermost(error)
    text = inner.strerror if isinstance(inner, OSError) and inner.strerror else str(inner)
    return text or type(inner).__name__
