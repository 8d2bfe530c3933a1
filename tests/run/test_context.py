"""A stage is given its context before it is opened: where it may keep files, for which crawl, how gently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crawler import Context, LocalShared, Stage
from crawler.cli import main
from crawler.config.load import load
from crawler.config.settings import HostSettings
from crawler.errors import ConfigError
from crawler.pipeline.build import build
from crawler.run.making import make
from crawler.worker.shared_notes import CRAWL_NOTE

HERE = f"{__name__}:"
OWN = ["stages.own.input='task'", "stages.own.outputs=['result']", "data='d'", "frontier.delay=2.5", "hosts.'a.example'.delay=9"]


class Plain(Stage):
    """A stage that knows nothing of a context. Its options are called like things that a crawl knows."""

    class Options(Stage.Options, frozen=True, kw_only=True):
        state: str = ""
        run: str = ""
        hosts: int = 3
        pause_after_robots: float | None = None

    def process(self, number: int) -> int:
        return number


class Asks(Plain):
    """A stage that looks at its context when it is opened."""

    def open(self) -> None:
        self.seen = self.context


class Takes(Plain):
    """A stage that has put something else in the place of its context."""

    def __init__(self, options: Any = None, shared: Any = None) -> None:
        super().__init__(options, shared)
        self.context = Context(stage="mine")


def made(kind: type[Stage], shared: LocalShared | None) -> Stage:
    config = load(None, [*OWN, f"stages.own.use='{HERE}{kind.__name__}'"], {})
    return make(config, build(config).stage("own"), shared)


def test_a_stage_of_a_crawl_is_told_about_it() -> None:
    stage = made(Asks, LocalShared({CRAWL_NOTE: b"20260101-000000-abcd"}))
    stage.open()

    assert stage.seen == Context(  # type: ignore[attr-defined]  # as `open` sets it
        stage="own", data="d", state=str(Path("d", "sinks")), run="20260101-000000-abcd", delay=2.5,
        hosts={"a.example": HostSettings(delay=9)},
    )  # fmt: skip


def test_without_a_crawl_there_is_no_id_and_no_delay() -> None:
    alone = made(Asks, None).context

    assert (alone.stage, alone.run, alone.delay) == ("own", "", None)


def test_a_stage_that_a_test_has_made_has_a_context() -> None:
    stage = Asks()
    stage.open()

    assert stage.seen == Context()
    assert (stage.seen.state, stage.seen.run, stage.seen.delay, dict(stage.seen.hosts)) == ("", "", None, {})


def test_options_are_the_authors_own_whatever_their_names() -> None:
    assert made(Plain, LocalShared({CRAWL_NOTE: b"a crawl"})).options == Plain.Options()


def test_an_init_that_sets_the_context_is_told() -> None:
    with pytest.raises(
        ConfigError, match=r"Takes\.__init__ sets self\.context, which is .* its crawl, .*; give yours another name"
    ):
        made(Takes, None)


def test_hosts_are_set_by_their_own_tables_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["check", "-s", "stages.fetch.hosts={}"]) == 2

    assert "stages.fetch.hosts" in capsys.readouterr().err
