"""The power goes at any moment: the store opens, is a state it has been in, and has every put that was acknowledged.

The disk is a model (see `recording`), what it is asked is what a real process asked of a real one.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hands import QUEUES, bodies, queue

from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.schema import STATES
from tests.recording import Event, Leaves, cut, record

# One producer, one worker, each in order, so that every state has a first so many puts and a first so many done. The log is
# moved into the database often, so that many a cut falls into that.
VICTIM = """
import os, sys, threading
from hands import QUEUES, Hand
from crawler.broker.sqlite import schema
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.items import Done, New

path, durability, tasks = sys.argv[1], sys.argv[2], int(sys.argv[3])
connect = schema.connect

def small(path):
    db = connect(path)
    db.execute("PRAGMA wal_autocheckpoint=60")
    return db

schema.connect = small
broker = SqliteBroker(path, QUEUES, durability=durability)
os.write(1, b"open 0\\n")

def produce():
    for n in range(tasks):
        broker.put([New("task", b"%d" % n + b"." * (n * 37 % 900))])
        os.write(1, b"put %d\\n" % n)

def work():
    hand, done, commits, sure = Hand(broker), 0, [], -1
    while done < tasks:
        for lease in hand.lease("task", 1, wait=5.0):
            n = int(lease.item.partition(b".")[0])
            stepped = hand.step(done=[Done(lease.token, [New("result", b"%d" % n)])])
            os.write(1, b"done %d\\n" % n)
            done += 1
            commits.append(stepped.commit)
            while sure + 1 < done and commits[sure + 1] <= stepped.durable:
                sure += 1
                os.write(1, b"sure %d\\n" % sure)

threads = [threading.Thread(target=produce), threading.Thread(target=work)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
os._exit(0)
"""
TASKS = 120
FEW = 15  # cuts of each kind in the normal tests
LATE = 1.0  # s; a tenth of that is promised, and strace makes everything slower: judged by the long test alone

pytestmark = pytest.mark.slow


def last_sync(events: Sequence[Event]) -> int:
    """Return the place of the last sync of the log that came back within these events; -1 if there was none."""
    syncs = [n for n, event in enumerate(events) if event.kind == "sync" and event.file.endswith("-wal")]
    return max((n for n in syncs if 0 <= events[n].done <= len(events)), default=-1)


@pytest.mark.parametrize("cuts", [FEW, pytest.param(250, marks=[pytest.mark.soak, pytest.mark.timeout(600)])])  # of each kind
@pytest.mark.parametrize("durability", ["normal", "full"])
def test_after_a_power_cut_at_any_moment_the_store_is_whole(tmp_path: Path, durability: str, cuts: int) -> None:
    random, is_timed = Random(11), cuts > FEW
    (tmp_path / "live").mkdir()
    arguments = [str(tmp_path / "live" / "hub.sqlite3"), durability, str(TASKS)]
    events = record(VICTIM, arguments, tmp_path / "recording", Path(__file__).parents[1])
    says = [(number, event.at, *event.data.split()) for number, event in enumerate(events) if event.kind == "says"]
    assert Counter(word for _, _, word, _ in says) >= Counter({b"open": 1, b"put": TASKS, b"done": TASKS, b"sure": TASKS // 4})
    first = says[0][0]

    seen = set[tuple[int, int]]()
    for leaves in Leaves:
        for _ in range(cuts):
            n = random.randrange(first + 1, len(events))
            heard = [(event, at, word, int(number)) for event, at, word, number in says if event < n]
            synced = last_sync(events[:n])
            put_, done = state_after(cut(events, n, leaves, random), tmp_path / "cut")

            assert put_ > max((number for *_, word, number in heard if word == b"put"), default=-1)
            long_ago = events[n - 1].at - LATE if is_timed else 0.0
            kept = [
                number for event, at, word, number in heard
                if word == b"done" and (durability == "full" or event < synced or at < long_ago)
            ]  # fmt: skip
            sure = [number for *_, word, number in heard if word == b"sure"]
            assert done > max([*kept, *sure], default=-1)
            seen.add((put_, done))

    assert len(seen) > 20


def state_after(files: dict[str, bytes], place: Path) -> tuple[int, int]:
    """Open what was left, look at it closely, and tell how many tasks were put and how many of them were done."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for path, content in files.items():
        if Path(path).name in ("hub.sqlite3", "hub.sqlite3-wal"):  # the ballast says nothing, the first journal is gone
            (place / Path(path).name).write_bytes(content)
    path = str(place / "hub.sqlite3")
    broker = SqliteBroker(path, QUEUES)
    accepted, done = queue(broker, "task").accepted, queue(broker, "result").accepted
    broker.close()
    _agrees(path)

    broker = SqliteBroker(path, QUEUES)
    broker.expire(None)
    left = [int(body.partition(b".")[0]) for body in bodies(broker, "task")]
    results = [int(body) for body in bodies(broker, "result")]
    broker.close()
    assert results == list(range(done))
    assert sorted(left) == list(range(done, accepted))
    return accepted, done


def _agrees(path: str) -> None:
    """The file is sound, and its counts are those of its rows."""
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    columns = ", ".join(STATES)
    for id, accepted, *counts in db.execute(f"SELECT id, accepted, {columns} FROM tally"):  # noqa: S608  (names of ours)
        rows = dict(db.execute("SELECT state, count(*) FROM life WHERE queue = ? GROUP BY state", (id,)).fetchall())
        assert accepted == sum(counts)
        assert counts[:-1] == [rows.get(state, 0) for state in range(len(STATES) - 1)]
    db.close()
