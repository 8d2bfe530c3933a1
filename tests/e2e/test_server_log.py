"""The server's own log: no two requests to a host overlap and no gap is below the delay, whatever is killed in between."""

from __future__ import annotations

import itertools
import os
import signal
import time

import pytest

from tests.e2e.conftest import Shell
from tests.e2e.test_kills import children
from tests.site import Hit, Site, generated

pytestmark = pytest.mark.slow

DELAY = 0.25  # s
FETCHERS = 4


def pages(hits: list[Hit]) -> list[Hit]:
    return [hit for hit in hits if hit.path != "/robots.txt"]


@pytest.mark.parametrize(
    ("more", "victims"),
    [
        ((), ("fetch+parse", "hub", "fetch+parse", "fetch+parse")),
        (("-s", "stages.parse.chain=false"), ("fetch", "hub", "fetch", "parse")),
    ],
    ids=["together", "apart"],
)
def test_four_fetchers_kills_and_a_new_hub_keep_to_the_delay(shell: Shell, more: tuple[str, ...], victims: tuple[str, ...]) -> None:
    more = ("-s", "stages.fetch.robots=false", *more)
    settings = (*more, "-s", f"frontier.delay={DELAY}", "-s", f"stages.fetch.processes={FETCHERS}")
    with Site(generated(40, seed=5)) as first, Site(generated(20, seed=6)) as second:
        process = shell.start("run", first.url, second.url, *settings, "-o", "pages.jsonl")
        for count, victim in zip((8, 16, 24, 30), victims, strict=True):
            wait_for_hits(first, count)
            os.kill(children(process)[victim], signal.SIGKILL)
        _, said = process.communicate(timeout=90)

        assert process.returncode == 0, said
        assert len(shell.rows("pages.jsonl")) == 60
        for site in (first, second):
            log = pages(site.log)
            pairs = list(itertools.pairwise(log))
            assert all(one.end <= other.start for one, other in pairs)
            assert min(other.start - one.end for one, other in pairs) >= DELAY


def wait_for_hits(site: Site, count: int) -> None:
    give_up = time.monotonic() + 60
    while len(site.log) < count:
        assert time.monotonic() < give_up, f"{len(site.log)} requests, waiting for {count}"
        time.sleep(0.01)  # the site tells of a path when it is asked for; of a number of requests it does not


def test_a_crawl_delay_of_robots_txt_is_kept(shell: Shell) -> None:
    web = generated(6, seed=1)
    web["/robots.txt"] = "User-agent: *\nCrawl-delay: 0.4\n"
    with Site(web) as site:
        done = shell.run("run", site.url, "-s", "frontier.delay=0", "-o", "p.jsonl")

        assert done.returncode == 0, done.stderr
        log = pages(site.log)[1:]  # with the first page it is learned
        assert min(other.start - one.end for one, other in itertools.pairwise(log)) >= 0.4


def test_a_host_can_be_paused_resumed_and_given_another_delay(shell: Shell) -> None:
    with Site(generated(30, seed=2)) as site:
        host = site.url.removeprefix("http://").rstrip("/")
        shell.start_hub("--address", "127.0.0.1:0", "-s", "frontier.delay=0")
        assert shell.run("host", "pause", host).returncode == 0
        shell.run("put", "urls", site.url)
        stage = [shell.start("stage", name, "--until-drained") for name in ("fetch", "parse")]
        shell.start("stage", "store", "--until-drained", "-o", "p.jsonl")

        told = shell.run("status")
        assert "paused" in told.stdout
        assert site.log == []
        assert shell.run("host", "delay", host, "0.1").returncode == 0
        assert "0.1 s" in shell.run("host", "list", host).stdout
        assert shell.run("host", "resume", host).returncode == 0

        for process in stage:
            process.communicate(timeout=60)
        log = pages(site.log)
        assert len(log) == 30
        assert min(other.start - one.end for one, other in itertools.pairwise(log)) >= 0.1
