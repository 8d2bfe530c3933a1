"""A project with a folder `stages` of its own: all processes find its modules, those that are started again as well."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.conftest import FAST, Shell, expected, statuses
from tests.faults.processes import children
from tests.site import Site

MINE = """
from crawler_stages.parse import Parse

class Mine(Parse):
    def records(self, page, html):
        yield {**self.record(page, html), "mine": True}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "use"),
    [
        ({"stages/mine.py": MINE}, "stages.mine:Mine"),
        ({"stages/mine.py": MINE, "stages/__init__.py": ""}, "stages.mine:Mine"),
        ({"mine.py": MINE, "stages/__init__.py": ""}, "mine:Mine"),
    ],
    ids=["folder", "package", "beside"],
)
def test_a_worker_that_was_killed_finds_the_stage_again(shell: Shell, site: Site, files: dict[str, str], use: str) -> None:
    (shell.directory / "stages").mkdir()
    for name, text in files.items():
        (shell.directory / name).write_text(text)
    (shell.directory / "crawler.toml").write_text(f'[stages.parse]\nuse = "{use}"\n')
    assert shell.run("check").returncode == 0
    site.hold("/p/3.html")
    process = shell.start("run", site.url, *FAST, "-o", "pages.jsonl")
    site.wait_for_request("/p/3.html")

    os.kill(children(process.pid)["fetch+parse"], signal.SIGKILL)
    site.release("/p/3.html")
    _, said = process.communicate(timeout=60)

    assert process.returncode == 0, said
    rows = shell.rows("pages.jsonl")
    assert statuses(rows) == expected(site)
    assert {row.get("mine") for row in rows if row["status"] == 200} == {True}
