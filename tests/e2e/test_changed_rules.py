"""Rules that are changed between an interruption and the end of a crawl hold for what is queued."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.cli import main
from tests.e2e.conftest import Shell
from tests.site import Site

pytestmark = pytest.mark.slow

GOOD, JUNK = [f"/p{n}" for n in range(5)], [f"/junk{n}" for n in range(5)]


@pytest.fixture(scope="module")
def web() -> Iterator[Site]:
    links = "".join(f'<a href="{path}">x</a>' for path in (*GOOD, *JUNK))
    pages = {"/": links, **dict.fromkeys((*GOOD, *JUNK), "x"), "/secret": "x"}
    pages["/p4"] = '<a href="/deep">x</a><a href="/secret">x</a>'
    pages["/robots.txt"] = "User-agent: *\nDisallow: /secret\n"
    pages["/deep"] = "x"
    with Site(pages) as site:
        yield site


@pytest.fixture(scope="module")
def interrupted(web: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a crawl that was interrupted while it fetched its second page, with nine others queued."""
    shell = Shell(tmp_path_factory.mktemp("interrupted"))
    web.hold("/p0")
    process = shell.start("run", web.url, "--delay", "0", "-o", "a.jsonl")
    web.wait_for_request("/p0")
    process.send_signal(signal.SIGINT)
    try:
        said = process.communicate(timeout=60)[1]
    finally:
        web.release("/p0")
    assert process.returncode == 130, said
    return shell.directory


@pytest.mark.parametrize(("options", "fetched", "told"), [
    (["--deny", "junk"], [*GOOD, "/deep"], "5 queued URLs do not fit the changed rules and are set aside: 5 denied by pattern"),
    (["--allow", "/$|/p[0-2]"], GOOD[:3], "7 queued URLs do not fit the changed rules and are set aside: 7 not allowed by pattern"),
    (["--max-pages", "4"], GOOD[:3], "7 queued URLs do not fit the changed rules and are set aside: 7 over the limit"),
    (["-s", "frontier.max_pages_per_host=3"], GOOD[:2], "8 queued URLs do not fit"),
    (["--deny", "p[0-3]", "--max-pages", "4", "--depth", "1"], ["/p4", *JUNK[:2]], "3 over the limit"),
    (["--depth", "1"], [*GOOD, *JUNK], ""),
    (["--deny", "."], [], "10 queued URLs do not fit"),
])  # fmt: skip
def test_a_change_holds_for_queued_urls(
    shell: Shell, interrupted: Path, web: Site, options: list[str], fetched: list[str], told: str
) -> None:
    shutil.copytree(interrupted, shell.directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("hub.sock"))
    before = len(web.log)

    done = shell.run("run", *options, "--change")

    assert done.returncode == 0, done.stderr
    assert sorted(hit.path for hit in web.log[before:] if hit.path != "/robots.txt") == sorted(fetched)
    assert told in done.stderr
    report = json.loads((shell.directory / "crawler-data" / "report.json").read_text())
    aside = sum(report["set_aside"].values())
    assert aside == (int(told.split()[0]) if told.split()[1:2] == ["queued"] else aside)
    assert (f"set aside, because the rules were changed: {aside} URLs" in done.stderr) == (aside > 0)


def test_what_was_set_aside_comes_back_also_after_the_end_of_the_crawl(shell: Shell, interrupted: Path, web: Site) -> None:
    shutil.copytree(interrupted, shell.directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("hub.sock"))
    assert shell.run("run", "--max-pages", "3", "--change").returncode == 0
    assert len(shell.rows("a.jsonl")) == 3
    before = len(web.log)
    finished = shell.run("run")
    assert "8 URLs set aside by changed rules: --change with wider ones queues them again" in finished.stderr

    nothing = shell.run("run", "--deny", "xyz", "--max-pages", "3", "--change")
    more = shell.run("run", "--max-pages", "6", "-s", "frontier.deny=[]", "--change")

    assert (nothing.returncode, more.returncode) == (0, 0), nothing.stderr + more.stderr
    assert "3 URLs that earlier rules had set aside are queued again" in more.stderr
    assert [hit.path for hit in web.log[before:] if hit.path != "/robots.txt"] == ["/p2", "/p3", "/p4"]
    assert len(shell.rows("a.jsonl")) == 6


def test_what_was_set_aside_is_told_by_why_and_comes_back(
    shell: Shell, interrupted: Path, web: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(interrupted, shell.directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("hub.sock"))
    monkeypatch.chdir(shell.directory)
    web.hold("/p1")
    process = shell.start("run", "--deny", "junk", "--change")
    web.wait_for_request("/p1", 1 + sum(hit.path == "/p1" and hit.end > 0 for hit in web.log))
    process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=60)
    finally:
        web.release("/p1")

    assert main(["why", web.link("/junk3")]) == 0
    told = capsys.readouterr().out
    assert "because the rules of the crawl were changed: denied by pattern; see frontier.deny" in told

    before = len(web.log)
    done = shell.run("run", "-s", "frontier.deny=[]", "-s", "stages.fetch.robots=false", "--change")
    assert done.returncode == 0, done.stderr
    assert "5 URLs that earlier rules had set aside are queued again" in done.stderr
    assert {hit.path for hit in web.log[before:]} >= {*JUNK, "/secret", "/deep"}
