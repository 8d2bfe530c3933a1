"""Prints of a stage: shown with its name, without disturbing the live view or rows on standard output."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import BETWEEN, CRAWLER, FAST, Shell
from tests.site import Site, generated
from tests.terminal import Terminal

pytestmark = pytest.mark.slow

STAGE = """
import os, subprocess, sys
from typing import Any
from crawler import Stage

print("is imported")

class Enrich(Stage):
    def process(self, record: Any) -> Any:
        url = record["url"] if isinstance(record, dict) else record.url
        print("saw", url)
        print("to stderr", file=sys.stderr)
        os.write(1, b"at the descriptor\\n")
        subprocess.run(["echo", "from a command"])
        return record

    def close(self) -> None:
        print("no end of a line", end="")
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(generated(8, seed=7)) as site:
        yield site


@pytest.fixture(autouse=True)
def _stage(shell: Shell) -> None:
    (shell.directory / "enrich.py").write_text(STAGE)
    (shell.directory / "crawler.toml").write_text(BETWEEN)


@pytest.fixture
def terminal(tmp_path: Path, shell: Shell, site: Site) -> Iterator[Terminal]:
    terminal = Terminal([*CRAWLER, "run", site.url, *FAST, "-o", "p.jsonl"], tmp_path, shell.environment)
    yield terminal
    terminal.close()


def test_above_the_live_view(terminal: Terminal, site: Site) -> None:
    assert terminal.wait() == 0

    lines = terminal.shown.split("\n")
    assert {line for line in lines if line.startswith("enrich: saw ")} == {f"enrich: saw {site.link(path)}" for path in site.pages}
    for line in ("enrich: to stderr", "enrich: no end of a line"):
        assert line in lines
    assert any(line.endswith(": at the descriptor") for line in lines)  # a library's: by the name of its process
    assert any(line.endswith(": from a command") for line in lines)
    assert "finished after" in terminal.shown
    assert not any(line.startswith("store") and line.endswith(" 0 1") for line in lines)  # counts are not for people


@pytest.mark.parametrize("more", [(), ("-s", "stages.enrich.chain=false")])
@pytest.mark.parametrize("first", ["", "import os; opened = open(os.devnull)"])  # open: no process is copied
def test_in_plain_logs_and_not_among_the_rows(shell: Shell, site: Site, more: tuple[str, ...], first: str) -> None:
    (shell.directory / "enrich.py").write_text(first + STAGE)
    done = shell.run("run", site.url, *FAST, *more, "-o", "-")

    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["url"] for line in done.stdout.splitlines()} == {site.link(path) for path in site.pages}
    lines = done.stderr.splitlines()
    assert {line for line in lines if line.startswith("enrich: saw ")} == {f"enrich: saw {site.link(path)}" for path in site.pages}
    for line in ("enrich: to stderr", "enrich: no end of a line"):
        assert line in lines
    assert any(line.endswith(": at the descriptor") for line in lines)  # a library's: by the name of its process
    assert any(line.endswith(": from a command") for line in lines)


def test_in_a_stage_of_several_processes_that_was_started_by_hand(shell: Shell) -> None:
    (shell.directory / "crawler.toml").write_text('[stages.enrich]\nuse = "enrich:Enrich"\ninput = "task"\noutputs = ["result"]\n')
    shell.start_hub()
    shell.run("put", "task", *(json.dumps({"url": n}) for n in range(4)))

    stage = shell.run("stage", "enrich", "--processes", "2", "--until-drained")

    assert stage.returncode == 0, stage.stderr
    lines = stage.stderr.splitlines()
    assert sorted(line for line in lines if line.startswith("enrich: saw ")) == [f"enrich: saw {n}" for n in range(4)]
    assert any(line.startswith("enrich ") and line.endswith(": at the descriptor") for line in lines)
    assert "4 done, 0 failed" in stage.stderr
