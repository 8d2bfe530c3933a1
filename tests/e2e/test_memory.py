"""A crawl remembers what it is: what a person types between an interruption and the end, and what they are told."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.place import store_path
from crawler.cli import main
from crawler.items import New
from crawler.pipeline.build import build
from crawler.wording.counting import counted
from tests.e2e.conftest import BETWEEN, FAST, Shell
from tests.e2e.test_kills import children
from tests.site import Site, generated

pytestmark = pytest.mark.slow

PAGES = 30
ENRICH = """
from typing import Any
from crawler import Stage

class Enrich(Stage):
    def process(self, record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "is_enriched": True}
"""


@pytest.fixture(scope="module")
def web() -> Iterator[Site]:
    pages = generated(PAGES - 1, seed=7)
    pages["/p/20.html"] = f'{pages["/p/20.html"]}<a href="/late.html">found when the crawl is stopping</a>'
    with Site(pages | {"/late.html": "<title>late</title>"}) as site:
        yield site


@pytest.fixture(scope="module")
def interrupted(web: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a crawl that was interrupted in the middle by Ctrl-C."""
    shell = Shell(tmp_path_factory.mktemp("interrupted"))
    web.hold("/p/20.html")
    process = shell.start("run", web.url, *FAST, "-o", "a.jsonl")
    try:
        web.wait_for_request("/p/20.html")
        while not (shell.directory / "a.jsonl").exists() or not lines(shell.directory / "a.jsonl"):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        while "store" in children(process):  # it has nothing in hand, so it ends at once
            time.sleep(0.01)
    finally:
        web.release("/p/20.html")
    _, said = process.communicate(timeout=40)
    assert process.returncode == 130, said
    assert f"{rows(shell.directory / 'a.jsonl')}\n" in said
    assert "'crawler run' goes on" in said
    assert 0 < lines(shell.directory / "a.jsonl") < PAGES
    return shell.directory


