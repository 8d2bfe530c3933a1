from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from memory_broker import KEY, QUEUES, MemoryBroker

from crawler.hub.certificates import make
from crawler.hub.client import HubClient
from crawler.hub.server import HubServer

HERE = Path(__file__).parent


@pytest.fixture
def broker() -> Iterator[MemoryBroker]:
    broker = MemoryBroker()
    yield broker
    broker.close()


@pytest.fixture
def serve(broker: MemoryBroker) -> Iterator[Callable[..., HubServer]]:
    """Starts hubs over `broker` in threads of this process, and stops them."""
    running: list[tuple[HubServer, threading.Thread]] = []

    def start(address: str = "127.0.0.1:0", **options: object) -> HubServer:
        server = HubServer(broker, QUEUES, address, KEY, **options)  # type: ignore[arg-type]  # what a test varies
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        running.append((server, thread))
        return server

    yield start
    broker.close()
    for server, thread in running:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture
def hub(serve: Callable[..., HubServer]) -> HubServer:
    return serve()


@pytest.fixture
def connect(hub: HubServer) -> Iterator[Callable[..., HubClient]]:
    clients: list[HubClient] = []

    def make(worker: str = "", patience: float = 0.0) -> HubClient:
        clients.append(HubClient(str(hub.place), KEY, worker, patience=patience))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Callable[..., HubClient]) -> HubClient:
    return connect("w1")


@pytest.fixture
def start_hub() -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Starts a hub in a process of its own: (process, address)."""
    processes: list[subprocess.Popen[str]] = []

    def start(address: str = "127.0.0.1:0") -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "hub_process.py"), address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        processes.append(process)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(KEY.decode() + "\n")
        process.stdin.flush()
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    make(folder)
    return folder


@pytest.fixture(scope="session")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of another CA."""
    folder = tmp_path_factory.mktemp("others")
    make(folder)
    return folder
