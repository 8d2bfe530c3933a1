"""crawler run --debug: one process in which a debugger works."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import BETWEEN, CRAWLER, FAST, Shell, expected, statuses
from tests.site import Site
from tests.terminal import Terminal

pytestmark = pytest.mark.slow

STAGE = """
import os, subprocess
from typing import Any
from crawler import Stage

class Enrich(Stage):
    def process(self, record: dict[str, Any]) -> dict[str, Any]:
        if record["depth"] == 0 and "WITH_BREAKPOINT" in os.environ:
            breakpoint()
        return {**record, "extra": 1}

class Waits(Stage):
    async def process(self, record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "extra": await self.extra()}

    async def extra(self) -> int:
        return 2

class Talks(Stage):
    def process(self, record: dict[str, Any]) -> dict[str, Any]:
        os.write(1, b"written\\n")
        subprocess.run(["echo", "echoed"], check=True)
        return record

    def close(self) -> None:
        raise OSError("the connection is gone")

class Breaks(Stage):
    batch = 3

    def process(self, records: list[dict[str, Any]]) -> Any:
        for record in records:
            if record["url"].endswith("/p/3.html"):
                raise KeyError("ttle")
            yield record
"""


def between(shell: Shell, kind: str) -> None:
    (shell.directory / "enrich.py").write_text(STAGE)
    (shell.directory / "crawler.toml").write_text(BETWEEN.replace("Enrich", kind) + "[hub]\nmax_attempts = 1\n")


@pytest.fixture
def terminal(shell: Shell, site: Site) -> Iterator[Terminal]:
    between(shell, "Enrich")
    terminal = Terminal(
        [*CRAWLER, "run", site.url, *FAST, "--debug", "-o", "p.jsonl"],
        shell.directory,
        shell.environment | {"WITH_BREAKPOINT": "1"},
    )
    yield terminal
    terminal.close()


def test_a_breakpoint_of_a_stage_is_a_prompt_and_the_crawl_goes_on_from_it(terminal: Terminal, shell: Shell, site: Site) -> None:
    terminal.read_until("(Pdb) ")
    terminal.type("p record['url'].upper()\n")
    terminal.read_until(site.url.upper())
    terminal.type("c\n")

    assert terminal.wait() == 0, terminal.shown
    assert "finished after" in terminal.shown
    rows = shell.rows("p.jsonl")
    assert statuses(rows) == expected(site)
    assert {row["extra"] for row in rows} == {1}


def test_leaving_the_debugger_stops_in_order_and_a_run_without_it_goes_on(terminal: Terminal, shell: Shell, site: Site) -> None:
    terminal.read_until("(Pdb) ")
    terminal.type("q\n")

    assert terminal.wait() == 130, terminal.shown
    assert "'crawler run' goes on" in terminal.shown
    done = shell.run("run", *FAST, "-o", "p.jsonl")
    assert done.returncode == 0, done.stderr
    assert statuses(shell.rows("p.jsonl")) == expected(site)
    assert set(site.counts.values()) == {1}


def test_async_and_batch_stages_work_and_a_failure_has_its_whole_traceback(shell: Shell, site: Site) -> None:
    between(shell, "Waits")
    done = shell.run("run", site.url, *FAST, "--debug", "-o", "p.jsonl")
    assert done.returncode == 0, done.stderr
    assert {row["extra"] for row in shell.rows("p.jsonl")} == {2}

    between(shell, "Breaks")
    done = shell.run("run", site.url, *FAST, "--debug", "-O", "-")
    assert done.returncode == 3, done.stderr
    assert "enrich failed at " in done.stderr
    assert "/p/3.html" in done.stderr
    assert "Traceback (most recent call last):" in done.stderr
    assert 'raise KeyError("ttle")' in done.stderr
    assert all(line.startswith("{") for line in done.stdout.splitlines())


def test_standard_output_is_for_rows_and_a_stage_that_fails_to_close_does_not_hide_the_summary(shell: Shell) -> None:
    between(shell, "Talks")
    with Site({"/": "<title>Tea</title>"}) as site:
        done = shell.run("run", site.url, *FAST, "--debug", "-o", "-")

    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["title"] for line in done.stdout.splitlines()] == ["Tea"]
    for said in ("written", "echoed", "stage enrich cannot be closed: OSError: the connection is gone", "finished after"):
        assert said in done.stderr
