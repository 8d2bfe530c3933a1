"""The start of `crawler run` imports little: each module that it imports before its stages run delays the first page.

No time is measured here, for it would be that of the machine. What counts is which modules are there at two moments: in the main
process when it starts the first stage, and in the processes of hub and stages when they have ended.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.site import Site

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="stages are copies of the main process on Linux alone")

# `crawler run` as its script runs it. The first argument is a folder: the modules of each process are written to a file there.
RUN = """
import os, sys
from pathlib import Path
from crawler.cli import forking, main

folder = Path(sys.argv.pop(1))
fork, obey, started = os.fork, forking._obey, []

def noted(name):
    (folder / name).write_text("\\n".join(sys.modules), "utf-8")

def forked():
    started.append(1)
    if len(started) == 2:                 # the first one is the hub's
        noted("main")
    return fork()

def obeyed(main, command, stderr):
    code = obey(main, command, stderr)
    noted(command[0][1] if command[0][0] == "stage" else command[0][0])
    return code

os.fork, forking._obey = forked, obeyed
sys.exit(main())
"""

# Slow to import, and of no use to a crawl of a site that is served as most are, without a configuration file.
IDLE = frozenset({
    "ssl", "_ssl", "tomllib", "asyncio", "difflib", "http.client", "urllib.request", "encodings.idna",
    "requests", "urllib3", "bs4", "rich", "turbohtml.detect", "publicsuffixlist",
    "crawler.web.feed", "crawler.web.numbers", "crawler.web.selectors", "crawler.web.sitemap", "crawler.web.xml",
    "crawler.hub.tls", "crawler_stages.fetch.copies", "crawler_stages.clients.requests.client",
})  # fmt: skip
# What some process needs, or what shows, compares and ends a crawl, but nothing that the main process needs in order to start one.
LATER = frozenset({
    "sqlite3", "multiprocessing", "shutil", "tempfile", "crawler.broker.sqlite.broker", "crawler.cli.debug", "crawler.hub.server",
    "crawler.run.report.totals", "crawler.run.resume.begun_with", "crawler.run.resume.by_hand", "crawler.run.resume.change",
    "crawler.run.debug",
    "crawler.run.resume.differences", "crawler.run.ending", "crawler.run.explain.estimate", "crawler.run.report.given_up",
    "crawler.run.resume.gone",
    "crawler.run.explain.idle", "crawler.run.report.outputs", "crawler.run.resume.owner", "crawler.run.resume.rules",
    "crawler.run.seeds",
    "crawler.run.report.stranded", "crawler.run.report.summary", "crawler.run.explain.waits",
})  # fmt: skip
# Modules of ours that are imported before the first stage starts, at most. Each takes about 0.3 ms, so three of them are 1 % of the
# time to the first page. A module too many is imported in the function that needs it, or becomes part of the one that it serves.
# `shortage` and `strain` are among them because a process without open files cannot import what tells it so.
# `limits` is among them because the types of what travels refer to it.
# Packages count as well: of a package that is a docstring each takes a fifth of that.
# What every worker needs is among them (`cli.worker`, `pulse`, `fetch.slow`): imported here, it is not imported by each of them.
# `run.session` is among them because a crawl is there for other callers than the command.
# `fetch.options` is among them because fetch was two things in one file of 600 lines.
# `pipeline.hooks` is among them because a hook that cannot be loaded is refused before anything starts.
# `worker.gathered` is among them because the handler was two things in one file of 420 lines.
MOST = 159
WHY = "imported before the first page; import it in the function that needs it, or say here why it is needed"


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The modules of each process of one small crawl, by its name."""
    folder = tmp_path_factory.mktemp("modules")
    page = "<!DOCTYPE html>\n<html><head><title>x</title></head><body><a href='/b'>b</a></body></html>"
    with Site({"/": page, "/b": page}) as site:
        typed = ["run", site.url, "-o", "pages.jsonl", "-s", "frontier.delay=0"]
        command = [sys.executable, "-I", "-c", RUN, str(folder), *typed]
        subprocess.run(command, cwd=folder, capture_output=True, timeout=60, check=True)
    assert len((folder / "pages.jsonl").read_text("utf-8").splitlines()) == 2
    return {name: set((folder / name).read_text("utf-8").split()) for name in ("main", "hub", "fetch+parse", "store")}


@pytest.mark.slow
@pytest.mark.parametrize("process", ["main", "hub", "fetch+parse", "store"])
def test_no_process_of_a_plain_crawl_imports_what_it_has_no_use_for(modules: dict[str, set[str]], process: str) -> None:
    assert sorted(IDLE & modules[process]) == [], f"{process}: {WHY}"


def test_the_main_process_imports_what_ends_a_crawl_when_the_stages_run(modules: dict[str, set[str]]) -> None:
    assert sorted(LATER & modules["main"]) == [], WHY


def test_the_main_process_imports_few_modules_of_ours_before_its_stages_start(modules: dict[str, set[str]]) -> None:
    ours = sorted(name for name in modules["main"] if name.partition(".")[0] in ("crawler", "crawler_stages"))

    assert len(ours) <= MOST, f"{len(ours)} modules {WHY}: {' '.join(ours)}"


def test_the_lists_name_modules_that_there_are(modules: dict[str, set[str]]) -> None:
    root = Path(__file__).parents[2]
    for name in [name for name in IDLE | LATER if name.startswith(("crawler.", "crawler_stages."))]:
        home = root / "stages" if name.startswith("crawler_stages.") else root
        assert (home / f"{name.replace('.', '/')}.py").is_file(), name