@pytest.fixture
def here(interrupted: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(interrupted, shell.directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("hub.sock"))
    monkeypatch.chdir(shell.directory)
    return shell.directory


def lines(file: Path) -> int:
    return len(file.read_bytes().splitlines())


def rows(file: Path) -> str:
    """Return the reason in the words of the summary."""
    return f"{counted(lines(file), 'row')} in {file.name}"


def report(directory: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((directory / "crawler-data" / "report.json").read_text())
    return found


def test_without_arguments_it_goes_on_as_it_was(here: Path, shell: Shell, web: Site) -> None:
    done = shell.run("run")

    assert done.returncode == 0, done.stderr
    assert f"{PAGES} rows in a.jsonl\n" in done.stderr
    assert {row["url"] for row in shell.rows("a.jsonl")} == {web.link(path) for path in web.pages}
    assert lines(here / "a.jsonl") == PAGES
    assert report(here)["outputs"] == {"a.jsonl": PAGES}

    finished = shell.run("run")
    assert finished.returncode == 2
    assert f"the crawl in crawler-data is finished: {PAGES} rows in a.jsonl" in finished.stderr
    again = shell.run("run", "--fresh", "--max-pages", "5")
    assert again.returncode == 0, again.stderr
    assert "5 rows in a.jsonl (30 in all)" in again.stderr


def test_rows_of_a_file_that_was_removed_are_told_of_and_not_counted(here: Path, shell: Shell) -> None:
    before = lines(here / "a.jsonl")
    (here / "a.jsonl").unlink()

    done = shell.run("run", "-O", "a.jsonl")

    assert done.returncode == 0, done.stderr
    assert f"warning: a.jsonl had {counted(before, 'row')} and is gone; " in done.stderr
    assert "a.jsonl is not emptied: a resumed crawl keeps its rows" in done.stderr
    assert 0 < lines(here / "a.jsonl") < PAGES
    assert f"{rows(here / 'a.jsonl')}\n" in done.stderr
    assert report(here)["outputs"] == {"a.jsonl": lines(here / "a.jsonl")}


def test_rows_that_were_taken_out_of_a_file_are_told_of_and_not_counted(here: Path, shell: Shell) -> None:
    kept = (here / "a.jsonl").read_bytes().splitlines(keepends=True)
    (here / "a.jsonl").write_bytes(b"".join(kept[:-1]))

    done = shell.run("run")

    assert done.returncode == 0, done.stderr
    assert f"a.jsonl had {len(kept)} rows and has {len(kept) - 1}; " in done.stderr
    assert f"{rows(here / 'a.jsonl')}\n" in done.stderr


def test_what_is_asked_about_it_is_answered_with_what_it_was_given(
    here: Path, web: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    url = web.link("/new")
    assert main(["put", "urls", url]) == main(["status"]) == 0
    status = " ".join(capsys.readouterr().out.split())

    assert "interrupted; 'crawler run' goes on" in status
    assert " 0 s " in status, "its --delay, not the default"
    assert not [word for word in ("frontier.delay", "1 s", "about", "running for") if word in status], status
    assert main(["why", url]) == 0
    assert "interrupted; 'crawler run' goes on" in capsys.readouterr().out


def test_another_crawl_is_refused_before_anything_is_started_or_changed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (here / "crawler-data" / "hub.sqlite3").read_bytes()

    assert main(["run", "http://127.0.0.1:1/", "-o", "b.jsonl"]) == 2

    said = capsys.readouterr().err
    assert 'stages.store.output was "a.jsonl" (-o), is now "b.jsonl" (-o)' in said
    assert "seeds: http://127.0.0.1:1/ is not one of them (it began from http://127.0.0.1:" in said
    assert "with the change:   crawler run http://127.0.0.1:1/ -o b.jsonl --change" in said
    assert (here / "crawler-data" / "hub.sqlite3").read_bytes() == before
    assert not (here / "b.jsonl").exists()


def test_a_change_is_made_when_it_is_asked_for_and_rows_are_told_by_file(
    here: Path, shell: Shell, web: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    first = lines(here / "a.jsonl")
    with Site({"/": "<title>of another site</title>"}) as other:
        done = shell.run("run", other.url, "-o", "b.jsonl", "--change")
        seed = other.url

    assert done.returncode == 0, done.stderr
    assert f"so far: {rows(here / 'a.jsonl')}; further rows go to b.jsonl" in done.stderr
    assert lines(here / "a.jsonl") == first
    assert report(here)["outputs"] == {"a.jsonl": first, "b.jsonl": lines(here / "b.jsonl")}
    assert first + lines(here / "b.jsonl") == PAGES + 1
    assert seed in {row["url"] for row in shell.rows("b.jsonl")}

    assert main(["why", web.url]) == main(["why", seed]) == 0
    told = capsys.readouterr().out
    assert "its record: a.jsonl, line 1\n" in told
    assert "its record: b.jsonl, line " in told
    assert main(["status"]) == 0
    status = capsys.readouterr().out
    assert f"crawl from {web.url}, {seed}\n{rows(here / 'a.jsonl')}, {rows(here / 'b.jsonl')}\n" in status


def test_by_hand_it_goes_on_into_its_output_and_stages_may_be_started_before_their_hub(here: Path, shell: Shell) -> None:
    (here / "crawler-data" / "hub.address").unlink(missing_ok=True)
    before = lines(here / "a.jsonl")
    address = f"unix:{here}/hub.sock"
    store = shell.start("stage", "store", "--until-drained", "--hub", address)
    assert store.stderr is not None
    assert f"no hub answers at {address}; waiting for one, 60 s at most" in store.stderr.readline()

    hub = shell.start("hub", "--address", address)
    assert hub.stderr is not None
    assert "  crawler stage store -o a.jsonl\n" in [hub.stderr.readline() for _ in range(7)]
    both = shell.start("stage", "fetch+parse", "--until-drained", "--hub", address, *FAST)

    assert both.wait(60) == 0
    said = store.communicate(timeout=60)[1]
    assert "store: writing to a.jsonl, as the crawl does" in said
    assert lines(here / "a.jsonl") > before
    assert not (here / "records.jsonl").exists()


def test_a_seed_that_a_limit_keeps_out_is_told(here: Path, shell: Shell) -> None:
    with Site({"/": "<title>of another site</title>"}) as other:
        done = shell.run("run", other.url, "--max-pages", "3", "--change")
        seed = other.url

    told = f"1 seed was not taken, because frontier.max_pages = 3 is reached: {seed}"
    assert f"warning: {told}; raise the limit to have it crawled\n" in done.stderr
    assert report(here)["not_taken"] == [told]
    assert other.log == []


def strand(directory: Path, n: int) -> None:
    """Tasks as a stage that is there now would read them."""
    from crawler.config.load import load

    (directory / "crawler.toml").write_text(BETWEEN)
    (directory / "enrich.py").write_text(ENRICH)
    queues = list(build(load(directory / "crawler.toml", [], {})).queues.values())
    broker = SqliteBroker(str(store_path(directory / "crawler-data")), queues)
    item = b"\x82\xa3url\xa6http:/\xa1n%c"
    broker.put([New("parsed", item % number) for number in range(n)])
    broker.close()


def test_tasks_of_a_stage_that_was_removed_are_told_and_no_success(
    here: Path, shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    strand(here, 3)
    (here / "crawler.toml").unlink()

    done = shell.run("run")

    told = (
        "3 tasks on queue parsed, which no stage reads: add the stage again and go on with 'crawler run --change', "
        "or drop them with 'crawler take parsed -n 3'"
    )
    assert done.returncode == 3, done.stderr
    assert f"warning: {told}\n" in done.stderr
    assert f"left over: {told}\n" in done.stderr
    assert report(here)["stranded"] == {"parsed": 3}
    assert main(["status"]) == 0
    assert told in capsys.readouterr().out

    (here / "crawler.toml").write_text(BETWEEN)
    added = shell.run("run", "--change")
    assert added.returncode == 0, added.stderr
    assert f"{PAGES + 3} rows in a.jsonl" in added.stderr
    assert sum(row.get("is_enriched", False) for row in shell.rows("a.jsonl")) == 3


def test_left_over_tasks_can_be_taken(here: Path, shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    strand(here, 2)
    (here / "crawler.toml").unlink()

    assert main(["take", "parsed", "-n", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert shell.run("run").returncode == 0


def test_a_crawl_whose_rows_nobody_reads_any_more_stops_in_order(shell: Shell) -> None:
    with Site(generated(300)) as site:
        process = shell.start("run", site.url, *FAST, "-o", "-")
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        process.wait(40)
        refused = shell.run("run", "-o", "x.jsonl")
        again = shell.run("run")

    assert json.loads(first)["status"] == 200
    assert process.returncode == 141, said
    assert "see to the disk" not in said
    assert "the program that read standard output has ended, so the crawl was stopped: 'crawler run' goes on and prints" in said
    assert refused.returncode == 2
    assert 'stages.store.output was "-" (-o), is now "x.jsonl" (-o)' in refused.stderr
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("\n") > 200


@pytest.mark.parametrize("command", [["settings"], ["settings", "--json"], ["check"], ["--help"], ["run", "--help"]])
def test_a_command_whose_output_nobody_reads_ends_quietly(shell: Shell, command: list[str]) -> None:
    process = shell.start(*command)
    assert process.stdout is not None
    process.stdout.close()
    _, said = process.communicate(timeout=40)

    assert (process.returncode, said) == (141, "")
