"""A page that kills or hangs the process that reads it: the others are crawled, and it ends as a dead task that says why."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import ExitStack, closing

import pytest

from crawler.run.processes.supervisor import TRIES
from tests.e2e.conftest import FAST, Shell, statuses
from tests.site import Site

pytestmark = pytest.mark.slow

LEASE = ("-s", "hub.lease=10")  # a worker is ended after half of that without a sign of life
APART = ("-s", "stages.parse.chain=false")
POISON = """
import ctypes
import os
import re
import resource
import threading
from collections.abc import Iterator
from typing import Any

from crawler import Page
from crawler_stages.parse import Parse


class Poisoned(Parse):
    hang = 0.5

    def open(self) -> None:
        super().open()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def process(self, page: Page) -> Iterator[Any]:
        if page.url.endswith("/crash"):
            ctypes.string_at(0)
        if page.url.endswith("/exit"):
            os._exit(3)
        if page.url.endswith("/spin"):
            re.search("(a+)+$", "a" * 60 + "!")
        if page.url.endswith("/hang"):
            threading.Event().wait()
        yield from super().process(page)
"""


# Of a crash nobody can say which of its worker's tasks was at fault: they all have a second attempt.
@pytest.mark.parametrize(
    ("path", "attempts", "reason", "more", "queue"),
    [
        ("/crash", 2, "its worker was killed by SIGSEGV at poison.py:23 in process", (), "urls"),
        ("/crash", 2, "its worker was killed by SIGSEGV at poison.py:23 in process", APART, "pages"),
        ("/spin", 1, r"its worker gave no sign of life for \d s at poison.py:\d+ in process and was ended", LEASE, "urls"),
        ("/exit", TRIES + 1, "its worker ended with exit code 3", APART, "pages"),  # that it died so often is no reason to end
        ("/hang", 3, "still in process after 0.5 s", (), "urls"),
        ("/hang", 3, "still in process after 0.5 s", APART, "pages"),
    ],
)
def test_a_page_that_ends_its_worker_is_a_dead_task_and_all_others_are_crawled(
    shell: Shell, path: str, attempts: int, reason: str, more: tuple[str, ...], queue: str
) -> None:
    (shell.directory / "poison.py").write_text(POISON)
    names = [f"/{n}" for n in range(20)]
    links = "".join(f'<a href="{name}">x</a>' for name in [*names[:10], path, *names[10:]])
    with Site({"/": links, path: "poison", **dict.fromkeys(names, "fine")}) as site:
        done = shell.run(
            "run", site.url, *FAST, "-o", "pages.jsonl",
            "-s", "stages.parse.use=poison:Poisoned", "-s", f"hub.max_attempts={attempts}", *more,
        )  # fmt: skip

    assert done.returncode == 3, done.stderr
    assert statuses(shell.rows("pages.jsonl")) == {site.link(name): 200 for name in ["/", *names]}
    report = json.loads((shell.directory / "crawler-data" / "report.json").read_text())
    assert report["dead"] == {queue: 1}
    shell.start_hub()
    listed = shell.run("dead", "list").stdout
    assert site.link(path) in listed
    assert re.search(reason, listed)
    if path not in ("/hang", "/spin"):
        assert re.search(rf" {reason.removeprefix('its worker ')} while at {site.link(path)}; starting it again", done.stderr)
        assert f"given up: 1 {'URL' if queue == 'urls' else 'task'}: {reason} (1): {site.link(path)}" in done.stderr


def test_a_page_that_kills_its_worker_costs_the_other_hosts_of_a_wide_crawl_nothing(shell: Shell) -> None:
    """Its worker dies of it once, a process of its own four times; no other task comes near its last attempt.

    A worker stands in for that process if it takes more than 5 s to start, as on a very busy machine.
    """
    (shell.directory / "poison.py").write_text(POISON)
    names = [f"/{n}" for n in range(8)]
    pages = {"/": "".join(f'<a href="{name}">x</a>' for name in names), **dict.fromkeys(names, "fine")}
    poisoned = {**pages, "/": '<a href="/crash">x</a>' + pages["/"], "/crash": "poison"}
    with ExitStack() as stack:
        sites = [stack.enter_context(Site(poisoned if n == 9 else pages, host=f"127.0.0.{n}")) for n in range(2, 26)]
        (shell.directory / "seeds").write_text("".join(f"{site.url}\n" for site in sites))
        done = shell.run(
            "run", "--seeds", "seeds", "-o", "pages.jsonl", "-s", "frontier.delay=0.1", "-s", "stages.parse.use=poison:Poisoned",
            "-s", "stages.fetch.robots=false",
        )  # fmt: skip

    assert done.returncode == 3, done.stderr
    assert len(shell.rows("pages.jsonl")) == 24 * 9
    report = json.loads((shell.directory / "crawler-data" / "report.json").read_text())
    assert report["dead"] == {"urls": 1}
    probe = report["restarts"].get("fetch+parse probe", 0)
    assert probe >= 1
    assert report["restarts"]["fetch+parse"] + probe in (4, 5)  # the last start finds nothing to do
    with closing(sqlite3.connect(shell.directory / "crawler-data" / "hub.sqlite3")) as store:
        attempts = [attempt for (attempt,) in store.execute("SELECT attempt FROM life WHERE attempt > 1 ORDER BY attempt")]
        charged = store.execute("SELECT count(*) FROM life WHERE failures != ''").fetchone()
    assert attempts[-1] == 5
    assert all(attempt == 2 for attempt in attempts[:-1])
    assert charged[0] <= 16, "more than were at work"


FAILING = """
from collections.abc import Iterator
from typing import Any

from crawler import Page
from crawler_stages.parse import Parse


class Failing(Parse):
    def process(self, page: Page) -> Iterator[Any]:
        if page.url.endswith("/odd"):
            raise ValueError("odd")
        yield from super().process(page)
"""


def test_a_page_that_cannot_be_parsed_is_fetched_once_and_tried_again_by_parse_alone(shell: Shell) -> None:
    (shell.directory / "failing.py").write_text(FAILING)
    with Site({"/": '<a href="/odd">x</a><a href="/even">x</a>', "/odd": "odd", "/even": "even"}) as site:
        done = shell.run(
            "run", site.url, *FAST, "-o", "pages.jsonl", "-s", "stages.parse.use=failing:Failing", "-s", "hub.max_attempts=2"
        )

        assert done.returncode == 3, done.stderr
        assert "fetch and parse share" in done.stderr
        assert [hit.path for hit in site.log].count("/odd") == 1
        assert statuses(shell.rows("pages.jsonl")) == {site.link(path): 200 for path in ("/", "/even")}
    report = json.loads((shell.directory / "crawler-data" / "report.json").read_text())
    assert report["dead"] == {"pages": 1}
    shell.start_hub()
    assert "ValueError: odd" in shell.run("dead", "list").stdout
