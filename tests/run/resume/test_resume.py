"""How a crawl begins: from what is in the data directory, and what is asked for now."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.place import store_path
from crawler.config.load import load
from crawler.errors import StorageError, UsageError
from crawler.items import Done, Failed, New, Note, Step
from crawler.pipeline.build import build
from crawler.run.command import Command
from crawler.run.resume import decide, definition, differences
from crawler.run.resume.decide import Plan
from crawler.run.seeds import put
from crawler.web.frontier import Frontier
from crawler.worker.shared_notes import SharedNotes
from tests.e2e.conftest import BETWEEN

A, B = "http://a.org/", "http://b.org/"
ENRICH = """
from typing import Any
from crawler import Stage

class Enrich(Stage):
    def process(self, record: dict[str, Any]) -> dict[str, Any]:
        return record
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))  # with the directory of each test in it
    monkeypatch.delitem(sys.modules, "a_stage_between", raising=False)
    return tmp_path


def asked(
    *texts: str, sets: Sequence[str] = (), is_fresh: bool = False, is_change: bool = False, typed: Sequence[str] = (),
    file: Path | None = None,
) -> Plan:  # fmt: skip
    def loaded(remembered: Mapping[str, Any], again_with: Path | None = None) -> Any:
        again = [f"{name}={differences.toml(value)}" for name, value in remembered.items()]
        return load(again_with or file, [*again, *sets], {}, dict.fromkeys(remembered, "the resumed crawl"))

    return decide.plan(loaded, texts, Command(["run", *typed]), is_fresh=is_fresh, is_change=is_change)


def begun(*texts: str, sets: Sequence[str] = (), done: bool = False, has_definition: bool = True, file: Path | None = None,
          parsed: int = 0, dead: bool = False, aside: int = 0) -> Plan:  # fmt: skip
    """A crawl that was begun and interrupted, or finished."""
    plan = asked(*texts, sets=sets, file=file)
    data = Path(plan.config.settings.data)
    data.mkdir()
    broker = SqliteBroker(str(store_path(data)), list(plan.pipeline.queues.values()))
    if plan.definition is not None and has_definition:
        broker.note([definition.encode(plan.definition, data)])
    put(plan.texts, Frontier(plan.config.settings.frontier, SharedNotes(broker)).seed, broker.put)
    broker.put([New("parsed", b"\x01") for _ in range(parsed)])
    broker.note([Note("rows/a.jsonl", b'{"was_empty": true, "rows": 34}')])
    Path("a.jsonl").touch()
    if done:
        counters = {"fetch/status/200": len(texts), "urls/aside/too deep": aside}
        leases = broker.step(Step("w", 1, "urls", 100, counters=counters)).leases
        broker.step(Step("w", 2, done=[Done(lease.token) for lease in leases]))
    if dead:
        leases = broker.step(Step("w", 1, "urls", 100)).leases
        broker.step(Step("w", 2, failed=[Failed(lease.token, "gone", final=True) for lease in leases]))
    broker.close()
    return plan


def refused(*texts: str, **more: Any) -> list[str]:
    with pytest.raises(UsageError) as error:
        asked(*texts, **more)
    return str(error.value).splitlines()


def test_where_there_is_nothing_a_crawl_begins_from_urls_and_from_nothing_else():
    plan = asked(A, B)

    assert plan.texts == [A, B]
    assert plan.definition is not None
    assert refused() == ["nothing to crawl: name a URL, or --data with the directory of an unfinished crawl; crawler-data has none"]
    assert not Path("crawler-data").exists()


@pytest.mark.parametrize("texts", [(), (A,), (A, B), ("a.org",)])
@pytest.mark.parametrize("sets", [(), ["stages.store.output=a.jsonl"], ["frontier.delay=0"], ["frontier.max_depth=3"]])
def test_an_unfinished_crawl_goes_on_as_it_was(texts, sets):
    first = begun(A, B, sets=["stages.store.output=a.jsonl", "frontier.max_depth=3", "stages.fetch.timeout=9"])

    plan = asked(*texts, sets=sets)

    assert plan.definition is not None
    assert plan.definition.values == {**first.definition.values, **{
        name: value for name, value in plan.definition.values.items() if name in [each.split("=")[0] for each in sets]
    }}  # fmt: skip
    assert plan.config.settings.frontier.max_depth == 3
    assert plan.options["store"].output == plan.output == "a.jsonl"
    assert plan.options["fetch"].timeout == 9, "not compared, and remembered all the same"
    assert plan.texts == [A, B]
    assert plan.added == plan.said == []


