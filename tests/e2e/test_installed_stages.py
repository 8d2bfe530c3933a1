"""A package of somebody else offers stages by entry point: installed by pip, they are named like the built-in ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.cli import main
from crawler.errors import ConfigError
from crawler.pipeline import plugins
from tests.e2e.conftest import BETWEEN, FAST, Shell
from tests.e2e.packages import installed
from tests.site import Site

pytestmark = pytest.mark.slow

MODULE = """
from typing import Any

from crawler import Stage


class Loud(Stage):
    class Options(Stage.Options, frozen=True, kw_only=True):
        mark: str = "!"

    def process(self, row: dict[str, Any]) -> dict[str, Any]:
        return row | {"title": row["title"].upper() + self.options.mark, "crawl": self._context.run, "stage": self._context.stage}

    def open(self) -> None:
        self._context = self.context
"""


def loud(folder: Path, name: str) -> Path:
    """Install a package whose entry point "loud" is this class; returns the folder where modules are then found."""
    return installed(folder, name, MODULE, f"[crawler.stages]\nloud = {name}:Loud\n")


def test_an_installed_stage_is_found_checked_and_run(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = loud(shell.directory, "acme_loud")
    monkeypatch.chdir(shell.directory)
    monkeypatch.syspath_prepend(str(target))
    file = shell.directory / "crawler.toml"
    file.write_text(BETWEEN.replace("enrich:Enrich", "loud") + 'mark = "?"\n')

    assert "loud" in plugins.names()
    assert plugins.find("loud").__module__ == "acme_loud"
    assert main(["check"]) == 0
    assert main(["check", "-s", "stages.enrich.marc='?'"]) == 2
    assert "stages.enrich.marc is not a setting; did you mean 'stages.enrich.mark'?" in capsys.readouterr().err

    shell.environment["PYTHONPATH"] = str(target)
    with Site({"/": "<title>tea</title>"}) as site:
        done = shell.run("run", site.url, *FAST, "-o", "rows.jsonl")
    assert done.returncode == 0, done.stderr
    assert [(row["title"], row["stage"]) for row in shell.rows("rows.jsonl")] == [("TEA?", "enrich")]
    assert all(row["crawl"] for row in shell.rows("rows.jsonl"))

    monkeypatch.syspath_prepend(str(loud(shell.directory, "other_loud")))
    with pytest.raises(ConfigError, match="2 installed packages offer a stage 'loud'") as refused:
        plugins.find("loud")
    assert 'use = "acme_loud:Loud" or use = "other_loud:Loud"' in str(refused.value)
