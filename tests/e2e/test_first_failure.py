"""The first mistake of many: a host that is mistyped. What is printed, in order, and that every command in it works as printed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess

import pytest

from tests.e2e.conftest import Shell

pytestmark = pytest.mark.slow

SEED = "http://exmaple.invalid/"
REASON = "exmaple.invalid: Name or service not known"


def typed(shell: Shell, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as it was printed."""
    program, *arguments = shlex.split(command)
    assert program == "crawler"
    return shell.run(*arguments)


def command_in(text: str, verb: str) -> str:
    """The command with this verb that was printed between quotes."""
    found = re.search(rf"'(crawler {verb}\b[^']*)'", text)
    assert found is not None, f"no '{verb}' in: {text}"
    return found[1]


def in_order(text: str, *parts: str) -> list[str]:
    """Return the parts that do not come after the ones before them."""
    missing = []
    for part in parts:
        at = text.find(part)
        if at < 0:
            missing.append(part)
        else:
            text = text[at + len(part) :]
    return missing


def test_a_mistyped_host_is_explained_and_all_that_is_advised_works(shell: Shell) -> None:
    (shell.directory / "my.toml").write_text("[frontier]\ndelay = 0.1\n")

    done = shell.run("run", SEED, "-o", "pages.jsonl", "--data", "my data", "-c", "my.toml")

    assert done.returncode == 4, done.stderr
    assert in_order(
        done.stderr,
        "crawling from 1 URL\n",
        "WARNING", f"{SEED}: robots.txt: {REASON}; will be tried up to 4 more times\n",
        "WARNING", f"given up after 5 attempts: {SEED}: robots.txt: {REASON}\n",
        "finished after", "no page was fetched; the only URL was given up\n",
        f"given up: 1 URL: name not found (1): {SEED}; see 'crawler dead list ",
    ) == [], done.stderr  # fmt: skip
    assert "frontier.delay" not in done.stderr
    report = json.loads((shell.directory / "my data" / "report.json").read_text())
    assert report["given_up"] == [{"reason": "name not found", "count": 1, "examples": [SEED]}]
    assert report["elapsed"] < 10

    listed = typed(shell, command_in(done.stderr, "dead list"))
    assert listed.returncode == 0, listed.stderr
    number, queue, attempts, url, reason = listed.stdout.strip().split("\t")
    assert (queue, attempts, url) == ("urls", "5 attempts", SEED)
    assert REASON in reason
    shown = typed(shell, command_in(listed.stderr, "dead show").replace("ID", number))
    assert json.loads(shown.stdout)["item"]["url"] == SEED
    options = command_in(listed.stderr, "dead retry").partition("--all ")[2]
    why = typed(shell, f"crawler why {SEED} {options}")
    assert why.stdout.count(REASON) == 5
    assert typed(shell, command_in(why.stdout, "dead show")).returncode == 0
    status = typed(shell, f"crawler status {options}")
    assert "worker" not in status.stdout, "none runs"
    retried = typed(shell, command_in(listed.stderr, "dead retry"))
    assert "1 task is ready again" in retried.stderr
    again = typed(shell, command_in(retried.stderr, "run"))
    assert again.returncode == 4, again.stderr
    assert "resuming" in again.stderr


def test_a_host_that_refuses_says_so_at_once(shell: Shell) -> None:
    done = shell.run("run", "http://127.0.0.1:1/", "-s", "hub.max_attempts=1", "-o", "pages.jsonl")

    assert done.returncode == 4
    assert "given up after 1 attempt: http://127.0.0.1:1/: robots.txt: 127.0.0.1:1: Connection refused" in done.stderr
    assert "given up: 1 URL: connection refused (1): http://127.0.0.1:1/" in done.stderr
