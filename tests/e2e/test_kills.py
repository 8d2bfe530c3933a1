"""kill -9 of any one process at any moment of a crawl: the same set in the file, no duplicate."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path
from random import Random

import pytest

from tests.e2e.conftest import FAST, Shell, expected, statuses
from tests.faults.processes import child_pids
from tests.faults.processes import children as children_of
from tests.site import Site

pytestmark = pytest.mark.slow


def children(process: subprocess.Popen[str]) -> dict[str, int]:
    """Pids by role, of what `crawler run` has started."""
    return children_of(process.pid)


APART = ("-s", "stages.parse.chain=false")


@pytest.mark.parametrize(
    ("victim", "more"),
    [("hub", ()), ("fetch+parse", ()), ("store", ()), ("hub", APART), ("fetch", APART), ("parse", APART)],
)
@pytest.mark.parametrize("moment", [3, 25])
def test_killing_a_process_in_the_middle_of_a_crawl_loses_nothing(
    shell: Shell, site: Site, victim: str, more: tuple[str, ...], moment: int
) -> None:
    path = f"/p/{moment}.html"
    site.hold(path)
    process = shell.start("run", site.url, *FAST, *more, "-o", "pages.jsonl")
    site.wait_for_request(path)

    os.kill(children(process)[victim], signal.SIGKILL)
    site.release(path)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 0, said
    rows = shell.rows("pages.jsonl")
    assert statuses(rows) == expected(site)
    assert len(rows) == len(expected(site))


@pytest.mark.parametrize("change", ["frontier.delay = ", '[frontier]\nscope = "any"\n[stages.parse.fields]\nother = "h1"\n'])
def test_a_settings_file_that_is_edited_meanwhile_is_for_the_next_crawl(shell: Shell, site: Site, change: str) -> None:
    file = shell.directory / "crawler.toml"
    file.write_text('[stages.parse.fields]\nheading = "h1"\n')
    site.hold("/p/3.html")
    process = shell.start("run", site.url, *FAST, "-o", "pages.jsonl")
    site.wait_for_request("/p/3.html")

    file.write_text(change)
    for pid in children(process).values():
        os.kill(pid, signal.SIGKILL)
    site.release("/p/3.html")
    _, said = process.communicate(timeout=60)

    assert process.returncode == 0, said
    rows = shell.rows("pages.jsonl")
    assert statuses(rows) == expected(site)
    assert {"heading" in row for row in rows if row["status"] == 200} == {True}
    assert not any("other" in row for row in rows)


def command(pid: int) -> str:
    return (Path("/proc") / str(pid) / "cmdline").read_bytes().decode().replace("\0", " ")


def test_what_died_is_there_again_under_its_name_in_an_interpreter_of_its_own(shell: Shell, site: Site) -> None:
    site.hold("/p/3.html")
    process = shell.start("run", site.url, *FAST, "-o", "pages.jsonl")
    site.wait_for_request("/p/3.html")
    before = children(process)
    assert before.keys() == {"hub", "fetch+parse", "store"}
    assert {command(pid) for pid in before.values()} == {command(process.pid)}  # copies of one process

    os.kill(before["store"], signal.SIGKILL)

    give_up = time.monotonic() + 20
    while (after := children(process)).get("store", before["store"]) == before["store"]:
        assert time.monotonic() < give_up
        time.sleep(0.01)
    assert " -m crawler stage store " in command(after["store"])
    named = (Path("/proc") / str(after["store"]) / "comm").read_text()
    assert re.fullmatch(r"(crawler:store|python[\d.]*)\n", named)  # the interpreter's, until it has come to naming itself
    site.release("/p/3.html")
    assert process.wait(60) == 0


def test_what_a_run_has_started_ends_with_it_however_it_ends(shell: Shell, site: Site) -> None:
    site.hold("/p/3.html")
    process = shell.start("run", site.url, *FAST, "-o", "pages.jsonl")
    site.wait_for_request("/p/3.html")
    ends = {name: os.pidfd_open(pid) for name, pid in children(process).items()}

    process.kill()
    site.release("/p/3.html")

    for name, end in ends.items():
        assert select.select([end], [], [], 30)[0], f"{name} did not end"
        os.close(end)


def test_killing_everything_and_running_again_loses_nothing(shell: Shell, site: Site) -> None:
    dice = Random(3)
    path = f"/p/{dice.randrange(60)}.html"
    site.hold(path)
    process = shell.start("run", site.url, *FAST, "-o", "pages.jsonl")
    site.wait_for_request(path)

    for pid in [process.pid, *child_pids(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    process.communicate()
    site.release(path)
    again = shell.run("run", site.url, *FAST, "-o", "pages.jsonl")

    assert again.returncode == 0, again.stderr
    assert "resuming" in again.stderr
    assert statuses(shell.rows("pages.jsonl")) == expected(site)


def test_what_stages_apart_have_left_is_done_when_they_share_a_process(shell: Shell, site: Site) -> None:
    hub = shell.start_hub("--address", "127.0.0.1:0", *FAST)
    place = (shell.directory / "crawler-data" / "hub.address").read_text().strip()
    fetch = shell.start("stage", "fetch", "--hub", place, *FAST)
    site.hold("/")
    assert shell.run("put", "urls", site.url, "--hub", place).returncode == 0
    site.wait_for_request("/")
    site.release("/")
    fetch.terminate()  # what it is at it finishes: a page that nobody reads
    fetch.communicate(timeout=30)
    hub.terminate()
    hub.communicate(timeout=30)

    again = shell.run("run", *FAST, "-o", "pages.jsonl")

    assert again.returncode == 0, again.stderr
    assert "fetch and parse share" in again.stderr
    assert statuses(shell.rows("pages.jsonl")) == expected(site)
