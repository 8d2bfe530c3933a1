"""Stages in one process: together they do what they do apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crawler.chain import Chain, Link, chained, groups
from crawler.config import load
from crawler.errors import ConfigError
from crawler.pipeline import build
from crawler.stage import Drop, Report, Stage, To


class Double(Stage):
    def process(self, number: int) -> Iterator[Any]:
        self.count("seen")
        yield number * 2
        yield To("aside", number, delay=3.0)
        yield Report("doubled")


class Minus(Stage):
    def process(self, number: int) -> int | None:
        self.count("seen")
        if number == 4:
            raise Drop("four")
        return number - 1 if number else None


def pair() -> Chain:
    return Chain([Link("double", Double(), ("doubled", "aside"), "doubled"), Link("minus", Minus(), ("result",), "")])


def test_what_the_first_gives_for_the_second_goes_straight_to_it() -> None:
    assert list(pair().process(5)) == [To("result", 9), To("aside", 5, delay=3.0), Report("doubled")]


def test_nothing_from_the_second_is_nothing_from_the_chain() -> None:
    assert list(pair().process(0)) == [None, To("aside", 0, delay=3.0), Report("doubled")]


def test_what_the_second_raises_is_the_chains_verdict() -> None:
    with pytest.raises(Drop, match="four"):
        list(pair().process(2))


def test_each_counts_under_its_own_name() -> None:
    chain = pair()
    list(chain.process(1))

    assert chain.counters("double+minus") == {"double/seen": 1, "minus/seen": 1}


def test_a_chain_of_the_pipeline_has_the_outputs_that_are_left() -> None:
    spec = chained(build(load(None, [], {})), ["fetch", "parse"])

    assert (spec.name, spec.input, set(spec.outputs)) == ("fetch+parse", "urls", {"urls", "records"})


@pytest.mark.parametrize("names", [["parse", "fetch", "store"], ["fetch", "store"]])
def test_stages_that_do_not_read_from_each_other_are_refused(names: list[str]) -> None:
    with pytest.raises(ConfigError, match="store reads 'records'"):
        chained(build(load(None, [], {})), names)


def test_a_queue_with_another_reader_has_to_cross_the_hub() -> None:
    sets = ["stages.spy.use=square", "stages.spy.input=pages", "stages.spy.outputs=result"]

    with pytest.raises(ConfigError, match="others read 'pages'"):
        chained(build(load(None, sets, {})), ["fetch", "parse"])


SPY = ["stages.spy.use=square", "stages.spy.input=pages", "stages.spy.outputs=result"]
ENRICH = ["stages.enrich.use=square", "stages.enrich.input=pages", "stages.enrich.outputs=rich", "stages.parse.input=rich"]


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([], [["fetch"], ["parse"], ["store"]]),
        (["stages.parse.chain=true"], [["fetch", "parse"], ["store"]]),
        (["stages.parse.chain=true", "stages.parse.use=mine:Parse"], [["fetch", "parse"], ["store"]]),
        (ENRICH, [["fetch"], ["enrich"], ["parse"], ["store"]]),
        ([*ENRICH, "stages.enrich.chain=true", "stages.parse.chain=true"], [["fetch", "enrich", "parse"], ["store"]]),
    ],
)
def test_run_puts_together_what_it_is_told_to(sets: list[str], expected: list[list[str]]) -> None:
    pipeline = build(load(None, sets, {}))

    assert groups(pipeline, pipeline.reachable()) == expected


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["stages.fetch.chain=true"], "stages.fetch.chain: it is the first stage"),
        (["stages.parse.chain=true", *SPY], "others read 'pages'"),
    ],
)
def test_a_chain_that_was_asked_for_and_cannot_be_is_refused(sets: list[str], words: str) -> None:
    pipeline = build(load(None, sets, {}))

    with pytest.raises(ConfigError, match=words):
        groups(pipeline, pipeline.reachable())
