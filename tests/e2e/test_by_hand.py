"""The pipeline in four processes, the square job, and a plain standard-library client."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.e2e.conftest import FAST, Shell, expected, statuses
from tests.site import Site

pytestmark = pytest.mark.slow

KEY = "a-key-of-more-than-thirty-two-characters"
STOCK_CLIENT = """
import sys
from multiprocessing.managers import BaseManager

class QueueManager(BaseManager):
    pass

QueueManager.register("get_task_queue")
QueueManager.register("get_result_queue")
host, _, port = sys.argv[1].rpartition(":")
manager = QueueManager(address=(host, int(port)), authkey=sys.argv[2].encode())
manager.connect()
task, result = manager.get_task_queue(), manager.get_result_queue()
while not task.empty():
    n = task.get(timeout=1)
    result.put(f"{n}的平方是{n * n}")
"""
SQUARES = {f"{n}的平方是{n * n}" for n in range(10)}


def address(shell: Shell) -> str:
    return (shell.directory / "crawler-data" / "hub.address").read_text().strip()


def test_hub_and_three_stages_in_four_processes_on_tcp_store_the_same_set(shell: Shell, site: Site) -> None:
    shell.environment["CRAWLER_AUTHKEY"] = KEY
    shell.start_hub("--address", "127.0.0.1:0", *FAST)
    hub = ("--hub", address(shell))
    put = shell.run("put", "urls", site.url, *hub)
    stages = [
        shell.start("stage", "fetch", "--until-drained", *hub, *FAST),
        shell.start("stage", "parse", "--until-drained", *hub),
        shell.start("stage", "store", "--until-drained", *hub, "-o", "pages.jsonl"),
    ]

    codes = [(stage.communicate(timeout=60), stage.returncode) for stage in stages]

    assert put.returncode == 0, put.stderr
    assert [code for _, code in codes] == [0, 0, 0], codes
    assert statuses(shell.rows("pages.jsonl")) == expected(site)


def test_what_a_hub_makes_is_its_users_alone_also_in_a_directory_that_is_open_to_all(shell: Shell) -> None:
    data = shell.directory / "crawler-data"
    data.mkdir(mode=0o755)

    shell.start_hub()

    assert {file.name: oct(file.stat().st_mode & 0o077) for file in data.iterdir() if file.stat().st_mode & 0o077} == {}
    assert (data / "hub.sqlite3").exists()


def test_a_plain_manager_client_squares_what_was_put(shell: Shell) -> None:
    shell.environment["CRAWLER_AUTHKEY"] = KEY
    shell.start_hub()
    assert shell.run("put", "task", *map(str, range(10))).returncode == 0

    subprocess.run([sys.executable, "-c", STOCK_CLIENT, address(shell), KEY], check=True, timeout=30)

    taken = shell.run("take", "result", "-n", "10")
    assert taken.returncode == 0
    assert {json.loads(line) for line in taken.stdout.splitlines()} == SQUARES


def test_the_square_stage_does_the_same(shell: Shell) -> None:
    shell.start_hub()
    assert shell.run("put", "task", "-", input="\n".join(map(str, range(10)))).returncode == 0

    stage = shell.run("stage", "square", "--until-drained")

    assert stage.returncode == 0, stage.stderr
    assert "worker square@" not in shell.run("status").stdout  # it has said that it ends
    taken = shell.run("take", "result", "-n", "10")
    assert {json.loads(line) for line in taken.stdout.splitlines()} == SQUARES


def test_a_task_that_does_not_fit_is_dead_and_can_be_shown_and_dropped(shell: Shell) -> None:
    shell.start_hub()
    shell.run("put", "task", "three", "4")

    ended = shell.run("stage", "square", "--until-drained")
    assert ended.returncode == 3
    assert "1 task was given up; 'crawler dead list' shows it" in ended.stderr

    listed = shell.run("dead", "list")
    assert "three" in listed.stdout
    number = listed.stdout.split("\t")[0]
    assert json.loads(shell.run("dead", "show", number).stdout)["item"] == "three"
    assert shell.run("dead", "drop", number).returncode == 0
    assert shell.run("dead", "list").stdout == ""


def test_several_workers_of_a_stage_end_together_when_drained(shell: Shell) -> None:
    shell.start_hub()
    shell.run("put", "task", *map(str, range(50)))

    stage = shell.run("stage", "square", "--processes", "2", "--until-drained")

    assert stage.returncode == 0, stage.stderr
    assert len(shell.run("take", "result", "-n", "50").stdout.splitlines()) == 50


def test_status_and_why_tell_what_the_hub_knows(shell: Shell, site: Site) -> None:
    shell.start_hub("--address", "127.0.0.1:0", *FAST)
    shell.run("put", "urls", site.url)

    status = shell.run("status")
    told = shell.run("why", site.url)
    stats = json.loads(shell.run("status", "--json").stdout)

    assert "urls" in status.stdout
    assert "a seed" in told.stdout
    assert "waits for its turn" in told.stdout
    assert [queue["ready"] for queue in stats["queues"] if queue["name"] == "urls"] == [1]


def test_fetch_and_parse_in_one_process_store_the_same_set(shell: Shell, site: Site) -> None:
    shell.start_hub("--address", "127.0.0.1:0", *FAST)
    shell.run("put", "urls", site.url)
    both = shell.start("stage", "fetch+parse", "--until-drained", *FAST)
    store = shell.start("stage", "store", "--until-drained", "-o", "pages.jsonl")

    said = both.communicate(timeout=60)
    store.communicate(timeout=60)

    assert (both.returncode, store.returncode) == (0, 0), said
    assert statuses(shell.rows("pages.jsonl")) == expected(site)
    counters = json.loads(shell.run("status", "--json").stdout)["counters"]
    assert counters["fetch/status/200"] == len([row for row in shell.rows("pages.jsonl") if row["status"] == 200])
