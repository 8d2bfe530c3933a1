"""The fast HTTP client: libcurl (`pycurl`), hundreds of transfers in one thread, HTTP/2 where a server offers it under TLS.

    get ──▶ addresses, checked ──▶ Transfer ──▶ Loop ──▶ header and blocks ──▶ decoded here, within limits (`coding`)

What libcurl can do and must not: follow redirects, keep cookies, read the environment, resolve names, decode bodies. It is told
addresses, and a connection to any other is refused (`Transfer.on_socket`); one that is kept is used for the host it was made for.

Replies that browsers read and libcurl refuses, for a header line without a colon or a second Location, are asked for once more and
read by our own reader, `RequestsClient`; so is all else of that host, which is likely to answer like that again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Final

import pycurl

from crawler import Guard, Url
from crawler_stages.clients.coding import Source, read_body
from crawler_stages.clients.contract import Client, ConnectFailed, FetchFailed, Limits, Reply, Take, Wants, Work
from crawler_stages.clients.curl.failures import KeptClosed, Unreadable, failure
from crawler_stages.clients.curl.loop import Loop
from crawler_stages.clients.curl.setup import HOSTS_KEPT, NAMES_LAST, SUPPRESS_CONNECT_HEADERS, Names, Setup, peer_of
from crawler_stages.clients.curl.transfer import Transfer, Tunnel
from crawler_stages.clients.head import Head
from crawler_stages.clients.sockets import Attempt, kept_connections, lacking

log = logging.getLogger(__name__)

Then = Callable[[Take | None, int], Work]

CONNECTIONS_KEPT: Final = 256  # open and unused; the oldest is closed for the next
BUFFER: Final = 65_536  # bytes received at once; from 128 KiB on malloc gets each anew from the kernel: 85 µs a page

_NO_TIME: Final = 0.02  # s before a request that are not taken off its limits
_OPTIONS: Final = {
    pycurl.NOSIGNAL: 1,
    pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
    pycurl.FOLLOWLOCATION: 0,
    pycurl.PATH_AS_IS: 1,  # the URL is canonical: it is sent as it stands
    pycurl.HTTP09_ALLOWED: 0,
    pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
    pycurl.HTTP_CONTENT_DECODING: 0,
    pycurl.BUFFERSIZE: BUFFER,
    pycurl.DNS_CACHE_TIMEOUT: 2 * int(NAMES_LAST),  # the addresses we give it stay valid: only we resolve names
    pycurl.USERAGENT: "",
    pycurl.PROXY: "",  # none, not the environment's
    pycurl.NOPROXY: "",
    pycurl.HEADEROPT: pycurl.HEADER_SEPARATE,  # headers for a site are not sent to the proxy
    SUPPRESS_CONNECT_HEADERS: 1,
}


class CurlClient:
    """`Client` over libcurl.

    verify: False for no certificate checks, or the path of a CA bundle. proxies: an http:// URL by scheme.
    """

    def __init__(
        self, limits: Limits, guard: Guard, *, verify: bool | str = True, proxies: Mapping[str, str] | None = None
    ) -> None:
        self._limits = limits
        self._guard = guard
        self._proxies = dict(proxies or {})
        self._verify = verify
        if isinstance(verify, str):  # libcurl would find out at the first https:// page
            import ssl  # here, because few crawls have authorities of their own

            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(verify)
        self._names = Names()
        self._idle: deque[pycurl.Curl] = deque()
        self._setups: dict[pycurl.Curl, Setup] = {}
        self._targeted: set[pycurl.Curl] = set()  # handles with a request target of their own
        # Of the last request without options of its own: headers, scheme, and the lines made of them.
        self._usual: tuple[Mapping[str, str] | None, str, Setup] = None, "", Setup(("", 0), (), "", (), False, "", 0, 0)
        self._lock = threading.Lock()
        self._attempts: set[Attempt] = set()  # that a thread waits for
        self._requests: Client | None = None
        self._unreadable: set[str] = set()  # hosts whose replies libcurl refuses
        self._kept = kept_connections(CONNECTIONS_KEPT)
        self._loop = Loop(self._kept, failure)

    def get(self, url: str, headers: Mapping[str, str], cut: int = 0, wants: Wants | None = None) -> Reply:
        parts = Url.parse(url)
        if parts.host in self._unreadable:
            return self._reader().get(url, headers, cut, wants)
        try:
            try:
                return self._get(parts, headers, cut, wants)
            except KeptClosed:  # libcurl tries five of them by itself, and there may be more
                return self._get(parts, headers, cut, wants, is_fresh=True)
        except Unreadable as error:
            log.info("%s; this host is asked by requests from now on", error)
            if len(self._unreadable) >= HOSTS_KEPT:
                self._unreadable.clear()
            self._unreadable.add(parts.host)
            return self._reader().get(url, headers, cut, wants)

    def start(self, url: Url, headers: Mapping[str, str], wants: Wants, then: Then) -> bool:
        """Ask, and wait for nothing. False: the host's addresses are not known, or it is one that libcurl cannot read.

        then: called in the loop's thread when the reply is there, with a function that returns it or raises as `get` does, or with
        None: `get` may have more luck; and with the status, 0 where there is none. The work it returns is done in the loop's
        thread, between other transfers.
        """
        if url.host in self._unreadable or self._proxies.get(url.scheme):
            return False
        peer = peer_of(url)
        addresses = self._names.known((*peer, ""))
        if not addresses:
            return False
        attempt = Attempt(url, self._limits, self._guard)

        def ended() -> Work:
            self._idle.append(curl)
            failure = transfer.failure
            if isinstance(failure, KeptClosed | Unreadable):
                return then(None, 0)
            return then(lambda: self._taken(transfer, peer), transfer.head.status if transfer.head and not failure else 0)

        attempt.in_thread = False
        transfer = Transfer(attempt, addresses, 0, wants, ended)
        curl = self._prepared(transfer, peer, url, headers)
        self._running().start(curl, transfer)
        return True

    def _taken(self, transfer: Transfer, peer: tuple[str, int], cut: int = 0) -> Reply:
        try:
            return self._reply(transfer, cut)
        except FetchFailed:
            if transfer.head is None:
                self._names.forget(transfer.attempt, *peer)
            raise

    def look_up(self, url: Url) -> None:
        """Learn the addresses of a host, for `start`. Raises FetchFailed, AddressRefused."""
        attempt = Attempt(url, self._limits, self._guard)
        with self._waiting(attempt):
            self._names.addresses(attempt, *peer_of(url))

    @contextmanager
    def _waiting(self, attempt: Attempt) -> Iterator[None]:
        """Note an attempt that this thread waits for, while it waits."""
        self._attempts.add(attempt)
        try:
            yield
        finally:
            self._attempts.discard(attempt)

    def running(self) -> list[Attempt]:
        return [*self._attempts.copy(), *(attempt for attempt in self._loop.attempts() if not attempt.in_thread)]

    def close(self) -> None:
        self._loop.close()
        if self._requests is not None:
            self._requests.close()

    def _reader(self) -> Client:
        """Return our client without libcurl, made when the first host needs it: it takes a tenth of a second."""
        from crawler_stages.clients.requests.client import RequestsClient  # here, because hardly any crawl needs it

        with self._lock:
            if self._requests is None:
                self._requests = RequestsClient(self._limits, self._guard, verify=self._verify, proxies=self._proxies)
            return self._requests

    def _get(self, parts: Url, headers: Mapping[str, str], cut: int, wants: Wants | None, is_fresh: bool = False) -> Reply:
        """is_fresh: on a connection of its own."""
        proxy = self._proxies.get(parts.scheme, "")
        if proxy:
            self._guard.check(parts.hostname, parts.host)
        attempt = Attempt(parts, self._limits, self._guard, proxy)
        with self._waiting(attempt):
            return self._get_by(attempt, parts, headers, cut, wants, is_fresh)

    def _get_by(
        self, attempt: Attempt, parts: Url, headers: Mapping[str, str], cut: int, wants: Wants | None, is_fresh: bool
    ) -> Reply:  # fmt: skip
        proxy = attempt.proxy
        peer = peer_of(Url.parse(proxy) if proxy else parts)
        transfer = Transfer(attempt, self._names.addresses(attempt, *peer), cut, wants)  # of a proxy: wherever a person put it
        curl = self._prepared(transfer, peer, parts, headers, proxy, is_fresh)
        loop = self._running()
        loop.start(curl, transfer)
        try:
            return self._taken(transfer, peer, cut)
        finally:
            if transfer.is_over:
                self._idle.append(curl)
            else:
                loop.abandon(curl)

    def _prepared(
        self, transfer: Transfer, peer: tuple[str, int], parts: Url, headers: Mapping[str, str], proxy: str = "",
        is_fresh: bool = False,
    ) -> pycurl.Curl:  # fmt: skip
        """peer: name and port of what is connected to, the URL's host or the proxy."""
        setup = self._setup(transfer, peer, parts.scheme, headers, proxy, is_fresh)
        curl, last = self._handle()
        if setup is not last and setup != last:
            setup.apply(curl)
        self._setups[curl] = setup
        target = parts.target
        curl.setopt(pycurl.URL, f"{parts.origin}{target}")  # without a password: that is a header's business
        # libcurl leaves out an empty query if it speaks to a proxy. A handle that was told a target must be told each further one.
        if target.endswith("?") or curl in self._targeted:
            curl.setopt(pycurl.REQUEST_TARGET, transfer.attempt.target)
            self._targeted.add(curl)
        curl.setopt(pycurl.OPENSOCKETFUNCTION, transfer.on_socket)
        on_line = Tunnel(transfer, Url.parse(proxy).host).on_line if setup.is_tunneled else transfer.on_line
        curl.setopt(pycurl.HEADERFUNCTION, on_line)
        curl.setopt(pycurl.WRITEFUNCTION, transfer.on_block)
        return curl

    def _setup(
        self, transfer: Transfer, peer: tuple[str, int], scheme: str, headers: Mapping[str, str], proxy: str, is_fresh: bool
    ) -> Setup:  # fmt: skip
        limits, left = self._limits, transfer.attempt.remaining()
        spent = limits.timeout - left if limits.timeout - left > _NO_TIME else 0.0
        is_usual = not (spent or proxy or is_fresh)
        last_headers, last_scheme, last = self._usual
        is_same = headers is last_headers and transfer.addresses is last.addresses and peer == last.peer and scheme == last_scheme
        if is_usual and is_same:
            return last
        setup = Setup(
            peer, transfer.addresses, proxy, tuple(headers.items()), is_fresh, self._authorities if scheme == "https" else "",
            _milliseconds(limits.timeout - spent), _milliseconds(limits.connect_timeout - spent), bool(proxy) and scheme == "https",
        )  # fmt: skip
        if is_usual:
            self._usual = headers, scheme, setup
        return setup

    @cached_property
    def _authorities(self) -> str:
        """Return the file of trusted authorities; "" if there is none. Finding it takes 5 ms, so only https:// URLs ask."""
        if self._verify is not True:
            return self._verify or ""
        import certifi  # here, for the same reason

        return certifi.where()

    def _running(self) -> Loop:
        with self._lock:
            if self._loop.has_failed:
                self._setups.clear()  # it knew the addresses
                try:
                    self._loop = Loop(self._kept, failure)
                except (OSError, RuntimeError, pycurl.error) as error:
                    raise lacking(error) or ConnectFailed(f"the loop of transfers cannot be started: {error}") from error
            return self._loop

    def _reply(self, transfer: Transfer, cut: int) -> Reply:
        head = transfer.wait()
        content = b"" if transfer.is_skipped else self._body(transfer, head, cut)
        return Reply(
            status=head.status,
            headers=head.fields,
            content=content,
            received=transfer.sent,
            seconds=transfer.ended_at - transfer.attempt.start,
            is_skipped=transfer.is_skipped,
        )

    def _body(self, transfer: Transfer, head: Head, cut: int) -> bytes:
        limits = self._limits
        codings = head.sending.get("content-encoding", [])
        if not codings and not cut and (content := transfer.whole()) is not None:
            return content
        source = Source(transfer.read, transfer.most)
        content = read_body(source, codings, max_bytes=limits.max_bytes, max_ratio=limits.max_ratio, cut=cut)
        if not cut or len(content) < cut:
            for _junk in source:  # after the end of the compressed data; the connection can be used again
                pass
        return content

    def _handle(self) -> tuple[pycurl.Curl, Setup | None]:
        """Return a free handle, and its setup."""
        try:
            curl = self._idle.pop()
        except IndexError:  # more at once than ever before
            return self._made(), None
        return curl, self._setups.pop(curl, None)

    def _made(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        for option, value in _OPTIONS.items():
            curl.setopt(option, value)
        if not self._verify:
            curl.setopt(pycurl.SSL_VERIFYPEER, 0)
            curl.setopt(pycurl.SSL_VERIFYHOST, 0)
        return curl


def _milliseconds(seconds: float) -> int:
    """Convert seconds for libcurl, where 0 means no limit, so at least 1."""
    return max(1, int(seconds * 1000))
