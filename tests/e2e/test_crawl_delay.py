"""Every gap after robots.txt is at least the larger of the two delays, the first one too."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.e2e.conftest import Shell
from tests.site import Site

pytestmark = pytest.mark.slow

ASKED = 0.3  # s, the site's Crawl-delay


@pytest.mark.parametrize(
    ("client", "delay", "per_host", "processes"),
    [("curl", "0", "8", "2"), ("requests", "0", "8", "1"), ("curl", "0.1", "1", "1")],
    ids=["curl, several lent at once to two processes", "requests, several lent at once", "with a delay of ours"],
)
def test_no_two_requests_are_closer_than_the_crawl_delay(
    shell: Shell, client: str, delay: str, per_host: str, processes: str
) -> None:
    rules = f"User-agent: *\nCrawl-delay: {ASKED}\nDisallow: /forbidden"
    pages = {"/robots.txt": rules, "/a": '<a href="/c">c</a>', "/b": "", "/c": ""}
    with Site({**pages, "/forbidden": ""}) as site:
        seeds = [site.link(path) for path in ("/forbidden", "/a", "/b")]
        options = {"frontier.delay": delay, "frontier.per_host": per_host, "stages.fetch.processes": processes}
        sets = [text for name, value in options.items() for text in ("-s", f"{name}={value}")]

        done = shell.run("run", *seeds, *sets, "-s", f"stages.fetch.client={client}")
        starts = [hit.start for hit in site.log]

    assert done.returncode == 0, done.stderr
    assert sorted(hit.path for hit in site.log) == ["/a", "/b", "/c", "/robots.txt"]
    assert min(after - before for before, after in pairwise(starts)) >= ASKED * 0.95
