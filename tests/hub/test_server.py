from __future__ import annotations

import logging
import pickle
import re
import resource
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from memory_broker import KEY, QUEUES

from crawler.errors import CallRefused, HubLost, KeyRefused, UsageError
from crawler.hub import door
from crawler.hub.client import HubClient
from crawler.hub.server import HubServer
from crawler.hub.wire import Connection, prove
from crawler.items import Step


@pytest.fixture
def dial(hub):
    """Connections to the hub below any client: bare, or with the key proven."""
    opened = []

    def make(*, proven: bool = True) -> Connection:
        connection = Connection(socket.create_connection((hub.place.host, hub.place.port), timeout=5))
        opened.append(connection)
        connection._socket.settimeout(5)
        if proven:
            prove(connection, KEY, first=False)
        return connection

    yield make
    for connection in opened:
        connection.close()


def ask(connection: Connection, message: object) -> object:
    connection.send_bytes(msgspec.msgpack.encode(message))
    return msgspec.msgpack.decode(connection.recv_bytes())


def ask_pickled(connection: Connection, *request: object) -> object:
    connection.send_bytes(pickle.dumps(request))
    return pickle.loads(connection.recv_bytes())


def end_of(connection: Connection) -> bytes:
    """All that is still said until the other side closes."""
    heard = b""
    while chunk := connection._socket.recv(4096):
        heard += chunk
    return heard


def test_a_call_is_answered_under_its_number(dial):
    assert ask(dial(), [7, "drained", []]) == [7, "ok", True]


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (["put", ["not a task"]], r"put: Expected `array`, got `str` - at `\$\[0\]`"),
        (["put", []], "put: Expected `array` of at least length 1"),
        (["take", ["task", 1, 1e9]], "a wait of 1000000000.0 s is not possible; ask for 0 to 20 s"),
        (["take", ["task", 1, float("nan")]], "a wait of nan s is not possible"),
        (["take", ["pges", 1, 0.0]], "no queue 'pges' on this hub; it has task, result, urls"),
        (["step", [{"worker": "w", "call": 1, "wait": -1.0}]], "this connection has not claimed the name 'w'"),
        (["hello", ["", b"s" * 16]], "a worker without a name cannot lease"),
        (["claim", ["w", b"s" * 15]], "a secret of 15 bytes is not possible; give 16 to 64"),
        (["shutdown", []], "a hub knows no 'shutdown'; it knows bye, claim, dead"),
        (["__class__", []], "a hub knows no '__class__'"),
        (["close", []], "a hub knows no 'close'"),
    ],
)
def test_a_bad_call_is_refused_and_the_connection_stays(dial, call, complaint):
    connection = dial()

    number, kind, message = ask(connection, [1, *call])

    assert (number, kind) == (1, "CallRefused")
    assert re.match(complaint, message), message
    assert ask(connection, [2, "drained", []]) == [2, "ok", True]


def test_what_went_wrong_inside_stays_in_the_hubs_log(dial, caplog):
    assert ask(dial(), [1, "drop", [[1]]]) == [1, "CallRefused", "internal error; see the hub's log"]

    assert "'drop' failed inside the hub" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"\x93",
        b"\x93\x01",
        b"\x93\x01\xa3put" + b"\x91" * 100_000,
        b"\x93\x01\xa4put\x91\x90",
        b"\xc1",
        b"GET / HTTP/1.1\r\n\r\n",
        msgspec.msgpack.encode({"a": 1}),
        msgspec.msgpack.encode(["x", 1, []]),
    ],
)
def test_a_frame_that_is_no_call_ends_the_connection_and_no_other(hub, dial, body):
    connection, other = dial(), dial()

    connection.send_bytes(body)

    assert end_of(connection) == b""
    assert ask(other, [1, "drained", []]) == [1, "ok", True]


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0\0\0\5wrong",
        struct.pack(">i", -5),
        struct.pack(">i", 2**31 - 1),
        struct.pack(">iQ", -1, 2**62),
        struct.pack(">i", 257) + b"x" * 257,
    ],
)
def test_noise_before_the_key_hears_at_most_that_it_failed(dial, noise):
    stranger = dial(proven=False)
    stranger.recv_bytes()  # the challenge

    stranger._socket.sendall(noise)
    stranger._socket.shutdown(socket.SHUT_WR)

    try:
        heard = end_of(stranger)
    except ConnectionResetError:  # closed with our noise unread
        heard = b""
    assert heard in (b"", b"\0\0\0\x09#FAILURE#")
    assert ask(dial(), [1, "drained", []]) == [1, "ok", True]


