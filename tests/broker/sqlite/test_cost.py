"""What a call costs the embedded engine: no query of the daily work looks at all there is, and a question writes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hands import QUEUES, TTL, Hand, Longest, put, until

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite import hand_in, insert, inspection, lend, schema
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.queues import Queue
from crawler.broker.sqlite.state import Ledger
from crawler.items import Done, Failed, Lease, New, Note, Pace, Step


def test_a_question_writes_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "hub.sqlite3")
    broker = SqliteBroker(path, QUEUES)
    put(broker, "task", b"a")
    size = Path(f"{path}-wal").stat().st_size

    broker.stats()
    broker.dead()
    broker.drained()

    assert Path(f"{path}-wal").stat().st_size == size
    broker.close()


def test_where_it_takes_long_to_look_at_all_hosts_they_are_shown_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = SqliteBroker(":memory:", (QueueSpec("urls", polite=True, is_read=True),))
    put(broker, "urls", b"1", host="a")
    assert [host.name for host in broker.stats().hosts] == ["a"]
    monkeypatch.setattr(inspection, "QUICK", -1.0)
    monkeypatch.setattr(inspection, "SELDOM", 1e9)
    broker.stats()

    put(broker, "urls", b"2", b"3", host="b")

    stats = broker.stats()
    assert ([host.name for host in stats.hosts], stats.hosts_total, stats.queues[0].ready) == (["a"], 1, 3)
    assert [host.name for host in broker.hosts()] == ["b", "a"]
    broker.close()


def test_no_query_of_the_daily_work_reads_all_tasks_or_all_hosts() -> None:
    db = schema.connect(":memory:")
    clock = ManualClock()
    specs = [QueueSpec("urls", keyed=True, polite=True, is_read=True), QueueSpec("pages", is_read=True)]
    ledger = Ledger(db, specs, Politeness(delay=1.0), clock, Longest())
    seen: set[str] = set()
    db.execute("BEGIN")
    ledger.open(is_new_epoch=True)
    db.set_trace_callback(seen.add)

    insert.insert(ledger, [New("urls", b"%d" % n, host=f"h{n}", delay=n % 2) for n in range(8)] + [New("pages", b"p")] * 4)
    leases = lend.lend(ledger, ledger.queues["urls"], "w", 9, TTL) + lend.lend(ledger, ledger.queues["pages"], "w", 9, TTL)
    done, failed, final, released, *late = [lease.token for lease in leases]
    ledger.callers.remember("w", 1, [], ledger.now, is_worker=True, leases=leases, ttl=TTL)
    hand_in.hand_in(ledger, Step(
        "w", 1, done=[Done(done, [New("urls", b"c", host="h")])], failed=[Failed(failed, "x"), Failed(final, "y", final=True)],
        released=[released], paces=[Pace("h", rest=1.0)], counters={"n": 1},
    ))  # fmt: skip
    assert len(lend.leased_between(ledger, "w", late[0], late[-1])) == len(late)
    inspection.note(ledger, [Note("a", b"")], 1.0)
    assert inspection.notes(ledger, "a", 0, "")
    assert inspection.notes(ledger, "a", 1, "") == []
    assert inspection.why(ledger, "urls", b"k") is None
    assert inspection.find(ledger, "http://a/") == []
    inspection.revive(ledger, [each.id for each in inspection.dead(ledger, "urls", 9, 0)])
    ledger.flush()
    clock.advance(TTL * 2)
    hand_in.tick(ledger)
    ledger.open(is_new_epoch=False)
    ledger.lanes.next_open(ledger.queues["urls"])
    db.execute("COMMIT")
    db.set_trace_callback(None)

    words = [sql for sql in seen if sql.split()[0] in ("SELECT", "UPDATE", "DELETE")]
    plans = {sql: " | ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}")) for sql in words}
    assert len(plans) > 30
    in_order = "SCAN task USING INDEX task_delayed"  # of delayed tasks alone, from the first that is due
    offending = {
        sql: plan for sql, plan in plans.items()
        if "TEMP B-TREE" in plan or "SCAN lane" in plan or ("SCAN task" in plan and plan != in_order)
    }  # fmt: skip
    assert offending == {}
    db.close()


def test_one_task_of_each_of_many_hosts_takes_no_more_statements_than_of_a_few() -> None:
    db = schema.connect(":memory:")
    ledger = Ledger(db, [QueueSpec("urls", polite=True, is_read=True)], Politeness(per_host=1, delay=0.0), ManualClock(), Longest())
    db.execute("BEGIN")
    ledger.open(is_new_epoch=True)
    insert.insert(ledger, [New("urls", b"%d" % n, host=f"h{n % 50}") for n in range(500)])
    ledger.flush()
    seen: list[str] = []
    db.set_trace_callback(seen.append)

    few = lend.lend(ledger, ledger.queues["urls"], "w", 5, TTL)
    for_few = len(seen)
    many = lend.lend(ledger, ledger.queues["urls"], "w", 45, TTL)

    db.set_trace_callback(None)
    assert sorted(int(lease.item) for lease in few + many) == list(range(50))
    written = 5  # the lanes that were lent from, each in a statement
    assert len(seen) - for_few <= for_few + written
    db.close()


def test_what_is_leased_is_passed_over_and_what_comes_back_is_first_again() -> None:
    broker = SqliteBroker(":memory:", QUEUES)
    hand, other = Hand(broker), Hand(broker, "other")
    put(broker, "task", *(b"%d" % n for n in range(9)))
    first, second, third = hand.lease("task", 3)

    assert [lease.item for lease in other.lease("task", 2)] == [b"3", b"4"]
    hand.release(second)
    put(broker, "task", b"urgent", priority=1)
    hand.fail(third)
    assert [lease.item for lease in other.lease("task", 4)] == [b"urgent", b"1", b"2", b"5"]
    assert [hand.extend(lease) for lease in (first, second)] == [True, False]
    broker.close()


def test_of_those_who_wait_for_one_queue_only_the_first_is_looked_after(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = SqliteBroker(":memory:", QUEUES)
    lend_tasks, looks = lend.lend, []

    def noted(ledger: Ledger, queue: Queue, *args: Any, **more: Any) -> list[Lease]:
        looks.append(queue.spec.name)
        return lend_tasks(ledger, queue, *args, **more)

    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(Hand(broker, f"w{n}").lease, "task", 1, wait=20.0) for n in range(20)]
        until(lambda: len(broker.stats().workers) == 20)
        monkeypatch.setattr(lend, "lend", noted)

        broker.stats()
        assert looks == ["task"]

        put(broker, "task", *(b"%d" % n for n in range(20)))
        assert sorted(lease.item for each in waiting for lease in each.result(10)) == sorted(b"%d" % n for n in range(20))
    broker.close()


def test_a_repeated_call_that_waits_is_answered_with_the_first_though_nothing_is_left() -> None:
    broker = SqliteBroker(":memory:", QUEUES, clock=ManualClock())
    hand, other = Hand(broker), Hand(broker, "other")
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(hand.lease, "task", 1, wait=20.0)
        until(lambda: len(broker.stats().workers) == 1)
        third = pool.submit(other.lease, "task", 1, wait=20.0)
        until(lambda: len(broker.stats().workers) == 2)
        second = pool.submit(hand.repeat)
        until(lambda: len(broker._writer._parked) == 3)

        put(broker, "task", b"a")

        assert [lease.item for lease in first.result(10)] == [lease.item for lease in second.result(10).leases] == [b"a"]
        assert third.running()
        broker.lost("other")
        assert third.result(10) == []
    broker.close()
