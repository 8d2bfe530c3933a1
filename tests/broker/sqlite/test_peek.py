from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from crawler.broker.sqlite import schema
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.peek import Counts, peek, seeds_among
from crawler.errors import StorageError, UsageError
from crawler.items import New, Note, Step
from tests.broker.hands import QUEUES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hub.sqlite3"


def test_a_store_is_looked_into_without_a_pipeline_and_nothing_changes(path):
    broker = SqliteBroker(str(path), QUEUES)
    broker.put([New("task", b"a"), New("task", b"b"), New("result", b"c", delay=60.0)])
    broker.step(Step("w", 1, "task", 1, ttl=600.0, counters={"store/rows": 3}))
    broker.note([Note("definition", b"d"), Note("rows/a.jsonl", b"1"), Note("robots/x", b"r")])
    broker.close()
    before = path.read_bytes()

    found = peek(path, ("definition", "rows/"))

    assert found.queues["task"] == Counts(accepted=2, ready=1, delayed=0, leased=1, dead=0, done=0)
    assert found.queues["task"].unfinished == 2
    assert found.queues["result"].unfinished == 1
    assert found.counters == {"store/rows": 3}
    assert found.notes == {"definition": b"d", "rows/a.jsonl": b"1"}
    assert path.read_bytes() == before


@pytest.mark.slow
def test_a_store_that_is_in_use_or_none_is_refused(path):
    broker = SqliteBroker(str(path), QUEUES)
    with pytest.raises(UsageError, match="another hub is using"):
        peek(path)
    broker.close()

    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(StorageError):
        peek(path)


def test_seeds_are_the_tasks_that_no_other_led_to(path):
    broker = SqliteBroker(str(path), QUEUES)
    seed, found = b"a seed, 16 bytes", b"found, 16 bytes."
    broker.put([New("urls", b"a", key=seed), New("urls", b"b", key=found, parent=seed)])
    broker.close()

    assert seeds_among(path, "urls", [seed, found, bytes(16)]) == {seed}


@pytest.mark.parametrize(("times", "says"), [(1, ""), (2, "was removed or replaced while it was opened, as a fresh crawl does")])
def test_a_store_that_is_replaced_while_it_is_opened_is_looked_at_again_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int, says: str
) -> None:
    path = tmp_path / "hub.sqlite3"
    schema.connect(str(path)).close()
    prepare = schema._prepare
    left = iter(range(times))

    def replaced_meanwhile(connection: sqlite3.Connection, name: str) -> None:
        if next(left, None) is None:
            return prepare(connection, name)
        fresh = tmp_path / "fresh.sqlite3"
        shutil.copy(path, fresh)
        fresh.replace(path)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(schema, "_prepare", replaced_meanwhile)

    if not says:
        schema.connect(str(path)).close()
    else:
        with pytest.raises(StorageError, match=says):
            schema.connect(str(path))


def test_a_store_that_is_gone_while_it_is_opened_is_not_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hub.sqlite3"
    schema.connect(str(path)).close()

    def gone_meanwhile(*_: object) -> None:
        path.unlink()
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(schema, "_prepare", gone_meanwhile)

    with pytest.raises(StorageError, match="removed or replaced"):
        schema.connect(str(path))
    assert not path.exists()
