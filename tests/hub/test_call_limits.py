"""Every field of a call and the number of its parts have a limit; what adds up is bounded, and answers are cut or come in pages."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from memory_broker import KEY

from crawler import limits
from crawler.broker.arguments import LARGEST
from crawler.broker.clock import ManualClock
from crawler.broker.contract import PAGE, QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.errors import CallRefused
from crawler.hub.client import HubClient
from crawler.hub.server import HubServer
from crawler.items import Done, Failed, New, Note, Pace, Step

KEYS = {"admin": KEY, "worker": b"w" * 64, "producer": b"p" * 64}
QUEUES = (QueueSpec("task", is_read=True), QueueSpec("result"), QueueSpec("urls", keyed=True, polite=True, is_read=True))
K = b"k" * 16


@pytest.fixture
def broker() -> Iterator[SqliteBroker]:
    broker = SqliteBroker(":memory:", QUEUES)
    yield broker
    broker.close()


@pytest.fixture
def client(broker: SqliteBroker) -> Iterator[Callable[..., HubClient]]:
    server = HubServer(broker, QUEUES, "127.0.0.1:0", KEY, role_keys={name: key for name, key in KEYS.items() if name != "admin"})
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    clients: list[HubClient] = []

    def connect(role: str = "admin") -> HubClient:
        clients.append(HubClient(str(server.place), KEYS[role], patience=0.0))
        return clients[-1]

    yield connect
    for each in clients:
        each.close()
    server.stop()
    thread.join(10)


def child(**more: Any) -> Step:
    return Step("w", 1, done=[Done(1, [New("urls", b"x", **more)])])


REFUSED: dict[str, Callable[[HubClient], object]] = {
    "a worker's name": lambda hub: hub.step(Step("w" * 201, 1)),
    "a name to extend": lambda hub: hub.extend("w" * 201, [], 1.0),
    "a name to end": lambda hub: hub.expire("w" * 201),
    "a caller's name": lambda hub: hub.put([], "c" * 201, 1),
    "a queue's name": lambda hub: hub.step(Step("w", 1, "q" * 201)),
    "a queue to take from": lambda hub: hub.take("q" * 201, 1),
    "a short key": lambda hub: hub.put([New("urls", b"x", b"k" * 15)]),
    "a long key": lambda hub: hub.put([New("urls", b"x", b"k" * 100_000)]),
    "a child's key": lambda hub: hub.step(child(key=b"")),
    "a parent": lambda hub: hub.step(child(parent=b"p")),
    "a key to ask for": lambda hub: hub.why("urls", b"k" * 17),
    "a host": lambda hub: hub.step(child(host="h" * 10_000_000)),
    "a host's pace": lambda hub: hub.pace([Pace("h" * 8_201)]),
    "a counter": lambda hub: hub.step(Step("w", 1, counters={"c" * 6_001: 1})),
    "a note's name": lambda hub: hub.note([Note("n" * 10_001, b"")]),
    "a note's value": lambda hub: hub.note([Note("n", b"x" * ((1 << 20) + 1))]),
    "a reason": lambda hub: hub.step(Step("w", 1, failed=[Failed(1, "r" * 20_001)])),
    "a trace": lambda hub: hub.step(Step("w", 1, failed=[Failed(1, "r", trace="t" * 100_001)])),
    "a report": lambda hub: hub.step(Step("w", 1, done=[Done(1, report="r" * 20_001)])),
    "a trouble": lambda hub: hub.step(Step("w", 1, trouble="t" * 20_001)),
    "a URL": lambda hub: hub.find("u" * 10_001),
    "many hosts": lambda hub: hub.hosts(["h"] * 5_000_000),
    "many notes": lambda hub: hub.note([Note("n", b"")] * 1_001),
    "many counters": lambda hub: hub.step(Step("w", 1, counters={f"c{n}": 1 for n in range(2_001)})),
    "many paces": lambda hub: hub.step(Step("w", 1, paces=[Pace("h")] * 10_001)),
    "many tokens": lambda hub: hub.step(Step("w", 1, released=[1] * 50_001)),
    "many to extend": lambda hub: hub.extend("w", [1] * 50_001, 1.0),
    "many children": lambda hub: hub.step(Step("w", 1, done=[Done(1, [New("task", b"")] * 130_001)])),
    "many tasks": lambda hub: hub.put([New("task", b"")] * 10_001, "caller", 1),
    "many queues": lambda hub: hub.drained(["task"] * 1_001),
    "many to delete": lambda hub: hub.forget(["n"] * 1_001),
    "a lease of a day": lambda hub: hub.step(Step("w", 1, ttl=86_400.0)),
    "a lease of more than an hour": lambda hub: hub.step(Step("w", 1, ttl=3_601.0)),
    "an extension for years": lambda hub: hub.extend("w", [], 1e9),
    "a lease of no number": lambda hub: hub.extend("w", [], float("nan")),
    "a long wait": lambda hub: hub.step(Step("w", 1, wait=21.0)),
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_is_over_a_limit_is_refused_and_changes_nothing(
    client: Callable[..., HubClient], broker: SqliteBroker, call: str
) -> None:
    hub = client()
    before = msgspec.structs.replace(broker.stats(), at=0.0, uptime=0.0)

    with pytest.raises(CallRefused):
        REFUSED[call](hub)

    assert msgspec.structs.replace(broker.stats(), at=0.0, uptime=0.0) == before
    assert hub.drained() is True


def test_a_call_that_is_too_long_says_so(client: Callable[..., HubClient]) -> None:
    with pytest.raises(CallRefused, match=r"hosts: Expected `array` of length <= 1000 .*; send less in one call"):
        client().hosts(["h"] * 1_001)


def test_a_client_puts_many_tasks_in_several_calls(
    client: Callable[..., HubClient], broker: SqliteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    put = broker.put
    monkeypatch.setattr(broker, "put", lambda items, *more: sizes.append(len(items)) or put(items, *more))

    assert len(client().put([New("task", b"%d" % n) for n in range(limits.PUTS + 5)])) == limits.PUTS + 5
    assert client().put([]) == []
    assert max(sizes) == limits.PUT_AT_ONCE


@pytest.mark.parametrize("n", [LARGEST, -LARGEST])
def test_the_sum_of_a_counter_stops_at_the_largest_number(client: Callable[..., HubClient], n: int) -> None:
    hub = client("worker")
    for call in range(3_000 // 1_000):
        hub.step(Step("w", call + 1, counters={f"c{each}": n for each in range(1_000)}))
    hub.step(Step("w", 9, counters={"c0": n}))

    assert client().stats().counters["c0"] == n


def test_counters_beyond_the_limit_are_one(client: Callable[..., HubClient], broker: SqliteBroker) -> None:
    hub = client("worker")
    for call in range(3):
        hub.step(Step("w", call + 1, counters={f"c{call}/{n}": 1 for n in range(2_000)}))
    hub.step(Step("w", 9, counters={"c0/0": 1, "x" * 6_000: 1}))

    counters = broker.stats().counters
    assert len(counters) <= limits.COUNTERS + 1
    assert (counters["c0/0"], sum(counters.values())) == (2, 6_002)

    assert client().forget([], ["c0/0", limits.OTHERS, "never heard of"]) == 2
    assert "c0/0" not in broker.stats().counters


@pytest.mark.slow
def test_a_store_that_an_older_version_has_broken_heals(tmp_path: Path) -> None:
    path = str(tmp_path / "hub.sqlite3")
    SqliteBroker(path, QUEUES).close()
    with sqlite3.connect(path) as db:
        counters = {"a": 2**70, "b": 7, **{f"c{n}": 1 for n in range(5_000)}, "d" * 10_000_000: 1}
        db.execute("UPDATE head SET counters = ?", (msgspec.json.encode(counters).decode(),))
        db.executemany("INSERT INTO note VALUES (?, ?, ?)", [(f"root/x{n}", b"x" * (9 << 20), n + 1) for n in range(4)])
        db.execute("DROP TABLE note_total")
    db.close()

    broker = SqliteBroker(path, QUEUES)
    server = HubServer(broker, QUEUES, "127.0.0.1:0", KEY)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with HubClient(str(server.place), KEY, patience=0.0) as hub:
        stats = hub.stats()
        assert (stats.counters["a"], stats.counters["b"]) == (LARGEST, 7)
        assert [note.name for note in hub.notes("root/")] == [f"root/x{n}" for n in range(4)]
        assert hub.forget([f"root/x{n}" for n in range(4)]) == 4
        assert hub.notes("root/") == []
    server.stop()
    thread.join(10)
    broker.close()


@pytest.mark.slow
def test_notes_come_in_pages_and_none_is_missing(client: Callable[..., HubClient], broker: SqliteBroker) -> None:
    names = [f"own/{n:06}" for n in range(2 * PAGE + 3)]
    for first in range(0, len(names), 1_000):
        broker.note([Note(name, b"1") for name in names[first : first + 1_000]])
    known = broker.notes("own/")[-1].version
    changed = [Note(name, b"2") for name in names[: PAGE + 7]]
    for first in range(0, len(changed), 1_000):
        broker.note(changed[first : first + 1_000])

    for hub in (client(), broker):
        found = hub.notes("own/")
        assert {note.name: note.value for note in found} == {name: b"2" if n < PAGE + 7 else b"1" for n, name in enumerate(names)}
        assert [note.version for note in found] == sorted(note.version for note in found)
        assert [note.name for note in hub.notes("own/", known)] == [note.name for note in changed]
        assert hub.notes("own/", found[-1].version) == []


def test_the_notes_in_all_are_bounded_and_room_can_be_made(broker: SqliteBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    from crawler.broker.sqlite import inspection

    monkeypatch.setattr(inspection, "NOTES", 3)
    monkeypatch.setattr(inspection, "NOTES_BYTES", 40)
    broker.note([Note("a", b"1"), Note("b", b"1"), Note("c", b"1")])

    with pytest.raises(CallRefused, match="delete some: crawler notes drop"):
        broker.note([Note("d", b"1")])
    with pytest.raises(CallRefused, match="delete some"):
        broker.note([Note("a", b"1" * 40)])
    broker.note([Note("a", b"2" * 30)])
    broker.note([Note("a", b"3"), Note("a", b"4")])

    assert broker.forget(["a", "a", "x"]) == 1
    broker.note([Note("d", b"1")])
    assert [note.name for note in broker.notes("")] == ["b", "c", "d"]


def test_callers_are_bounded_and_those_at_work_are_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    from crawler.broker.sqlite import callers

    monkeypatch.setattr(callers, "CALLERS", 3)
    clock = ManualClock()
    broker = SqliteBroker(":memory:", QUEUES, clock=clock)
    broker.put([New("task", b"1")])
    assert broker.claim("busy", b"b" * 32)
    (lease,) = broker.step(Step("busy", 1, "task", 1, ttl=3_600.0)).leases
    for name in ("idle 1", "idle 2"):
        broker.claim(name, b"i" * 32)

    with pytest.raises(CallRefused, match="the hub knows 3 workers of the last 60 s"):
        broker.claim("one more", b"o" * 32)
    broker.put([New("task", b"2")], "a producer", 1)
    clock.advance(61.0)
    assert broker.claim("one more", b"o" * 32)

    assert broker.claim("busy", b"x" * 32) is False
    assert broker.extend("busy", [lease.token], 1.0) == [True]
    assert broker.claim("idle 1", b"x" * 32)
    broker.close()


@pytest.mark.parametrize("pace", [Pace("h", paused=True), Pace("h", paused=False), Pace("h", fixed=0.0), Pace("h", fixed=-1.0)])
def test_a_worker_neither_pauses_a_host_nor_fixes_its_delay(client: Callable[..., HubClient], pace: Pace) -> None:
    hub = client("worker")

    with pytest.raises(CallRefused, match="the role 'worker' may not pause the host 'h' or fix its delay"):
        hub.pace([pace])
    with pytest.raises(CallRefused, match="may not pause"):
        hub.step(Step("w", 1, paces=[Pace("h", rest=1.0), pace]))

    hub.step(Step("w", 1, paces=[Pace("h", rest=1.0, delay=2.0, held=3.0)]))
    client("admin").pace([pace])


def test_a_host_rests_for_a_week_at_most_whoever_asks_for_more(client: Callable[..., HubClient]) -> None:
    hub = client("worker")
    client("admin").put([New("urls", b"u", host="h")])

    hub.pace([Pace("h", rest=1e9, delay=1e9)])

    (host,) = client().hosts(["h"])
    assert host.rest <= limits.LONGEST_REST
    assert host.delay == limits.LONGEST_REST


def test_workers_beyond_the_limit_are_counted_and_those_with_leases_are_listed(
    broker: SqliteBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crawler.broker.sqlite import inspection

    monkeypatch.setattr(inspection, "WORKERS", 2)
    broker.put([New("task", b"1")])
    broker.step(Step("busy", 1, "task", 1))
    for n in range(5):
        broker.step(Step(f"idle {n}", 1))

    stats = broker.stats()

    assert "busy" in [worker.name for worker in stats.workers]
    assert (len(stats.workers), stats.workers_total) == (2, 6)


@pytest.mark.slow
def test_dead_tasks_with_long_reasons_come_in_lists_that_fit_a_frame(client: Callable[..., HubClient]) -> None:
    hub, calls = client(), itertools.count(1)
    for _ in range(6):
        hub.put([New("task", b"1")] * 1_000)
        leases = hub.step(Step("w", next(calls), "task", 1_000)).leases
        hub.step(Step("w", next(calls), failed=[Failed(each.token, "r" * 4_000, final=True, trace="t" * 4_000) for each in leases]))

    found: list[int] = []
    while page := hub.dead(limit=10**9, after=found[-1] if found else 0):
        found += [dead.id for dead in page]
    assert len(found) == len(set(found)) == 6_000


def test_pages_of_which_a_role_may_not_read_some_notes_are_complete(client: Callable[..., HubClient], broker: SqliteBroker) -> None:
    for first in range(0, 2 * PAGE, 1_000):
        broker.note([Note(f"auth/https://h{n:06}", b"me:word") for n in range(first, first + 1_000)])
    broker.note([Note("before", b""), Note("a", b"")])

    assert [note.name for note in client("producer").notes("")] == ["before", "a"]
    assert [note.name for note in client("producer").notes("", 1)] == ["before", "a"]
    assert len(client("worker").notes("")) == 2 * PAGE + 2