def test_another_crawl_is_refused_with_every_difference_and_the_ways_out():
    begun(A, sets=["stages.store.output=a.jsonl"])
    before = store_path(Path("crawler-data")).read_bytes()

    assert refused(B, sets=["stages.store.output=b.jsonl"], typed=[B, "-o", "b.jsonl"]) == [
        "the unfinished crawl in crawler-data is a different one:",
        '  stages.store.output was "a.jsonl" (-s), is now "b.jsonl" (-s)',
        f"  seeds: {B} is not one of them (it began from {A})",
        "resume unchanged:  crawler run",
        f"with the change:   crawler run {B} -o b.jsonl --change",
        f"start over:        crawler run {B} -o b.jsonl --fresh",
        f"in parallel:       crawler run {B} -o b.jsonl --data DIR",
    ]
    assert store_path(Path("crawler-data")).read_bytes() == before


def test_a_difference_of_the_file_is_undone_by_the_command_that_is_named():
    begun(A)
    Path("crawler.toml").write_text("[frontier]\nmax_depth = 3\nallow = ['x']\n")

    lines = refused()

    assert lines[-3:] == [
        "resume unchanged:  crawler run -s 'frontier.allow=[]' -s frontier.max_depth=0", "with the change:   crawler run --change",
        "start over:        crawler run --fresh",
    ]  # fmt: skip
    assert asked(sets=["frontier.allow=[]", "frontier.max_depth=0"]).said == []


def test_the_hint_to_start_over_from_another_url_names_the_rules_of_the_crawl():
    begun(A, sets=["stages.store.output=a.jsonl", "frontier.max_pages=9", "frontier.deny=['x', 'y']"])

    hint = next(line for line in refused(B, typed=[B]) if line.startswith("start over"))

    first, *options = hint.split(" -s ")
    assert first == f"start over:        crawler run {B} --fresh"
    assert sorted(options) == [
        """'frontier.deny=["x", "y"]'""", """'stages.store.output="a.jsonl"'""", "frontier.max_pages=9",
    ]  # fmt: skip


def with_file() -> Path:
    """Begin a crawl with a file of its own, and interrupt it."""
    file = Path("my.toml")
    file.write_text("[frontier]\ndelay = 0.05\nmax_depth = 3\n")
    begun(A, file=file, sets=["stages.store.output=a.jsonl"])
    return file


def test_a_crawl_that_was_begun_with_a_file_goes_on_with_it(here, monkeypatch):
    with_file()

    plan = asked()
    assert plan.said == ["using my.toml, as the crawl was begun with it"]
    assert (plan.config.settings.frontier.delay, plan.config.settings.frontier.max_depth) == (0.05, 3)
    assert asked(is_fresh=True).config.settings.frontier.delay == 0.05
    assert plan.definition is not None
    assert plan.definition.config == "my.toml"

    (here / "below").mkdir()
    monkeypatch.chdir(here / "below")
    assert asked(sets=["data=../crawler-data"]).said == ["using ../my.toml, as the crawl was begun with it"]


def test_where_another_file_is_in_use_the_first_one_is_named():
    with_file()
    Path("crawler.toml").write_text("[frontier]\nallow = ['x']\n")

    hint = next(line for line in refused(typed=["-c", "crawler.toml"]) if line.startswith("resume unchanged"))
    assert hint == "resume unchanged:  crawler run -c my.toml"
    assert asked(file=Path("my.toml")).said == []


