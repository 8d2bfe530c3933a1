"""crawler workers, notes and counters, on the store of a hub that is not running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crawler.broker.contract import QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.cli import main
from crawler.items import New, Note, Step

QUEUES = (QueueSpec("task", is_read=True), QueueSpec("result"))


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Run a command on a store with a worker, notes and counters: its exit code, and what it prints."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crawler-data").mkdir(mode=0o700)
    broker = SqliteBroker(str(tmp_path / "crawler-data" / "hub.sqlite3"), QUEUES)
    broker.put([New("task", b"\x01"), New("task", b"\x02")])
    broker.step(Step("square@here:1:a", 1, "task", 2, counters={"square/a": 1, "square/b": 2**53, "evil\x1b[31m": 3}))
    notes = {"root/a.org": b"seed", "robots/http://a.org": b"x", "robots/http://b.org": b"y", "x\x1b": b""}
    broker.note([Note(name, value) for name, value in notes.items()])
    broker.close()

    def run(*typed: str) -> tuple[int, str]:
        code = main([*typed])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_a_worker_is_listed_and_ended(run: Callable[..., tuple[int, str]]) -> None:
    assert "square@here:1:a\t2 tasks\tnot heard of\n" in run("workers", "list")[1]

    code, said = run("workers", "end", "square@here:1:a")

    assert (code, "2 tasks were taken from it" in said) == (0, True)
    assert "no workers" in run("workers", "list")[1]
    code, said = run("workers", "end", "nobody")
    assert (code, "no worker 'nobody' on this hub; 'crawler workers list' shows" in said) == (2, True)


def test_notes_are_listed_and_deleted(run: Callable[..., tuple[int, str]]) -> None:
    said = run("notes", "list")[1]
    assert "robots/http://a.org\t1 bytes\n" in said
    assert "\x1b" not in said

    assert "1 note deleted" in run("notes", "drop", "robots/http://b.org", "robots/http")[1]
    assert "robots/http://b.org" not in run("notes", "list", "robots/")[1]
    assert "3 notes deleted" in run("notes", "drop", "*")[1]
    assert "root/a.org\t0 bytes\n" in run("notes", "list")[1]
    assert "no notes begin with 'robots/'" in run("notes", "list", "robots/")[1]


def test_counters_are_listed_and_deleted(run: Callable[..., tuple[int, str]]) -> None:
    said = run("counters", "list")[1]
    assert "square/b\t9007199254740992\n" in said
    assert "\x1b" not in said

    assert "1 counter deleted" in run("counters", "drop", "square/b")[1]
    assert "square/b" not in run("counters", "list")[1]
    assert "2 counters deleted" in run("counters", "drop", "square/a", "evil*", "nothing")[1]
    assert "no counters" in run("counters", "list")[1]
