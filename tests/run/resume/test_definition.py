from __future__ import annotations

from pathlib import Path

import pytest

from crawler.broker.contract import QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.config.load import load
from crawler.items import Note
from crawler.pipeline.build import build, check
from crawler.run.resume import definition
from crawler.run.resume.definition import NOTE, SEEDS_KEPT, Definition, Seed, Value


def settings(*sets: str, file: Path | None = None, **environ: str) -> dict[str, Value]:
    config = load(file, sets, environ)
    pipeline = build(config)
    return definition.settings_of(config, pipeline, check(pipeline, config.origin))


def test_it_has_what_decides_what_is_crawled_and_where_that_was_set(tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('[frontier]\nmax_depth = 3\n[stages.parse.fields]\nname = "h1::text"\n')

    found = settings("stages.store.output=a.jsonl", file=file, CRAWLER_FRONTIER__SCOPE="domain")

    assert found["stages.store.output"] == Value("a.jsonl", "-s")
    assert found["frontier.scope"] == Value("domain", "CRAWLER_FRONTIER__SCOPE")
    assert found["frontier.max_depth"] == Value(3, str(file))
    assert found["stages.parse.fields.name"] == Value("h1::text", str(file))
    assert found["stages.parse.input"] == Value("pages", "default")


@pytest.mark.parametrize("name", [
    "data", "hub.lease", "frontier.delay", "frontier.per_host", "queues.urls.high_water", "stages.fetch.processes",
    "stages.parse.concurrency", "stages.parse.chain", "stages.fetch.timeout", "stages.fetch.user_agent", "stages.fetch.auth",
    "stages.store.sync", "stages.store.run", "stages.square.input", "queues.task.keyed",
])  # fmt: skip
def test_how_the_work_is_done_and_stages_that_a_crawl_does_not_need_are_no_part_of_it(name):
    assert name not in settings()


def test_nothing_secret_is_kept():
    found = settings(
        "stages.fetch.headers={Authorization='s3cret'}", "stages.fetch.proxy=http://me:s3cret@proxy/",
        "stages.parse.agent=http://a:s3cret@b/",
    )  # fmt: skip
    kept = definition.encode(definition.of(found, ["http://me:s3cret@host/", "https://host/"]), Path("data")).value

    assert b"s3cret" not in kept
    again = definition.decode(kept, Path("data"))
    assert again is not None
    assert not again.has_all_seeds


def test_it_is_read_from_whatever_has_its_note():
    broker = SqliteBroker(":memory:", [QueueSpec("urls")])
    assert definition.read(broker, Path("/crawls/data")) is None

    here = definition.of(settings("stages.store.output=a.jsonl"), ["example.org", "http://b.org/x"], "/crawls")
    broker.note([definition.encode(here, Path("/crawls/data")), Note(f"{NOTE}s of others", b"{")])

    found = definition.read(broker, Path("/crawls/data"))
    assert found == here
    assert found.outputs == (found.output,) == ("a.jsonl",)
    assert definition.read(broker, Path("/moved/data")).path("a.jsonl") == Path("/moved/a.jsonl")
    assert found.path("a.jsonl") == Path("/crawls/a.jsonl")
    assert found.path("/b.jsonl") == Path("/b.jsonl")
    assert found.stages == ("fetch", "parse", "store")
    assert found.queues_read == ("urls", "pages", "records")
    assert found.seeds == (Seed("example.org", "https://example.org/"), Seed("http://b.org/x", "http://b.org/x"))
    assert found.has_all_seeds
    broker.close()


@pytest.mark.parametrize("note", [b"", b"{}", b"[1, 2]", b'{"seeds": 3}', b"\xff"])
def test_a_note_of_another_form_is_none(note):
    assert definition.decode(note, Path("data")) is None


def test_of_many_seeds_the_first_are_kept_and_what_tells_whether_all_are_the_same():
    many = [f"http://example.org/{number}" for number in range(SEEDS_KEPT + 5)]

    found: Definition = definition.of({}, many)

    assert len(found.seeds) == SEEDS_KEPT
    assert found.seeds_total == SEEDS_KEPT + 5
    assert not found.has_all_seeds
    assert found.seeds_digest == definition.of({}, list(reversed(many))).seeds_digest
    assert found.seeds_digest != definition.of({}, many[1:]).seeds_digest


def test_a_seed_without_a_scheme_stands_for_both():
    assert definition.forms(definition.seed_of("example.org/x")) == {"http://example.org/x", "https://example.org/x"}
    assert definition.forms(definition.seed_of("http://example.org/x")) == {"http://example.org/x"}
