"""Commands that run one stage of an author, whose code fails: the place is named, and the exit code is not that of the web."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.cli import main
from crawler.config.load import load
from crawler.pipeline.build import build
from tests.site import Site

FETCH = """
from crawler_stages.fetch import Fetch


class Mine(Fetch):
    def process(self, visit):
        raise KeyError("no token")
        yield
"""
STORE = """
from crawler_stages.store import Store


class Ours(Store):
    pass
"""


@pytest.mark.parametrize("command", ["fetch", "parse"])
def test_a_fetch_stage_that_fails_is_no_page_that_could_not_be_reached(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("failing_fetch.py").write_text(FETCH)
    with Site({"/": "x"}) as site:
        assert main([command, site.url, "-s", "stages.fetch.use=failing_fetch:Mine"]) == 3

    said = capsys.readouterr().err
    assert f"crawler: stage fetch failed at {site.url}: KeyError: 'no token' at failing_fetch.py:7 in process" in said


def test_a_stage_based_on_store_stores_rows_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_store.py").write_text(STORE)

    def stored(*sets: str) -> list[str]:
        return build(load(None, sets, {})).stored()

    assert stored() == ["records"]
    assert stored("stages.store.use=own_store:Ours") == ["records"]
    assert stored("stages.store.use=own_store:Store") == ["records"]  # the base class, by its name there
    assert stored("stages.store.use=not_here:Ours") == []
