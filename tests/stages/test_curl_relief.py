"""Work that takes long does not hold up the transfers of libcurl's loop: a second thread drives them meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from crawler import Guard, Url
from crawler_stages.clients.contract import Reply
from crawler_stages.clients.curl.client import CurlClient
from crawler_stages.clients.curl.loop import Loop
from tests.peer import LIMITS, Peer, answering, body

TIME = 30.0  # s after which a wait of a test has failed
FIRST, SECOND = "transfers", "transfers-relief"


@pytest.fixture
def before() -> set[threading.Thread]:
    """The threads that a test found. Name it first."""
    return set(threading.enumerate())


@pytest.fixture
def client() -> Iterator[CurlClient]:
    client = CurlClient(LIMITS, Guard(lambda host: True))
    yield client
    client.close()


@pytest.fixture
def peer(serve: Callable[..., Peer], client: CurlClient) -> Peer:
    peer = serve()
    peer.talks.append(answering(body(b"x"), keep=True)(peer))
    client.look_up(Url.parse(peer.url))
    return peer


class Ask:
    """A request that is begun, and the work on its reply."""

    def __init__(self, client: CurlClient, peer: Peer, work: Callable[[], object] = lambda: None) -> None:
        self.arrived = threading.Event()
        self.done = threading.Event()
        self.driver = ""  # name of the thread in which the reply arrived
        self.worker = ""  # and of the one that worked on it
        self.reply: Reply | Exception | None = None
        self._work = work
        assert client.start(Url.parse(peer.url), {}, lambda *_: True, self._then)

    def _then(self, finish: Callable[[], Reply] | None, _: int) -> Callable[[], None]:
        self.driver = threading.current_thread().name
        self.arrived.set()

        def work() -> None:
            self.worker = threading.current_thread().name
            self._work()
            try:
                self.reply = finish() if finish else None
            except Exception as error:  # noqa: BLE001  looked at by the test
                self.reply = error
            self.done.set()

        return work

    def end(self) -> None:
        assert self.done.wait(TIME)


def test_while_one_reply_is_worked_on_for_long_others_arrive(client: CurlClient, peer: Peer) -> None:
    go, begun = threading.Event(), threading.Event()
    slow = Ask(client, peer, lambda: (begun.set(), go.wait(TIME)))
    assert begun.wait(TIME)

    others = [Ask(client, peer) for _ in range(3)]

    for other in others:
        assert other.arrived.wait(TIME), "nobody drives the transfers"
    assert {other.driver for other in others} == {SECOND}
    assert not any(other.done.is_set() for other in others), "two pieces of work are never done at once"
    go.set()
    for each in (slow, *others):
        each.end()
    assert {each.worker for each in (slow, *others)} == {FIRST}


def test_one_thread_does_both_again_once_work_is_quick(client: CurlClient, peer: Peer) -> None:
    for _ in range(2):
        go, begun = threading.Event(), threading.Event()
        Ask(client, peer, lambda begun=begun, go=go: (begun.set(), go.wait(TIME)))  # type: ignore[misc]  # of a lambda
        assert begun.wait(TIME)
        other = Ask(client, peer)
        assert other.arrived.wait(TIME)
        assert other.driver == SECOND
        go.set()

        for _ in range(1_000):
            last = Ask(client, peer)
            last.end()
            if last.driver == FIRST:
                break
        assert last.driver == FIRST


def test_what_fails_while_the_second_thread_drives_ends_the_loop_and_the_next_request_begins_another(
    client: CurlClient, peer: Peer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    go, begun = threading.Event(), threading.Event()
    slow = Ask(client, peer, lambda: (begun.set(), go.wait(TIME)))
    assert begun.wait(TIME)
    failed = threading.Event()
    take = Loop._take

    def fail(loop: Loop) -> None:
        if not loop._waiting:  # a turn of before: a loop that fails now would not have the next request yet
            take(loop)
            return
        failed.set()
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_take", fail)
        lost = Ask(client, peer)
        assert failed.wait(TIME)
    go.set()
    slow.end()
    lost.end()

    assert not isinstance(lost.reply, Reply)
    assert "the loop of transfers failed" in caplog.text
    client.look_up(Url.parse(peer.url))  # a failure makes it look anew
    again = Ask(client, peer)
    again.end()
    assert isinstance(again.reply, Reply)


def test_a_client_that_is_closed_meanwhile_ends_when_the_work_does(
    before: set[threading.Thread], client: CurlClient, peer: Peer
) -> None:
    go, begun = threading.Event(), threading.Event()
    slow = Ask(client, peer, lambda: (begun.set(), go.wait(TIME)))
    assert begun.wait(TIME)
    other = Ask(client, peer)
    assert other.arrived.wait(TIME)
    own = {thread for thread in threading.enumerate() if thread.name in (FIRST, SECOND)} - before
    assert own
    closing = threading.Thread(target=client.close)
    closing.start()
    go.set()
    closing.join(TIME)

    slow.end()
    other.end()
    assert not closing.is_alive()
    assert not own & set(threading.enumerate())
