"""Commands whose output nobody reads any more, as in `crawler status | true`."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.e2e.conftest import CRAWLER, Shell

pytestmark = pytest.mark.slow


def ended(shell: Shell, *arguments: str) -> tuple[int, str]:
    """Run the command into a pipe whose reader has ended."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*CRAWLER, *arguments], cwd=shell.directory, env=shell.environment, stdout=writing, stderr=subprocess.PIPE, text=True,
            timeout=30,
        )  # fmt: skip
    finally:
        os.close(writing)
    return done.returncode, done.stderr


def test_a_command_whose_output_nobody_reads_ends_silently_with_141(shell: Shell) -> None:
    shell.start_hub()
    commands = ["status", "status --json", "status --watch", "settings", "settings --explain", "check", "why http://a.example/"]
    assert shell.run("put", "urls", "http://a.example/", "http://b.example/").returncode == 0

    found = {command: ended(shell, *command.split()) for command in commands}

    assert found == dict.fromkeys(commands, (141, ""))
