"""A crawl that got no page from its seeds says why, and its exit code is 4."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from crawler.cli import main
from tests.site import Content, Response, Site

pytestmark = pytest.mark.slow

ELSEWHERE = Response(302, {"Location": "http://other.invalid/"})
WALL = Response(302, {"Location": "/", "Set-Cookie": "seen=1; Path=/"})
NOT_READ = Response(200, {"Content-Type": "image/png"}, b"\x89PNG\r\n\x1a\n")
PAGE = "<title>tea</title><p>A cup of tea."
LIST = "<urlset><url><loc>http://other.invalid/</loc></url></urlset>"
FORBIDDEN = "User-agent: *\nDisallow: /"

# pages by path (a seed is "/", and "/2" where there is one), what is said
NOTHING: dict[str, tuple[Mapping[str, Content], str]] = {
    "forbidden": ({"/": PAGE, "/robots.txt": FORBIDDEN}, "robots.txt forbids the only URL"),
    "missing": ({"/": Response(404)}, "the only page answers 404: look at the address"),
    "gone": ({"/": Response(410, body=b"<h1>gone</h1>")}, "1 × status 410"),
    "wants a password": ({"/": Response(401)}, "the only page answers 401: it wants a password"),
    "not for us": ({"/": Response(403, body=b"no")}, "the only page answers 403: the server refuses"),
    "two that are missing": ({"/": Response(404), "/2": Response(410)}, "no page was got: 1 × status 404, 1 × status 410"),
    "not implemented": ({"/": Response(501)}, "1 × status 501"),
    "a redirect loop": ({"/": Response(302, {"Location": "/"})}, "no page was got: 1 redirect (1 redirect loop)"),
    "a redirect to what is missing": ({"/": Response(301, {"Location": "/x"})}, "the only page answers 404: look at the address"),
    "not read": ({"/": NOT_READ}, "the only page is of a type that is not read; see stages.fetch.content_types"),
    "empty": ({"/": ""}, "the only page is empty"),
    "no content": ({"/": Response(204)}, "no page was got: 1 empty\n"),
    "noindex": ({"/": f"<meta name=robots content=noindex>{PAGE}"}, "no page was got: 1 with noindex"),
    "noindex by header": ({"/": Response(200, {"X-Robots-Tag": "none"}, PAGE.encode())}, "no page was got: 1 with noindex"),
    "a sitemap of other hosts": ({"/": LIST}, "no page was got: 1 a list of URLs"),
    "a sitemap of nothing": ({"/": "<urlset></urlset>"}, "sitemaps that gave nothing: 1 no URL in its <urlset>"),
    "one of each": ({"/": "", "/2": Response(404)}, "no page was got: 1 × status 404, 1 empty"),
}

SOMETHING: dict[str, Mapping[str, Content]] = {
    "a page": {"/": PAGE},
    "a page and one that is missing": {"/": PAGE, "/2": Response(404)},
    "a page behind a redirect": {"/": Response(301, {"Location": "/x"}), "/x": PAGE},
    "a page behind noindex": {"/": '<meta name=robots content=noindex><a href="/x">x</a>', "/x": PAGE},
    "plain text": {"/": Response(200, {"Content-Type": "text/plain"}, b"tea")},
    "an error page and a page": {"/": Response(410, body=b"gone"), "/2": PAGE},
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def crawl(pages: Mapping[str, Content], *options: str) -> int:
    with Site(pages) as site:
        seeds = [site.link(path) for path in ("/", "/2") if path in pages]
        return main(["run", "--debug", *seeds, "-s", "frontier.delay=0", *options])


@pytest.mark.parametrize("name", NOTHING)
def test_no_page_from_the_seeds_is_exit_code_4_with_the_reason(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pages, reason = NOTHING[name]

    assert crawl(pages) == 4

    assert reason in capsys.readouterr().err
    assert json.loads(Path("crawler-data/report.json").read_text())["got_nothing"] is True


@pytest.mark.parametrize("name", SOMETHING)
def test_one_page_is_enough(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert crawl(SOMETHING[name]) == 0

    assert "no page was got" not in capsys.readouterr().err


@pytest.mark.parametrize(("name", "reason"), [
    ("forbidden", "1 forbidden by robots.txt"), ("missing", "1 × status 404"), ("noindex", "1 with noindex"), ("empty", "1 empty"),
])  # fmt: skip
def test_a_quiet_crawl_says_in_one_line_why_it_got_no_page(name: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert crawl(NOTHING[name][0], "-q") == 4

    assert capsys.readouterr().err == f"crawler: no page was got: {reason}\n"


def test_a_quiet_crawl_names_what_was_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--debug", "-q", "http://nosuch.invalid/", "-s", "hub.max_attempts=1"]) == 4

    assert "crawler: no page was got: 1 given up (name not found: http://nosuch.invalid/)\n" in capsys.readouterr().err


def test_a_robots_txt_that_fails_is_not_said_to_be_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert crawl({"/": PAGE, "/robots.txt": Response(500)}, "-s", "hub.max_attempts=1") == 4

    assert "given up: 1 URL: robots.txt: status 500 (1): http://" in capsys.readouterr().err


@pytest.mark.parametrize(("path", "pages"), [
    ("/", {"/": WALL}), ("/gate", {"/": Response(302, {"Location": "/gate"}), "/gate": WALL}),
])  # fmt: skip
def test_a_loop_that_cookies_may_end_names_the_setting(
    path: str, pages: Mapping[str, Content], caplog: pytest.LogCaptureFixture
) -> None:
    why = "redirects in a loop, and it sets a cookie: stages.fetch.cookies = true sends cookies back"
    assert crawl(pages) == 4
    assert f"{path}: {why}" in caplog.text

    caplog.clear()
    crawl(pages, "-s", "stages.fetch.cookies=true", "--fresh")
    assert why not in caplog.text


def test_a_page_with_noindex_is_no_mistake_of_the_parse_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert crawl(NOTHING["noindex"][0]) == 4

    assert "does it return or yield them" not in capsys.readouterr().err


def test_a_login_that_a_redirect_led_to_is_no_page_that_lacks_links_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert crawl({"/": Response(302, {"Location": "/login"}), "/login": PAGE}) == 0

    assert "no links to follow (JavaScript is not run); a redirect led to it, perhaps to a login" in capsys.readouterr().err


@pytest.mark.parametrize(("selector", "is_named"), [
    (".nope", True), ("//p[@class=price]", True), ("//title/text", True), ("//title/text()", False), ("p", False),
])  # fmt: skip
def test_a_field_that_matched_nowhere_is_in_the_summary(selector: str, is_named: bool, capsys: pytest.CaptureFixture[str]) -> None:
    pages = {"/": '<title>tea</title><p class=price>1</p><a href="/a">a</a>', "/a": PAGE}

    assert crawl(pages, "-s", f'stages.parse.fields.price="{selector}"') == 0

    assert ("price: matched on no page; 'crawler shell URL'" in capsys.readouterr().err) == is_named
    assert json.loads(Path("crawler-data/report.json").read_text())["fields_unmatched"] == ["price"] * is_named


def test_a_redirect_out_of_scope_is_no_page(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["-s", "frontier.deny=['other']"]

    assert crawl({"/": ELSEWHERE}, *options) == 4

    assert "no page was got: 1 redirect (1 denied by pattern)" in capsys.readouterr().err


def test_what_was_not_read_is_in_record_report_and_summary(capsys: pytest.CaptureFixture[str]) -> None:
    pages = {"/": f'{PAGE}<a href="/a">a</a><a href="/b">b</a>', "/a": NOT_READ, "/b": NOT_READ}

    assert crawl(pages, "-o", "pages.jsonl") == 0

    rows = [json.loads(line) for line in Path("pages.jsonl").read_text().splitlines()]
    assert [row["problem"] for row in rows] == [None, "body not read: type image/png", "body not read: type image/png"]
    assert json.loads(Path("crawler-data/report.json").read_text())["unread"] == {"type image/png": 2}
    assert "bodies not read: 2 of type image/png; see stages.fetch.content_types\n" in capsys.readouterr().err


def test_a_crawl_in_this_process_leaves_the_log_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger("crawler.worker").level

    assert crawl({"/": PAGE}) == 0

    assert logging.getLogger("crawler.worker").level == before
