"""A crawl as a function of plan, seeds and view, without the command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pytest

from crawler.cli.debug import crawl_here
from crawler.config.load import load
from crawler.items import Stats
from crawler.run.command import Command
from crawler.run.next_commands import PLAIN
from crawler.run.processes.process import Bell
from crawler.run.reporting import Report, report
from crawler.run.resume import decide, differences
from crawler.run.session import Ended, Session
from tests.site import Site, generated

PAGES = 12


class Quiet:
    """A view that keeps what it is told."""

    on_line = None
    every = 0.05

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts = 0

    def say(self, line: str) -> None:
        self.lines.append(line)

    def show(self, stats: Stats) -> None:
        self.counts += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Any:
    with Site(generated(PAGES, seed=1)) as site:
        yield site


def crawled(site: Site, stop: Bell, view: Quiet) -> tuple[Session, Ended, Report | None]:
    """One run of a crawl of this site in this process."""

    def loaded(remembered: Mapping[str, Any], _: Path | None = None) -> Any:
        again = [f"{name}={differences.toml(value)}" for name, value in remembered.items()]
        return load(None, [*again, "frontier.delay=0", "stages.store.output=pages.jsonl"], {}, dict.fromkeys(remembered, "resumed"))

    plan = decide.plan(loaded, [site.url], Command(["run"]))
    session = Session(plan, stop, PLAIN, is_fresh=False)
    ended = session.run(
        plan.texts, view, lambda: crawl_here(plan.config, plan.pipeline, plan.stages), [], lambda: None, shares_process=True
    )  # fmt: skip
    return session, ended, report(session, ended)


def test_a_crawl_runs_to_its_end_and_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site) -> None:
    monkeypatch.chdir(tmp_path)
    view = Quiet()

    session, ended, found = crawled(site, Bell(), view)

    assert found is not None
    assert found.is_done
    assert found.numbers["pages"] == len(Path("pages.jsonl").read_text("utf-8").splitlines()) == len(site.pages)
    assert json.loads((session.data / "report.json").read_text("utf-8")) == found.numbers
    assert ended.failure is None
    assert view.lines[0] == "crawling from 1 URL"
    assert any("rows in pages.jsonl" in line for line in found.lines)


def test_a_crawl_that_is_stopped_is_not_done_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Site
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    stop = Bell()
    stop.ring()

    _, _, stopped = crawled(site, stop, Quiet())
    view = Quiet()
    session, _, found = crawled(site, Bell(), view)

    assert stopped is not None
    assert (stopped.is_done, stopped.numbers["reason"]) == (False, "interrupted")
    assert found is not None
    assert (found.is_done, session.beginning, found.numbers["pages"]) == (True, "resumed", len(site.pages))
    assert view.lines[0].startswith("resuming the unfinished crawl")
