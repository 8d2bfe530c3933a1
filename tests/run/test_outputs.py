from __future__ import annotations

import json

from crawler.run.outputs import Rows, described, rows_by_output


def note(rows: int, *, was_empty: bool) -> bytes:
    return json.dumps({"was_empty": was_empty, "rows": rows}).encode()


def test_of_an_output_that_was_empty_all_rows_are_the_crawls():
    notes = {"rows/a.jsonl": note(34, was_empty=True), "crawl": b"id"}

    assert rows_by_output(["a.jsonl"], notes, {"store/rows in a.jsonl": 30}, "/d") == {"a.jsonl": Rows(34, 34)}


def test_while_an_output_is_open_its_rows_are_those_counted():
    notes = {"rows/a.jsonl": note(0, was_empty=True)}

    assert rows_by_output(["a.jsonl"], notes, {"store/rows in a.jsonl": 16}, "/d")["a.jsonl"].rows == 16


def test_of_an_output_that_others_have_written_to_the_counted_ones_are():
    notes = {"rows/a.jsonl": note(1034, was_empty=False)}

    assert rows_by_output([], notes, {"store/rows in a.jsonl": 30, "mine/rows in a.jsonl": 4}, "/d") == {"a.jsonl": Rows(34, 1034)}


def test_outputs_stand_in_the_order_in_which_the_crawl_had_them():
    notes = {"rows/b.jsonl": note(1, was_empty=True), "rows/c.jsonl": b"of another form"}

    found = rows_by_output(["z.jsonl", "b.jsonl"], notes, {"store/rows in -": 7}, "/d")

    assert list(found.items()) == [("z.jsonl", Rows(0)), ("b.jsonl", Rows(1, 1)), ("-", Rows(7))]


def test_two_names_of_one_file_are_one_output():
    fresh = {"rows/a.jsonl": note(4, was_empty=True), "rows/d/../a.jsonl": note(9, was_empty=False), "rows//x/a.jsonl": b""}
    counters = {"store/rows in a.jsonl": 4, "store/rows in d/../a.jsonl": 5}

    assert rows_by_output(["a.jsonl", "/x/a.jsonl"], fresh, counters, "/x") == {"a.jsonl": Rows(9, 9)}


def test_rows_are_told_in_words():
    assert described({}) == ""
    assert described({"a.jsonl": Rows(0)}) == "0 rows in a.jsonl"
    assert described({"a.jsonl": Rows(1, 1), "b.csv": Rows(1200, 3000), "c.csv": Rows(0), "-": Rows(2)}) == (
        "1 row in a.jsonl, 1,200 rows in b.csv (3,000 in all), 2 rows on standard output"
    )
