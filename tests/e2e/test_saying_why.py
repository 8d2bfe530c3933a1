"""Why nothing happens, as a running crawl and a crawl at rest say it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.e2e.conftest import PATIENCE, Shell
from tests.site import Site

pytestmark = pytest.mark.slow


def until(look: Callable[[], str], *words: str) -> str:
    """Look until all these words are there."""
    give_up = time.monotonic() + PATIENCE
    while True:
        seen = " ".join(look().split())
        if all(word in seen for word in words):
            return seen
        assert time.monotonic() < give_up, f"no {words} in {seen}"
        time.sleep(0.1)


def test_a_crawl_says_that_it_waits_for_a_crawl_delay_and_for_a_slow_page(shell: Shell) -> None:
    with Site({"/robots.txt": "User-agent: *\nCrawl-delay: 30"}) as patient, Site({"/": "x", "/robots.txt": ""}) as slow:
        slow.hold("/robots.txt")
        shell.start("run", patient.url, slow.url, "-o", "pages.jsonl")
        slow.wait_for_request("/robots.txt")
        while not (shell.directory / "crawler-data" / "hub.sqlite3").exists():
            time.sleep(0.05)
        ours, theirs = f"127.0.0.1:{patient.port}", f"127.0.0.1:{slow.port}"

        until(lambda: shell.run("status").stdout,
              f"1 URL: robots.txt of {ours} asks for 30 s between requests (Crawl-delay); next at ",
              f"1 URL: waiting for {theirs} to answer for ", " · ")  # fmt: skip
        why = " ".join(shell.run("why", patient.url).stdout.split())

        assert f"after robots.txt of {ours} was read: its robots.txt asks for 30 s between requests" in why
        assert "waits until" in why
        shell.end()
