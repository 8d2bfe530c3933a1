"""A password is repeated in no output, wherever in whichever command it was typed, and it is no argument of a process we start."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from crawler.cli import build_parser, common, main
from crawler.run.command import Command
from crawler.run.processes.process import SETTINGS, private

SECRET = "S3cretPw"
WORDS = [
    f"http://user:{SECRET}@127.0.0.1:1/", f"user:{SECRET}@127.0.0.1:1", f"http:/user:{SECRET}@127.0.0.1:1/", f"user:a/{SECRET}@h",
    f"stages.fetch.proxy=u:{SECRET}@127.0.0.1:1", f"stages.fetch.auth={SECRET}", f"stages.fetch.cookies={{sid=\"{SECRET}\"}}",
    f"frontier.delay=u:{SECRET}@127.0.0.1:1", f"stages.fetch.headers={{Authorization=\"{SECRET}\"}}",
]  # fmt: skip
LONG = {"run", "hub", "demo", "shell", "stage"}  # begin something, if nothing is wrong; so does bench


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common, "PATIENCE", 0.0)


def places(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, list[str]]]:
    """Each command with each place where a word can be typed, which is None in the list of its arguments."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for group in groups:
        for word, below in group.choices.items():
            yield from places(below, f"{name} {word}".strip())
    if groups:
        return
    positional = [action for action in parser._actions if not action.option_strings]
    others = [next(iter(action.choices)) if action.choices else "x" for action in positional]
    for index in range(len(positional)):
        yield name, [*others[:index], "{}", *others[index + 1 :]]
    for action in parser._actions:
        if action.option_strings and action.nargs != 0 and action.help != argparse.SUPPRESS:
            yield name, [*others, action.option_strings[-1], "{}"]


PLACES = list(places(build_parser()))


@pytest.mark.parametrize(("command", "arguments"), PLACES, ids=[f"{name} {' '.join(words)}" for name, words in PLACES])
def test_a_password_is_in_no_output(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, command: str, arguments: list[str]
) -> None:
    for word in WORDS[:1] if command == "fetch" else WORDS:
        caplog.clear()
        typed = [*command.split(), *(argument.replace("{}", word) for argument in arguments)]
        with suppress(SystemExit):
            main([*typed, *(["--runs", "0"] if command.startswith("bench") else ["-s", "hub.lease=0"] if command in LONG else [])])
        said = capfd.readouterr()
        assert SECRET not in said.out + said.err + caplog.text, typed


def test_settings_and_hints_hide_what_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    for word in WORDS[4:7]:
        assert main(["settings", "stages.fetch", "-s", word]) in (0, 2)
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err
    for word in WORDS:
        for typed in (["-s", word], [f"--set={word}"], [f"-s{word}"], [word]):
            assert SECRET not in Command(["run", *typed]).again("--fresh")


@pytest.mark.parametrize("word", WORDS[4:])
def test_a_child_has_the_settings_of_its_parent_and_its_arguments_show_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, word: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.toml").write_text("frontier.per_host = 2\n")
    args = build_parser("run").parse_args(["run", "x", "-s", word, "--delay", "3", "-c", "c.toml"])
    config = common.load(args)

    arguments, variables = private(["hub", *common.forward(args, config), "--processes", "1"])

    assert SECRET not in " ".join(arguments)
    assert arguments == ["hub", "--log-level", "WARNING", common.CHILD, "-c", "c.toml", "--processes", "1"]
    (tmp_path / "c.toml").write_text("changed since [")
    monkeypatch.setenv("CRAWLER_FRONTIER__DELAY", "9")
    monkeypatch.setenv(SETTINGS, variables[SETTINGS])
    child = build_parser("stage").parse_args(["stage", "fetch", *arguments[1:], "-s", "frontier.max_pages=4"])
    theirs = common.load(child)
    assert theirs.settings.stages == config.settings.stages
    assert (theirs.settings.frontier.delay, theirs.settings.frontier.per_host, theirs.settings.frontier.max_pages) == (3, 2, 4)
    assert (theirs.origin("frontier.delay"), theirs.origin("frontier.per_host")) == ("--delay", "c.toml")
    assert common.load(child) == theirs, "a command may load them more than once"
    assert SETTINGS not in os.environ
