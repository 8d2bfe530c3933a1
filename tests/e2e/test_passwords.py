"""A password that was typed into a URL opens the site, and is shown nowhere."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from crawler.demo.loopback import Request
from tests.e2e.conftest import FAST, Shell
from tests.site import Response, Site

pytestmark = pytest.mark.slow

WORD = "s3cret"
HEADER = "Basic " + base64.b64encode(f"me:{WORD}".encode()).decode()


class Closed(Site):
    """Answers those alone who know the password."""

    def answer(self, request: Request) -> Response:
        if request.headers.get("Authorization") != HEADER:
            return Response(401, {"WWW-Authenticate": "Basic"}, b"who are you?")
        return super().answer(request)


@pytest.fixture
def closed() -> Closed:
    site = Closed({"/robots.txt": "", "/b": "<h1>cup</h1>", "/c": "<h1>pot</h1>", "/d": "<h1>jug</h1>"})
    host = site.url.removeprefix("http://").rstrip("/")
    site.pages["/"] = f'<title>tea</title><a href="/b">b</a><a href="http://evil:{WORD}@{host}/c">c</a><a href="/old">d</a>'
    site.pages["/old"] = Response(301, {"Location": f"http://evil:{WORD}@{host}/d"})
    return site


def typed(site: Site) -> str:
    return site.url.replace("://", f"://me:{WORD}@")


def test_a_crawl_with_a_password_in_its_seed_shows_it_nowhere(shell: Shell, closed: Closed) -> None:
    with closed as site:
        run = shell.run("run", typed(site), *FAST, "-o", "rows.jsonl", "-v")
        words = (f"why {typed(site)}", "dead list", "status", "status --json", "settings", "check")
        said = [shell.run(*each.split()) for each in words]

    assert run.returncode == 0, run.stderr
    rows = {row["url"]: row for row in shell.rows("rows.jsonl")}
    assert {url: row["status"] for url, row in rows.items()} == {
        site.url: 200, site.link("/b"): 200, site.link("/c"): 200, site.link("/d"): 200, site.link("/old"): 301,
    }  # fmt: skip
    assert rows[site.url]["links"] == [site.link("/b"), site.link("/c"), site.link("/old")]
    assert rows[site.link("/old")]["location"] == site.link("/d")
    assert rows[site.link("/d")]["referrer"] == site.url
    shown = [run.stdout, run.stderr, *(done.stdout + done.stderr for done in said)]
    shown += [(shell.directory / name).read_text() for name in ("rows.jsonl", "crawler-data/report.json")]
    assert [text for text in shown if WORD in text] == []


@pytest.mark.parametrize("command", ["fetch", "parse"])
def test_one_page_is_fetched_with_the_password_of_its_url(
    command: str, closed: Closed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from crawler.cli import main

    monkeypatch.chdir(tmp_path)
    with closed as site:
        code = main([command, typed(site)])

    said = capsys.readouterr()
    assert code == 0, said.err
    assert WORD not in said.out + said.err
    first = json.loads(said.out.splitlines()[0]) if said.out.startswith("{") else {}
    assert first.get("status_code", first.get("status", 200)) == 200


def test_a_wrong_value_with_a_password_in_it_is_refused_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from crawler.cli import main

    monkeypatch.chdir(tmp_path)
    for setting in (f"stages.fetch.proxy=ftp://me:{WORD}@proxy", f"stages.fetch.auth=me:{WORD}", f"frontier.delay=http://me:{WORD}@h/",
                    f"data.x=http://me:{WORD}@h/", f"http://me:{WORD}@h/"):  # fmt: skip
        assert main(["run", "http://127.0.0.1:1/", "-s", setting]) == 2
        said = capsys.readouterr()
        assert WORD not in said.out + said.err
