"""Whatever is said to a real hub over a real socket: it answers or hangs up, keeps its counts, and serves the next one.

An answer that speaks of an internal error is a fault of ours, whoever provoked it.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import socket
import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from corpora import NUMBERS, VALUES, bent, broken, examples, kept
from hypothesis import given
from hypothesis import strategies as st

from crawler.broker.contract import QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.hub import classic, verbs
from crawler.hub.server import HubServer
from crawler.hub.wire import Connection, prove
from crawler.items import Done, Failed, New, Note, Pace, Step

KEY = b"k" * 32
ANSWER_TIME = 10.0  # s in which the hub has answered or hung up: nothing here asks it to wait so long
QUEUES = (
    QueueSpec("task", is_read=True, feeds=("result",)),
    QueueSpec("result", high_water=1_000_000),
    QueueSpec("urls", keyed=True, polite=True, is_read=True, limit=500),
)
STEP = Step(
    "w", 1, "urls", 2, 30.0, 0.0, [Done(1, [New("result", b"x", b"k" * 16, "h", 1, 0.5, 1, b"p" * 16)], "ok")],
    [Failed(2, "no", 1.0)], [3], [Pace("h", 1.0, 2.0, False, -1.0)], {"a": 1},
)  # fmt: skip
CALLS: dict[str, list[Any]] = {
    "put": [[New("urls", b"x", b"k" * 16, "h", 1, 0.5, 1, b"p" * 16), New("task", b"y")], "me", 7],
    "step": [STEP], "extend": ["w", [1, 2], 30.0], "expire": ["w",
    "was killed"], "held": ["w"], "pace": [[Pace("h", 1.0)]], "note": [[Note("n", b"v")]],
    "forget": [["n"], ["c"]], "notes": ["n", 0], "take": ["task", 1, 0.0], "dead": ["task", 10, 0], "revive": [[1]], "drop": [[1]], "stats": [],
    "hosts": [["h"]], "why": ["urls", b"k" * 16], "find": ["http://a/"], "drained": [["task"]], "hello": ["w", b"s" * 16], "claim": ["w", b"s" * 16],
    "bye": [],
}  # fmt: skip
PLAIN = {verb: msgspec.msgpack.decode(msgspec.msgpack.encode(arguments)) for verb, arguments in CALLS.items()}
REQUESTS: list[tuple[Any, ...]] = [
    ("task", "put", ({"a": [1, None, 2.5, b"x"]},), {"block": True}), ("task", "get", (), {"block": False}),
    ("task", "qsize", (), {}), ("urls", "put", ("http://a/",), {}), (None, "create", ("get_task_queue",), {}),
    (None, "get_methods", (["x"],), {}), (None, "shutdown", (), {}), ("result", "__class__", (), {}),
]  # fmt: skip


class Visitor:
    """Speaks to the hub below any client, and comes back when it was shown out."""

    def __init__(self, server: HubServer) -> None:
        self._server = server
        self._connection: Connection | None = None

    def dial(self) -> socket.socket:
        return socket.create_connection((self._server.place.host, self._server.place.port), timeout=ANSWER_TIME)

    def ask(self, body: bytes) -> bytes | None:
        """What the hub answers; None: it has hung up."""
        if self._connection is None:
            self._connection = Connection(self.dial())
            prove(self._connection, KEY, first=False)
            self._connection.send_bytes(msgspec.msgpack.encode([0, "hello", ["w", b"s" * 16]]))
            self._connection.recv_bytes()
        try:
            self._connection.send_bytes(body)
            return bytes(self._connection.recv_bytes())
        except (EOFError, ConnectionError):
            self.close()
            return None

    def call(self, verb: str, arguments: Any) -> list[Any]:
        answer = self.ask(msgspec.msgpack.encode([1, verb, arguments]))
        assert answer is not None, f"{verb} with {arguments!r} ended the connection"
        answered: list[Any] = msgspec.msgpack.decode(answer)
        return answered

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


@pytest.fixture(scope="module")
def visitor() -> Iterator[Visitor]:
    broker = SqliteBroker(":memory:", QUEUES)
    server = HubServer(broker, QUEUES, "127.0.0.1:0", KEY)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    visitor = Visitor(server)
    yield visitor
    visitor.close()
    server.stop()
    thread.join(10)
    broker.close()
    assert not thread.is_alive()


@pytest.fixture(autouse=True)
def still_whole(visitor: Visitor, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """After all that was said: the counts add up, nobody was left behind, and nothing of ours had gone wrong."""
    caplog.set_level(logging.ERROR)
    yield
    _, kind, stats = visitor.call("stats", [])
    assert kind == verbs.OK
    for queue in stats["queues"]:
        assert queue["accepted"] == sum(queue[state] for state in ("ready", "delayed", "leased", "dead", "done"))
    visitor.close()
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("hub")]
    assert len(ours) < 30
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def judge(answer: bytes | None) -> None:
    assert answer is None or classic.INTERNAL.encode() not in answer


@pytest.mark.slow
@examples(150)
@given(st.sampled_from(sorted(PLAIN)).flatmap(lambda verb: st.tuples(st.just(verb), bent(PLAIN[verb]))))
def test_a_call_with_any_arguments_is_answered(visitor: Visitor, call: tuple[str, Any]) -> None:
    verb, arguments = call

    number, kind, value = visitor.call(verb, arguments)

    assert (number, kind in (verbs.OK, "CallRefused")) == (1, True)
    assert value != classic.INTERNAL


@examples(100)
@given(NUMBERS, NUMBERS, NUMBERS, st.sampled_from(["urls", "task", "nowhere"]))
def test_a_step_with_any_numbers_is_answered(visitor: Visitor, one: Any, two: Any, three: Any, queue: str) -> None:
    step = {
        "worker": "w", "call": one, "queue": queue, "want": two, "ttl": three, "done": [[one, [["task", b"x", None, "", two,
        three]]]],
        "failed": [[two, "no", three]], "released": [one], "paces": [["h", three, three, None, two]], "counters": {"a": one},
    }  # fmt: skip

    _, _, value = visitor.call("step", [step])

    assert value != classic.INTERNAL


@examples(100)
@given(st.one_of(
    st.sampled_from(sorted(PLAIN)).flatmap(lambda verb: broken(msgspec.msgpack.encode([1, verb, PLAIN[verb]]))),
    VALUES.map(msgspec.msgpack.encode), st.binary(max_size=40),
))  # fmt: skip
def test_a_frame_of_anything_is_answered_or_ends_the_connection(visitor: Visitor, body: bytes) -> None:
    judge(visitor.ask(body))


@examples(100)
@given(st.one_of(
    st.sampled_from(REQUESTS).flatmap(lambda request: bent(list(request))).map(msgspec.msgpack.encode),
    st.sampled_from(REQUESTS).flatmap(lambda request: bent(list(request))).map(pickle.dumps),
    st.sampled_from(REQUESTS).flatmap(lambda request: broken(pickle.dumps(request))),
    VALUES.map(pickle.dumps), st.binary(max_size=40).map(lambda noise: b"\x80\x04" + noise),
))  # fmt: skip
def test_a_managers_request_of_anything_is_answered_or_ends_the_connection(visitor: Visitor, body: bytes) -> None:
    judge(visitor.ask(body))


@kept("frames")
def test_a_frame_that_was_kept_is_answered_or_ends_the_connection(visitor: Visitor, data: bytes) -> None:
    judge(visitor.ask(data))


def greet(visitor: Visitor, noise: bytes) -> bytes:
    """Say this instead of the key; all that is heard."""
    with visitor.dial() as stranger, contextlib.suppress(ConnectionError):  # it may have closed with our noise unread
        heard = b""
        stranger.sendall(noise)
        stranger.shutdown(socket.SHUT_WR)
        while chunk := stranger.recv(4_096):
            heard += chunk
        return heard
    return b""


@examples(40)
@given(st.one_of(
    st.binary(max_size=300), st.binary(max_size=64).map(lambda body: len(body).to_bytes(4, "big") + body),
    st.integers(0, 2**32 - 1).map(lambda size: size.to_bytes(4, "big")),
))  # fmt: skip
def test_who_does_not_know_the_key_hears_the_challenge_and_that_it_failed(visitor: Visitor, noise: bytes) -> None:
    heard = greet(visitor, noise)

    assert len(heard) < 200
    assert b"Error" not in heard
    assert b"Traceback" not in heard


@kept("strangers")
def test_a_stranger_that_was_kept_hears_no_more(visitor: Visitor, data: bytes) -> None:
    assert len(greet(visitor, data)) < 200
