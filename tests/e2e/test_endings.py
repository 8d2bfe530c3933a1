"""Endings of `crawler run` when it fails or is stopped: a summary that is true, and the command to go on."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from tests.disks import mounted
from tests.e2e.conftest import BETWEEN, FAST, Shell
from tests.e2e.test_storage_faults import read_until
from tests.site import Site

pytestmark = pytest.mark.slow

UNUSABLE = """
from crawler import Stage


class Enrich(Stage):
    def open(self):
        raise RuntimeError("no database")

    def process(self, record: dict):
        return record
"""


@pytest.fixture
def small() -> Iterator[Site]:
    with Site({"/": '<a href="/held">x</a><a href="/a">x</a>', "/a": "a", "/held": "h"}) as site:
        yield site


def report(shell: Shell) -> dict[str, object]:
    found: dict[str, object] = json.loads((shell.directory / "crawler-data" / "report.json").read_text())
    return found


def test_an_output_that_is_removed_ends_the_crawl_with_a_summary_and_the_command_goes_on(shell: Shell, small: Site) -> None:
    small.hold("/held")
    crawl = shell.start("run", small.url, *FAST, "-o", "p.jsonl")
    small.wait_for_request("/held")
    while not (shell.directory / "p.jsonl").exists() or len(shell.rows("p.jsonl")) < 2:
        pass
    (shell.directory / "p.jsonl").unlink()
    small.release("/held")
    _, said = crawl.communicate(timeout=30)
    again = shell.run("run")

    assert crawl.returncode == 75, said
    assert "crawler: p.jsonl was removed, or moved away, while rows were written to it" in said
    assert "failed after" in said
    assert "(store gave up, see above): 3 pages" in said
    assert "warning: p.jsonl had 2 rows and is gone; those pages are not fetched again ('crawler run --fresh' starts over)" in said
    assert "left to do: 1 on records; 'crawler run' goes on" in said
    assert "rows in p.jsonl" not in said
    assert str(shell.directory) not in said
    assert report(shell)["reason"] == "finished"  # of the second run
    assert again.returncode == 0, again.stderr
    assert [row["url"] for row in shell.rows("p.jsonl")] == [small.link("/held")]


def test_an_output_that_cannot_be_written_ends_the_crawl_with_a_summary(shell: Shell, small: Site) -> None:
    done = shell.run("run", small.url, *FAST, "-o", "/dev/full")

    assert done.returncode == 75, done.stderr
    assert "(store gave up, see above): " in done.stderr
    assert "'crawler run' goes on" in done.stderr.splitlines()[-1]
    assert report(shell)["reason"] == "failed"


def test_a_stage_that_cannot_be_opened_is_told_once_whatever_its_number_of_workers(shell: Shell, small: Site) -> None:
    (shell.directory / "enrich.py").write_text(UNUSABLE)
    (shell.directory / "crawler.toml").write_text(f"{BETWEEN}processes = 2\n")

    done = shell.run("run", small.url, *FAST)

    assert done.returncode == 1, done.stderr
    assert done.stderr.count("stage enrich cannot be opened: RuntimeError: no database at enrich.py:7 in open") == 1
    assert "failed after" in done.stderr
    assert "'crawler run' goes on" in done.stderr.splitlines()[-1]


def test_a_crawl_that_is_stopped_while_its_output_has_no_room_says_so_at_the_end(shell: Shell, small: Site) -> None:
    with mounted(shell.directory / "disk", 4) as disk:
        disk.fill()
        crawl = shell.start("run", small.url, *FAST, "-o", "disk/p.jsonl")
        read_until(crawl, "store waits for room: disk/p.jsonl: No space left on device; nothing is lost")
        crawl.send_signal(signal.SIGINT)
        _, said = crawl.communicate(timeout=30)

    assert crawl.returncode == 130, said
    assert "when it was stopped, store waited for room: disk/p.jsonl: No space left on device" in said


def test_a_crawl_whose_data_directory_is_removed_does_not_say_that_it_can_go_on(shell: Shell, small: Site) -> None:
    small.hold("/held")
    crawl = shell.start("run", small.url, *FAST, "--data", "d", "-o", "p.jsonl")
    small.wait_for_request("/held")
    (shell.directory / "d" / "hub.sqlite3").unlink()
    crawl.send_signal(signal.SIGINT)  # the page is not let go: it would be the end of the crawl
    _, said = crawl.communicate(timeout=30)

    assert crawl.returncode == 130, said
    assert "crawler: d/hub.sqlite3 was removed while the crawl ran, so the crawl cannot go on" in said
    assert "goes on\n" not in said
