"""The name of a worker belongs to the process that claimed it, whatever key another has, and after a restart of the hub too."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from memory_broker import KEY

from crawler.broker.clock import ManualClock
from crawler.broker.contract import QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.errors import CallRefused
from crawler.hub import identity
from crawler.hub.client import HubClient
from crawler.hub.presence import NAMES
from crawler.hub.server import HubServer
from crawler.items import Done, Failed, New, Step, Verdict

KEYS = {"admin": KEY, "worker": b"w" * 64, "producer": b"p" * 64}
QUEUES = (QueueSpec("task", is_read=True), QueueSpec("result"))
OURS, THEIRS = b"o" * 16, b"t" * 16
DAY = 86_400.0


@contextmanager
def served(path: Path, clock: ManualClock | None = None) -> Iterator[Callable[..., HubClient]]:
    """Run a hub over the store at `path`, and return what makes clients of it, by role and secret."""
    broker = SqliteBroker(str(path), QUEUES, clock=clock)
    server = HubServer(broker, QUEUES, "127.0.0.1:0", KEY, role_keys={"worker": KEYS["worker"], "producer": KEYS["producer"]})
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    clients: list[HubClient] = []

    def client(role: str = "worker", secret: bytes = OURS, worker: str = "") -> HubClient:
        clients.append(HubClient(str(server.place), KEYS[role], worker, patience=0.0, secret=secret))
        return clients[-1]

    try:
        yield client
    finally:
        for each in clients:
            each.close()
        server.stop()
        thread.join(10)
        broker.close()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Callable[..., HubClient]]:
    with served(tmp_path / "hub.sqlite3") as made:
        made("admin").put([New("task", b"1"), New("task", b"2")])
        yield made


ACTS: dict[str, Callable[[HubClient, int], object]] = {
    "a call with a high number": lambda hub, token: hub.step(Step("w", 2**53)),
    "done": lambda hub, token: hub.step(Step("w", 2, done=[Done(token)])),
    "failed": lambda hub, token: hub.step(Step("w", 2, failed=[Failed(token, "no", final=True)])),
    "released": lambda hub, token: hub.step(Step("w", 2, released=[token])),
    "returned": lambda hub, token: hub.step(Step("w", 2, returned=[token])),
    "the last step": lambda hub, token: hub.step(Step("w", 2, is_last=True)),
    "extend": lambda hub, token: hub.extend("w", [token], 0.001),
}
OF_ITS_OWN: dict[str, Callable[[HubClient, int], object]] = {
    "expire": lambda hub, token: hub.expire("w"), "held": lambda hub, token: hub.held("w"),
    "expire all": lambda hub, token: hub.expire(None),
}  # fmt: skip


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("role", ["worker", "admin"])
def test_nobody_acts_in_the_name_of_another(client: Callable[..., HubClient], role: str, act: str) -> None:
    victim = client()
    (lease,) = victim.step(Step("w", 1, "task", 1)).leases

    with pytest.raises(CallRefused, match="the name 'w' belongs to another process"):
        ACTS[act](client(role, THEIRS), lease.token)

    assert victim.extend("w", [lease.token], 30.0) == [True]
    assert victim.step(Step("w", 2, done=[Done(lease.token)])).verdicts == [Verdict.DONE]


@pytest.mark.parametrize("act", OF_ITS_OWN)
def test_the_key_of_a_worker_ends_no_worker_of_others(client: Callable[..., HubClient], act: str) -> None:
    victim = client()
    (lease,) = victim.step(Step("w", 1, "task", 1)).leases

    with pytest.raises(CallRefused, match="has not claimed the name"):
        OF_ITS_OWN[act](client("worker", THEIRS), lease.token)

    assert victim.extend("w", [lease.token], 30.0) == [True]
    assert client("admin", THEIRS).expire("w") == 1


def test_a_parent_with_the_same_secret_tells_of_the_death_of_its_worker(client: Callable[..., HubClient]) -> None:
    (lease,) = client(worker="w").step(Step("w", 1, "task", 1)).leases
    parent = client()

    parent.claim("w")

    assert parent.held("w") == [""]
    assert parent.expire("w", "was killed", [lease.token], [lease.token]) == 1


def test_a_parent_that_leaves_does_not_say_goodbye_for_its_worker(client: Callable[..., HubClient]) -> None:
    worker, parent = client(worker="w"), client()
    worker.step(Step("w", 1, "task", 1))
    parent.claim("w")

    parent.close()
    worker._idle.pop().close()

    client("admin").put([New("task", b"3")])  # a round trip through the hub: it may not have seen the end of the other yet
    assert client("admin").expire("w") == 1


def test_a_name_stays_claimed_when_the_hub_starts_again(tmp_path: Path) -> None:
    with served(tmp_path / "hub.sqlite3") as client:
        client().step(Step("w", 1))

    with served(tmp_path / "hub.sqlite3") as client:
        with pytest.raises(CallRefused, match="belongs to another process"):
            client(secret=THEIRS).step(Step("w", 2))
        client().step(Step("w", 2))


def test_a_name_is_free_again_once_the_hub_has_forgotten_its_worker(tmp_path: Path) -> None:
    clock = ManualClock()
    with served(tmp_path / "hub.sqlite3", clock) as client:
        client().step(Step("w", 1))
        clock.advance(DAY + 1)
        client().step(Step("x", 1))
    with served(tmp_path / "hub.sqlite3", clock) as client:
        client(secret=THEIRS).step(Step("w", 1))


def test_a_store_of_an_older_version_gets_its_column(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    with served(path) as client:
        client().step(Step("w", 1))
    with sqlite3.connect(path) as db:
        db.executescript("ALTER TABLE caller DROP COLUMN claim; DROP TABLE note_total; DROP INDEX note_version")
    db.close()

    with served(path) as client:
        client(secret=THEIRS).step(Step("w", 2))
        with pytest.raises(CallRefused, match="belongs to another process"):
            client().step(Step("w", 3))


def test_a_client_that_only_puts_and_takes_has_no_name(client: Callable[..., HubClient]) -> None:
    producer = client("producer")
    producer.put([New("result", b"x")])

    assert producer.take("result", 1) == [b"x"]
    with pytest.raises(CallRefused, match="the role 'producer' may not speak as a worker"):
        producer.step(Step("w", 1))


def test_the_names_on_one_connection_are_bounded(client: Callable[..., HubClient]) -> None:
    hub = client()
    for number in range(NAMES):
        hub.extend(f"w{number}", [], 1.0)

    with pytest.raises(CallRefused, match=f"the names of {NAMES} workers"):
        hub.extend("one more", [], 1.0)


def test_a_child_has_the_secret_of_its_parent_and_passes_it_on_to_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    given = identity.environment()
    ours = identity.secret()
    monkeypatch.setattr(identity, "_ours", b"")
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert identity.secret() == ours
    assert identity.VARIABLE not in os.environ


@pytest.mark.parametrize("given", ["", "zz", "00"])
def test_a_secret_that_is_none_is_replaced(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setattr(identity, "_ours", b"")
    monkeypatch.setenv(identity.VARIABLE, given)

    first = identity.secret()

    assert len(first) == identity.SECRET_BYTES
    assert identity.secret() == first


def test_the_digests_of_two_names_have_nothing_in_common() -> None:
    assert identity.digest("a", OURS) != identity.digest("b", OURS)
    assert identity.digest("a", OURS) != identity.digest("a", THEIRS)
