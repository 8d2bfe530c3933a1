from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crawler.run.report.outputs import Rows, described, rows_by_output

SAME = "more had the key of another: see stages.store.key)"


def note(rows: int, *, was_empty: bool) -> bytes:
    return json.dumps({"was_empty": was_empty, "rows": rows}).encode()


def test_of_an_output_that_was_empty_all_rows_are_the_crawls():
    notes = {"rows/a.jsonl": note(34, was_empty=True), "crawl": b"id"}

    assert rows_by_output(["a.jsonl"], notes, {"store/rows in a.jsonl": 30}, os.getcwd()) == {"a.jsonl": Rows(34, 34)}


def test_while_an_output_is_open_its_rows_are_those_counted():
    notes = {"rows/a.jsonl": note(0, was_empty=True)}

    assert rows_by_output(["a.jsonl"], notes, {"store/rows in a.jsonl": 16}, os.getcwd())["a.jsonl"].rows == 16


def test_of_an_output_that_others_have_written_to_the_counted_ones_are():
    notes = {"rows/a.jsonl": note(1034, was_empty=False)}

    counters = {"store/rows in a.jsonl": 30, "mine/rows in a.jsonl": 4}

    assert rows_by_output([], notes, counters, os.getcwd()) == {"a.jsonl": Rows(34, 1034)}


def test_outputs_stand_in_the_order_in_which_the_crawl_had_them():
    notes = {"rows/b.jsonl": note(1, was_empty=True), "rows/c.jsonl": b"of another form"}

    found = rows_by_output(["z.jsonl", "b.jsonl"], notes, {"store/rows in -": 7}, os.getcwd())

    assert list(found.items()) == [("z.jsonl", Rows(0)), ("b.jsonl", Rows(1, 1)), ("-", Rows(7))]


def test_two_names_of_one_file_are_one_output():
    here = os.getcwd()
    fresh = {"rows/a.jsonl": note(4, was_empty=True), "rows/d/../a.jsonl": note(9, was_empty=False), f"rows/{here}//a.jsonl": b""}
    counters = {"store/rows in a.jsonl": 4, "store/rows in d/../a.jsonl": 5}

    assert rows_by_output(["a.jsonl", f"{here}/a.jsonl"], fresh, counters, here) == {"a.jsonl": Rows(9, 9)}


@pytest.mark.parametrize("old", ["/old/t/data/a.jsonl", "../data/a.jsonl", "../../data/a.jsonl"])
def test_a_file_that_was_moved_or_named_from_below_is_one_output(tmp_path: Path, old: str):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").touch()
    notes = {"rows/data/a.jsonl": note(4, was_empty=True), f"rows/{old}": note(9, was_empty=False)}
    counters = {"store/rows in data/a.jsonl": 4, f"store/rows in {old}": 5, "store/rows in /old/t/b.jsonl": 2}

    found = rows_by_output(["data/a.jsonl"], notes, counters, str(tmp_path))

    assert sorted(rows.rows for rows in found.values()) == [2, 9], "and another file that is gone is another"


def test_outputs_are_named_as_they_can_be_typed_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")

    assert list(rows_by_output(["a.jsonl", "-", "sub/b.jsonl"], {}, {}, str(tmp_path))) == ["../a.jsonl", "-", "b.jsonl"]


def test_rows_are_told_in_words():
    assert described({}) == ""
    assert described({"a.jsonl": Rows(0)}) == "0 rows in a.jsonl"
    assert described({"a.jsonl": Rows(1, 1), "b.csv": Rows(1200, 3000), "c.csv": Rows(0), "-": Rows(2)}) == (
        "1 row in a.jsonl, 1,200 rows in b.csv (3,000 in all), 2 rows on standard output"
    )


@pytest.mark.parametrize(("counters", "was_empty", "rows", "said"), [
    ({"store/rows in a.jsonl": 2, "store/replaced": 1}, True, 1, f"1 row in a.jsonl (1 {SAME}"),
    ({"store/rows in a.jsonl": 2, "store/duplicates": 2}, True, 2, f"2 rows in a.jsonl (2 {SAME}"),
    ({"store/rows in a.jsonl": 9, "store/replaced": 3, "store/duplicates": 1}, True, 6,
     f"6 rows in a.jsonl (4 {SAME}"),
    ({"store/rows in a.jsonl": 9, "store/replaced": 9}, False, 9, "9 rows in a.jsonl"),         # of an earlier crawl
    ({"store/rows in a.jsonl": 9, "store/rows in b.jsonl": 2, "store/replaced": 2}, True, 9, "9 rows in a.jsonl"),
])  # fmt: skip
def test_records_with_the_key_of_another_are_no_rows_and_are_told(counters, was_empty, rows, said):
    notes = {"rows/a.jsonl": note(rows, was_empty=was_empty)}

    found = rows_by_output(["a.jsonl"], notes, counters, os.getcwd())

    assert (found["a.jsonl"].rows, described({"a.jsonl": found["a.jsonl"]})) == (rows, said)


def test_a_stream_has_printed_what_a_later_row_replaced():
    counters = {"store/rows in -": 3, "store/replaced": 1}

    assert rows_by_output(["-"], {"rows/-": note(3, was_empty=True)}, counters, os.getcwd()) == {"-": Rows(3, 3)}