def test_where_its_file_is_gone_all_its_settings_are_named():
    file = with_file()
    file.unlink()

    hint = next(line for line in refused() if line.startswith("resume unchanged"))
    assert hint == "resume unchanged:  crawler run -s frontier.max_depth=3 -s frontier.delay=0.05"
    plan = asked(sets=["frontier.max_depth=3", "frontier.delay=0.05"])
    assert plan.said == []
    assert plan.definition is not None
    assert plan.definition.values["frontier.max_depth"].origin == plan.definition.how["frontier.delay"].origin == "-s"
    assert asked(sets=["frontier.max_depth=3"]).said == [
        "warning: my.toml, with which the crawl was begun, is gone; to keep its settings: crawler run -s frontier.delay=0.05"
    ]


def test_of_a_stage_that_is_gone_with_its_file_no_setting_alone_is_offered(tmp_path: Path) -> None:
    Path("a_stage_gone.py").write_text(
        "from crawler import Stage\nclass Enrich(Stage):\n    def process(self, item: dict):\n        return item\n"
    )
    file = Path("my.toml")
    file.write_text(
        '[frontier]\ndelay = 0.05\n[stages.parse]\noutputs = ["parsed", "urls"]\n'
        '[stages.enrich]\nuse = "a_stage_gone:Enrich"\ninput = "parsed"\noutputs = ["records"]\nprocesses = 2\n'
    )
    begun(A, file=file)
    file.unlink()

    said = asked(is_change=True).said

    assert any(line.endswith("to keep its settings: crawler run -s frontier.delay=0.05") for line in said)


def test_a_change_that_is_asked_for_is_made_and_what_it_means_is_said():
    begun(A, sets=["stages.store.output=a.jsonl", "frontier.max_pages=9"])

    plan = asked(B, sets=["stages.store.output=b.jsonl", "frontier.max_depth=3"], is_change=True)

    assert plan.texts == [A, B]
    assert plan.added == [B]
    assert plan.said == [
        "so far: 34 rows in a.jsonl; further rows go to b.jsonl",
    ]
    assert plan.rules == {"frontier.max_depth": (0, 3)}
    assert plan.definition is not None
    assert [seed.url for seed in plan.definition.seeds] == [A, B]
    assert plan.definition.outputs == ("a.jsonl", "b.jsonl")
    assert plan.config.settings.frontier.max_pages == 9, "and what is not changed stays"
    assert plan.definition.values["frontier.max_pages"].origin == "-s"


def test_a_crawl_that_was_changed_elsewhere_knows_its_outputs_from_everywhere(here, monkeypatch):
    begun(A, sets=["stages.store.output=a.jsonl"])
    (here / "below").mkdir()
    monkeypatch.chdir(here / "below")
    data = f"data={here / 'crawler-data'}"

    assert asked(sets=[data]).output == str(here / "a.jsonl")
    plan = asked(sets=[data, "stages.store.output=b.jsonl"], is_change=True)

    assert plan.definition is not None
    assert [plan.definition.path(output) for output in plan.definition.outputs] == [here / "a.jsonl", here / "below" / "b.jsonl"]


def test_a_crawl_with_the_default_output_goes_on_from_another_directory(here, monkeypatch):
    begun(A)
    (here / "below").mkdir()
    monkeypatch.chdir(here / "below")

    assert Path(asked(sets=["data=../crawler-data"]).output) == here / "records.jsonl"


def test_another_output_is_named_as_it_is_seen_from_here(here, monkeypatch):
    begun(A, sets=["stages.store.output=a.jsonl"])
    (here / "below").mkdir()
    monkeypatch.chdir(here / "below")

    lines = refused(sets=["data=../crawler-data", "stages.store.output=a.jsonl"])

    assert lines[1] == '  stages.store.output was "../a.jsonl" (-s), is now "a.jsonl" (-s)'


def test_a_crawl_may_be_moved_with_its_outputs(here, monkeypatch, tmp_path_factory):
    begun(A, sets=["stages.store.output=a.jsonl"])
    there = tmp_path_factory.mktemp("there") / "moved"
    here.rename(there)
    monkeypatch.chdir(there)

    plan = asked()

    assert plan.output == "a.jsonl"
    assert plan.definition is not None
    assert plan.definition.path("a.jsonl") == there / "a.jsonl"


