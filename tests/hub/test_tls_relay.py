"""What somebody between a worker and its hub can read and do, with TLS and without; and where a hub may listen."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from memory_broker import KEY, QUEUES, MemoryBroker
from tls_parts import ask, client_of, taken

from crawler.errors import HubLost, TlsRefused, UsageError
from crawler.hub.client import HubClient
from crawler.hub.server import HubServer
from crawler.hub.tls import for_client, for_hub
from crawler.hub.wire import Connection
from crawler.items import New, Step


@pytest.fixture
def hub(serve: Callable[..., HubServer], certs: Path) -> HubServer:
    return serve(tls=for_hub(certs))


# what stays secret


@pytest.fixture
def recorder(hub: HubServer) -> Iterator[tuple[tuple[str, int], list[bytes], list[socket.socket]]]:
    """Somebody between: (where, what went by, the two sockets it holds: towards the client, towards the hub)."""
    heard: list[bytes] = []
    held: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while chunk := source.recv(1 << 16):
                heard.append(chunk)
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return  # either side has ended

    def relay() -> None:
        try:
            while True:
                near = listener.accept()[0]
                far = socket.create_connection((hub.place.host, hub.place.port))
                held.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threads.append(threading.Thread(target=pump, args=pair))
                    threads[-1].start()
        except OSError:
            return  # the listener has been shut

    listener = socket.create_server(("127.0.0.1", 0))
    threads.append(threading.Thread(target=relay))
    threads[-1].start()
    yield listener.getsockname(), heard, held
    listener.shutdown(socket.SHUT_RDWR)
    for sock in held:
        with sock:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has ended by itself
    for thread in threads:
        thread.join(5)
    listener.close()


@pytest.mark.slow
def test_nothing_can_be_read_on_the_way_not_even_while_the_hub_stops(
    hub: HubServer, broker: MemoryBroker, certs: Path, recorder: tuple[tuple[str, int], list[bytes], list[socket.socket]]
) -> None:
    """An `SSLSocket` that is shut takes its TLS off: the answer that was on its way would leave in the clear."""
    place, heard, _ = recorder
    answers: list[list[bytes]] = []
    with HubClient(place, KEY, patience=0.0, tls=for_client(certs, "admin")) as client:
        client.put([New("task", b"a secret body")])
        assert client.take("task", 1) == [b"a secret body"]
        waiting = threading.Thread(target=lambda: answers.append(client.take("result", 1, wait=20.0)))
        waiting.start()
        assert broker.wait_until_asked(2)

        hub.stop()
        waiting.join(10)

    assert answers == [[]]
    assert b"secret" not in b"".join(heard)
    assert b"result" not in b"".join(heard)
    assert b"ok" not in [chunk[5:7] for chunk in heard]


# the relay: whoever sits between a worker and its hub, and knows no key


HANDSHAKE = ("hub", "worker") * 3  # who speaks, until both have shown that they know the key


class Rogue:
    """Listens where a worker looks for its hub, and asks the hub in its place."""

    def __init__(self, hub: HubServer, wrap: Callable[[socket.socket], socket.socket] = lambda sock: sock) -> None:
        self._hub = hub
        self._wrap = wrap
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.place = self._listener.getsockname()
        self.heard: list[object] = []
        self._thread = threading.Thread(target=self._relay)
        self._thread.start()

    def _relay(self) -> None:
        try:
            with (
                self._wrap(self._listener.accept()[0]) as near,
                socket.create_connection((self._hub.place.host, self._hub.place.port), timeout=5) as far,
            ):
                near.settimeout(5)
                ends = {"worker": Connection(near), "hub": Connection(far)}
                ends["worker"].start_tls()
                for speaker in HANDSHAKE:
                    other = "hub" if speaker == "worker" else "worker"
                    ends[other].send_bytes(ends[speaker].recv_bytes())
                self.heard.append(ask(ends["hub"], 1, "drained", []))
        except (EOFError, OSError) as error:
            self.heard.append(error)

    def end(self) -> object:
        self._thread.join(10)
        self._listener.close()
        return self.heard[0]


def test_without_tls_a_relay_that_knows_no_key_is_served_as_the_worker(hub: HubServer, serve: Callable[..., HubServer]) -> None:
    """Why an address that others can reach needs TLS: the key's handshake is right, and so is the answer to the rogue's call."""
    rogue = Rogue(serve())
    client = HubClient(rogue.place, KEY, patience=0.0)

    with pytest.raises(HubLost):
        client.stats()

    assert rogue.end() == [1, "ok", True]


@pytest.mark.parametrize("stolen", ["", "worker", "admin"])
def test_a_relay_gets_no_worker_to_prove_its_key_over_tls(
    hub: HubServer, certs: Path, others: Path, tmp_path: Path, stolen: str
) -> None:
    """Neither with a certificate of its own, nor with one it took from a worker or an admin."""
    folder = taken(tmp_path / "rogue", (certs, "ca", "ca"), (certs if stolen else others, stolen or "hub", "hub"))
    rogue = Rogue(hub, for_hub(folder).wrap_server)
    client = HubClient(rogue.place, KEY, patience=0.0, tls=for_client(certs, "worker"))

    with pytest.raises(TlsRefused, match=r"no hub's" if stolen else r"not from the CA"):
        client.stats()

    assert isinstance(rogue.end(), ssl.SSLError)


def test_a_relay_that_lets_all_pass_can_add_nothing_of_its_own(
    hub: HubServer,
    broker: MemoryBroker,
    certs: Path,
    caplog: pytest.LogCaptureFixture,
    recorder: tuple[tuple[str, int], list[bytes], list[socket.socket]],
) -> None:
    place, _, held = recorder
    with HubClient(place, KEY, patience=0.0, tls=for_client(certs, "worker")) as client:
        broker.put([New("task", b"\x01")])
        client.step(Step("w", 1, queue="task", want=1))

        call = msgspec.msgpack.encode([2, "expire", [None]])
        held[1].sendall(b"\x17\x03\x03" + len(call).to_bytes(2, "big") + call)  # a record as TLS has them, of no session
        give_up = time.monotonic() + 10
        while "TLS failed" not in caplog.text and time.monotonic() < give_up:
            threading.Event().wait(0.01)

        assert "TLS failed (decryption failed or bad record mac)" in caplog.text
        assert len(broker.leased) == 1


# where it may listen


def test_with_tls_every_address_is_allowed_and_still_no_short_key(broker: MemoryBroker, certs: Path) -> None:
    server = HubServer(broker, QUEUES, "0.0.0.0:0", KEY, tls=for_hub(certs))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with client_of(server, for_client(certs, "admin")) as client:  # 0.0.0.0 is reached as localhost
            assert client.drained() is True
    finally:
        server.stop()
        thread.join(10)

    with pytest.raises(UsageError, match="an authkey of 5 bytes is too short"):
        HubServer(broker, QUEUES, "0.0.0.0:0", b"short", tls=for_hub(certs))
    with pytest.raises(UsageError, match=r"speak TLS with --certs DIR, listen on 127\.0\.0\.1, or set hub\.insecure = true"):
        HubServer(broker, QUEUES, "0.0.0.0:0", KEY)


@pytest.mark.slow
def test_a_client_finds_its_way_back_over_tls(broker: MemoryBroker, certs: Path) -> None:
    def start(address: str) -> tuple[HubServer, threading.Thread]:
        server = HubServer(broker, QUEUES, address, KEY, tls=for_hub(certs))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        return server, thread

    server, thread = start("127.0.0.1:0")
    with HubClient(str(server.place), KEY, "w", patience=20.0, tls=for_client(certs, "worker")) as client:
        assert client.drained() is True
        server.stop()
        thread.join(10)
        again, thread = start(str(server.place))
        try:
            assert client.drained() is True
        finally:
            again.stop()
            thread.join(10)
