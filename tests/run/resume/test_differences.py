from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.config.load import Config, load
from crawler.pipeline.build import build, check
from crawler.run.resume import definition, differences
from crawler.run.resume.definition import SEEDS_KEPT, Definition, Value

HERE = "/crawls"
ENRICH = (
    'stages.parse.outputs=["parsed", "urls"]', "stages.enrich.use=square", "stages.enrich.input=parsed",
    "stages.enrich.outputs=records",
)  # fmt: skip
HOW = ("stages.fetch.user_agent=me", "hub.lease=9", "queues.pages.high_water=5")


def values(config: Config) -> dict[str, Value]:
    pipeline = build(config)
    return definition.settings_of(config, pipeline, check(pipeline, config.origin))


def begun(*sets: str, file: Path | None = None, seeds: tuple[str, ...] = ("http://a.org/",), **environ: str) -> Definition:
    return definition.of(values(load(file, sets, environ)), seeds, HERE)


def told(then: Definition, *sets: str, file: Path | None = None, directory: str = HERE, **environ: str) -> list[str]:
    """What a crawl that is asked for now differs in, after what is remembered was set again."""
    first = load(file, sets, environ)
    again = [f"{name}={differences.toml(value)}" for name, value in differences.remembered(then, first.origin, directory).items()]
    return list(map(str, differences.compare(then, values(load(file, [*again, *sets], environ)), directory)))


def written(directory: Path, text: str) -> Path:
    file = directory / "my.toml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("sets", [
    (),
    ("stages.store.output=a.jsonl", "frontier.max_depth=3"),
    ("stages.parse.fields.price={css='.p', type='float'}", "stages.parse.fields.name=h1::text"),
    ENRICH,
    ("stages.parse.enabled=false",),
])  # fmt: skip
@pytest.mark.parametrize("now", [(), ("frontier.delay=0",), HOW])
def test_what_was_typed_is_remembered_and_how_the_work_is_done_may_change(sets, now):
    assert told(begun(*sets), *sets) == []
    assert told(begun(*sets), *now) == []


def test_variables_are_remembered_as_options_are():
    assert told(begun(CRAWLER_FRONTIER__MAX_DEPTH="3")) == []


def test_another_value_is_told_with_both_and_who_set_them(tmp_path):
    file = written(tmp_path, "[frontier]\nmax_depth = 3\n")

    assert told(begun("stages.store.output=a.jsonl"), "stages.store.output=b.jsonl") == [
        'stages.store.output was "a.jsonl" (-s), is now "b.jsonl" (-s)'
    ]
    assert told(begun(), file=file) == [f"frontier.max_depth was 0 (default), is now 3 ({file})"]
    assert told(begun("frontier.max_depth=2"), file=file) == [f"frontier.max_depth was 2 (-s), is now 3 ({file})"]
    assert told(begun(file=file)) == [f"frontier.max_depth was 3 ({file}), is now 0 (default)"]
    assert told(begun(), "stages.parse.fields.x=h1") == ['stages.parse.fields.x was not set, is now "h1" (-s)']


def test_a_field_that_is_no_longer_in_the_file_is_told(tmp_path):
    file = written(tmp_path, '[stages.parse.fields]\nname = "h1"\n')

    assert told(begun(file=file)) == [f'stages.parse.fields.name was "h1" ({file}), is not set now']


def test_a_stage_that_came_or_went_is_one_difference(tmp_path):
    file = written(
        tmp_path,
        '[stages.parse]\noutputs = ["parsed", "urls"]\n[stages.enrich]\nuse = "square"\ninput = "parsed"\noutputs = ["records"]\n',
    )
    outputs = 'stages.parse.outputs was ["records", "urls"] (default), is now ["parsed", "urls"]'

    assert f"stages.enrich was part of it ({file}), is not now" in told(begun(file=file))
    disabled = told(begun(file=file), "stages.enrich.enabled=false", file=file)
    assert f"stages.enrich was part of it ({file}), is not now (-s)" in disabled
    assert [each for each in told(begun(), file=file) if "queues" not in each] == [
        f"stages.enrich was not part of it, is now ({file})", f"{outputs} ({file})",
    ]  # fmt: skip


