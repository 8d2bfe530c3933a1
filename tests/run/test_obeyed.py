"""Settings given to a process that does not obey them: who obeys each, and what is said."""

from __future__ import annotations

import re

import pytest
from msgspec import structs

from crawler.cli import main
from crawler.config.load import load
from crawler.config.settings import FrontierSettings, HubSettings
from crawler.items import Note
from crawler.pipeline.build import build
from crawler.run import obeyed
from crawler.run.next_commands import hints


class Hub:
    """A hub that was started with these settings."""

    def __init__(self, *sets: str, is_by_hand: bool = True) -> None:
        config = load(None, sets, {})
        self._note = obeyed.note(config, build(config), is_by_hand=is_by_hand)

    def notes(self, prefix: str, since: int = 0) -> list[Note]:
        return [self._note] if self._note.name.startswith(prefix) else []


def told(hub: Hub, names: str, *sets: str, environ: dict[str, str] | None = None) -> list[str]:
    config = load(None, sets, environ or {})
    return list(obeyed.ignored_by_stage(config, build(config), names.split("+"), obeyed.read(hub), hints(["--data", "d"])))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("frontier.delay=0", ["frontier.delay = 0 (set by -s) has no effect on a stage: the hub decides it and has 1; ",
                              "'crawler hub --delay 0 --data d'", "'crawler host delay HOST 0 --data d'"]),
        ("frontier.delay=2.5", ["frontier.delay = 2.5", "'crawler hub --delay 2.5 --data d'", "host delay HOST 2.5"]),
        ("frontier.per_host=4", ["has 1", "'crawler hub -s frontier.per_host=4 --data d' starts it so"]),
        ("frontier.max_pages=9", ["has 0", "'crawler hub --max-pages 9 --data d'"]),
        ("frontier.max_pages_per_host=9", ["'crawler hub -s frontier.max_pages_per_host=9 --data d'"]),
        ('hosts={"a.org"={delay=5}}', ["hosts.a.org.delay = 5", "the hub decides it;",
                                       'put [hosts."a.org"] into the file that the hub reads',
                                       "'crawler host delay a.org 5 --data d'"]),
        ("hub.max_attempts=2", ["has 5", "'crawler hub -s hub.max_attempts=2 --data d'"]),
        ("hub.durability=full", ['hub.durability = "full"', 'has "normal"']),
        ("queues.pages.high_water=7", ["queues.pages.high_water = 7", "has 10000"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stage", ["fetch", "parse", "store", "square", "fetch+parse"])
def test_a_stage_says_of_a_setting_that_only_the_hub_obeys_what_works(setting: str, says: list[str], stage: str) -> None:
    [line] = told(Hub(), stage, setting)

    assert [words for words in says if words not in line] == []
    assert told(Hub(setting), stage, setting) == []  # the hub has the same
    if "{" not in setting:
        name, _, value = setting.partition("=")
        assert told(Hub(), stage, environ={f"CRAWLER_{name.replace('.', '__').upper()}": value}) != []


@pytest.mark.parametrize(("setting", "way"), [
    ("frontier.delay=0", "'crawler run --delay 0 --data d' goes on with it after a stop; 'crawler host delay HOST 0 --data d'"),
    ("frontier.max_pages=9", "'crawler run --max-pages 9 --change --data d' goes on with it after a stop"),
])  # fmt: skip
def test_beside_a_running_crawl_the_ways_are_those_of_crawler_run(setting: str, way: str) -> None:
    [line] = told(Hub(is_by_hand=False), "fetch", setting)

    assert "the hub of the running crawl decides it" in line
    assert way in line


@pytest.mark.parametrize(
    ("stage", "setting", "says"),
    [
        ("store", "frontier.max_depth=2", "has no effect on store: the stages fetch, parse obey it, because they find links; "),
        ("square", "frontier.scope=any", "has no effect on square"),
        ("fetch", "stages.store.output=x.jsonl", "stage store obeys it; give it to 'crawler stage store --data d'"),
        ("store+square", "stages.fetch.robots=false", "has no effect on store+square: stage fetch obeys it"),
        ("fetch", "stages.parse.fields.price='.price::text'", "stages.parse.fields.price (set by -s) has no effect on fetch"),
        ("fetch", 'hosts={"a.org"={auth="u:p"}}', ""),
        ("fetch", "frontier.max_depth=2", ""),
        ("parse", "frontier.allow=['/a/']", ""),
        ("fetch+parse", "stages.parse.fields.price='.price::text'", ""),
        ("store", "stages.store.output=x.jsonl", ""),
        ("store", "hub.lease=60", ""),
        ("store", "hub.address=127.0.0.1:9", ""),
        ("store", "data=elsewhere", ""),
        ("store", "stages.parse.outputs=['records', 'urls']", ""),
        ("fetch", "queues.result.by_hand=true", ""),
    ],
)  # fmt: skip
def test_a_stage_says_of_a_setting_that_other_stages_obey_who_does(stage: str, setting: str, says: str) -> None:
    lines = told(Hub(), stage, setting)

    assert (says in lines[0]) if says else lines == []
    name, _, value = setting.partition("=")
    if "{" in setting:
        return
    assert told(Hub(), stage, environ={f"CRAWLER_{name.replace('.', '__').upper()}": value}) == []  # meant for all terminals


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("frontier.max_depth=2", "frontier.max_depth (set by -s) has no effect on the hub: the stages fetch, parse obey it"),
        ("stages.fetch.robots=false", "stage fetch obeys it; give it to 'crawler stage fetch'"),
        ("stages.store.output=x.jsonl", "stage store obeys it"),
        ("hub.lease=60", "has no effect on the hub"),
        ("frontier.delay=0", ""),
        ("frontier.sort_query=true", ""),
        ("hub.durability=full", ""),
        ("queues.pages.high_water=7", ""),
        ("stages.parse.outputs=['records', 'urls']", ""),
    ],
)
def test_a_hub_says_of_a_setting_that_only_stages_obey_who_does(setting: str, says: str) -> None:
    config = load(None, [setting], {})

    lines = list(obeyed.ignored_by_hub(config, build(config)))

    assert (says in lines[0]) if says else lines == []