def test_of_a_finished_crawl_it_is_said_where_its_rows_are_and_urls_begin_another():
    begun(A, sets=["stages.store.output=a.jsonl"], done=True)

    assert refused() == [
        "the crawl in crawler-data is finished: 34 rows in a.jsonl; nothing is left to do",
        "crawl it again:    crawler run --fresh",
        "another crawl:     crawler run URL",
    ]
    plan = asked(B)
    assert plan.texts == [B]
    assert plan.output == "records.jsonl"


@pytest.mark.parametrize("options", ["-o b.csv", "--depth 2 -o b.csv", "-s frontier.delay=0", "--data crawler-data -O b.csv", "-q"])
@pytest.mark.parametrize("is_change", [False, True])
def test_the_ways_out_of_a_finished_crawl_keep_what_was_typed(options, is_change):
    begun(A, sets=["stages.store.output=a.jsonl"], done=True)

    said = refused(is_change=is_change, typed=[*options.split(), *(["--change"] if is_change else [])])

    finished = "the crawl in crawler-data is finished"
    assert said[0].startswith(f"--change resumes an unfinished crawl, and {finished}" if is_change else finished)
    assert said[1:] == [
        f"crawl it again:    crawler run {options} --fresh",
        f"another crawl:     crawler run {options} URL",
    ]


@pytest.mark.parametrize("done", [False, True])
def test_without_urls_a_fresh_crawl_is_the_same_from_its_beginning(done):
    begun(A, "b.org", sets=["stages.store.output=a.jsonl", "stages.store.mode=overwrite", "frontier.delay=0"], done=done)

    plan = asked(is_fresh=True)

    assert plan.texts == [A, "https://b.org/"]
    assert plan.options["store"].mode == "overwrite"
    assert plan.config.settings.frontier.delay == 0
    assert plan.definition is not None
    assert plan.definition.values["stages.store.output"].origin == "-s"
    assert plan.definition.how["frontier.delay"].origin == "-s"
    assert plan.said == ["with its rules: output a.jsonl"]
    assert asked(B, is_fresh=True).output == "records.jsonl", "with URLs it is a different one"


@pytest.mark.parametrize(("typed", "is_told", "shown"), [
    (["http://me:s3cret@c.org/"], True, "http://(hidden)@c.org/"),
    (["-s", "stages.fetch.auth=me:s3cret"], True, "stages.fetch.auth=(hidden)"),
    (["-s", "stages.fetch.proxy=http://127.0.0.1:1"], False, "stages.fetch.proxy=http://127.0.0.1:1"),
    (["-s", "stages.fetch.proxy=http://me:s3cret@127.0.0.1:1"], True, "stages.fetch.proxy=http://(hidden)@127.0.0.1:1"),
    (["--delay", "3"], False, "--delay 3"),
])  # fmt: skip
def test_a_way_out_that_lacks_a_password_says_so(typed, is_told, shown):
    begun(A)

    said = refused(B, typed=[B, *typed])

    assert ("(hidden) below stands for a password or token: type it again" in said) == is_told
    assert shown in next(line for line in said if line.startswith("with the change:"))
    assert "s3cret" not in "\n".join(said)


def test_a_fresh_crawl_has_the_passwords_of_the_one_before():
    begun("http://me:s3cret@a.org/x", B)

    assert asked(is_fresh=True).texts == ["http://me:s3cret@a.org/x", B]


def test_seeds_whose_passwords_are_not_stored_are_to_be_typed():
    begun("http://me:s3cret@a.org/x", B)
    with sqlite3.connect(store_path(Path("crawler-data"))) as store:
        store.execute("DELETE FROM note WHERE name LIKE 'auth/%'")
    store.close()

    said = refused(is_fresh=True)

    assert said[0].endswith("the passwords of its seeds are not stored; type them:")
    assert said[1] == f"crawler run --fresh http://USER:PASSWORD@a.org/x {B}"


