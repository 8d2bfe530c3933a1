"""Messages that name the value at fault and a next step that works as it is printed."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest

from crawler.cli import common, main
from crawler.errors import AddressRefused
from tests.site import Site


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def told(capsys: pytest.CaptureFixture[str], *typed: str) -> str:
    try:
        code = main(typed)
    except SystemExit as end:
        code = end.code
    assert code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["check", "-s", "stages.fetch.cookies={sid='x'}"], "stages.fetch.cookies is {'sid': '(hidden)'}; expected true or false"),
        (["check", "-s", "frontier.allow=x"], 'frontier.allow is \'x\'; expected a list of strings, such as ["a", "b"]'),
        (["check", "-s", "frontier.delay=fast"], "expected a number from 0 to 604800 (7 days)"),
        (["host", "delay", "a.org", "5s"], "'5s' is not a number; 0 to 604800 (7 days), in seconds; 5s is 5, or 'default'"),
        (["take", "q", "--timeout", "-1"], "'-1' is not possible; expected a number from 0 to 604800 (7 days)"),
        (["check", "-s", "stages.parse.fields.x={css='a', xpath='//a'}"], "stages.parse.fields.x: give css or xpath, not both"),
        (["check", "-s", "stages.parse.fields.x=''"], "stages.parse.fields.x: the selector is empty; give css or xpath"),
        (["put", "urls", "http://a.org/", "nope"], "'nope' cannot be crawled; give an http:// or https:// URL, such as "
         "https://example.org/; nothing was put"),
    ],
)  # fmt: skip
def test_the_message_names_the_fault(capsys: pytest.CaptureFixture[str], typed: list[str], words: str) -> None:
    assert words in told(capsys, *typed)


def test_a_hint_about_a_private_address_is_the_setting_that_works(capsys: pytest.CaptureFixture[str]) -> None:
    said = str(AddressRefused("localhost:8765", "127.0.0.1", "loopback"))

    assert 'set stages.fetch.allow_private = ["localhost:8765"]' in said
    assert main(["check", "-s", 'stages.fetch.allow_private = ["localhost:8765"]']) == 0


@pytest.mark.parametrize("command", ["status", "dead list", "put task 1"])
def test_a_web_server_in_place_of_the_hub_is_told_soon(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("crawler.hub.connect.SILENCE", 0.1)
    Path("crawler-data").mkdir()
    Path("crawler-data/authkey").write_text("k" * 40)
    Path("crawler-data/authkey").chmod(0o600)
    with Site({"/": "tea"}) as site:
        began = time.monotonic()
        assert main([*command.split(), "--hub", f"127.0.0.1:{site.port}"]) == common.NO_HUB

    assert time.monotonic() - began < 8
    assert f"something answers at 127.0.0.1:{site.port}, and it is no hub: it speaks HTTP;" in capsys.readouterr().err


def test_a_value_that_the_built_in_stage_cannot_read_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    from crawler.cli.queues import checked
    from crawler.config.load import load

    with caplog.at_level(logging.WARNING):
        assert list(checked(["3", "x", "y"], "task", load(None, [], {}))) == ["3", "x", "y"]

    [line] = caplog.messages
    assert line.startswith("'x' does not fit stage square, which reads task (Expected `int`, got `str`)")