def test_a_wrong_key_is_refused_and_logged_once_a_minute(hub, caplog):
    for _ in range(3):
        with pytest.raises(KeyRefused, match="refused the key"):
            HubClient(str(hub.place), b"wrong" * 8).stats()

    assert [record.message for record in caplog.records if record.levelno == logging.WARNING] == [
        "a connection from 127.0.0.1 is refused: it does not know the key"
    ]


def test_silent_connections_are_few_and_keep_nobody_out(hub, connect):
    threads = threading.active_count()
    silent = [socket.create_connection((hub.place.host, hub.place.port)) for _ in range(200)]

    assert connect().drained() is True

    assert threading.active_count() - threads <= door.MAX_STRANGERS + 2
    for sock in silent:
        sock.close()


def test_a_silent_connection_is_closed_after_its_time(dial, monkeypatch):
    monkeypatch.setattr("crawler.hub.door.HANDSHAKE_TIME", 0.1)
    stranger = dial(proven=False)
    stranger.recv_bytes()

    assert end_of(stranger) == b""


def test_too_many_connections_are_turned_away(serve):
    hub = serve(max_connections=2)
    clients = [HubClient(str(hub.place), KEY, patience=0) for _ in range(3)]
    assert [client.drained() for client in clients[:2]] == [True, True]

    with pytest.raises(HubLost):
        clients[2].drained()
    clients[0].close()
    clients[2].patience = 5

    assert clients[2].drained() is True
    for client in clients:
        client.close()


@pytest.mark.slow
def test_a_thread_that_cannot_be_started_costs_one_connection(hub, connect, monkeypatch):
    start, failures = threading.Thread.start, [RuntimeError("can't start new thread")] * 2

    def limited(thread: threading.Thread) -> None:
        if failures and thread.name.startswith("hub for"):
            raise failures.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)

    assert connect(patience=10).drained() is True
    assert not failures


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the limit of another process can only be set on Linux")
def test_descriptors_that_run_out_are_waited_for(start_hub):
    process, address = start_hub()
    host, port = address.rsplit(":", 1)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (24, 24))

    silent = [socket.create_connection((host, int(port))) for _ in range(40)]
    with HubClient(address, KEY, patience=20) as client:
        assert client.drained() is True

    process.terminate()
    assert process.wait(10) == 0
    for sock in silent:
        sock.close()


def test_a_pickle_with_code_in_it_runs_nothing_and_the_hub_serves_on(dial, tmp_path):
    class Evil:
        def __reduce__(self):
            return __import__("os").system, (f"touch {tmp_path}/run",)

    connection = dial()

    kind, error = ask_pickled(connection, "task", "put", (Evil(),), {})

    assert kind == "#ERROR"
    assert isinstance(error, ValueError)
    assert "GLOBAL in it is not plain data" in str(error)
    assert not list(tmp_path.iterdir())
    assert ask_pickled(connection, "task", "qsize", (), {}) == ("#RETURN", 0)


@pytest.mark.parametrize("method", ["shutdown", "debug_info", "number_of_objects", "serve_forever", "stop", "__init__"])
def test_what_a_manager_could_do_to_its_server_is_refused(dial, method):
    kind, error = ask_pickled(dial(), None, method, (), {})

    assert (kind, type(error)) == ("#ERROR", ValueError)
    assert f"a hub does not do {method!r} for a client" in str(error)


@pytest.mark.parametrize(
    "request_",
    [
        ("task", "_spec", (), {}),
        ("task", "_plain", (1,), {}),
        ("task", "get", (1, 2, 3, 4), {}),
        ("task", "get", (True, -1), {}),
        ("task", "get", (True, "soon"), {}),
        ("nothing", "get", (), {}),
        (None, "create", ("get_nothing_queue",), {}),
        (None, "create", (), {}),
        ("urls", "put", ("http://a/",), {}),
        (1, 2, 3, 4),
        ("task",),
        (),
    ],
)
def test_a_managers_bad_request_is_refused_with_a_reason(dial, request_):
    connection = dial()

    kind, error = ask_pickled(connection, *request_)

    assert (kind, type(error)) == ("#ERROR", ValueError)
    assert str(error)
    assert "internal" not in str(error)
    assert ask_pickled(connection, "task", "empty", (), {}) == ("#RETURN", True)


def test_a_keyed_queue_takes_bare_values_where_somebody_knows_the_key(serve, broker):
    from crawler.items import New

    hub = serve(encoders={"urls": lambda value: New("urls", value.encode(), key=b"k" * 16)})
    with socket.create_connection((hub.place.host, hub.place.port)) as sock:
        connection = Connection(sock)
        prove(connection, KEY, first=False)

        assert ask_pickled(connection, "urls", "put", ("http://a/",), {}) == ("#RETURN", None)

    assert broker.take("urls", 1) == [b"http://a/"]


