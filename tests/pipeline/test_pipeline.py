"""Tables become a graph that works, or are refused."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.cli import check as commands
from crawler.config.load import load
from crawler.errors import ConfigError
from crawler.pipeline import graph
from crawler.pipeline.build import Pipeline, build, check, draw

ENRICH = (
    "stages.parse.outputs=['parsed', 'urls']",
    "stages.enrich={use='enrich:Enrich', input='parsed', outputs=['records']}",
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pipeline(*sets: str) -> Pipeline:
    return build(load(None, sets, {}))


def refusal(*sets: str) -> str:
    with pytest.raises(ConfigError) as caught:
        pipeline(*sets)
    return str(caught.value)


def test_without_tables_it_is_the_crawl_and_the_square() -> None:
    made = pipeline()

    assert {name: (stage.input, stage.outputs) for name, stage in made.stages.items()} == {
        "fetch": ("urls", ("pages", "urls")),
        "parse": ("pages", ("records", "urls")),
        "store": ("records", ()),
        "square": ("task", ("result",)),
    }
    assert list(made.queues) == ["urls", "pages", "records", "task", "result"]
    assert {name: queue.feeds for name, queue in made.queues.items() if queue.feeds} == {
        "urls": ("pages", "records"),
        "pages": ("records",),
    }
    assert [name for name, queue in made.queues.items() if queue.keyed or queue.polite] == ["urls"]
    assert [name for name, queue in made.queues.items() if not queue.is_read] == ["result"]


def test_a_stage_is_put_in_between_by_configuration_alone() -> None:
    made = pipeline(*ENRICH)

    assert made.reachable("urls") == ["fetch", "parse", "enrich", "store"]
    assert made.stages["enrich"].use == "enrich:Enrich"
    assert made.queues["pages"].feeds == ("parsed", "records")
    assert made.queues["parsed"].feeds == ("records",)


def test_one_output_needs_no_list() -> None:
    assert pipeline("stages.square.outputs=squares").stages["square"].outputs == ("squares",)


def test_a_crawl_needs_only_what_its_urls_reach() -> None:
    made = pipeline("stages.alone={use='a:B', input='elsewhere'}")

    assert made.reachable() == ["fetch", "parse", "store"]
    assert made.reachable("task") == ["square"]
    assert made.reachable("result") == []


def test_a_stage_that_is_not_enabled_is_not_there() -> None:
    made = pipeline("stages.store.enabled=false", "stages.square.enabled=false")

    assert list(made.stages) == ["fetch", "parse"]
    assert not made.queues["records"].is_read
    assert made.queues["pages"].feeds == ()  # nobody would ever empty records


def test_what_is_no_key_of_every_stage_is_an_option_of_this_one() -> None:
    stage = pipeline("stages.parse.fields.price=.price::text", "stages.parse.processes=3").stages["parse"]

    assert stage.options_table == {"fields": {"price": ".price::text"}}
    assert (stage.processes, stage.concurrency, stage.use) == (3, None, "parse")


def test_queue_tables_and_the_hub_shape_the_queues() -> None:
    made = pipeline("queues.pages.high_water=7", "queues.task.keyed=true", "hub.max_attempts=2")

    assert made.queues["pages"].high_water == 7
    assert made.queues["task"].keyed
    assert {queue.max_attempts for queue in made.queues.values()} == {2}


def test_a_stage_may_put_to_the_queue_it_reads() -> None:
    made = pipeline("stages.again={use='a:B', input='loop', outputs=['loop']}")

    assert made.queues["loop"].feeds == ()


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        (["stages.fetsh.timeout=3"], "-s: stages.fetsh has no input; name the queue it reads, as in "),
        (["stages.fetsh.timeout=3"], "did you mean 'fetch'?"),
        (["stages.enrich.use=a:B"], 'as in input = "records"'),
        (["stages.parse.input=Pages"], "stages.parse: 'Pages' cannot name a queue; use a-z"),
        (["stages.parse.outputs=['a b']"], "'a b' cannot name a queue"),
        (["stages.Parse.input=pages"], "stages.Parse cannot name a stage; use a-z"),
        (["stages.parse.processes=0"], "stages.parse.processes is 0; expected a whole number from 1"),
        (["stages.parse.outputs=3"], "stages.parse.outputs is 3; expected a string or a list"),
        (["queues.pges.high_water=3"], "queues.pges is the table of no queue; did you mean 'pages'?"),
    ],
)
def test_what_cannot_work_is_refused(sets: list[str], words: str) -> None:
    assert words in refusal(*sets)


def test_an_unknown_stage_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no stage 'stor' in this pipeline; did you mean 'store'"):
        pipeline().stage("stor")


def test_a_stage_class_that_does_not_load_is_found_by_check() -> None:
    with pytest.raises(ConfigError, match="no module 'enrich'"):
        check(pipeline(*ENRICH))


def test_the_drawing_says_who_fills_and_empties_each_queue() -> None:
    lines = draw(pipeline(*ENRICH, "stages.twin={use='a:B', input='records'}")).splitlines()

    assert [line.split() for line in lines[:3]] == [
        ["urls", "──[fetch]───────────────────▶", "pages,", "urls"],
        ["pages", "──[parse]───────────────────▶", "parsed,", "urls"],
        ["parsed", "──[enrich", "=", "enrich:Enrich]──▶", "records"],
    ]
    text = "\n".join(lines)
    assert "only people fill it: crawler put task VALUE" in text
    assert "only people read it: crawler take result" in text
    assert "read by store, twin, each task by one of them" in text


def test_the_command_draws_it_or_says_why_not(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers())
    good, bad = parser.parse_args(["check"]), parser.parse_args(["check", "-s", "stages.parse.max_lnks=3"])

    assert good.run(good) == 0
    assert "──[fetch]──" in capsys.readouterr().out
    with pytest.raises(ConfigError, match=r"-s: stages\.parse\.max_lnks is not a setting; did you mean 'stages\.parse\.max_links'"):
        bad.run(bad)


def test_a_pipeline_without_stages_can_be_drawn() -> None:
    off = [f"stages.{name}.enabled=false" for name in ("fetch", "parse", "store", "square")]

    assert draw(pipeline(*off)).strip() == ""


names = st.sampled_from([f"q{n}" for n in range(7)])
graphs = st.dictionaries(names, st.lists(names, max_size=4), min_size=1)


@pytest.mark.slow
@given(edges=graphs, full=st.sets(names), unbounded=st.sets(names))
@settings(max_examples=200, deadline=None)
def test_some_full_queue_is_always_worked_on(edges: dict[str, list[str]], full: set[str], unbounded: set[str]) -> None:
    """No deadlock in any graph: of the full queues somebody reads, one has a reader that no full queue holds back."""
    every = graph.flow(edges, edges)
    bounded = set(edges) - unbounded
    gates = graph.gates({name: edges.get(name, []) for name in every}, bounded)

    stuck = full & bounded

    assert not stuck or any(not stuck & set(graph.flow(gates, gates[name])) for name in stuck)  # those behind its gates as well
    assert all(set(gates[name]) <= bounded & set(edges.get(name, [])) for name in every)


@given(edges=graphs)
@settings(max_examples=100, deadline=None)
def test_a_graph_without_cycles_keeps_every_gate(edges: dict[str, list[str]]) -> None:
    downhill = {name: [output for output in outputs if output > name] for name, outputs in edges.items()}
    every = graph.flow(downhill, downhill)

    gates = graph.gates({name: downhill.get(name, []) for name in every}, set(every))

    assert all(set(gates[name]) == set(downhill.get(name, [])) for name in every)


def test_what_can_reach_a_queue_is_known_by_the_graph() -> None:
    built = pipeline()

    assert set(built.upstream("records")) == {"urls", "pages", "records"}
    assert set(built.upstream("urls")) == {"urls", "pages"}
    assert built.upstream("task") == ["task"]
