from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crawler import Guard
from crawler_stages.clients.contract import Client, Limits
from crawler_stages.clients.curl.client import CurlClient
from crawler_stages.clients.requests.client import RequestsClient
from tests.certificates import self_signed
from tests.peer import LIMITS, Peer, Talk
from tests.stages.begun import BegunClient


@pytest.fixture
def file_size_limit() -> Iterator[Callable[[int], None]]:
    """Make the disk full at so many bytes of one file; -1: no longer."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def serve() -> Iterator[Callable[..., Peer]]:
    peers: list[Peer] = []

    def start(*talks: Talk) -> Peer:
        peers.append(Peer(*talks))
        return peers[-1]

    yield start
    for peer in peers:
        peer.stop()


@pytest.fixture(params=[RequestsClient, CurlClient, BegunClient], ids=["requests", "curl", "curl-begun"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    """A client of each kind: what is asked of one is asked of all."""
    made: list[Client] = []

    def client(limits: Limits = LIMITS, *, is_private_allowed: bool = True, verify: bool | str = True, **proxies: str) -> Client:
        made.append(request.param(limits, Guard(lambda host: is_private_allowed), verify=verify, proxies=proxies))
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of localhost, signed by itself, with its key."""
    return self_signed(tmp_path_factory.mktemp("tls") / "localhost.pem")
