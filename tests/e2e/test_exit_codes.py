"""Exit codes are the project's own: code of a stage that ends its process does not choose one."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.cli import main
from tests.e2e.conftest import BETWEEN, FAST, Shell
from tests.site import Site

STAGE = """
import os
import sys

from crawler import Stage


class Enrich(Stage):
    def open(self):
        {end}

    def process(self, record: dict):
        return record
"""


@pytest.mark.slow
def test_a_stage_that_ends_its_process_does_not_choose_the_exit_code_of_the_run(shell: Shell) -> None:
    (shell.directory / "enrich.py").write_text(STAGE.format(end="os._exit(3)"))
    (shell.directory / "crawler.toml").write_text(BETWEEN + "chain = false\n")

    with Site({"/": "<h1>tea</h1>"}) as site:
        done = shell.run("run", site.url, *FAST)

    assert done.returncode == 1, done.stderr
    assert "crawler: the process of enrich ended 5 times in a row with exit code 3" in done.stderr
    assert done.stderr.count("starting it again") == 1
    assert "went away without a word" not in done.stderr


@pytest.mark.parametrize("code", [0, 2, 3, 5, 75])
def test_a_stage_that_calls_sys_exit_when_it_is_opened_is_named_as_the_fault(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"leaves_{code}"  # a module of its own for each: Python keeps those it has imported
    Path(f"{name}.py").write_text(STAGE.format(end=f"sys.exit({code})"))
    Path("page.html").write_text("<h1>tea</h1>")

    assert main(["parse", "page.html", "-s", f"stages.parse.use='{name}:Enrich'"]) == 1

    assert f"sys.exit({code})" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 3])
def test_a_module_that_calls_sys_exit_when_it_is_imported_is_a_mistake_of_the_configuration(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(f"gone_{code}.py").write_text(f"import sys\nsys.exit({code})\n")

    assert main(["check", "-s", f"stages.parse.use='gone_{code}:Enrich'"]) == 2

    assert f"importing gone_{code} failed: SystemExit" in capsys.readouterr().err
