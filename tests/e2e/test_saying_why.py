"""Why nothing happens, as a running crawl and a crawl at rest say it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from crawler.cli import main
from tests.e2e.conftest import FAST, PATIENCE, Shell
from tests.site import Response, Site

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


def test_why_says_what_became_of_a_page_without_a_record(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shell.directory)
    pages = {
        "/": "".join(f"<a href={path}>x</a>" for path in ("/hidden", "/alone", "/away", "/picture", "/end")),
        "/hidden": "<meta name=robots content=noindex>",
        "/alone": "<meta name=robots content=nofollow><a href=/never>x</a>",
        "/away": Response(301, headers={"Location": "http://other.invalid/"}),
        "/end": "<a href=http://other.invalid/>x</a>",
        "/picture": Response(headers={"Content-Type": "image/png"}, body=b"x"),
    }
    with Site(pages) as site:
        assert shell.run("run", site.url, "-o", "o.jsonl", *FAST).returncode == 0
    told = {}
    for path in pages:
        assert main(["why", site.link(path)]) == 0
        told[path] = capsys.readouterr().out

    assert "not recorded: it says noindex" in told["/hidden"]
    assert "no record of it in o.jsonl" in told["/hidden"]
    assert "links not followed: it says nofollow" in told["/alone"]
    assert "to http://other.invalid/\n  not followed: out of scope\n" in told["/away"]
    assert "\n  links not followed: 1 out of scope\n" in told["/end"], "the page itself was in scope"
    assert "body of type image/png not read; see stages.fetch.content_types" in told["/picture"]
    assert "its record: o.jsonl, line" in told["/picture"]
    assert "interrupted" not in "".join(told.values())
