"""The command line as a whole: which commands there are, and that each is found where it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

from crawler.cli import COMMANDS, build_parser, main


def names(command: str = "") -> list[str]:
    [commands] = [action for action in build_parser(command)._actions if action.choices]
    return list(commands.choices or ())


def test_every_command_is_known_by_its_module():
    assert names() == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_found_without_the_others(command):
    assert command in names(command)
    assert {COMMANDS[name][0] for name in names(command)} == {COMMANDS[command][0]}


def test_what_is_no_command_is_told_all_of_them():
    done = subprocess.run([sys.executable, "-m", "crawler", "xyzzy"], capture_output=True, text=True, timeout=20)

    assert done.returncode == 2
    assert done.stderr.startswith("crawler: no command 'xyzzy'; ")
    assert len(done.stderr.splitlines()) == 1
    assert all(f"'{name}'" in done.stderr for name in COMMANDS)


def test_the_help_does_not_wait_for_what_it_does_not_need():
    code = "import sys; from crawler.cli import overview; overview().format_help(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout.split()

    slow = {"msgspec", "sqlite3", "ssl", "socket", "requests", "rich", "turbohtml", "ada_url", "crawler.config.settings", "difflib",
            "secrets", "hashlib", "shutil", "tomllib"}  # fmt: skip
    assert slow & set(loaded) == set()
    assert {f"crawler.cli.{module}" for module, _ in COMMANDS.values()} & set(loaded) == set(), "a command's module is imported"


@pytest.mark.parametrize("words", [["-v", "run", "x"], ["--data", "d", "run", "x"], ["-s", "delay=0", "check"]])
def test_an_option_before_the_command_is_told_where_it_stands(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)

    assert end.value.code == 2
    command = next(word for word in words if word in COMMANDS)
    told = f"options stand after the command: crawler {command} … {words[0]}; see 'crawler help {command}'"
    assert told in capsys.readouterr().err
