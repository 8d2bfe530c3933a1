"""The store as a stage: what it keeps of what arrives, and what is left when it is killed."""

from __future__ import annotations

import csv
import json
import os
import select
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crawler import LocalShared, UsageError
from crawler_stages.store import Store

RECORD: dict[str, Any] = {
    "url": "http://a.example/", "final_url": "http://a.example/", "status": 200, "content_type": "text/html",
    "encoding": "utf-8", "title": "A", "description": None, "canonical": None, "language": "en", "links": ["http://a.example/b"],
    "depth": 0, "referrer": "", "fetched_at": "2026-01-01T00:00:00Z", "elapsed": 0.1, "bytes": 3, "sha256": "aa",
    "location": None,
}  # fmt: skip

# A store in a process of its own: takes a batch of JSON a line, says "ok" when it is acknowledged.
PROCESS = """
import json, sys
from crawler_stages.store import Store
store = Store(Store.Options(output=sys.argv[1], state=sys.argv[2], run="r1", mode="overwrite"))
store.open()
for line in sys.stdin:
    store.process(json.loads(line))
    print("ok", flush=True)
store.close()
"""


def record(url: str, **changes: Any) -> dict[str, Any]:
    return RECORD | {"url": url} | changes


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def store_all(path: Path, *batches: list[Any], **options: Any) -> Store:
    store = Store(Store.Options(output=str(path), **options))
    store.open()
    for batch in batches:
        store.process(batch)
    store.close()
    return store


def test_a_record_is_kept_as_the_row_it_is(tmp_path: Path):
    output = tmp_path / "r.jsonl"

    store_all(output, [record("http://a.example/", price="9.99")])

    (row,) = lines(output)
    assert row == record("http://a.example/", price="9.99")


def test_what_is_no_mapping_is_wrapped(tmp_path: Path):
    output = tmp_path / "r.jsonl"

    store_all(output, ["3的平方是9", 7, None, {"a": 1}])

    assert lines(output) == [{"value": "3的平方是9"}, {"value": 7}, {"value": None}, {"a": 1}]


def test_what_happened_to_the_rows_is_counted(tmp_path: Path):
    first, changed = record("http://a.example/"), record("http://a.example/", title="B")

    output = tmp_path / "r.jsonl"
    store = store_all(output, [first, record("http://a.example/b")], [first], [changed])

    assert store.take_counts() == {"rows": 2, f"rows in {output}": 2, "new": 2, "duplicates": 1, "replaced": 1}
    assert len(lines(output)) == 2


def test_a_row_of_an_earlier_crawl_that_is_replaced_is_a_row_of_this_one(tmp_path: Path):
    output = tmp_path / "r.jsonl"
    store_all(output, [record("http://a.example/", title="before")])

    store = store_all(output, [record("http://a.example/")])

    assert store.take_counts() == {"rows": 1, f"rows in {output}": 1, "replaced": 1}


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv", "r.sqlite"])
@pytest.mark.parametrize("older", [0, 1])
def test_rows_of_a_batch_that_was_handed_in_too_late_are_counted_once(tmp_path: Path, name: str, older: int):
    batch = [record(f"http://a.example/{n}") for n in range(8)]
    if older:
        store_all(tmp_path / name, [record("http://b.example/")])
    store = Store(Store.Options(output=str(tmp_path / name)))
    store.open()
    store.process(batch)
    store.uncounted(store.take_counts())  # what a worker does: the hub has not added them

    store.process(batch)
    store.process(batch)

    assert store.take_counts() == {"rows": 8, f"rows in {tmp_path / name}": 8, "new": 8, "duplicates": 8}
    store.close()


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv", "r.sqlite"])
def test_the_rows_of_the_output_are_shared_as_they_are_in_it(tmp_path: Path, name: str):
    first, changed, other = record("http://a.example/"), record("http://a.example/", title="B"), record("http://a.example/b")
    output = tmp_path / name

    for before, batches in ((True, [[first, other], [first], [changed]]), (False, [[record("http://a.example/c")], [other]])):
        shared = LocalShared()
        store = Store(Store.Options(output=str(output)), shared)
        store.open()
        assert json.loads(shared.get(f"rows/{output}")) == {"was_empty": before, "rows": 0 if before else 2, "base": None}
        for batch in batches:
            store.process(batch)
        store.close()
        assert json.loads(shared.get(f"rows/{output}")) == {"was_empty": before, "rows": 2 if before else 3, "base": None}


