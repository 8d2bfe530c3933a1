"""The hub ends while stages run in terminals of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import FAST, Shell
from tests.site import Site

pytestmark = pytest.mark.slow

SHORT = """
import sys
from crawler.cli import main, worker
from crawler.run.processes import progress as talk
worker.HUB_PATIENCE = 3.0
talk.Talk.__init__.__defaults__ = (1.0, *talk.Talk.__init__.__defaults__[1:])
sys.exit(main(sys.argv[1:]))
"""  # a stage with less patience and more lines


def until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Read what the process says until it says this."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} was not said: {lines}")


@pytest.mark.parametrize(
    ("number", "options"),
    [
        (signal.SIGTERM, ("store",)),
        (signal.SIGINT, ("parse", "--processes", "2")),
        (signal.SIGTERM, ("store", "--until-drained")),
    ],
)
def test_a_stage_without_its_hub_ends_soon_after_the_first_signal(
    shell: Shell, number: signal.Signals, options: tuple[str, ...]
) -> None:
    hub = shell.start_hub()
    assert shell.run("put", "urls", "http://a.test/").returncode == 0  # so that nothing is drained
    stage = shell.start("stage", *options, by=("-c", SHORT.replace("3.0", "60.0")))
    until(stage, "nothing to do")
    hub.kill()
    until(stage, "is gone; trying again")

    began = time.monotonic()
    stage.send_signal(number)
    _, said = stage.communicate(timeout=20)

    assert time.monotonic() - began < 8
    assert "stopping: the hub is gone, what was in hand will be done again" in said
    assert stage.returncode == 0


def test_a_store_gives_up_when_it_said_it_would_and_says_meanwhile_what_it_waits_for(shell: Shell) -> None:
    hub = shell.start_hub()
    stage = shell.start("stage", "store", by=("-c", SHORT))
    until(stage, "nothing to do: no tasks on records")
    hub.kill()
    until(stage, "trying again for 3 s")

    began = time.monotonic()
    _, said = stage.communicate(timeout=20)

    assert time.monotonic() - began < 6
    assert stage.returncode == 5
    assert "store: 0 done (0.0/s); the hub at " in said
    assert "crawler: gave up after 3 s without the hub at 127.0.0.1:" in said
    assert "; start it, then this stage again\n" in said


def test_a_hub_that_comes_back_on_another_port_is_found(shell: Shell) -> None:
    with Site({"/": "<title>Home</title>"}) as site:
        first = shell.start_hub()
        by = ("-c", SHORT.replace("3.0", "60.0"))
        stages = [shell.start("stage", name, *FAST, by=by) for name in ("fetch", "parse", "store")]
        for stage in stages:
            until(stage, "reading")
        first.kill()
        first.wait()
        shell.start_hub()

        assert shell.run("put", "urls", site.url).returncode == 0
        until(stages[2], "store: 1 done")

    assert [row["title"] for row in shell.rows("records.jsonl")] == ["Home"]


def test_the_worker_of_a_stage_begun_by_hand_is_started_again_when_it_dies(shell: Shell) -> None:
    with Site({"/": "<title>Home</title>"}) as site:
        shell.start_hub()
        stages = [shell.start("stage", "fetch", *FAST), shell.start("stage", "parse")]
        store = shell.start("stage", "store", by=("-c", SHORT.replace("3.0", "60.0")))
        until(store, "nothing to do: no tasks on")
        (child,) = Path(f"/proc/{store.pid}/task/{store.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)
        until(store, "store was killed by SIGKILL; starting it again")

        assert shell.run("put", "urls", site.url).returncode == 0
        until(store, "store: 1 done")
        for stage in (*stages, store):
            stage.send_signal(signal.SIGINT)
            assert stage.wait(timeout=20) == 0

    assert [row["title"] for row in shell.rows("records.jsonl")] == ["Home"]
