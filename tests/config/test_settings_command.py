"""crawler settings: the value and origin of each setting, without secrets."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import pytest
from msgspec import structs

from crawler.cli import main, settings
from crawler.cli.common import SHORT_FORMS
from crawler.config.load import load, shown
from crawler.config.settings import FrontierSettings
from crawler.pipeline.build import build, check, values

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings_command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    settings.register(parser.add_subparsers())
    args = parser.parse_args(["settings", *arguments])
    return int(args.run(args))


def test_the_command_shows_each_value_and_its_origin(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "crawler.toml").write_text("[stages.parse.fields]\nprice = '.price'\n", encoding="utf-8")

    assert settings_command("-s", "frontier.delay=0", "--data", "there") == 0

    rows = {row[0]: row[1:] for row in (line.split() for line in capsys.readouterr().out.splitlines())}
    assert rows["frontier.delay"] == ["0.0", "-s"]
    assert rows["data"] == ['"there"', "-s"]
    assert rows["hub.lease"] == ["30.0", "default"]
    assert rows["queues.urls.polite"] == ["true", "default"]
    assert rows["stages.parse.fields.price"] == ['".price"', "crawler.toml"]
    assert rows["stages.parse.max_links"] == ["10000", "default"]


@pytest.mark.parametrize(
    ("typed", "setting", "value"),
    [
        (["--max-pages", "3"], "frontier.max_pages", 3),
        (["--max-time", "90"], "frontier.max_time", 90.0),
        (["--max-total-bytes", "1_000_000"], "frontier.max_total_bytes", 1_000_000),
        (["--depth", "2"], "frontier.max_depth", 2),
        (["--delay", "0.5"], "frontier.delay", 0.5),
        (["--scope", "domain"], "frontier.scope", "domain"),
        (["--allow", r"/a\d+", "--allow", 'say "hi"'], "frontier.allow", [r"/a\d+", 'say "hi"']),
        (["--deny", "[?]"], "frontier.deny", ["[?]"]),
    ],
)
def test_a_short_form_sets_its_setting(
    here: Path, capsys: pytest.CaptureFixture[str], typed: list[str], setting: str, value: object
) -> None:
    Path("crawler.toml").write_text("[frontier]\nmax_pages = 9\nallow = ['x']\n", encoding="utf-8")

    assert settings_command(*typed, "-s", "frontier.delay=7", "--json") == 0

    assert json.loads(capsys.readouterr().out)[setting] == {"value": value, "origin": typed[0]}


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--max-pages", "many"], "--max-pages: frontier.max_pages is 'many'; expected a whole number from 0 to"),
        (["--delay", "-1"], "--delay: frontier.delay is -1; expected a number from 0 to"),
        (["--scope", "hosts"], "--scope: frontier.scope is 'hosts'; expected one of 'any', 'domain', 'host'"),
        (["--deny", "("], "frontier.deny: '(' is not a regular expression"),
    ],
)
def test_a_short_form_is_checked_as_its_setting_is(
    here: Path, capsys: pytest.CaptureFixture[str], typed: list[str], words: str
) -> None:
    assert main(["check", *typed]) == 2

    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("run", "--max-pages --max-time --max-total-bytes --depth --delay --scope --allow --deny"),
        ("check", "--max-pages --max-time --max-total-bytes --depth --delay --scope --allow --deny"),
        ("settings", "--max-pages --max-time --max-total-bytes --depth --delay --scope --allow --deny"),
        ("stage", "--depth --scope --allow --deny"),
        ("hub", "--max-pages --max-time --max-total-bytes --delay"),
    ],
)
def test_the_help_of_a_short_form_names_its_setting(capsys: pytest.CaptureFixture[str], command: str, options: str) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])

    shown = " ".join(capsys.readouterr().out.split())
    for option in options.split():
        [setting] = [setting for name, setting, *_ in SHORT_FORMS if name == option]
        assert f"{option} " in shown
        assert f"(sets {setting})" in shown


def test_the_command_speaks_json_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert settings_command("--json") == 0

    assert json.loads(capsys.readouterr().out)["frontier.per_host"] == {"value": 1, "origin": "default"}


def test_the_command_shows_only_what_it_is_asked_for(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def names(*typed: str) -> list[str]:
        assert settings_command(*typed) == 0
        return [line.split()[0] for line in capsys.readouterr().out.splitlines()]

    assert set(names("frontier")) == {f"frontier.{item.name}" for item in structs.fields(FrontierSettings)}
    assert names("frontier.delay") == ["frontier.delay"]
    assert names("frontier.max-pages") == ["frontier.max_pages"]
    assert names("robots") == ["stages.fetch.robots", "stages.parse.robots"]
    assert names("[hub]", "data")[:2] == ["data", "hub.address"]


@pytest.mark.parametrize(("word", "words"), [("retries", "did you mean 'hub.max_attempts'?"), ("frontier.dely", "'frontier.delay'"),
                                             ("xyzzy", "'crawler settings' shows all of them")])  # fmt: skip
def test_a_name_that_no_setting_has_is_answered_with_what_was_meant(
    here: Path, capsys: pytest.CaptureFixture[str], word: str, words: str
) -> None:
    assert main(["settings", "--explain", word]) == 2

    assert words in capsys.readouterr().err


def test_every_setting_is_explained_with_what_may_be_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert settings_command("--explain", "--json", "-s", "frontier.delay=3") == 0

    told = json.loads(capsys.readouterr().out)
    assert [name for name, row in told.items() if not (row["about"] and row["expected"] and row["default"])] == []
    assert told["frontier.delay"]["default"] == "1.0"
    assert told["frontier.delay"]["expected"] == "a number from 0 to 604800 (7 days)"


def test_an_explanation_is_for_people(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert settings_command("--explain", "per_host", "stages.store.chain", "-s", "frontier.per_host=3") == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "frontier.per_host = 3    (-s)"
    assert lines[1:4] == ["    fetches from one host at a time", "    write a whole number from 1 to 10000", "    default: 1"]
    assert lines[4] == "stages.store.chain is not set"


def test_the_exemption_of_seeds_is_explained(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert settings_command("--explain", "frontier.allow", "frontier.deny") == 0

    said = " ".join(capsys.readouterr().out.split())
    assert "a URL must match one; seeds need not" in said
    assert "a URL that matches one is skipped, but no seed" in said


def test_a_setting_of_a_stage_of_ones_own_is_explained_by_its_type(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("own_words.py").write_text(
        "from crawler import Stage\n\nclass Own(Stage):\n    class Options(Stage.Options, frozen=True, kw_only=True):\n"
        "        minimum: int = 3\n\n    def process(self, record: dict) -> dict:\n        return record\n"
    )
    own = ("-s", "stages.own.use=own_words:Own", "-s", "stages.own.input=records")

    assert settings_command("--explain", "stages.own", *own) == 0

    text = capsys.readouterr().out
    assert "stages.own.minimum = 3\n    write a whole number\n" in text
    assert "stages.own.processes is not set\n    workers\n" in text


def test_the_configuration_to_begin_with_has_every_setting_and_changes_none(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "config"]) == 0
    text = Path("crawler.toml").read_text("utf-8")

    assert main(["check"]) == 0
    config, plain = load(None, [], {}), load(Path(os.devnull), [], {})
    pipeline = build(config)
    assert values(pipeline, check(pipeline), config.settings) == values(build(plain), check(build(plain)), plain.settings)
    active = [line for line in EXAMPLE.read_text("utf-8").splitlines() if line and line[0] not in "#["]
    assert [line for line in active if f"\n# {line}\n" not in text] == []
    assert [line for line in text.splitlines() if line and line[0] not in "#["] == []


def test_a_configuration_that_is_there_is_left_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("crawler.toml").write_text("# mine\n")

    assert main(["new", "config"]) == 2
    assert "crawler.toml already exists" in capsys.readouterr().err
    assert Path("crawler.toml").read_text() == "# mine\n"

    assert main(["new", "config", "other.toml", "--dir", "new"]) == 0
    assert main(["check", "-c", "new/other.toml"]) == 0


def test_no_secret_is_shown() -> None:
    assert shown("stages.fetch.headers", {"Authorization": "Basic abc", "Accept": "*/*"}) == {
        "Authorization": "(hidden)",
        "Accept": "*/*",
    }
    assert shown("stages.store.output", "redis://me:secret@host/1") == "redis://(hidden)@host/1"
    # sites name their keys as they like, so the value of a header is shown only where it is known to be none
    assert shown("hosts.a.test", {"headers": {"X-Key": "abc", "X-Sign": "abc", "accept-language": "de", "User-Agent": "a"}}) == {
        "headers": {"X-Key": "(hidden)", "X-Sign": "(hidden)", "accept-language": "de", "User-Agent": "a"}
    }
    assert shown("stages.mine.api_key", "abc") == "(hidden)"
    assert shown("stages.mine.password", "") == ""
    assert shown("stages.store.key", "url") == "url"
    assert shown("hub.authkey_file", "/etc/key") == "/etc/key"
