"""What a person gets for a mistake: one clear line, the documented exit code, no traceback."""

from __future__ import annotations

import socket

import pytest

from tests.e2e.conftest import Shell

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "not a url"], 2, ["not a url"]),
        (["run", "ftp://example.org/"], 2, ["ftp://example.org/", "http"]),
        (["run"], 2, ["nothing to crawl"]),
        (["run", "http://127.0.0.1:1/", "-s", "frontier.dely=0"], 2, ["frontier.dely", "delay"]),
        (["run", "http://127.0.0.1:1/", "-s", "frontier.delay=soon"], 2, ["frontier.delay", "soon"]),
        (["check", "-s", "stages.fetch.timout=3"], 2, ["stages.fetch.timout", "timeout"]),
        (["check", "-c", "absent.toml"], 2, ["absent.toml"]),
        (["stage", "fetsh"], 2, ["fetsh", "fetch"]),
        (["hub", "--address", "8000"], 2, ["8000", "127.0.0.1:8000"]),
        (["hub", "--address", "0.0.0.0:0"], 2, ["hub.insecure"]),
        (["run", "http://127.0.0.1:1/", "-o", "/nowhere/at/all/x.jsonl"], 2, ["/nowhere/at/all"]),
        (["run", "http://127.0.0.1:1/", "-o", "pages.docx"], 2, ["pages.docx", ".jsonl"]),
    ],
)
def test_a_mistake_is_told_in_one_line(shell: Shell, arguments: list[str], code: int, words: list[str]) -> None:
    done = shell.run(*arguments)

    assert done.returncode == code, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("crawler: ")]
    assert len(lines) == 1, done.stderr
    assert [word for word in words if word not in lines[0]] == []
    assert "Traceback" not in done.stderr


def test_a_hub_that_is_not_there_is_named(shell: Shell) -> None:
    shell.environment["CRAWLER_AUTHKEY"] = "x" * 40
    port = free_port()

    done = shell.run("status", "--hub", f"127.0.0.1:{port}")

    assert done.returncode == 5
    assert f"no hub answers at 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_key_is_refused(shell: Shell) -> None:
    shell.start_hub()
    shell.environment["CRAWLER_AUTHKEY"] = "y" * 40

    done = shell.run("status")

    assert done.returncode == 5
    assert "refused the key" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_queue_is_named_with_those_there_are(shell: Shell) -> None:
    shell.start_hub()

    done = shell.run("put", "pges", "1")

    assert done.returncode == 2
    assert "'pges'" in done.stderr
    assert "pages" in done.stderr


def test_bad_toml_is_told_with_its_line(shell: Shell) -> None:
    (shell.directory / "crawler.toml").write_text("[frontier]\ndelay = = 3\n")

    done = shell.run("check")

    assert done.returncode == 2
    assert "crawler.toml" in done.stderr
    assert "line 2" in done.stderr


def test_a_second_hub_on_one_store_says_who_is_in_the_way(shell: Shell) -> None:
    shell.start_hub()

    done = shell.run("hub", "--address", "127.0.0.1:0")

    assert done.returncode == 2
    assert "another hub is using" in done.stderr
