"""A stage that cannot be opened is told with its name and the place."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crawler import Stage
from crawler.config.load import load
from crawler.errors import ConfigError, StageUnusable, StorageFull
from crawler.pipeline.build import build
from crawler.run.making import make
from crawler.worker.chain import Chain
from crawler.worker.chain_link import Link
from crawler.worker.opening import opening


def test_what_an_author_raises_is_told_with_stage_and_place() -> None:
    with pytest.raises(StageUnusable) as caught, opening("enrich"):
        raise KeyError("key")

    assert "stage enrich cannot be opened: KeyError: 'key' at " in str(caught.value)
    assert "test_opening.py:22 in test_what_an_author_raises" in str(caught.value)


@pytest.mark.parametrize("error", [ConfigError("stages.enrich.key is empty"), StorageFull("no room")])
def test_errors_of_ours_stay_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, opening("enrich"):
        raise error

    assert caught.value is error


def test_a_stage_that_cannot_be_made_is_told_in_the_same_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "never_made.py").write_text(
        "from crawler import Stage\n\nclass Never(Stage):\n    def __init__(self, *given):\n        {}['key']\n"
        "    def process(self, item: int): ...\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    config = load(None, ["stages.never.use=never_made:Never", "stages.never.input=task", "stages.never.outputs=result"], {})

    with pytest.raises(StageUnusable, match=r"stage never cannot be opened: KeyError: 'key' at never_made.py:5 in __init__"):
        make(config, build(config).stage("never"), None)


class Unclosable(Stage):
    def process(self, item: int) -> int:
        return item

    def close(self) -> None:
        raise ValueError("the file is gone")


def test_a_stage_that_cannot_be_closed_is_told_with_its_line_and_the_others_are_closed() -> None:
    closed: list[str] = []

    class First(Unclosable):
        def close(self) -> None:
            closed.append("first")

    chain = Chain([Link("first", First(), ("between",), "between"), Link("second", Unclosable(), ("out",), "")])
    chain.open()

    with pytest.raises(StageUnusable, match=r"stage second cannot be closed: ValueError: the file is gone at .*_opening.py:\d+"):
        chain.close()
    assert closed == ["first"]
