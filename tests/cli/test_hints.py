"""Commands that messages name: each can be typed as it is printed, whatever the data directory is called."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from crawler.cli import COMMANDS, build_parser
from crawler.run.next_commands import hints

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "crawler").rglob("*.py"), *(ROOT / "stages").rglob("*.py")])
# What stands for a value in a message, and such a value.
VALUES = {
    "URL": "https://example.org/", "ID": "7", "NAME": "parse", "HOST": "example.org", "FILE": "pages.jsonl", "VALUE": "1",
    "DIR": "certs",
}  # fmt: skip
FIELDS = {
    "story.id": "7", "found.id": "7", "n": "3", "name": "result", "self._spec.name": "result", "queue": "result", "command": "put",
    "address": "127.0.0.1:8000", "option": "--delay 1", "change": " --change", "text": "1", "host.name": "example.org",
    "one or 'HOST'": "example.org", "stage": "parse", "found[0]": "parse",
    "host": "example.org", "there": "run",
}  # fmt: skip


NOT_TO_TYPE = {"host delay"}  # names what was done, not what to do


def named() -> list[str]:
    """Return all commands that the sources name in single quotes or by a hint, with values in place of fields."""
    found = set()
    for source in SOURCES:
        text = source.read_text("utf-8")
        found |= set(re.findall(r"""\bhint\(f?'([^']+)'\)""", text)) | set(re.findall(r"""\bhint\(f?"([^"]+)"\)""", text))
        found |= {each for each in re.findall(r"""'crawler ([a-z][^'"\n]*)'""", text) if each.split()[0] in COMMANDS}
    return sorted(_filled(each) for each in found if each not in NOT_TO_TYPE)


def _filled(command: str) -> str:
    text = re.sub(r"\{([^}]+)\}", lambda field: FIELDS.get(field[1], "1"), command)
    words = [VALUES.get(word, word) for word in text.split()]
    return " ".join(words)


def test_there_are_some() -> None:
    assert len(named()) > 25
    assert {"run", "dead list", "dead retry --all", "dead show 7", "run --fresh", "host list"} <= set(named())


@pytest.mark.parametrize("command", named())
@pytest.mark.parametrize("folder", ["", "other", "with blank", "it's", 'say "x"', "$HOME", "-dash", "ü"])
def test_a_command_can_be_typed_as_it_is_printed(command: str, folder: str) -> None:
    options = [] if not folder else [f"--data={folder}"] if folder.startswith("-") else ["--data", folder, "-c", f"{folder}.toml"]
    name = command.split()[0]
    if name == "help" or (name == "new" and folder):
        return

    typed = shlex.split(hints(options)(command))

    assert typed[0] == "crawler"
    args = build_parser(name).parse_args(typed[1:])
    assert (args.data or "") == folder
    assert not folder or folder.startswith("-") or str(args.config) == f"{folder}.toml"


OF_A_HUB = [each for each in named() if each.split()[0] in ("dead", "host", "status", "why", "take", "stage")]


@pytest.mark.parametrize("command", OF_A_HUB)
def test_a_command_for_another_hub_can_be_typed_as_it_is_printed(command: str) -> None:
    typed = shlex.split(hints(["--hub", "unix:/tmp/a b/hub.sock", "--certs", "my certs"])(command))

    args = build_parser(command.split()[0]).parse_args(typed[1:])

    assert (args.hub, args.certs) == ("unix:/tmp/a b/hub.sock", "my certs")
