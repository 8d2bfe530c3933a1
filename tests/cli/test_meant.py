"""Suggestions for a word that is no command, option, setting or variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.cli import COMMANDS, build_parser, main
from crawler.cli.parser import FOREIGN
from crawler.config import suggestions
from crawler.config.reference import entries


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *typed: str) -> str:
    """The last line on standard error, of a command that ends with exit code 2."""
    try:
        code = main(typed)
    except SystemExit as end:
        code = end.code
    assert code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("rnu http://example.org/", "no command 'rnu'; did you mean 'run'?"),
        ("crawl http://example.org/", "no command 'crawl'; did you mean 'run'?"),
        ("crwal", "no command 'crwal'; did you mean 'run'?"),
        ("settins", "no command 'settins'; did you mean 'settings'?"),
        ("version", "no command 'version'; did you mean 'crawler --version'?"),
        ("http://example.org/", "no command 'http://example.org/'; to crawl it: crawler run http://example.org/"),
        ("xyzzy", "no command 'xyzzy'; choose from 'demo', 'run',"),
        ("dead lst", "crawler dead: no verb 'lst'; did you mean 'list'?"),
        ("new stge x", "crawler new: no such thing 'stge'; did you mean 'stage'?"),
        ("bench hubb", "no choice 'hubb'; did you mean 'hub'?"),
        ("run --max-pagse 3 http://example.org/", "unrecognized arguments: --max-pagse; did you mean --max-pages?"),
        ("run http://example.org/ --delya 3", "did you mean --delay?"),
        ("run --retries 3 http://example.org/", "did you mean -s hub.max_attempts=VALUE?"),
        ("run --user-agent=me http://example.org/", "did you mean -s stages.fetch.user_agent=VALUE?"),
        ("stage fetch parse", "stages in one process are written with +: crawler stage fetch+parse"),
        ("stage fetch,parse", "stages in one process are written with +: crawler stage fetch+parse"),
        ("status --hub http://127.0.0.1:8000", "a hub's address takes no scheme; write 127.0.0.1:8000"),
        ("status --hub https://hub.example:8000/x", "a hub's address takes no scheme; write hub.example:8000"),
        ("status --hub 127.0.0.1", "its port is missing; write 127.0.0.1:8000"),
        ("status --hub [::1]", "its port is missing; write [::1]:8000"),
        ("status --hub ::1", "an IPv6 address stands in brackets"),
        ("run http://example.org/ delay=1", "delay=1 is a setting and no URL; write -s frontier.delay=1"),
        ("run frontier.delay=1 http://example.org/", "frontier.delay=1 is a setting and no URL; write -s frontier.delay=1"),
        ("run auth=me:s3cret http://example.org/", "auth=… is a setting and no URL; write -s stages.fetch.auth=…"),
        ("run help", "what a command does: crawler help run"),
        ("run --ignore-robots http://example.org/", "did you mean -s stages.fetch.robots=false?"),
        ("run --url http://example.org/", "did you mean crawler run URL?"),
        ("run -u http://example.org/", "did you mean crawler run URL?"),
        ("hub --port 8000", "did you mean --address 127.0.0.1:PORT?"),
        ("hub --host 0.0.0.0", "did you mean --address HOST:PORT?"),
        ("put task --file x", "did you mean crawler put QUEUE - < FILE?"),
        ("parse http://example.org/ --field price=.price", "a field -s 'stages.parse.fields.NAME=\"SELECTOR\"'"),
        ("dead drop all", "argument ID: for all tasks write --all"),
        ("dead retry all", "argument ID: for all tasks write --all"),
        ("check -s fetch.timeout=3", "fetch is not a setting; did you mean 'stages.fetch'?"),
        ("check -s parse.fields.a=h1", "parse is not a setting; did you mean 'stages.parse'?"),
        ("run http://example.org/ -o a.jsonl,b.csv", "a.jsonl,b.csv: one output for now, several are not supported"),
        ("check -s delay=0", "-s: delay is not a setting; did you mean 'frontier.delay'?"),
        ("check -s dealy=0", "-s: dealy is not a setting; did you mean 'frontier.delay'?"),
        ("check -s frontier.robots=false", "did you mean 'stages.fetch.robots'?"),
        ("check -s robots=false", "did you mean 'stages.fetch.robots'?"),
        ("check -s stages.fetch.retries=3", "did you mean 'hub.max_attempts'?"),
        ("check -s stages.fetch.timout=3", "did you mean 'stages.fetch.timeout'?"),
        ("check -s timeout=3", "did you mean 'stages.fetch.timeout'?"),
        ("check -s frontier.dely=3", "did you mean 'frontier.delay'?"),
        ("check -s frontier.max-depht=3", "did you mean 'frontier.max_depth'?"),
        ("check -s CONCURRENT_REQUESTS=3", "did you mean 'frontier.per_host' or 'stages.fetch.concurrency'?"),
        ("check -s ROBOTSTXT_OBEY=false", "did you mean 'stages.fetch.robots'?"),
        ("check -s user-agent=me", "did you mean 'stages.fetch.user_agent'?"),
        ("check -s stages.store.path=x", "did you mean 'stages.store.output'?"),
        ("check -s stages.store.file=x", "did you mean 'stages.store.output'?"),
        ("check -s stages.store.auto=x", "stages.store.auto is not a setting; there are "),
        ("check -s stages.fetch.path=x", "did you mean 'stages.store.output'?"),
        ("check -s queues.urls.max_size=5", "queues.urls.max_size is not a setting; there are "),
        ("check -s queues.pages.limit=5", "queues.pages.limit is not a setting; there are "),
        ("check -s queues.urls.keyd=true", "queues.urls.keyd is not a setting; did you mean 'queues.urls.keyed'?"),
        ("check -s hosts.localhost.timeout=5", "hosts.localhost.timeout is not a setting; there are auth, delay,"),
        ("check -s stages.fetch.proxy=localhost:3128", "no URL of an HTTP proxy; write http://HOST:PORT, such as"),
        ("check -s stages.fetch.proxy=socks5://localhost:3128", "no URL of an HTTP proxy; write http://HOST:PORT, such as"),
        ("check -s stages.fetch.proxy=https://localhost:3128", "no URL of an HTTP proxy; write http://HOST:PORT, such as"),
        ("check -s stages.fetch.proxy={ftp='http://h:1'}", "'ftp' is no scheme that is fetched; name a proxy for http, https"),
        ("check -s xyzzy=1", "there are data, frontier, hosts, hub, queues, stages"),
        ("check -s stages.parse.fields.price={key='x'}", "stages.parse.fields.price.key is not a setting; "),
    ],
)
def test_what_was_meant_is_offered(capsys: pytest.CaptureFixture[str], typed: str, words: str) -> None:
    assert words in said(capsys, *typed.split())


@pytest.mark.parametrize("typed", ["-V", "--version"])
def test_the_version_has_both_its_usual_options(capsys: pytest.CaptureFixture[str], typed: str) -> None:
    with pytest.raises(SystemExit) as end:
        main([typed])

    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("crawler ")


@pytest.mark.parametrize("option", ["-o", "-O", "--output", "--overwrite"])
def test_an_output_whose_name_is_not_utf8_is_refused_as_it_is(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert "'\\udcff.jsonl' is not UTF-8; give the file another name" in said(
        capsys, "run", "http://example.org/", option, "\udcff.jsonl"
    )


def test_a_part_of_one_setting_is_not_looked_for_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert "hub." not in said(capsys, "check", "-s", "stages.parse.fields.price={key='x'}")


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("CRAWLER_DELAY", "did you mean 'CRAWLER_FRONTIER__DELAY'?"),
        ("CRAWLER_USER_AGENT", "did you mean 'CRAWLER_STAGES__FETCH__USER_AGENT'?"),
        ("CRAWLER_WHATEVER", "a setting is written like CRAWLER_FRONTIER__DELAY"),
    ],
)
def test_a_variable_that_means_nothing_is_told_and_the_command_goes_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, variable: str, words: str
) -> None:
    monkeypatch.setenv(variable, "0")

    assert main(["check"]) == 0

    [line] = [line for line in caplog.messages if variable in line]
    assert f"{variable} is not a setting and does nothing; {words}" in line


@pytest.mark.parametrize(
    "variable",
    [
        "CRAWLER_SERVICE_HOST", "CRAWLER_SERVICE_PORT_HTTP", "CRAWLER_PORT", "CRAWLER_PORT_80_TCP_ADDR", "CRAWLER_HUB_SERVICE_HOST",
        "CRAWLER_HUB_PORT", "CRAWLER_HUB_PORT_8000_TCP", "CRAWLER_AUTHKEY", "CRAWLER_CASES", "CRAWLER_DATA",
    ],
)  # fmt: skip
def test_the_variables_of_an_orchestrator_and_our_own_are_not_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "tcp://10.0.0.1:80")

    assert main(["check"]) == 0

    assert [line for line in caplog.messages if variable in line] == []


def test_a_process_that_a_command_started_does_not_tell_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRAWLER_DELAY", "0")

    assert main(["check", "--while-stdin"]) == 0

    assert caplog.messages == []


def test_every_name_that_is_offered_is_there() -> None:
    assert {name for names in suggestions.FOREIGN for name in names.split()} <= set(entries())
    assert set(FOREIGN.values()) <= set(COMMANDS)
    assert set(FOREIGN).isdisjoint(COMMANDS)


def test_a_setting_found_by_its_last_part_is_offered_by_its_whole_name() -> None:
    for name in entries():
        leaf = name.rpartition(".")[2]
        assert not (found := suggestions.elsewhere(leaf)) or all(each in entries() or "NAME" in each for each in found)


def test_every_parser_below_tells_what_was_meant() -> None:
    commands = next(action for action in build_parser()._actions if action.choices)

    assert {type(parser).__name__ for parser in dict(commands.choices or {}).values()} == {"Parser"}