def test_each_setting_of_hub_and_frontier_is_obeyed_by_somebody() -> None:
    pipeline = build(load(None, [], {}))
    names = [f"{table}.{field.name}" for table, kind in (("frontier", FrontierSettings), ("hub", HubSettings))
             for field in structs.fields(kind)]  # fmt: skip

    assert set(obeyed.HUB) <= set(names)
    assert {*obeyed.ALL, *obeyed.DEFINING, *obeyed.OPTIONS} <= set(names)
    for name in names:
        assert obeyed.is_of_hub(name) or obeyed.readers(name, pipeline) != []


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("stage fetch --delay 0", "crawler hub --delay VALUE"),
        ("stage fetch --max-pages 3", "crawler hub --max-pages VALUE"),
        ("stage fetch --retries 3", "crawler hub -s hub.max_attempts=VALUE"),
        ("stage fetch -j 3", "crawler hub -s frontier.per_host=N"),
        ("stage fetch --timeout 3", "-s stages.fetch.timeout=VALUE"),
        ("hub --depth 3", "crawler stage parse -s frontier.max_depth=VALUE"),
        ("hub --scope any", "crawler stage parse -s frontier.scope=VALUE"),
        ("hub --robots", "crawler stage fetch -s stages.fetch.robots=VALUE"),
        ("hub -j 3", "-s frontier.per_host=N"),
        ("put urls http://a/ --delay 0", "crawler hub --delay VALUE"),
        ("run http://a/ --retries 3", "-s hub.max_attempts=VALUE"),
    ],
)
def test_an_option_that_another_process_has_is_named_with_its_command(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(typed.split())

    assert re.search(rf"did you mean {re.escape(meant)}\?", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("command", "full"),
    [
        ("status", "crawler status --data d --hub 10.0.0.7:8000 --certs c"),
        ("hub --delay 0", "crawler hub --delay 0 --data d --address 10.0.0.7:8000 --certs c"),
        ("run --fresh", "crawler run --fresh --data d"),
    ],
)
def test_a_hint_has_only_options_that_its_command_takes(command: str, full: str) -> None:
    assert hints(["--data", "d", "--hub", "10.0.0.7:8000", "--certs", "c"])(command) == full
