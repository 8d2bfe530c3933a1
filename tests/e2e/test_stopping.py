"""Ctrl-C, once and twice, while a server does not answer; and what a second `crawler run` is told meanwhile."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import FAST, Shell
from tests.e2e.test_kills import children
from tests.site import Site

pytestmark = pytest.mark.slow

PAGES = {"/": '<title>Home</title><a href="/slow">s</a>', "/slow": "<title>Slow</title>"}


@pytest.mark.parametrize("client", ["curl", "requests"])
def test_the_first_says_at_once_what_is_waited_for_and_gives_a_slow_request_back(shell: Shell, client: str) -> None:
    with Site(PAGES) as site:
        site.hold("/slow")
        process = shell.start("run", site.url, *FAST, "-s", f"stages.fetch.client={client}", "-o", "p.jsonl")
        site.wait_for_request("/slow")
        assert process.stderr is not None

        process.send_signal(signal.SIGINT)

        lines = iter(process.stderr.readline, "")
        assert "stopping: waiting for 1 request (Ctrl-C again stops at once)\n" in lines  # and it runs on
        assert process.poll() is None
        rest = process.stderr.read()
        assert process.wait(60) == 130
        assert "left to do: 1 on urls" in rest
        assert "given back" not in rest
        site.release("/slow")
        done = shell.run("run")

    assert done.returncode == 0, done.stderr
    assert {row["title"] for row in shell.rows("p.jsonl")} == {"Home", "Slow"}


def test_the_second_leaves_no_process_and_the_same_command_goes_on(shell: Shell) -> None:
    with Site(PAGES) as site:
        site.hold("/slow")
        process = shell.start("run", site.url, *FAST, "-o", "p.jsonl")
        site.wait_for_request("/slow")
        pids = children(process).values()
        assert process.stderr is not None

        process.send_signal(signal.SIGINT)
        assert any("stopping: waiting" in line for line in iter(process.stderr.readline, ""))
        process.send_signal(signal.SIGINT)

        _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert re.search(r"stopped at once( after about \d+ pages?)?; what was done is kept, 'crawler run' goes on\n", said)
        assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
        site.release("/slow")
        done = shell.run("run")

    assert done.returncode == 0, done.stderr
    assert {row["title"] for row in shell.rows("p.jsonl")} == {"Home", "Slow"}


def test_another_run_is_told_of_the_one_that_runs_and_waits_for_one_that_ends(shell: Shell) -> None:
    with Site(PAGES) as site:
        site.hold("/slow")
        process = shell.start("run", site.url, *FAST, "-o", "p.jsonl")
        site.wait_for_request("/slow")

        second = shell.run("run", site.url, *FAST)

        assert second.returncode == 2
        assert second.stderr == (
            f"crawler: a crawl is running here (pid {process.pid}; 'crawler status' shows it); --data DIR is for a second one\n"
        )
        hub = children(process)["hub"]
        process.kill()
        while Path(f"/proc/{hub}/comm").read_text() != "crawler:ending\n":
            time.sleep(0.01)
        third = shell.start("run")  # waits, if it is there before the hub has ended
        assert third.stderr is not None
        first = next(line for line in third.stderr if "resuming the unfinished crawl" in line)
        site.release("/slow")  # not before: those that end could finish the crawl
        _, said = third.communicate(timeout=60)

    assert third.returncode == 0, first + said
    assert {row["title"] for row in shell.rows("p.jsonl")} == {"Home", "Slow"}
