from __future__ import annotations

import socket
import struct
import threading
import tracemalloc
from multiprocessing.connection import Client as StockClient

import pytest

from crawler.errors import WireError
from crawler.hub import wire
from crawler.hub.handshake import Unproven
from crawler.hub.wire import Connection, prove


@pytest.fixture
def pair():
    """A connection of ours and the bare socket at its other end."""
    left, right = socket.socketpair()
    connection = Connection(left)
    yield connection, right
    connection.close()
    right.close()


@pytest.fixture
def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        left = socket.create_connection(listener.getsockname())
        right, _ = listener.accept()
    yield Connection(left), Connection(right)
    left.close()
    right.close()


def test_a_frame_is_its_length_and_its_bytes(pair):
    connection, peer = pair

    connection.send_bytes(b"hello")

    assert peer.recv(100) == b"\0\0\0\5hello"


def test_frames_are_told_apart_however_they_arrive(pair):
    connection, peer = pair

    peer.sendall(b"\0\0\0\3one\0\0")
    first = connection.recv_bytes()
    peer.sendall(b"\0\2tw\0\0\0\0")

    assert [first, connection.recv_bytes(), connection.recv_bytes()] == [b"one", b"tw", b""]


def test_the_long_form_of_a_length_is_understood(pair):
    connection, peer = pair

    peer.sendall(struct.pack(">iQ", -1, 4) + b"long")

    assert connection.recv_bytes() == b"long"


@pytest.mark.parametrize(
    "head", [struct.pack(">i", -5), struct.pack(">i", 2**31 - 1), struct.pack(">iQ", -1, 2**62), b"GET / HTTP/1.1"]
)
def test_an_impossible_length_is_refused_before_anything_is_allocated(pair, head):
    connection, peer = pair
    peer.sendall(head)

    tracemalloc.start()
    with pytest.raises(WireError, match="was announced; at most 33554432"):
        connection.recv_bytes()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 1 << 20


def test_an_announced_frame_takes_memory_only_as_it_arrives(pair):
    connection, peer = pair
    peer.sendall(struct.pack(">i", wire.MAX_FRAME) + b"x" * 1000)
    peer.shutdown(socket.SHUT_WR)

    tracemalloc.start()
    with pytest.raises(EOFError):
        connection.recv_bytes()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 1 << 20


def test_a_frame_that_does_not_end_is_given_up(pair, monkeypatch):
    monkeypatch.setattr(wire, "FRAME_TIME", 0.05)
    connection, peer = pair
    peer.sendall(b"\0\0\0\5he")

    with pytest.raises(TimeoutError):
        connection.recv_bytes()


def test_a_deadline_ends_the_wait_for_a_frame(pair):
    connection, _ = pair
    connection.deadline = 0.0

    with pytest.raises(TimeoutError):
        connection.recv_bytes()


def test_a_closed_peer_is_noticed_without_reading(pair):
    connection, peer = pair
    assert not connection.is_gone()

    peer.close()

    assert connection.is_gone()


def test_pages_are_not_held_back_by_the_network(tcp_pair):
    connection, _ = tcp_pair
    with socket.socket(fileno=socket.dup(connection.fileno())) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_a_large_frame_crosses_whole(tcp_pair):
    left, right = tcp_pair
    body = bytes(range(256)) * 20_000
    sender = threading.Thread(target=left.send_bytes, args=(body,))
    sender.start()

    assert right.recv_bytes() == body
    sender.join()


def test_both_sides_prove_the_key(tcp_pair):
    left, right = tcp_pair
    server = threading.Thread(target=prove, args=(right, b"k" * 32), kwargs={"first": True})
    server.start()

    prove(left, b"k" * 32, first=False)

    server.join()
    assert left.limit == right.limit == wire.MAX_FRAME


def test_a_wrong_key_is_refused(tcp_pair):
    left, right = tcp_pair
    refusals = []

    def guard() -> None:
        with pytest.raises(Unproven) as refusal:
            prove(right, b"k" * 32, first=True)
        refusals.append(refusal)

    server = threading.Thread(target=guard)
    server.start()
    with pytest.raises(Unproven):
        prove(left, b"wrong", first=False)

    server.join()
    assert refusals


def test_the_standard_librarys_client_knows_the_framing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stock = []
        client = threading.Thread(target=lambda: stock.append(StockClient(listener.getsockname(), authkey=b"k" * 32)))
        client.start()
        connection = Connection(listener.accept()[0])
        prove(connection, b"k" * 32, first=True)
        client.join()

        stock[0].send_bytes(b"x" * 100_000)
        assert connection.recv_bytes() == b"x" * 100_000

        stock[0].close()
        connection.close()