def test_a_change_of_a_finished_crawl_is_refused_with_the_ways_out():
    begun(A, done=True)

    assert refused(B, is_change=True, typed=[B, "--change"]) == [
        "--change resumes an unfinished crawl, and "
        "the crawl in crawler-data is finished: 34 rows in a.jsonl; nothing is left to do",
        f"start over:        crawler run {B}",
        f"in parallel:       crawler run {B} --data DIR",
    ]


@pytest.mark.parametrize("sets", [
    (), ["stages.store.output=b.csv"], ["frontier.max_time=5"], ["stages.store.output=b.csv", "frontier.max_time=5"],
])  # fmt: skip
def test_a_change_that_brings_no_url_back_is_no_resume_of_a_finished_crawl(sets):
    begun(A, done=True, aside=3, sets=["stages.store.output=a.jsonl"])

    assert refused(sets=sets, is_change=True, typed=["-s", "x=1", "--change"]) == [
        "--change resumes an unfinished crawl, and "
        "the crawl in crawler-data is finished: 34 rows in a.jsonl; nothing is left to do",
        "3 URLs set aside by changed rules: --change with wider ones queues them again",
        "start over:        crawler run -s x=1 --fresh",
    ]
    assert refused(B, sets=sets, is_change=True, typed=[B, "--change"])[-1] == f"in parallel:       crawler run {B} --data DIR"


def test_a_change_of_rules_resumes_a_finished_crawl_that_has_set_urls_aside():
    begun(A, done=True, aside=3)

    assert asked(sets=["frontier.max_depth=9"], is_change=True).rules


def test_of_dead_tasks_of_a_finished_crawl_it_is_said_how_they_are_tried_again():
    begun(A, dead=True)

    assert refused(typed=["-c", "x.toml"])[0] == (
        "the crawl in crawler-data is finished: 34 rows in a.jsonl; 1 dead: 'crawler dead retry --all -c x.toml' tries it again"
    )


@pytest.mark.parametrize("done", [False, True])
def test_an_output_that_is_gone_is_told_of(done):
    begun(A, sets=["stages.store.output=a.jsonl"], done=done)
    Path("a.jsonl").unlink()

    lost = "warning: a.jsonl had 34 rows and is gone; those pages are not fetched again"
    if done:
        assert refused()[1] == f"{lost} ('crawler run --fresh' crawls anew)"
    else:
        plan = asked()
        assert plan.said == [f"{lost} (--fresh starts over)"]
        assert plan.gone == {"a.jsonl"}


def test_an_output_that_is_not_emptied_is_told_of_where_that_was_asked_for_now():
    begun(A, sets=["stages.store.output=a.jsonl", "stages.store.mode=overwrite"])

    said = "a.jsonl is not emptied: a resumed crawl keeps its rows (--fresh starts over and empties it)"
    assert asked(sets=["stages.store.output=a.jsonl", "stages.store.mode=overwrite"]).said == [said]
    assert asked().said == []


@pytest.mark.parametrize("texts", [[f"http://a.org/{n}" for n in range(1_001)]])
def test_seeds_that_are_not_all_kept_have_to_be_named_again_for_a_fresh_crawl(texts):
    begun(*texts)

    assert "name them again" in refused(is_fresh=True)[0]
    assert asked(*texts).added == []
    assert asked().added == []


def test_of_many_seeds_any_is_known_by_the_store():
    begun(*[f"http://a.org/{n}" for n in range(1_002)])

    assert asked("http://a.org/1001").added == []
    assert "http://b.org/ is not one of them" in refused("http://a.org/1001", B)[1]


def test_a_crawl_that_ended_before_its_seeds_were_stored_begins_with_them():
    first = begun(A)
    store_path(Path("crawler-data")).unlink()
    broker = SqliteBroker(str(store_path(Path("crawler-data"))), list(first.pipeline.queues.values()))
    broker.note([definition.encode(first.definition, Path("crawler-data"))])
    broker.close()

    assert asked().texts == [A]


