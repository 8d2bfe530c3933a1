"""crawler fetch and crawler parse: what a stage makes of one page, without a hub."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import Shell
from tests.site import Response, Site

pytestmark = pytest.mark.slow


def test_fetch_prints_what_the_stage_yields_and_the_body_on_request(shell: Shell) -> None:
    with Site({"/": "<h1>tea</h1>"}) as site:
        site.pages["/old"] = Response(301, headers={"Location": "/"})
        page = shell.run("fetch", site.url)
        body = shell.run("fetch", site.url, "--body")
        moved = shell.run("fetch", site.link("/old"))

    assert page.returncode == body.returncode == moved.returncode == 0
    assert json.loads(page.stdout.splitlines()[0])["status_code"] == 200
    assert body.stdout == "<h1>tea</h1>"
    [to] = [line for line in map(json.loads, moved.stdout.splitlines()) if "to" in line]
    assert (to["to"], to["item"]["url"]) == ("urls", site.url)


def test_parse_prints_the_record_and_the_links_of_a_url_or_a_file(shell: Shell) -> None:
    (shell.directory / "page.html").write_text('<title>from a file</title><a href="http://example.org/x">x</a>')
    with Site({"/": '<title>tea</title><a href="/a">a</a>'}) as site:
        fetched = [json.loads(line) for line in shell.run("parse", site.url).stdout.splitlines()]
    read = [json.loads(line) for line in shell.run("parse", "page.html").stdout.splitlines()]

    assert fetched[0]["title"] == "tea"
    assert fetched[1] == {"to": "urls", "item": {"url": site.link("/a"), "depth": 1, "referrer": site.url}}
    assert read[0]["title"] == "from a file"
    assert read[1]["item"]["url"] == "http://example.org/x"


def test_what_robots_txt_forbids_is_not_fetched_and_the_line_is_named(shell: Shell) -> None:
    with Site({"/robots.txt": "User-agent: *\nDisallow: /", "/": "x"}) as site:
        done = shell.run("fetch", site.url)

    assert done.returncode == 4
    assert "Disallow: / (line 2)" in done.stderr
