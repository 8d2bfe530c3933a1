"""Stages in one process: together they do what they do apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crawler import Visit, Visits
from crawler.chain import Chain, Link, chained, groups, share
from crawler.config import load
from crawler.errors import ConfigError, StorageError
from crawler.pipeline import build
from crawler.stage import Drop, GiveUp, Report, Retry, Stage, Then, To


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


def test_what_the_second_drops_is_dropped_and_what_the_first_gave_beside_it_is_not() -> None:
    chain = pair()

    assert list(chain.process(2)) == [Report("minus: dropped: four"), To("aside", 2, delay=3.0), Report("doubled")]
    assert chain.counters("double+minus") == {"double/seen": 1, "minus/seen": 1, "minus/dropped": 1}


class Breaks(Stage):
    """Gives something, and then fails."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def process(self, number: int) -> Iterator[Any]:
        yield number
        raise self.error


def test_visits_are_given_to_the_next_one_by_one() -> None:
    class Leads(Stage):
        def process(self, url: str) -> To:
            return To("urls", Visits([f"{url}a", f"{url}b"], 2, url))

    class Sees(Stage):
        def process(self, visit: Visit) -> str:
            return f"{visit.url} from {visit.referrer} at {visit.depth}"

    chain = Chain([Link("leads", Leads(), ("urls",), "urls"), Link("sees", Sees(), ("result",), "")])

    assert [to.item for to in chain.process("/")] == ["/a from / at 2", "/b from / at 2"]


def broken(error: BaseException) -> Chain:
    return Chain([Link("double", Double(), ("doubled", "aside"), "doubled"), Link("breaks", Breaks(error), ("result",), "")])


@pytest.mark.parametrize("error", [ValueError("odd"), GiveUp("never"), Retry("later"), SystemExit(1)])
def test_what_the_second_fails_at_goes_to_its_queue_and_nothing_it_gave_before(error: BaseException) -> None:
    chain = broken(error)

    assert list(chain.process(5)) == [To("doubled", 10), To("aside", 5, delay=3.0), Report("doubled")]
    assert chain.counters("double+breaks") == {"double/seen": 1, "breaks/put back": 1}


def test_a_disk_that_fails_is_no_fault_of_the_item() -> None:
    with pytest.raises(StorageError):
        list(broken(StorageError("full")).process(5))


def test_what_the_first_begins_the_second_goes_on_with() -> None:
    class Begins(Double):
        overlap = 5

        def begin(self, number: int, then: Then) -> bool:
            if number:
                then(lambda: self.process(number))()
            return bool(number)

    chain = Chain([Link("double", Begins(), ("doubled", "aside"), "doubled"), Link("minus", Minus(), ("result",), "")])
    given: list[Any] = []

    assert chain.overlap == 5
    assert chain.begin(5, lambda finish, _=True: lambda: given.extend(finish() if finish else [None]))
    assert given == [To("result", 9), To("aside", 5, delay=3.0), Report("doubled")]
    assert not chain.begin(0, lambda finish, _=True: lambda: None)


def test_each_counts_under_its_own_name() -> None:
    chain = pair()
    list(chain.process(1))

    assert chain.counters("double+minus") == {"double/seen": 1, "minus/seen": 1}


def test_a_chain_of_the_pipeline_has_the_outputs_that_are_left() -> None:
    spec = chained(build(load(None, [], {})), ["fetch", "parse"])

    assert (spec.name, spec.input, set(spec.outputs)) == ("fetch+parse", "urls", {"urls", "records", "pages"})
    assert spec.outputs[0] != "pages"      # it gets only what is put back


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


class Several(Stage):
    concurrency = 2

    def process(self, page: Any) -> None:
        """Nothing."""


class Waits(Stage):
    async def process(self, page: Any) -> None:
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
        (["stages.parse.use=tests.test_chain:Several"], [["fetch"], ["parse"], ["store"]]),
        (["stages.parse.use=tests.test_chain:Waits"], [["fetch"], ["parse"], ["store"]]),
        (["stages.parse.use=tests.test_chain:Many"], [["fetch"], ["parse"], ["store"]]),
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
    monkeypatch.setattr("crawler.chain.cores", lambda: 4)

    chosen = share(build(load(None, sets, {})), group, delay)

    assert (chosen.processes, chosen.most, chosen.said(processes)) == (processes, most, words)
