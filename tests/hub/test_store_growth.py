"""What a worker or a producer may call again and again makes the hub's store and memory grow by what is worked on, and no more."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from memory_broker import KEY

from crawler import limits
from crawler.broker.contract import QueueSpec
from crawler.broker.sqlite import inspection, troubles
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.callers import lengthened, shortened
from crawler.errors import CallRefused
from crawler.hub.client import HubClient
from crawler.hub.server import HubServer
from crawler.items import Done, Failed, New, Note, Pace, Step, Verdict

KEYS = {"admin": KEY, "worker": b"w" * 64, "producer": b"p" * 64}
QUEUES = (
    QueueSpec("urls", keyed=True, polite=True, is_read=True, limit=4, host_limit=3, host_waiting=2),
    QueueSpec("render", polite=True, is_read=True), QueueSpec("task", is_read=True), QueueSpec("result"),
)  # fmt: skip
K = b"k" * 16
TABLES = ("lane", "task", "body", "trace", "caller", "suspect", "inbox", "note", "queue")
MANY = 500
Clients = Callable[[str], HubClient]


@pytest.fixture
def broker() -> Iterator[SqliteBroker]:
    broker = SqliteBroker(":memory:", QUEUES)
    yield broker
    broker.close()


@pytest.fixture
def client(broker: SqliteBroker) -> Iterator[Clients]:
    lesser = {name: key for name, key in KEYS.items() if name != "admin"}
    server = HubServer(broker, QUEUES, "127.0.0.1:0", KEY, role_keys=lesser)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    clients: list[HubClient] = []

    def connect(role: str) -> HubClient:
        name = "a worker" if role == "worker" else ""
        clients.append(HubClient(str(server.place), KEYS[role], name, patience=0.0))
        return clients[-1]

    yield connect
    for each in clients:
        each.close()
    server.stop()
    thread.join(10)


def rows(broker: SqliteBroker) -> dict[str, int]:
    """Count the rows of all tables."""
    counts = ", ".join(f"(SELECT count(*) FROM {name})" for name in TABLES)  # noqa: S608  (names of ours)
    found = broker.run(lambda ledger: ledger.db.execute(f"SELECT {counts}").fetchone())
    return dict(zip(TABLES, found, strict=True))


def unknown(**set_to: float) -> list[Pace]:
    return [Pace(f"host{n}", **set_to) for n in range(MANY)]  # type: ignore[arg-type]  # none is of True and False


_calls = itertools.count(10)


def step(hub: HubClient, **more: object) -> object:
    return hub.step(Step("a worker", next(_calls), **more))  # type: ignore[arg-type]  # any field


GROWING: dict[str, tuple[str, Callable[[HubClient], object]]] = {
    "paces of unknown hosts": ("worker", lambda hub: hub.pace(unknown(rest=1.0))),
    "delays of unknown hosts": ("worker", lambda hub: hub.pace(unknown(delay=1.0))),
    "waits of unknown hosts": ("worker", lambda hub: hub.pace(unknown(held=1e9))),
    "rests of 0 of unknown hosts": ("worker", lambda hub: hub.pace(unknown(rest=0.0))),
    "paces without any wish": ("worker", lambda hub: hub.pace(unknown())),
    "paces of long names": ("worker", lambda hub: hub.pace([Pace(f"{n}{'h' * 8_000}", rest=1.0) for n in range(MANY)])),
    "paces in a step": ("worker", lambda hub: step(hub, paces=unknown(rest=1.0, delay=9.0))),
    "known tasks with other hosts": ("producer", lambda hub: hub.put([New("urls", b"", K, host=f"h{n}") for n in range(MANY)])),
    "known children with other hosts": (
        "worker", lambda hub: step(hub, done=[Done(1, [New("urls", b"", K, host=f"h{n}") for n in range(MANY)])])),
    "results of leases that never were": ("worker", lambda hub: step(hub, done=[Done(n) for n in range(MANY)])),
    "failures of leases that never were": ("worker", lambda hub: step(hub, failed=[Failed(n, "r" * 999) for n in range(MANY)])),
    "tokens that never were": ("worker", lambda hub: step(hub, arrived=list(range(MANY)), released=list(range(MANY)))),
    "extensions of what is not leased": ("worker", lambda hub: hub.extend("a worker", list(range(MANY)), 9.0)),
    "the end of a worker, told again and again": ("worker", lambda hub: [hub.expire("a worker") for _ in range(50)]),
    "questions about hosts": ("producer", lambda hub: hub.hosts([f"h{n}" for n in range(MANY)])),
    "questions about keys": ("producer", lambda hub: [hub.why("urls", b"%016d" % n) for n in range(50)]),
    "questions about URLs": ("producer", lambda hub: [hub.find(f"http://h{n}/") for n in range(50)]),
    "questions about tasks of a worker": ("worker", lambda hub: hub.held("a worker", list(range(MANY)))),
    "questions about notes": ("worker", lambda hub: [hub.notes(f"own/{n}") for n in range(50)]),
}  # fmt: skip


@pytest.mark.parametrize("how", GROWING)
def test_calls_that_store_no_task_make_no_rows(client: Clients, broker: SqliteBroker, how: str) -> None:
    role, call = GROWING[how]
    hub = client(role)
    broker.put([New("urls", b"", K, host="known")])
    call(hub)  # the caller itself is one row
    before = rows(broker)

    call(hub)
    call(hub)

    assert rows(broker) == before
    assert before["lane"] == 1 + len(QUEUES)  # each queue has one of no host


def test_tasks_over_a_limit_leave_no_hosts(broker: SqliteBroker) -> None:
    def put(*hosts: str, **more: object) -> list[Verdict]:
        return broker.put([New("urls", host.encode(), b"%016d" % next(_calls), host=host, **more) for host in hosts])  # type: ignore[arg-type]  # any field

    assert put("a", "b", "c") == [Verdict.ACCEPTED] * 3

    verdicts = put("d", *(f"h{n}" for n in range(MANY)))

    assert (verdicts.count(Verdict.ACCEPTED), verdicts.count(Verdict.LIMIT)) == (1, MANY)
    assert {host.name for host in broker.hosts()} == {"a", "b", "c", "d"}
    assert rows(broker)["lane"] == 4 + len(QUEUES)


def test_a_host_of_a_step_s_children_may_be_paced_with_them(broker: SqliteBroker) -> None:
    broker.put([New("task", b"")])
    (lease,) = broker.step(Step("w", 1, "task", 1)).leases

    done = [Done(lease.token, [New("urls", b"", K, host="new")])]
    broker.step(Step("w", 2, done=done, paces=[Pace("new", delay=9.0), Pace("no", delay=9.0)]))

    assert {(host.name, host.delay) for host in broker.hosts(["new", "no"])} == {("new", 9.0)}


def test_what_an_admin_sets_by_hand_is_kept_before_the_host_is_known(client: Clients, broker: SqliteBroker) -> None:
    client("admin").pace([Pace("a", paused=True), Pace("b", fixed=5.0), Pace("c", rest=5.0)])

    assert {host.name for host in broker.hosts(["a", "b", "c"])} == {"a", "b"}


def test_waits_of_hosts_are_bounded_and_each_is_told_in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(troubles, "KEPT", 10)
    known = troubles.Troubles()
    for lane in range(1_000):
        known.hold(lane, 1e9)
        known.hold(990, 5.0)

    assert len(known.held) == 10
    assert known.held[990] == 5.0
    assert 999 in known.held


@pytest.mark.parametrize("verdicts", [
    [], [Verdict.DONE], [Verdict.STALE] * 50_000, [Verdict.ACCEPTED, Verdict.DUPLICATE] * 1_000,
    list(Verdict), [*[Verdict.DONE] * 3, Verdict.STALE, *[Verdict.RELEASED] * 12],
], ids=len)  # fmt: skip
def test_the_answer_to_a_call_is_kept_in_few_bytes(verdicts: list[Verdict]) -> None:
    assert lengthened(shortened(verdicts)) == verdicts
    assert len(shortened(verdicts)) <= min(len(verdicts), 2_000) + 2


def test_answers_that_an_older_version_kept_are_read() -> None:
    assert lengthened("") == []
    assert lengthened("done,too big,stale") == [Verdict.DONE, Verdict.TOO_BIG, Verdict.STALE]


def test_a_call_repeated_after_a_restart_has_the_same_answer(tmp_path: Path) -> None:
    items = [New("urls", b"", b"%016d" % (n % 3), host="h") for n in range(5)]
    broker = SqliteBroker(str(tmp_path / "hub.sqlite3"), QUEUES)
    verdicts = broker.put(items, "me", 1)
    broker.close()

    broker = SqliteBroker(str(tmp_path / "hub.sqlite3"), QUEUES)
    assert broker.put(items, "me", 1) == verdicts
    assert set(verdicts) == {Verdict.ACCEPTED, Verdict.DUPLICATE}
    broker.close()


def test_notes_of_workers_leave_room_for_those_of_seeds_and_of_admins(
    client: Clients, broker: SqliteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "NOTES", 100)
    hubs = {role: client(role) for role in KEYS}

    def fill(role: str) -> int:
        for n in range(1_000):
            try:
                hubs[role].note([Note(f"{role}/{n}", b"")])
            except CallRefused:
                break
        return len(broker.notes(""))

    assert [fill(role) for role in ("worker", "producer", "admin")] == [75, 90, 100]
    with pytest.raises(CallRefused, match=r"takes 75 of .* from this role at most"):
        hubs["worker"].note([Note("one more", b"")])
    hubs["worker"].note([Note("worker/0", b"")])  # that says nothing new
    assert limits.WORKERS_PART < limits.NOTES_PARTS["producer"] < limits.NOTES_PARTS["admin"] == 1
