"""The help teaches: it is there however one asks for it, and every command has examples that the parser takes."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator

import pytest

from crawler.cli import COMMANDS, build_parser, main
from crawler.cli.examples import EXAMPLES


def parsers(parser: argparse.ArgumentParser, name: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """All commands and subcommands below, by what is typed for them."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield f"{name} {word}".strip(), below
                yield from parsers(below, f"{name} {word}".strip())


BELOW = dict(parsers(build_parser()))


def printed(capsys: pytest.CaptureFixture[str], *typed: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(typed)
    assert not end.value.code
    return capsys.readouterr().out


def test_every_command_has_examples_and_every_example_a_command() -> None:
    assert set(EXAMPLES) == set(BELOW)


@pytest.mark.parametrize("command", BELOW)
def test_an_example_is_shown_at_the_end_of_the_help_and_is_one_the_parser_takes(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    shown = printed(capsys, *command.split(), "--help").partition("\nexamples:\n")[2].splitlines()

    assert [line.strip() for line in shown] == list(EXAMPLES[command])
    for line in shown:
        program, *typed = shlex.split(line, comments=True)
        assert program == "crawler"
        assert " ".join(typed).startswith(command)
        assert build_parser(typed[0]).parse_args(typed).run


@pytest.mark.parametrize("typed", [[], ["help"], ["--help"], ["-h"], ["help", "help"]])
def test_the_help_of_the_whole_names_every_command(capsys: pytest.CaptureFixture[str], typed: list[str]) -> None:
    text = printed(capsys, *typed)

    assert text.startswith("usage: crawler [-h] [--version] COMMAND ...")
    assert [name for name in COMMANDS if f"    {name} " not in text] == []


@pytest.mark.parametrize("command", [name for name, parser in BELOW.items()])
def test_help_followed_by_a_command_is_the_help_of_the_command(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert printed(capsys, "help", *command.split()) == printed(capsys, *command.split(), "--help")


@pytest.mark.parametrize("command", ["dead", "host", "new", "workers", "notes", "counters"])
def test_a_command_that_only_names_others_shows_its_help_when_it_stands_alone(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert printed(capsys, command) == printed(capsys, command, "--help")


def test_help_of_no_command_says_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["help", "rnu"])

    assert end.value.code == 2
    assert "did you mean 'run'?" in capsys.readouterr().err
