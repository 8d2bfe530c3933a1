from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest
from memory_broker import KEY

from crawler.errors import CallRefused, HubLost, HubUnreachable
from crawler.hub import verbs
from crawler.hub.client import HubClient
from crawler.hub.wire import Connection, prove
from crawler.items import Dead, Done, New, Note, Pace, Step, Verdict


class Relay:
    """A wire that can be cut at the worst moment: the hub has answered, and the answer is lost."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._answers_to_lose = threading.Event()
        self.lost = 0
        threading.Thread(target=self._run, daemon=True).start()

    def lose_next_answer(self) -> None:
        self._answers_to_lose.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            for source, sink, is_answer in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pump, args=(source, sink, is_answer), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with source:
            try:
                while data := source.recv(65536):
                    if is_answer and self._answers_to_lose.is_set():
                        self._answers_to_lose.clear()
                        self.lost += 1
                        break
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # the other direction has closed it


@pytest.fixture
def relay(hub) -> Iterator[Relay]:
    relay = Relay(hub.place.host, hub.place.port)
    yield relay
    relay.close()


def test_every_verb_crosses_the_wire(client, broker):
    assert client.put([New("task", b"a", priority=3), New("task", b"b", key=b"k" * 16)]) == [Verdict.ACCEPTED] * 2
    stepped = client.step(Step("w1", 1, queue="task", want=1))
    (lease,) = stepped.leases
    assert (lease.item, lease.queue, lease.attempt) == (b"a", "task", 1)
    assert client.extend("w1", [lease.token, 99], 30.0) == [True, False]
    assert client.expire("w1") == 1
    assert client.take("task", 5) == [b"a", b"b"]
    client.pace([Pace("host", rest=2.5)])
    assert broker.paces == [Pace("host", rest=2.5)]
    assert client.note([Note("own/a", b"x")]) == 1
    assert client.notes("own/") == [Note("own/a", b"x", 1)]
    assert client.dead("task", after=7) == [Dead(8, "task", 5, "boom", b"body", None, "", 1.5)]
    assert client.revive([1, 2]) == 2
    assert client.why("urls", b"k" * 16) is None
    assert client.stats().queues[0].name == "task"
    assert client.drained(["task"]) is True


def test_a_step_hands_in_and_takes_in_one_call(client, broker):
    client.put([New("task", b"3")])
    (lease,) = client.step(Step("w1", 1, queue="task", want=1)).leases

    stepped = client.step(Step("w1", 2, done=[Done(lease.token, [New("result", b"9")])]))

    assert stepped.verdicts == [Verdict.DONE]
    assert client.take("result", 1) == [b"9"]


def test_a_step_says_what_has_arrived(client, broker):
    client.put([New("task", b"3")])
    (lease,) = client.step(Step("w1", 1, queue="task", want=1)).leases

    client.step(Step("w1", 2, arrived=[lease.token, 12345]))

    assert broker.arrived == [lease.token]
    assert client.step(Step("w1", 3, done=[Done(lease.token)])).verdicts == [Verdict.DONE]


@pytest.mark.slow
def test_a_call_whose_answer_was_lost_is_repeated_and_changes_nothing_twice(relay, broker):
    with HubClient(relay.address, KEY, "w1", patience=10) as client:
        client.drained()
        relay.lose_next_answer()
        assert client.put([New("task", b"once")]) == [Verdict.ACCEPTED]
        relay.lose_next_answer()
        stepped = client.step(Step("w1", 1, queue="task", want=5))

    assert relay.lost == 2
    assert [lease.item for lease in stepped.leases] == [b"once"]
    assert broker.accepted["task"] == 1


def test_a_put_made_by_hand_is_numbered_by_its_caller(client, broker):
    assert client.put([New("task", b"x")], "me", 1) == client.put([New("task", b"x")], "me", 1)

    assert broker.accepted["task"] == 1


def test_two_puts_of_the_same_item_are_two(client, broker):
    client.put([New("task", b"x")])
    client.put([New("task", b"x")])

    assert broker.accepted["task"] == 2


def test_a_long_poll_keeps_no_heart_beat_waiting(client, broker):
    stepped = []
    waiting = threading.Thread(target=lambda: stepped.append(client.step(Step("w1", 1, queue="task", want=1, wait=20.0))))
    waiting.start()

    assert client.extend("w1", [1], 30.0) == [False]
    client.put([New("task", b"wakes it")])

    waiting.join(10)
    assert [lease.item for lease in stepped[0].leases] == [b"wakes it"]


def test_a_hub_elsewhere_is_started_there_and_a_name_that_is_not_known_is_told():
    for address, said in (
        ("nosuchhub.invalid:8000", "the name nosuchhub.invalid is not known here; give the hub's with --hub"),
        ("unix:nosuchhub", "start one with 'crawler hub --address unix:nosuchhub', or name another with --hub"),
    ):
        with pytest.raises(HubUnreachable) as caught:
            HubClient(address, KEY, patience=0).stats()
        assert str(caught.value) == f"no hub answers at {address}; {said}"
    assert "start one there with 'crawler hub --address 10.0.0.7:8000'" in str(HubUnreachable("10.0.0.7:8000"))


def test_no_hub_is_said_at_once_to_a_command_and_later_to_a_worker():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"

    with pytest.raises(HubUnreachable, match=f"no hub answers at {address}; start one with 'crawler hub --address"):
        HubClient(address, KEY, patience=0).stats()
    with pytest.raises(HubUnreachable):
        HubClient(address, KEY, patience=0.2).stats()


def test_something_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("crawler.hub.connect.HANDSHAKE_TIME", 0.05)
    monkeypatch.setattr("crawler.hub.connect.SILENCE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"

        with pytest.raises(HubLost, match="went away in the middle of a call"):
            HubClient(address, KEY, patience=0).stats()


def test_a_call_that_is_not_answered_in_time_is_lost(hub, broker, monkeypatch):
    monkeypatch.setattr("crawler.hub.client.CALL_TIME", 0.1)
    monkeypatch.setattr(broker, "stats", lambda: broker.take("task", 1, 20.0))
    with HubClient(str(hub.place), KEY, patience=0) as client, pytest.raises(HubLost):
        client.stats()
    broker.close()


def test_an_interrupted_call_does_not_leave_its_answer_to_the_next(client):
    client.put([New("task", b"precious")])
    client.take("result", 1)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    with pytest.raises(KeyboardInterrupt):
        client.take("result", 1, wait=10.0)
    signal.signal(signal.SIGALRM, before)

    assert client.stats().queues[0].ready == 1
    assert client.take("task", 1) == [b"precious"]


def test_a_message_too_big_for_a_frame_is_refused_before_it_is_sent(client):
    with pytest.raises(CallRefused, match="over the 33554432 of a frame; send or ask for fewer tasks"):
        client.put([New("task", bytes(12 << 20))] * 3)

    assert client.drained() is True


def test_an_answer_too_big_for_a_frame_is_refused_by_name(client, broker):
    for _ in range(3):
        broker.put([New("task", bytes(12 << 20))])

    with pytest.raises(CallRefused, match="send or ask for fewer tasks"):
        client.take("task", 3)

    assert client.drained() is True


def test_a_closed_client_says_so(client):
    client.drained()
    client.close()
    client.close()

    with pytest.raises(CallRefused, match="this client is closed"):
        client.drained()


@pytest.mark.slow
def test_a_worker_goes_on_when_its_hub_was_killed_and_started_again(start_hub):
    process, address = start_hub()
    with HubClient(address, KEY, "w1", patience=30) as client:
        client.put([New("task", b"old")])
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(client.step(Step("w1", 1, queue="result", want=1, wait=20.0))))
        waiting.start()

        process.kill()
        process.wait()
        start_hub(address)
        client.put([New("result", b"new")])

        waiting.join(20)
        assert [lease.item for lease in answers[0].leases] == [b"new"]


def test_patience_ends_with_hub_lost_when_the_hub_does_not_come_back():
    listener = socket.create_server(("127.0.0.1", 0))

    def die_in_a_call() -> None:
        connection = Connection(listener.accept()[0])
        prove(connection, KEY, first=True)
        connection.recv_bytes()
        listener.close()
        connection.close()

    dying = threading.Thread(target=die_in_a_call)
    dying.start()
    client = HubClient(listener.getsockname(), KEY, patience=0.2)

    with pytest.raises(HubLost, match="went away in the middle of a call"):
        client.drained()
    dying.join()


def test_an_answer_to_another_call_is_taken_for_none() -> None:
    """A hub that answers with the number of another call has lost its way: the connection is given up, and the call made again."""
    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[int] = []

    def serve() -> None:
        for wrong in (-1, 1, 0):  # added to the number; the last one is right
            connection = Connection(listener.accept()[0])
            prove(connection, KEY, first=True)
            number, *_ = msgspec.msgpack.decode(connection.recv_bytes())
            asked.append(number)
            connection.send_bytes(msgspec.msgpack.encode((number + wrong, verbs.OK, not wrong)))
            with suppress(EOFError, OSError):
                connection.recv_bytes()  # until the client closes it
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    with listener, HubClient(listener.getsockname(), KEY, patience=10) as client:
        assert client.drained() is True
    thread.join(10)

    assert len(set(asked)) == 1
    assert len(asked) == 3


def test_a_call_without_patience_that_fails_finds_the_hub_for_the_next(hub) -> None:
    """Its caller asks again by itself, and a hub that was started again listens on another port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        before = f"127.0.0.1:{listener.getsockname()[1]}"
    client = HubClient(before, KEY, patience=0.0, find=lambda: str(hub.place))

    with pytest.raises(HubUnreachable, match=before):
        client.drained([])
    assert client.drained([]) is True
    client.close()
