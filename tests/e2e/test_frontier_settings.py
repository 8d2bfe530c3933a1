"""Which URLs are crawled, as the settings say, and `crawler why` tells."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.e2e.conftest import FAST, Shell, statuses
from tests.site import Response, Site, generated

pytestmark = pytest.mark.slow


def report(shell: Shell) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((shell.directory / "crawler-data" / "report.json").read_text())
    return loaded


def test_no_more_pages_are_fetched_than_asked_for_and_the_rest_is_counted(shell: Shell) -> None:
    with Site(generated(50, seed=3)) as site:
        done = shell.run("run", site.url, *FAST, "-s", "frontier.max_pages=12", "-s", "stages.fetch.robots=false", "-o", "p.jsonl")

        assert done.returncode == 0, done.stderr
        assert len(shell.rows("p.jsonl")) == 12
        assert sum(site.counts.values()) == 12
        assert report(shell)["skipped"]["over the limit"] > 0


def test_patterns_depth_and_scope_decide_and_are_counted(shell: Shell) -> None:
    pages = {
        "/": '<a href="/a/1">1</a><a href="/b/1">2</a><a href="http://elsewhere.invalid/">3</a>',
        "/a/1": '<a href="/a/2">x</a>',
        "/a/2": '<a href="/a/3">x</a>',
        "/a/3": "too deep",
        "/b/1": "denied",
    }
    with Site(pages) as site:
        done = shell.run("run", site.url, *FAST, "-s", "frontier.deny=['/b/']", "-s", "frontier.max_depth=2", "-o", "p.jsonl")

        assert done.returncode == 0, done.stderr
        assert set(statuses(shell.rows("p.jsonl"))) == {site.link(path) for path in ("/", "/a/1", "/a/2")}
        assert report(shell)["skipped"] == {"denied by pattern": 1, "out of scope": 1, "too deep": 1}
        assert "1 out of scope" in done.stderr


def test_seeds_come_from_a_file_from_standard_input_and_from_a_sitemap(shell: Shell) -> None:
    pages = {path: path for path in ("/one", "/two", "/three", "/four")}
    with Site(pages) as site:
        site.pages["/sitemap.xml"] = Response(
            headers={"Content-Type": "application/xml"},
            body=f"<urlset><url><loc>{site.link('/four')}</loc></url></urlset>".encode(),
        )
        (shell.directory / "seeds.txt").write_text(f"# from a file\n{site.link('/one')}\n\n{site.link('/sitemap.xml')}\n")
        done = shell.run(
            "run", site.link("/two"), "-", "--seeds", "seeds.txt", *FAST, "-o", "p.jsonl", input=site.link("/three") + "\n"
        )

        assert done.returncode == 0, done.stderr
        assert set(statuses(shell.rows("p.jsonl"))) == {site.link(path) for path in (*pages, "/sitemap.xml")}


def test_a_seed_that_redirects_brings_its_target_into_scope(shell: Shell) -> None:
    with (
        Site({"/": '<a href="/next">next</a>', "/next": "x"}) as target,
        Site({"/": Response(301, headers={"Location": target.url})}) as seed,
    ):
        allowed = f"stages.fetch.allow_private=['{target.url[7:-1]}']"
        done = shell.run("run", seed.url, *FAST, "-s", allowed, "-o", "p.jsonl")

        assert done.returncode == 0, done.stderr
        assert statuses(shell.rows("p.jsonl")) == {seed.url: 301, target.url: 200, target.link("/next"): 200}
        row = next(row for row in shell.rows("p.jsonl") if row["status"] == 301)
        assert row["location"] == target.url


def test_a_seed_that_redirects_to_another_site_is_told_and_brings_nothing_into_scope(shell: Shell) -> None:
    with Site({"/": '<a href="/next">next</a>', "/next": "x"}) as target, Site({}) as seed:
        there = target.url.replace("127.0.0.1", "localhost")
        seed.pages["/"] = Response(301, headers={"Location": there})

        done = shell.run("run", seed.url, *FAST, "-o", "p.jsonl")
        why = shell.run("why", seed.url)

        assert done.returncode == 4, done.stderr
        assert f"{seed.url} redirects to {there}, which is another site; it is not crawled; to crawl it" in done.stderr
        assert report(shell)["skipped"] == {"seed redirects to another site": 1}
        assert "not followed: seed redirects to another site" in why.stdout
        assert target.log == []


def test_the_story_of_a_url_is_told_from_its_discovery_to_its_record(shell: Shell) -> None:
    pages = {
        "/": '<a href="/page">a page</a><a href="/old">moved</a><a href="/secret">no</a><a href="/%7Eme">home</a>',
        "/page": "<title>page</title>",
        "/robots.txt": "User-agent: *\nDisallow: /secret\n",
        "/secret": "no",
    }
    with Site(pages) as site:
        site.pages["/old"] = Response(302, headers={"Location": "/page?moved"})
        site.pages["/page?moved"] = "<title>moved</title>"
        site.pages["/%7Eme"] = Response(302, headers={"Location": "/~me"})
        site.pages["/~me"] = "<title>me</title>"
        shell.run("run", site.url, *FAST, "-o", "records.jsonl")
        shell.start_hub("--address", "127.0.0.1:0", *FAST)

        def why(url: str) -> str:
            told = shell.run("why", url)
            assert told.returncode == 0, told.stderr
            return told.stdout

        page = why(site.link("/x/../page#part"))
        assert f"its canonical form is {site.link('/page')}" in page
        assert f"found on {site.url}, 1 link from a seed" in page
        assert "200, " in page
        assert "its record: records.jsonl, line " in page
        assert f"reached by redirects: {site.link('/old')} → {site.link('/page?moved')}" in why(site.link("/page?moved"))
        assert f"it is asked for as {site.link('/%7Eme')}" in (first := why(site.link("/%7eme")))
        assert f"to {site.link('/~me')}" in first
        assert f"reached by redirects: {site.link('/%7Eme')} → {site.link('/~me')}" in (second := why(site.link("/~me")))
        assert "its record: records.jsonl, line " in second
        assert "Disallow: /secret (line 2)" in why(site.link("/secret"))
        assert "a seed" in why(site.url)
        assert "not crawled: out of scope; see frontier.scope" in why("http://elsewhere.invalid/")
        assert "no page that was read links to it" in why(site.link("/never"))


def test_failed_attempts_are_told_with_their_reasons(shell: Shell) -> None:
    with Site({}) as site:
        gone = site.url
    shell.run("run", gone, *FAST, "-s", "hub.max_attempts=2", "-o", "p.jsonl")
    shell.start_hub("--address", "127.0.0.1:0", *FAST)

    told = shell.run("why", gone).stdout

    assert "attempt 1 failed" in told
    assert "attempt 2 failed" in told
    assert "refused" in told
    assert "given up" in told


def test_status_says_that_hosts_rest_and_until_when(shell: Shell) -> None:
    with Site({"/": Response(503, headers={"Retry-After": "600"}), "/a": "a"}) as site:
        shell.start_hub("--address", "127.0.0.1:0", "-s", "frontier.delay=0")
        shell.run("put", "urls", site.url, site.link("/a"))

        shell.start("stage", "fetch", "-s", "stages.fetch.robots=false")
        site.wait_for_request("/")
        told = ""
        while "Retry-After" not in told:  # until the hub has heard of the answer
            told = " ".join(shell.run("status").stdout.split())

        assert re.search(r" rests until \d\d:\d\d:\d\d", told)
        assert "status 503, Retry-After 600 s" in told
        assert site.counts["/a"] == 0
