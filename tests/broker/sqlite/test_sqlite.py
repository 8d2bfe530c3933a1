"""What only the embedded engine promises: about its file, its disk, its thread, and the cost of its queries."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hands import QUEUES, TTL, Hand, Longest, bodies, counts, put

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Politeness
from crawler.broker.sqlite import schema
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.errors import CallRefused, StorageError, UsageError
from crawler.items import Done, Failed, New, Step, Verdict


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "hub.sqlite3")


@pytest.mark.slow
def test_a_store_is_one_hubs_alone(path: str) -> None:
    first = SqliteBroker(path, QUEUES)

    with pytest.raises(UsageError, match=r"another hub is using .*hub.sqlite3; stop it"):
        SqliteBroker(path, QUEUES)

    assert put(first, "task", b"a") == [Verdict.ACCEPTED]
    first.close()
    SqliteBroker(path, QUEUES).close()


def test_a_file_that_is_no_database_is_refused(path: str) -> None:
    Path(path).write_bytes(b"not a database at all" * 100)

    with pytest.raises(StorageError, match="cannot open the store"):
        SqliteBroker(path, QUEUES)


def test_a_database_of_something_else_is_left_as_it_is(path: str) -> None:
    with sqlite3.connect(path) as theirs:
        theirs.execute("CREATE TABLE precious (x)")
    theirs.close()

    with pytest.raises(StorageError, match="a database of something else"):
        SqliteBroker(path, QUEUES)

    theirs = sqlite3.connect(path)
    assert theirs.execute("SELECT name FROM sqlite_master").fetchall() == [("precious",)]
    theirs.close()


def test_a_store_of_another_version_is_refused(path: str) -> None:
    SqliteBroker(path, QUEUES).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE head SET version = 99")
    db.close()

    with pytest.raises(StorageError, match=f"store version 99, this crawler reads {schema.VERSION}"):
        SqliteBroker(path, QUEUES)


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot open the store"):
        SqliteBroker(str(tmp_path / "nowhere" / "hub.sqlite3"), QUEUES)


def test_a_store_is_recognised_by_its_number(path: str, tmp_path: Path) -> None:
    numbers: list[int] = []
    for name in ("hub.sqlite3", "hub.sqlite3", "another.sqlite3"):
        broker = SqliteBroker(str(tmp_path / name), QUEUES)
        numbers.append(broker.step(Step("w", len(numbers))).store)
        broker.close()

    assert numbers[0] == numbers[1] != numbers[2]


def test_full_durability_is_the_same_broker(path: str) -> None:
    broker = SqliteBroker(path, QUEUES, durability="full")
    hand = Hand(broker)
    put(broker, "task", b"a")

    assert hand.complete(hand.lease_one("task"), New("result", b"r")) == Verdict.DONE

    broker.close()
    broker = SqliteBroker(path, QUEUES)
    assert bodies(broker, "result") == [b"r"]
    broker.close()


@pytest.mark.slow
def test_a_log_cut_anywhere_leaves_the_first_so_many_puts(path: str, tmp_path: Path) -> None:
    broker = SqliteBroker(path, QUEUES)
    for n in range(40):
        put(broker, "task", b"%d" % n)
    files = {suffix: Path(f"{path}{suffix}").read_bytes() for suffix in ("", "-wal")}
    broker.close()
    random = Random(7)

    lengths = []
    for round_ in range(12):
        cut = tmp_path / f"cut{round_}.sqlite3"
        cut.write_bytes(files[""])
        Path(f"{cut}-wal").write_bytes(files["-wal"][: random.randrange(len(files["-wal"]))])
        opened = SqliteBroker(str(cut), QUEUES)
        found = bodies(opened, "task")
        opened.close()
        assert found == [b"%d" % n for n in range(len(found))]
        lengths.append(len(found))

    assert len(set(lengths)) > 5


def test_a_queue_that_a_pipeline_leaves_out_for_a_while_keeps_its_tasks(path: str) -> None:
    clock = ManualClock()
    without = [spec for spec in QUEUES if spec.name != "task"]
    broker = SqliteBroker(path, QUEUES, clock=clock)
    put(broker, "task", b"ready", b"leased")
    put(broker, "task", b"delayed", delay=5.0)
    Hand(broker).lease("task")
    broker.close()

    broker = SqliteBroker(path, without, clock=clock)
    clock.advance(TTL)
    assert broker.drained() is True
    broker.close()

    broker = SqliteBroker(path, QUEUES, clock=clock)
    clock.advance(TTL)
    assert counts(broker, "task") == (2, 1, 0, 0, 0)  # the one that was leased is lent apart
    assert len(bodies(broker, "task")) == 3
    broker.close()


def test_a_queue_outside_the_pipeline_is_counted_and_emptied_but_not_filled(path: str) -> None:
    broker = SqliteBroker(path, QUEUES)
    put(broker, "task", b"a", b"b", b"c")
    put(broker, "result", b"done with")
    broker.take("result", 1)
    broker.close()

    broker = SqliteBroker(path, [spec for spec in QUEUES if spec.name not in ("task", "result")])
    outside = {queue.name: queue.ready for queue in broker.stats().queues if queue.is_outside}
    assert outside == {"task": 3}, "and result is empty"
    with pytest.raises(CallRefused, match="not of this pipeline any more; 'crawler take task'"):
        put(broker, "task", b"d")
    assert broker.take("task", 2) == [b"a", b"b"]
    broker.close()

    broker = SqliteBroker(path, QUEUES)
    assert bodies(broker, "task") == [b"c"]
    assert not any(queue.is_outside for queue in broker.stats().queues)
    broker.close()


@pytest.mark.slow
def test_the_counts_are_those_of_the_table_after_any_work(path: str) -> None:
    random, clock = Random(3), ManualClock()
    broker = SqliteBroker(path, QUEUES, Politeness(delay=0.0), clock=clock, random=Longest())
    hand = Hand(broker)
    names = ("task", "urls", "pages", "records")
    accepted: Counter[str] = Counter()
    for n in range(300):
        new = [New(name, b"%d" % random.randrange(400), delay=random.choice([0.0, 2.0])) for name in names]
        accepted.update(each.queue for each, verdict in zip(new, broker.put(new), strict=True) if verdict == Verdict.ACCEPTED)
        leases = hand.lease(random.choice(names), 4)
        cut = random.randrange(len(leases) + 1)
        hand.step(
            done=[Done(lease.token) for lease in leases[:cut]],
            failed=[Failed(lease.token, "x", None, n % 3 == 0) for lease in leases[cut:]],
        )
        clock.advance(1)
    broker.drop([dead.id for dead in broker.dead()[:5]])
    stats = {each.name: each for each in broker.stats().queues}
    broker.close()

    db = sqlite3.connect(path)
    for name in names:
        rows = dict(db.execute(
            "SELECT state, count(*) FROM life JOIN queue ON queue.id = queue WHERE name = ? GROUP BY state", (name,)
        ).fetchall())  # fmt: skip
        each = stats[name]
        assert (each.ready, each.delayed, each.leased, each.dead) == tuple(rows.get(state, 0) for state in range(4))
        assert each.accepted == accepted[name]
        assert each.done == (rows.get(schema.DONE, 0) if each.keyed else each.accepted - sum(rows.values()))
    db.close()
