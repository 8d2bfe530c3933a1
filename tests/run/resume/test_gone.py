"""Counts of rows whose file is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.broker.contract import QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.items import Note, Step
from crawler.run.report.outputs import Rows, rows_by_output
from crawler.run.resume.gone import forget, gone


def test_only_a_file_that_had_rows_and_is_missing_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.jsonl").touch()
    rows = {"there.jsonl": Rows(3), "gone.jsonl": Rows(2), "never.jsonl": Rows(0), "-": Rows(4)}

    assert gone(rows) == {"gone.jsonl": Rows(2)}


def test_its_rows_are_counted_from_0_under_all_its_names_and_others_are_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    broker = SqliteBroker(str(tmp_path / "hub.sqlite3"), [QueueSpec("urls")])
    names = ("a.jsonl", "b.jsonl", str(tmp_path / "a.jsonl"))
    broker.step(Step("w", 1, counters={f"store/rows in {name}": 5 for name in names}))
    broker.note([Note(f"rows/{name}", b'{"was_empty": false, "rows": 105}') for name in names[:2]])

    forget(broker, frozenset({"a.jsonl"}), str(tmp_path))
    broker.step(Step("w", 2, counters={"store/rows in a.jsonl": 3}))

    notes = {note.name: note.value for note in broker.notes("rows/")}
    found = rows_by_output(["a.jsonl", "b.jsonl"], notes, broker.stats().counters, str(tmp_path))
    broker.close()
    assert found == {"a.jsonl": Rows(3, 0), "b.jsonl": Rows(5, 105)}
