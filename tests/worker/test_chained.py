"""Stages of a pipeline that share a process: which may, and the options of the whole."""

from __future__ import annotations

from typing import Any

import pytest

from crawler.config.load import load
from crawler.errors import ConfigError
from crawler.pipeline.build import build
from crawler.run.shares import chained, groups, share
from crawler.stage import Pending, Stage


def test_a_chain_of_the_pipeline_has_the_outputs_that_are_left() -> None:
    spec = chained(build(load(None, [], {})), ["fetch", "parse"])

    assert (spec.name, spec.input, set(spec.outputs)) == ("fetch+parse", "urls", {"urls", "records", "pages"})
    assert spec.outputs[0] != "pages"  # it gets only what is put back


def test_stages_that_do_not_read_from_each_other_are_refused() -> None:
    with pytest.raises(ConfigError, match="store reads 'records'"):
        chained(build(load(None, [], {})), ["fetch", "store"])


def test_a_queue_that_the_hub_paces_and_deduplicates_has_to_cross_it() -> None:
    with pytest.raises(ConfigError, match="parse\\+fetch: 'urls' takes each item only once"):
        chained(build(load(None, [], {})), ["parse", "fetch"])


def test_a_queue_with_another_reader_has_to_cross_the_hub() -> None:
    sets = ["stages.spy.use=square", "stages.spy.input=pages", "stages.spy.outputs=result"]

    with pytest.raises(ConfigError, match="others read 'pages'"):
        chained(build(load(None, sets, {})), ["fetch", "parse"])


SPY = ["stages.spy.use=square", "stages.spy.input=pages", "stages.spy.outputs=result"]
ENRICH = ["stages.enrich.use=square", "stages.enrich.input=pages", "stages.enrich.outputs=rich", "stages.parse.input=rich"]


class Several(Stage):
    concurrency = 2

    def process(self, page: Any) -> None:
        """Nothing."""


class Waits(Stage):
    async def process(self, page: Any) -> None:
        """Nothing."""


class Begins(Stage):
    overlap = 5

    def begin(self, item: Any) -> Pending | None:
        return None

    def process(self, page: Any) -> None:
        """Nothing."""


class Many(Stage):
    batch = 10

    def process(self, pages: list[Any]) -> None:
        """Nothing."""


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([], [["fetch", "parse"], ["store"]]),
        (["stages.parse.chain=false"], [["fetch"], ["parse"], ["store"]]),
        (["stages.parse.processes=3"], [["fetch"], ["parse"], ["store"]]),
        (["stages.parse.concurrency=3"], [["fetch"], ["parse"], ["store"]]),
        (SPY, [["fetch"], ["parse"], ["spy"], ["store"]]),
        (["stages.parse.chain=true"], [["fetch", "parse"], ["store"]]),
        (["stages.parse.chain=true", "stages.parse.processes=3"], [["fetch", "parse"], ["store"]]),
        (["stages.parse.use=tests.worker.test_chained:Several"], [["fetch"], ["parse"], ["store"]]),
        (["stages.parse.use=tests.worker.test_chained:Waits"], [["fetch"], ["parse"], ["store"]]),
        (["stages.parse.use=tests.worker.test_chained:Many"], [["fetch"], ["parse"], ["store"]]),
        (["stages.parse.use=tests.worker.test_chained:Begins"], [["fetch"], ["parse"], ["store"]]),
        (ENRICH, [["fetch", "enrich", "parse"], ["store"]]),
        ([*ENRICH, "stages.enrich.chain=false"], [["fetch"], ["enrich", "parse"], ["store"]]),
        ([*ENRICH, "stages.enrich.chain=true", "stages.parse.chain=true"], [["fetch", "enrich", "parse"], ["store"]]),
    ],
)
def test_run_puts_together_what_it_is_told_to_and_what_may_be(sets: list[str], expected: list[list[str]]) -> None:
    pipeline = build(load(None, sets, {}))

    assert groups(pipeline, pipeline.reachable()) == expected


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["stages.fetch.chain=true"], "stages.fetch.chain: it is the first stage"),
        (["stages.parse.chain=true", *SPY], "others read 'pages'"),
        (
            ["stages.parse.chain=true", "stages.parse.use=tests.worker.test_chained:Begins"],
            r"fetch\+parse: parse has a loop of its own",
        ),
    ],
)
def test_a_chain_that_was_asked_for_and_cannot_be_is_refused(sets: list[str], words: str) -> None:
    pipeline = build(load(None, sets, {}))

    with pytest.raises(ConfigError, match=words):
        groups(pipeline, pipeline.reachable())


@pytest.mark.parametrize(
    ("sets", "group", "delay", "processes", "most", "words"),
    [
        ([], ["fetch", "parse"], 0.0, 4, 4, "fetch and parse share 4 processes"),
        ([], ["fetch", "parse"], 1.0, 1, 4, "fetch and parse share a process"),
        (["stages.fetch.processes=5"], ["fetch", "parse"], 0.0, 5, 5, "fetch and parse share 5 processes"),
        (["stages.fetch.processes=1"], ["fetch", "parse"], 1.0, 1, 1, "fetch and parse share a process"),
        (["stages.parse.processes=3"], ["parse"], 0.0, 3, 3, "parse has 3 processes"),
        ([], ["store"], 0.0, 1, 1, ""),
        ([], ["fetch"], 1.0, 1, 1, ""),
    ],
)
def test_run_has_a_process_a_core_where_only_the_work_on_pages_limits_it_and_may_have_so_many_elsewhere(
    sets: list[str], group: list[str], delay: float, processes: int, most: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.run.shares.cores", lambda: 4)

    chosen = share(build(load(None, sets, {})), group, delay)

    assert (chosen.processes, chosen.most, chosen.said(processes)) == (processes, most, words)
