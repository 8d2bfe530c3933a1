"""Every fault of the plan, a few rounds of each.

Bounds of time are not judged here: how long anything takes depends on what else the machine does. `python -m tests.faults full` has
the figures, and judges them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest

from tests.faults import attacks, kills, links, proxy, soak, workers
from tests.faults.proxy import Proxy
from tests.faults.table import Row, document

SCENARIOS: dict[str, Callable[[Path], Row]] = {
    "R1": lambda work: kills.kill_hub(work, 4, 400),
    "R2": lambda work: kills.kill_workers(work, 4, 300),
    "R3": lambda work: workers.tell_to_end(work, 3, 800, is_full=False),
    "R4": lambda work: workers.freeze(work, 1),
    "R5": lambda work: links.break_network(work, 1, 300, is_full=False),
    "R6": lambda work: links.lose_answers(work, 100),
    "R11": lambda work: links.deliver_twice(work, 100),
    "R13": lambda work: workers.fill(work, 20_000),
    "S1": lambda work: attacks.stay_silent(work, 300, beats=1),
    "S2": lambda work: attacks.talk_garbage(work, 300),
    "S3": lambda work: attacks.guess_keys(work, 50),
    "S4": lambda work: attacks.betray(work, 1),
    "S5": lambda work: attacks.exhaust_files(work, 200),
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked at through /proc")
@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_promised_holds(name: str, tmp_path: Path) -> None:
    row = SCENARIOS[name](tmp_path)

    assert row.broken == []
    assert row.rounds > 0


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_nothing_grows_but_what_is_stored(tmp_path: Path) -> None:
    row = soak.soak(tmp_path, minutes=5)

    assert row.broken == []


def test_the_table_names_what_does_not_hold() -> None:
    row = Row("R0", "nothing", "everything", rounds=3, lost=2, recovery=[0.1, 0.3, 0.2])
    row.expect(False, "two are lost")
    row.expect_in_time(False, "a call took 2 s")

    text = document([row], "a test")

    assert "| R0 | nothing | 3 | 2 | · | · | 0.20 / 0.30 / 0.30 | · | · | · | **no** |" in text
    assert "**Does not hold:** two are lost" in text
    assert "**Does not hold:** a call took 2 s" in text


@contextmanager
def echo() -> Iterator[int]:
    """A server that says what it hears, at a port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer, suppress(ConnectionResetError):  # what some of these tests are about
                    while heard := peer.recv(100):
                        peer.sendall(heard)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def network() -> Iterator[Proxy]:
    with echo() as port, Proxy(port) as proxy:
        yield proxy


def say(sock: socket.socket, words: bytes) -> bytes:
    sock.sendall(words)
    return sock.recv(100)


def test_a_good_network_passes_all_on_and_ends_with_its_peers(network: Proxy) -> None:
    with socket.create_connection(("127.0.0.1", network.port), 5) as sock:
        assert say(sock, b"tea") == b"tea"
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b""


@pytest.mark.slow
def test_a_half_open_link_says_nothing(network: Proxy) -> None:
    network.fault = proxy.silence
    with socket.create_connection(("127.0.0.1", network.port), 0.2) as sock, pytest.raises(TimeoutError):
        say(sock, b"tea")


def test_a_lost_answer_is_a_reset_after_the_request_has_arrived(network: Proxy) -> None:
    network.fault = proxy.lose_replies(1.0, Random(1), handshake=4)
    with socket.create_connection(("127.0.0.1", network.port), 5) as sock:
        assert say(sock, b"hello") == b"hello"
        with pytest.raises(ConnectionResetError):
            say(sock, b"tea")
    assert network.cuts == 1
