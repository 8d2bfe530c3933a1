from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from crawler.errors import StorageError
from crawler.items import QueueStats, Stats
from crawler.run.report import totals as reporting

COUNTERS = {
    "fetch/status/200": 8, "fetch/status/404": 2, "parse/skipped/out of scope": 5, "fetch/skipped/out of scope": 1,
    "parse/skipped/too deep": 7, "store/rows": 10,
}  # fmt: skip


def queue(name: str, **counts: int) -> QueueStats:
    numbers = dict.fromkeys(("accepted", "ready", "delayed", "leased", "dead", "done", "bytes"), 0) | counts
    return QueueStats(name, **numbers, keyed=name == "urls", polite=name == "urls", is_read=name != "result")


def report(*queues: QueueStats, counters: dict[str, int] | None = None, **more: Any) -> dict[str, Any]:
    stats = Stats(1.0, 2.0, queues, [], [], 0, COUNTERS if counters is None else counters, is_drained=True)
    facts = {"crawl": "c1", "beginning": "first", "reason": "finished", "elapsed": 4.0, "restarts": {}, "output": "pages.jsonl"}
    return reporting.build(stats, **{**facts, **more})


def test_the_numbers_are_those_of_the_hub():
    built = report(queue("urls", accepted=12, done=10, dead=2), queue("result", ready=3))

    assert built["pages"] == 10
    assert built["statuses"] == {"200": 8, "404": 2}
    assert built["pages_per_second"] == 2.5
    assert built["skipped"] == {"too deep": 7, "out of scope": 6}
    assert built["dead"] == {"urls": 2}
    assert built["left"] == {"urls": 0}  # what only people read is nothing left to do


def test_the_rate_of_a_resumed_crawl_is_that_of_this_run():
    built = report(queue("urls", accepted=1), beginning="resumed", pages_before=6)

    assert (built["pages"], built["pages_before"], built["pages_now"], built["pages_per_second"]) == (10, 6, 4, 1.0)


def test_a_crawl_is_empty_when_there_was_something_to_fetch_and_nothing_came():
    assert reporting.is_empty(report(queue("urls", accepted=1, dead=1), counters={}))
    assert not reporting.is_empty(report(queue("urls", accepted=1, done=1)))
    assert not reporting.is_empty(report(queue("urls"), counters={}))


def test_the_file_is_whole_or_as_it_was(tmp_path):
    built = report(queue("urls"))

    path = reporting.write(built, tmp_path)

    assert path == tmp_path / "report.json"
    assert msgspec.json.decode(path.read_bytes()) == built
    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]


def test_a_report_that_cannot_be_written_is_the_disks_fault(tmp_path):
    with pytest.raises(StorageError, match="the crawl itself is stored"):
        reporting.write(report(queue("urls")), Path(tmp_path / "missing"))


def test_what_stages_count_themselves_is_told_apart_from_what_every_stage_counts() -> None:
    counters = {
        "fetch/bytes": 9,
        "fetch/status/200": 3,
        "parse/links/cut": 1,
        "store/rows": 2,
        "enrich/seen": 3,
        "enrich/dropped": 1,
        "enrich/dropped/no title": 1,
        "enrich/failed": 1,
        "enrich/put back": 1,
        "enrich/gave nothing": 2,
    }

    assert reporting.own_counters(counters) == {"enrich": {"seen": 3}}


def test_a_report_that_finds_no_room_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "report.json").mkdir()  # in its place: nothing can be put there

    with pytest.raises(StorageError, match="cannot be written"):
        reporting.write(report(queue("urls")), tmp_path)

    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]
