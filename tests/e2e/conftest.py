"""Real commands in real processes, against a web of known shape on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.site import Site, generated

PATIENCE = 60.0  # s a command of a test may take before it is taken for hung
FAST = ("-s", "frontier.delay=0", "-s", "frontier.per_host=16")
CRAWLER = (sys.executable, "-m", "crawler")
# A crawler.toml that puts a stage of the user's own, Enrich in enrich.py, between parse and store. More options of it may follow.
BETWEEN = """\
[stages.parse]
outputs = ["parsed", "urls"]

[stages.enrich]
use = "enrich:Enrich"
input = "parsed"
outputs = ["records"]
"""


class Shell:
    """A directory to run commands in, and what was started there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("CRAWLER_")}
        self._started: list[subprocess.Popen[str]] = []

    def run(self, *arguments: str, input: str | None = None, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*CRAWLER, *arguments], cwd=self.directory, env=self.environment,
            input=input, timeout=timeout, capture_output=True, text=True,
        )  # fmt: skip

    def start(self, *arguments: str, by: Sequence[str] = CRAWLER[1:]) -> subprocess.Popen[str]:
        """by: what Python runs; it is given the arguments."""
        process = subprocess.Popen(
            [sys.executable, *by, *arguments], cwd=self.directory, env=self.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._started.append(process)
        return process

    def start_hub(self, *arguments: str) -> subprocess.Popen[str]:
        """A hub that answers; its address is in crawler-data/hub.address."""
        process = self.start("hub", *(arguments or ("--address", "127.0.0.1:0")))
        assert process.stderr is not None
        for line in process.stderr:
            if "listens at" in line:
                return process
        raise AssertionError(f"the hub ended with {process.wait()} and did not listen")

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.directory / name).read_text("utf-8").splitlines()]

    def end(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._started:
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.end()


@pytest.fixture
def site() -> Iterator[Site]:
    """60 generated pages, and a broken link, a redirect, a link to another host."""
    pages = generated(60, seed=7)
    pages["/"] = str(pages["/"]) + '<a href="/missing">x</a><a href="/old">y</a><a href="http://other.invalid/">z</a>'
    with Site(pages) as site:
        from tests.site import Response

        site.pages["/old"] = Response(301, headers={"Location": "/p/3.html"})
        yield site


def statuses(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    return {row["url"]: row["status"] for row in rows}


def expected(site: Site) -> dict[str, int]:
    """What a right crawl of `site` has in its file."""
    found = {site.link(path): 200 for path in site.pages}
    return {**found, site.link("/old"): 301, site.link("/missing"): 404}
