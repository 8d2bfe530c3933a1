"""One contract for every sink."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crawler import StorageFull, UsageError
from crawler_stages.sinks import SinkOptions, Written, open_sink
from tests.disks import mounted
from tests.stages.outputs import Output, page


@pytest.fixture(params=[".jsonl", ".csv", ".sqlite"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    return Output(tmp_path / f"out{request.param}")


def test_the_same_row_twice_is_one_row_also_across_a_restart(output: Output):
    batch = [page("http://a/"), page("http://b/"), page("http://a/")]

    assert output.put(batch, batch) == [Written(2, 0, 1), Written(0, 0, 3)]
    assert output.put(batch) == [Written(0, 0, 3)]

    assert output.rows() == [page("http://a/"), page("http://b/")]


def test_a_later_version_of_a_page_takes_the_place_of_the_old(output: Output):
    output.put([page("http://a/", title="old"), page("http://b/")])

    assert output.put([page("http://a/", title="new"), page("http://c/", title="c")]) == [Written(1, 1, 0)]

    rows = {row["url"]: row.get("title") for row in output.rows()}
    assert rows == {"http://a/": "new", "http://b/": None, "http://c/": "c"}
    assert len(output.rows()) == 3


def test_there_and_back_within_a_batch_is_no_change(output: Output):
    old, new = page("http://a/", title="old"), page("http://a/", title="new")
    output.put([old])

    assert output.put([new, old]) == [Written(0, 0, 2)]

    assert output.rows() == [old]


def test_other_items_are_told_apart_by_their_content(output: Output):
    assert output.put([{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 1, "b": "x"}]) == [Written(2, 0, 1)]
    assert output.put([{"a": 1, "b": "x"}]) == [Written(0, 0, 1)]
    assert output.rows() == [{"a": "1", "b": "x"}, {"a": "1", "b": "y"}]


def test_the_key_can_be_fields_of_ones_own(output: Output):
    output.options["key"] = ["shop", "sku"]
    output.put([{"shop": "a", "sku": 1, "price": 5}, {"shop": "b", "sku": 1, "price": 6}])

    assert output.put([{"shop": "a", "sku": 1, "price": 7}]) == [Written(0, 1, 0)]

    assert sorted(row["price"] for row in output.rows()) == ["6", "7"]


def test_a_row_without_the_key_field_is_kept_by_its_content(output: Output):
    output.options["key"] = "sku"
    assert output.put([{"sku": 1, "a": 1}, {"a": 1}, {"a": 2}, {"a": 1}]) == [Written(3, 0, 1)]


def test_overwrite_happens_once_a_crawl(output: Output):
    output.put([page("http://old/")])

    output.put([page("http://a/")], mode="overwrite", run="crawl-2")
    output.put([page("http://b/")], mode="overwrite", run="crawl-2")  # the store was killed and started again

    assert [row["url"] for row in output.rows()] == ["http://a/", "http://b/"]


def test_overwrite_without_a_crawl_happens_at_every_start(output: Output):
    output.put([page("http://a/")], mode="overwrite")
    output.put([page("http://b/")], mode="overwrite")

    assert [row["url"] for row in output.rows()] == ["http://b/"]


def test_an_empty_batch_is_nothing(output: Output):
    assert output.put([], [{"a": 1}], []) == [Written(), Written(1), Written()]


def test_values_of_every_kind_can_be_kept(output: Output):
    row = {"s": "tab\tquote\"comma,line\nend", "n": None, "f": 1.5, "big": 2**64 - 1, "yes": True, "list": [1, {"a": "ü"}],
           "raw": b"\xff", "u": "\u2028\x85", "nul": "a\0b"}  # fmt: skip

    output.put([row], [row])

    (kept,) = output.rows()
    assert kept["s"] == row["s"]
    assert kept["big"] == "18446744073709551615"
    assert (kept["f"], kept["u"], kept["nul"]) == ("1.5", row["u"], row["nul"])
    assert json.loads(kept["list"].replace("'", '"')) == [1, {"a": "ü"}]


@pytest.mark.parametrize("sync", ["batch", "close"])
def test_rows_can_be_seen_as_soon_as_they_are_acknowledged(output: Output, sync: str):
    sink = open_sink(SinkOptions(output=str(output.path), **(output.options | {"sync": sync})))
    sink.write([page("http://a/")])
    seen = output.rows()
    sink.close()

    assert seen == [page("http://a/")]


def test_an_output_in_no_directory_is_refused(output: Output):
    output.path = output.path.parent / "none" / output.path.name
    with pytest.raises(UsageError, match="director"):
        output.put()


def test_a_directory_is_no_output(output: Output):
    output.path.mkdir()
    with pytest.raises(UsageError, match=f"cannot write to {output.path}: "):
        output.put()


def test_an_output_on_a_full_disk_is_waited_for_also_at_the_start(output: Output, tmp_path: Path):
    with mounted(tmp_path / "disk", 1) as disk:
        place = Output(tmp_path / "disk" / output.path.name)
        disk.fill()
        with pytest.raises(StorageFull, match="free some space"):
            place.put([page("http://a/")])
        disk.empty()

        assert place.put([page("http://a/")]) == [Written(1, 0, 0)]