def test_what_a_client_that_has_gone_would_have_taken_stays(hub, dial, broker):
    gone = dial()
    gone.send_bytes(pickle.dumps(("task", "get", (), {})))
    assert broker.wait_until_asked(1)
    gone.close()
    assert ask_pickled(dial(), "task", "put", ("precious",), {}) == ("#RETURN", None)

    assert ask_pickled(dial(), "task", "get", (True, 5), {}) == ("#RETURN", "precious")


def test_a_worker_that_goes_without_a_word_is_reported(broker, connect):
    client = connect("w1")
    client.drained()
    (connection,) = client._idle

    connection.close()

    assert broker.wait_until_lost("w1")


def test_a_worker_with_another_connection_or_a_good_bye_is_not(broker, connect):
    beats, worker, polite = connect("w1"), connect("w1"), connect("w2")
    for client in (beats, worker, polite):
        client.drained()

    worker._idle.pop().close()
    polite.close()
    last = connect("w3")
    last.drained()
    last._idle.pop().close()

    assert broker.wait_until_lost("w3")
    assert broker.gone == ["w3"]


def test_a_worker_that_comes_back_after_its_good_bye_is_missed_when_it_dies(broker, dial):
    """Its name is that of a connection which is still there, so nothing has been forgotten."""
    old, new = dial(), dial()
    for connection in (old, new):
        assert ask(connection, [1, "hello", ["w1", b"s" * 16]]) == [1, "ok", None]
    ask(old, [2, "bye", []])
    third = dial()
    assert ask(third, [1, "hello", ["w1", b"s" * 16]]) == [1, "ok", None]

    for connection in (old, new, third):
        connection.close()

    assert broker.wait_until_lost("w1")


@pytest.mark.slow
def test_a_worker_that_dies_while_it_waits_is_noticed(broker, dial):
    connection = dial()
    assert ask(connection, [1, "hello", ["w1", b"s" * 16]]) == [1, "ok", None]
    connection.send_bytes(msgspec.msgpack.encode([2, "step", [Step("w1", 1, queue="task", want=1, wait=20.0)]]))

    assert broker.wait_until_asked(1)

    connection.close()

    assert broker.wait_until_lost("w1")


@pytest.mark.slow
def test_a_stop_answers_the_call_in_progress(serve, broker):
    hub = serve()
    client, answers = HubClient(str(hub.place), KEY, patience=0), []
    waiting = threading.Thread(target=lambda: answers.append(client.take("task", 1, wait=20.0)))
    waiting.start()
    assert broker.wait_until_asked(1)

    hub.stop()

    waiting.join(10)
    assert answers == [[]]
    client.close()


def test_a_hub_does_not_start_where_it_should_not(broker, hub):
    with pytest.raises(UsageError, match=r"0\.0\.0\.0:0 can be reached from other machines"):
        HubServer(broker, QUEUES, "0.0.0.0:0", KEY)
    with pytest.raises(UsageError, match="is in use"):
        HubServer(broker, QUEUES, hub.place, KEY)


def test_a_unix_socket_is_taken_away_with_its_hub(serve, tmp_path):
    hub = serve(f"unix:{tmp_path}/hub.sock")
    with HubClient(f"unix:{tmp_path}/hub.sock", KEY, patience=0) as client:
        assert client.drained() is True

    hub.stop()
    hub._door._listener.close()
    for thread in threading.enumerate():
        if thread.name.endswith("(serve_forever)"):
            thread.join(10)

    assert not (tmp_path / "hub.sock").exists()


@pytest.mark.slow
def test_a_signal_stops_a_hub_cleanly(start_hub):
    process, address = start_hub()
    with HubClient(address, KEY, patience=0) as client:
        client.drained()

    process.terminate()

    assert process.wait(10) == 0


@pytest.mark.slow
def test_checks_hold_without_asserts(tmp_path):
    script = (
        "import sys, threading; sys.path.insert(0, sys.argv[1])\n"
        "from memory_broker import MemoryBroker, QUEUES\n"
        "from crawler.hub.server import HubServer; from crawler.hub.client import HubClient\n"
        "from crawler.errors import CallRefused, KeyRefused\n"
        "server = HubServer(MemoryBroker(), QUEUES, '127.0.0.1:0', b'k' * 32)\n"
        "threading.Thread(target=server.serve_forever).start()\n"
        "try: HubClient(server.place, b'wrong' * 8, patience=0).stats()\n"
        "except KeyRefused: print('refused')\n"
        "server.stop()\n"
    )

    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-O", "-c", script, here], capture_output=True, text=True, timeout=30, check=True)

    assert done.stdout == "refused\n"


def test_errors_a_client_may_hear_keep_their_class(client):
    with pytest.raises(CallRefused, match="no queue 'pges' on this hub"):
        client.take("pges", 1)
