"""Each role says every verb with values that are meant to do harm; after that the hub does for others what it did before."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from memory_broker import KEY

from crawler.broker.arguments import LARGEST
from crawler.broker.contract import TAKER, QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.hub import classic, verbs
from crawler.hub.client import HubClient
from crawler.hub.roles import ROLES
from crawler.hub.server import HubServer
from crawler.hub.wire import Connection, prove
from crawler.items import Done, New, Step, Verdict
from tests import hostile

KEYS = {"admin": KEY, "worker": b"w" * 64, "producer": b"p" * 64}
QUEUES = (
    QueueSpec("task", is_read=True, feeds=("result",)), QueueSpec("result"),
    QueueSpec("urls", keyed=True, polite=True, is_read=True),
)  # fmt: skip
AS = {"producer": {"worker": f"{TAKER}w", "queue": "result"}}  # what a role may name; the others name a worker and a task
SHARE = 4  # a bystander has an answer to at least one call of its own for so many hostile ones


@contextmanager
def served(path: Path) -> Iterator[HubServer]:
    broker = SqliteBroker(str(path), QUEUES)
    lesser = {role: key for role, key in KEYS.items() if role != "admin"}
    server = HubServer(broker, QUEUES, "127.0.0.1:0", KEY, role_keys=lesser)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(10)
        broker.close()


@contextmanager
def bystander(server: HubServer) -> Iterator[Callable[[], int]]:
    """Somebody who asks the hub again and again, and how many answers there were."""
    over, answers = threading.Event(), itertools.count()

    def ask() -> None:
        with HubClient(str(server.place), KEYS["worker"], patience=0.0) as hub:
            while not over.is_set():
                hub.drained(["result"])
                next(answers)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield lambda: next(answers)
    finally:
        over.set()
        thread.join(10)


def attack(server: HubServer, role: str) -> int:
    """Say everything; returns how many calls that were."""
    place = server.place
    with socket.create_connection((place.host, place.port), timeout=30) as sock:
        connection = Connection(sock)
        prove(connection, KEYS[role], first=False)
        n, done = 0, set[str]()
        for n, (verb, arguments) in enumerate(hostile.all_calls(**AS.get(role, {})), 1):
            connection.send_bytes(hostile.encoded(n, verb, arguments))
            number, kind, value = msgspec.msgpack.decode(connection.recv_bytes())
            assert number == n
            assert kind in (verbs.OK, "CallRefused", "StorageFull"), (verb, value)
            assert value != classic.INTERNAL, (verb, str(arguments)[:500])
            done |= {verb} if kind == verbs.OK else set()
    assert done == ROLES[role].verbs, "not one call of a verb is of any effect"
    return n


@pytest.mark.slow
@pytest.mark.parametrize("role", KEYS)
def test_a_hub_works_on_after_everything_that_a_role_can_say(tmp_path: Path, role: str) -> None:
    path = tmp_path / "hub.sqlite3"
    with served(path) as server:
        with HubClient(str(server.place), KEY, "victim", patience=0.0) as victim:
            victim.put([New("task", b"before")])
            (lease,) = victim.step(Step("victim", 1, "task", 1)).leases
            with bystander(server) as answers:
                calls = attack(server, role)
                assert answers() > calls / SHARE
            if role != "admin":  # who may end every worker
                assert victim.step(Step("victim", 2, done=[Done(lease.token)])).verdicts == [Verdict.DONE]
        check(server)

    with served(path) as server:
        check(server)


def check(server: HubServer) -> None:
    """A hub does what it is for."""
    with HubClient(str(server.place), KEY, "new", patience=0.0) as hub:
        stats = hub.stats()
        for queue in stats.queues:
            assert queue.accepted == queue.ready + queue.delayed + queue.leased + queue.dead + queue.done
        assert all(-LARGEST <= n <= LARGEST for n in stats.counters.values())
        assert hub.put([New("task", b"after", priority=2**53)]) == [Verdict.ACCEPTED]
        hub.notes("")
        hub.notes("root/", 1)
        hub.hosts()
        hub.dead(limit=10**6)
        hub.why("urls", b"k" * 16)
        call = itertools.count(1)
        leases = hub.step(Step(f"new{server.place.port}", next(call), "task", 100)).leases
        assert b"after" in [lease.item for lease in leases]
        done = [Done(lease.token, [New("result", b"r")]) for lease in leases]
        assert set(hub.step(Step(f"new{server.place.port}", next(call), done=done)).verdicts) == {Verdict.DONE}