def test_a_crawl_that_was_begun_by_hand_is_remembered_from_its_first_run_on_and_keeps_its_output():
    begun(A, has_definition=False)

    plan = asked(sets=["frontier.max_depth=3"])
    assert plan.output == "a.jsonl", "where it has written so far"
    assert plan.said == [
        f"the crawl in crawler-data was begun without 'crawler run'; from now on it is a crawl from {A}",
        "so far: 34 rows in a.jsonl; further rows go to a.jsonl",
        "with the rules: max_depth 3, output a.jsonl",
    ]
    assert plan.definition is not None
    broker = SqliteBroker(str(store_path(Path("crawler-data"))), list(plan.pipeline.queues.values()))
    broker.note([definition.encode(plan.definition, Path("crawler-data"))])
    broker.close()

    again = asked()
    assert again.output == "a.jsonl"
    assert again.config.settings.frontier.max_depth == 3
    assert again.said == []


def test_a_crawl_that_was_begun_by_hand_writes_where_it_is_asked_to():
    begun(A, has_definition=False)

    assert asked(B).texts == [B]
    assert asked(sets=["stages.store.output=b.jsonl"]).output == "b.jsonl"


def test_a_store_that_cannot_be_read_stops_all_but_a_fresh_crawl():
    Path("crawler-data").mkdir()
    store_path(Path("crawler-data")).write_bytes(b"no database at all" * 1000)

    with pytest.raises(StorageError):
        asked(A)
    assert asked(A, is_fresh=True).texts == [A]


def test_a_stage_that_was_removed_strands_nothing_in_silence():
    Path("crawler.toml").write_text(BETWEEN.replace("enrich:Enrich", "a_stage_between:Enrich"))
    Path("a_stage_between.py").write_text(ENRICH)
    begun(A, parsed=3, done=True)
    Path("crawler.toml").unlink()

    lines = refused(typed=["-v"])
    assert "  stages.enrich was part of it (crawler.toml), is not now" in lines
    assert next(line for line in lines if line.startswith("resume unchanged")) == (
        "resume unchanged:  put the table [stages.enrich] back into crawler.toml, then crawler run "
        """-s 'stages.parse.outputs=["parsed", "urls"]'"""
    )
    plan = asked(is_change=True)
    assert "3 tasks on queue parsed, which no stage reads any more" in plan.said
    assert "parsed" in plan.queues_read, "so that the store is not set aside for a fresh crawl"
    assert "parsed" not in build(plan.config).queues


@pytest.mark.parametrize("has_definition", [False, True])
def test_tasks_that_no_stage_reads_are_told_of_again(has_definition):
    Path("crawler.toml").write_text(BETWEEN.replace("enrich:Enrich", "a_stage_between:Enrich"))
    Path("a_stage_between.py").write_text(ENRICH)
    there = begun(A, parsed=3, done=True, has_definition=has_definition)
    Path("crawler.toml").unlink()
    if there.definition is not None and has_definition:
        without = structs.replace(there.definition, values={
            name: value for name, value in there.definition.values.items() if ".enrich." not in name and ".parse." not in name
        })  # fmt: skip
        broker = SqliteBroker(str(store_path(Path("crawler-data"))), [])
        broker.note([definition.encode(without, Path("crawler-data"))])
        broker.close()

    said = (
        "left over: 3 tasks on queue parsed, which no stage reads: add the stage again and go on with 'crawler run --change', "
        "or drop them with 'crawler take parsed -n 3'"
    )
    assert said in refused()


def test_a_stage_that_is_added_again_reads_what_was_left_over():
    Path("a_stage_between.py").write_text(ENRICH)
    Path("crawler.toml").write_text(BETWEEN.replace("enrich:Enrich", "a_stage_between:Enrich"))
    there = begun(A, parsed=3, done=True)
    without = definition.of(
        {name: value for name, value in there.definition.values.items() if ".enrich." not in name}, [A]
    )  # fmt: skip
    broker = SqliteBroker(str(store_path(Path("crawler-data"))), [])
    broker.note([definition.encode(without, Path("crawler-data"))])
    broker.close()

    assert "stages.enrich was not part of it, is now (crawler.toml)" in "".join(refused())
    assert asked(is_change=True).queues_read[-1:] != []
    assert "parsed" in asked(is_change=True).queues_read