@pytest.mark.parametrize("name", ["pages.json", "pages.txt", "pages", ""])
def test_an_output_of_no_known_form_is_refused_with_what_to_do(tmp_path: Path, name: str):
    store = Store(Store.Options(output=name and str(tmp_path / name)))
    with pytest.raises(UsageError, match=r"use JSON Lines, pages\.jsonl|stages\.store\.format|output is empty"):
        store.open()


def test_the_form_can_be_named_where_the_suffix_does_not_tell(tmp_path: Path):
    output = tmp_path / "pages.txt"

    store_all(output, [{"a": 1}], format="csv")

    assert output.read_bytes().startswith(b"a,_extra\r\n1,\r\n")


def test_a_store_that_could_not_open_closes_all_the_same(tmp_path: Path):
    store = Store(Store.Options(output=str(tmp_path)))
    with pytest.raises(UsageError):
        store.open()
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r.jsonl", "r.csv", "r.sqlite"])
def test_killed_at_any_moment_and_handed_everything_again_each_row_is_there_once(tmp_path: Path, name: str):
    output = tmp_path / name
    urls = [f"http://a.example/{number}" for number in range(400)]
    batches = [[record(url, title="line\nbreak") for url in urls[start : start + 20]] for start in range(0, 400, 20)]

    acknowledged = 0
    for kills in (3, 6, 9, None):  # acknowledgements to wait for before the kill, while more is being written
        worker = subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(output), str(tmp_path / "state")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert worker.stdin is not None
        assert worker.stdout is not None
        with worker:
            worker.stdin.write(b"".join(json.dumps(batch).encode() + b"\n" for batch in batches))
            worker.stdin.flush()
            if kills is None:
                worker.stdin.close()
                acknowledged = len(worker.stdout.read().split())
            else:
                for _ in range(kills):
                    select.select([worker.stdout], [], [], 30)
                    assert worker.stdout.readline() == b"ok\n"
                worker.kill()
        if kills is not None and name == "r.jsonl":
            with output.open("ab") as file:
                file.write(b'{"url": "http://a.example/half')  # what a kill in the middle of a write leaves

    assert acknowledged == 20
    assert sorted(stored_urls(output)) == sorted(urls)


def stored_urls(path: Path) -> list[str]:
    if path.suffix == ".jsonl":
        return [row["url"] for row in lines(path)]
    if path.suffix == ".sqlite":
        db = sqlite3.connect(path)
        urls = [url for (url,) in db.execute("SELECT url FROM records")]
        db.close()
        return urls
    with path.open(newline="") as file:
        return [row["url"] for row in csv.DictReader(file)]


def test_standard_output_gets_each_row_once(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path):
    options = {"state": str(tmp_path), "run": "r1"}

    store_all(Path("-"), [{"a": 1}, {"a": 1}], [{"b": "ü\u2028"}], **options)
    store_all(Path("-"), [{"a": 1}, {"c": 3}], **options)  # killed and started again within the run

    assert capfdbinary.readouterr().out == b'{"a":1}\n{"b":"\xc3\xbc\\u2028"}\n{"c":3}\n'


def test_a_pipe_is_written_to_like_standard_output(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    store_all(pipe, [{"a": 1}])

    assert os.read(reader, 100) == b'{"a":1}\n'
    os.close(reader)