def test_an_output_is_the_same_file_from_wherever_it_is_named():
    then = begun("stages.store.output=a.jsonl")

    assert differences.remembered(then, lambda _: "default", "/other")["stages.store.output"] == "/crawls/a.jsonl"
    assert told(then, directory="/other") == []
    assert told(then, "stages.store.output=/crawls/a.jsonl", directory="/other") == []
    assert told(then, "stages.store.output=../crawls/./a.jsonl", directory="/other") == []
    assert len(told(then, "stages.store.output=a.jsonl", directory="/other")) == 1
    assert told(begun("stages.store.output=-"), directory="/other") == []


def test_overwriting_is_not_brought_back_for_another_output():
    then = begun("stages.store.output=a.jsonl", "stages.store.mode=overwrite")
    anew = load(None, ["stages.store.output=b.jsonl"], {})

    assert differences.remembered(then, lambda _: "default", HERE)["stages.store.mode"] == "overwrite"
    assert "stages.store.mode" not in differences.remembered(then, anew.origin, HERE)
    assert told(then, "stages.store.output=a.jsonl") == []


@pytest.mark.parametrize(("texts", "strange"), [
    ((), []),
    (("http://a.org/",), []),
    (("http://A.org:80/#top",), []),
    (("a.org",), []),
    (("https://a.org/",), ["https://a.org/"]),
    (("http://b.org/", "http://a.org/"), []),
    (("http://a.org/", "c.org"), ["c.org"]),
])  # fmt: skip
def test_seeds_are_the_crawls_own_or_strangers(texts, strange):
    assert differences.strangers(begun(seeds=("http://a.org/", "http://b.org/")), texts) == strange


def test_a_seed_typed_without_a_scheme_was_either():
    assert differences.strangers(begun(seeds=("a.org",)), ["http://a.org/", "https://a.org/"]) == []


def test_of_many_seeds_those_that_are_not_kept_are_looked_up():
    many = tuple(f"http://a.org/{number}" for number in range(SEEDS_KEPT + 2))
    then = begun(seeds=many)

    assert differences.strangers(then, many) == []
    assert differences.strangers(then, many[-2:]) == list(many[-2:])
    assert differences.strangers(then, [*many[-2:], "http://b.org/"], lambda url: url in many) == ["http://b.org/"]


def test_seeds_are_told_in_one_line_without_passwords():
    then = begun(seeds=tuple(f"http://a.org/{number}" for number in range(7)))

    assert differences.describe_strangers(then, ["http://me:s3cret@b.org/"]) == (
        "seeds: http://(hidden)@b.org/ is not one of them (it began from http://a.org/0, http://a.org/1, http://a.org/2, "
        "http://a.org/3, http://a.org/4 and 2 more)"
    )


def test_settings_that_undo_the_differences_do_so(tmp_path):
    file = written(
        tmp_path,
        '[frontier]\nmax_depth = 3\n[stages.parse]\nmax_links = 5\noutputs = ["parsed", "urls"]\n'
        '[stages.enrich]\nuse = "square"\ninput = "parsed"\noutputs = ["records"]\n[queues.parsed]\nhigh_water = 3\n',
    )
    then = begun(seeds=("http://a.org/",))
    there = load(file, ["frontier.max_pages=4"], {})
    found = differences.compare(then, values(there), HERE)

    sets, by_hand = differences.to_undo(found)

    assert [each.name for each in found if each.name == "frontier.max_pages"], "typed now: left out, and it is as it was"
    assert not any("max_pages" in each for each in sets)
    assert "stages.enrich.enabled=false" in sets
    file.write_text(file.read_text().replace("[queues.parsed]\nhigh_water = 3\n", ""))
    assert told(then, *sets, file=file) == []
    assert by_hand == []


def test_what_cannot_be_undone_by_a_setting_is_said_in_words(tmp_path):
    file = written(tmp_path, '[stages.parse.fields]\nname = "h1"\n')

    found = differences.compare(begun(), values(load(file, [], {})), HERE)

    assert differences.to_undo(found) == ([], [f"take stages.parse.fields.name out of {file}"])


text = st.text(st.characters(codec="utf-8"))
plain = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
)


@given(plain)
def test_a_value_comes_back_as_it_was_from_its_toml(value):
    assert tomllib.loads(f"value = {differences.toml(value)}")["value"] == value


@pytest.mark.parametrize(("origin", "typed"), [
    ("-s", True), ("-o", True), ("CRAWLER_DATA", True), ("crawler_frontier__delay", True),
    ("default", False), ("crawler.toml", False), ("CRAWLER_x.toml", False), ("/a/CRAWLER_x", False),
])  # fmt: skip
def test_what_was_typed_is_told_from_files(origin, typed):
    assert definition.is_typed(origin) is typed
