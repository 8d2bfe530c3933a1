"""crawler run, as a person uses it."""

from __future__ import annotations

import csv
import json
import signal
import sqlite3
import time

import pytest

from tests.e2e.conftest import BETWEEN, FAST, Shell, expected, statuses
from tests.e2e.test_kills import children
from tests.faults.processes import child_pids
from tests.site import Site, generated

pytestmark = pytest.mark.slow


@pytest.mark.quick
def test_a_site_is_crawled_completely_into_a_file_and_a_second_run_is_a_fresh_one(shell: Shell, site: Site) -> None:
    first = shell.run("run", site.url, *FAST, "-o", "pages.jsonl")

    assert first.returncode == 0, first.stderr
    rows = shell.rows("pages.jsonl")
    assert statuses(rows) == expected(site)
    assert len(rows) == len(expected(site))
    report = json.loads((shell.directory / "crawler-data" / "report.json").read_text())
    assert report["reason"] == "finished"
    assert report["pages"] == len(rows)

    second = shell.run("run", site.url, *FAST, "-o", "pages.jsonl")

    assert second.returncode == 0, second.stderr
    assert "fresh" in second.stderr
    assert len(shell.rows("pages.jsonl")) == len(rows)
    assert site.counts["/p/1.html"] == 2


GROWS_AT_ONCE = """
import sys
from crawler.run import shares
from crawler.run.processes import growth
from crawler.cli import main
growth.WINDOW, growth.BUSY, shares.cores = 0.2, 0.0, lambda: 2
sys.exit(main(sys.argv[1:]))
"""


def test_a_polite_crawl_that_has_too_much_to_do_gets_another_process_and_says_so(shell: Shell, site: Site) -> None:
    site.hold("/p/20.html")
    process = shell.start("run", site.url, "-s", "frontier.delay=0.001", "-o", "pages.jsonl", by=("-c", GROWS_AT_ONCE))
    assert process.stderr is not None
    said = list(iter(process.stderr.readline, "fetch and parse share 2 processes now: there was more to do than time\n"))
    started = child_pids(process.pid)
    site.release("/p/20.html")

    _, rest = process.communicate(timeout=40)

    assert process.returncode == 0, rest
    assert "fetch and parse share a process\n" in said
    assert len(started) == 4, "the hub, both, and store"
    assert statuses(shell.rows("pages.jsonl")) == expected(site)


def test_a_crawl_that_was_interrupted_is_resumed_and_the_file_is_complete(shell: Shell, site: Site) -> None:
    site.pages["/p/20.html"] = f'{site.pages["/p/20.html"]}<a href="/p/last.html">last</a>'  # known only once this one is read
    site.pages["/p/last.html"] = "<title>last</title>"
    site.hold("/p/20.html")
    process = shell.start("run", site.url, *FAST, "-o", "pages.jsonl")
    site.wait_for_request("/p/20.html")

    process.send_signal(signal.SIGINT)
    while "store" in children(process):  # it has nothing in hand, so it ends at once
        time.sleep(0.01)
    site.release("/p/20.html")
    _, said = process.communicate(timeout=40)
    assert process.returncode == 130, said
    again = shell.run("run", site.url, *FAST, "-o", "pages.jsonl")

    assert again.returncode == 0, again.stderr
    assert "resuming" in again.stderr
    assert statuses(shell.rows("pages.jsonl")) == expected(site)
    assert len(shell.rows("pages.jsonl")) == len(expected(site))


def test_csv_and_sqlite_hold_the_same_pages(shell: Shell, site: Site) -> None:
    assert shell.run("run", site.url, *FAST, "-o", "pages.csv").returncode == 0
    assert shell.run("run", site.url, *FAST, "-o", "pages.sqlite").returncode == 0

    with (shell.directory / "pages.csv").open(newline="", encoding="utf-8") as file:
        from_csv = {row["url"]: int(row["status"]) for row in csv.DictReader(file)}
    database = sqlite3.connect(shell.directory / "pages.sqlite")
    from_sqlite = dict(database.execute("SELECT url, status FROM records").fetchall())
    database.close()
    assert from_csv == from_sqlite == expected(site)


def test_records_can_be_printed(shell: Shell) -> None:
    with Site(generated(3)) as site:
        done = shell.run("run", site.url, *FAST, "-o", "-")

    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["status"] for line in done.stdout.splitlines()} == {200}


def test_overwriting_empties_the_file_first(shell: Shell) -> None:
    (shell.directory / "pages.jsonl").write_text('{"url": "http://old.invalid/"}\n')
    with Site(generated(3)) as site:
        done = shell.run("run", site.url, *FAST, "-O", "pages.jsonl")

    assert done.returncode == 0, done.stderr
    assert len(shell.rows("pages.jsonl")) == 3


def test_nothing_but_a_dead_seed_is_told_by_the_exit_code(shell: Shell) -> None:
    with Site({}) as site:
        gone = site.url

    done = shell.run("run", gone, *FAST, "-s", "hub.max_attempts=1", "-o", "pages.jsonl")

    assert done.returncode == 4, done.stderr
    assert "given up" in done.stderr
    listed = shell.run("dead", "list")  # no hub runs any more: the store itself is read
    assert listed.returncode == 0
    assert "Connection refused" in listed.stdout


def test_declared_fields_are_columns(shell: Shell) -> None:
    with Site({"/": '<title>t</title><b class="price">12,50 €</b>'}) as site:
        done = shell.run("run", site.url, *FAST, "-o", "p.jsonl", "-s", "stages.parse.fields.price={css='.price', type='float'}")

    assert done.returncode == 0, done.stderr
    assert shell.rows("p.jsonl")[0]["price"] == 12.5


def test_a_stage_of_ones_own_stands_between_parse_and_store_by_configuration_alone(shell: Shell) -> None:
    (shell.directory / "enrich.py").write_text(
        "from typing import Any\nfrom crawler import Stage\n\n"
        "class Enrich(Stage):\n"
        "    def process(self, record: dict[str, Any]) -> dict[str, Any]:\n"
        "        return {**record, 'length': len(record['title'] or '')}\n"
    )
    (shell.directory / "crawler.toml").write_text(BETWEEN)
    with Site({"/": "<title>four</title>"}) as site:
        done = shell.run("run", site.url, *FAST, "-o", "p.jsonl")

    assert done.returncode == 0, done.stderr
    assert [row["length"] for row in shell.rows("p.jsonl")] == [4]


ENRICH = """
import threading, time
from typing import Any
from crawler import Stage

{first}

class Enrich(Stage):
    def process(self, record: dict[str, Any]) -> dict[str, Any]:
        return {{**record, "length": len(record["title"] or "")}}
"""


@pytest.mark.parametrize(
    "first", ["threading.Thread(target=time.sleep, args=(60,), daemon=True).start()", "mine = open('enrich.log', 'a')"]
)
def test_a_module_that_begins_something_when_it_is_imported_does_so_in_each_process(shell: Shell, first: str) -> None:
    (shell.directory / "enrich.py").write_text(ENRICH.format(first=first))
    (shell.directory / "crawler.toml").write_text(BETWEEN)
    with Site({"/": "<title>four</title>"}) as site:
        done = shell.run("run", site.url, *FAST, "-o", "p.jsonl")

    assert done.returncode == 0, done.stderr
    assert [row["length"] for row in shell.rows("p.jsonl")] == [4]


def test_a_module_that_cannot_be_imported_is_told_of_before_anything_is_started(shell: Shell) -> None:
    (shell.directory / "enrich.py").write_text(ENRICH.format(first="1 / 0"))
    (shell.directory / "crawler.toml").write_text(BETWEEN)

    done = shell.run("run", "http://127.0.0.1:1/", "-o", "p.jsonl")

    assert done.returncode == 2
    assert done.stderr == "crawler: 'enrich:Enrich': importing enrich failed: ZeroDivisionError: division by zero at enrich.py:6\n"
    assert not (shell.directory / "crawler-data").exists()


def test_the_demo_checks_itself_whatever_is_configured_here_and_keeps_what_it_found(shell: Shell) -> None:
    (shell.directory / "crawler.toml").write_text("[stages.parse]\nuse = 'nowhere:Broken'\n")
    shell.environment |= {"CRAWLER_FRONTIER__MAX_PAGES": "1", "TMPDIR": str(shell.directory)}

    done = shell.run("demo")

    assert done.returncode == 0, done.stderr + done.stdout
    assert "all 65 pages" in done.stdout
    assert "does not use CRAWLER_FRONTIER__MAX_PAGES and ./crawler.toml; -c FILE" in done.stderr
    assert "one row fewer than fetched pages" in done.stdout
    assert "/drafts.html says noindex" in done.stdout
    [directory] = shell.directory.glob("crawler-demo-*")
    assert f"the rows are in {directory}/shop.jsonl; 'rm -r {directory}' removes them" in done.stdout
    assert {path.name for path in directory.iterdir()} == {"shop.jsonl"}
    assert len((directory / "shop.jsonl").read_text("utf-8").splitlines()) == 65


def test_the_demo_says_that_settings_made_it_smaller(shell: Shell) -> None:
    shell.environment["TMPDIR"] = str(shell.directory)

    done = shell.run("demo", "-s", "frontier.max_pages=3")

    assert done.returncode == 0, done.stderr + done.stdout
    assert "not crawled whole, because of the settings given (-s frontier.max_pages=3): 3 of 65 pages, 3 rows" in done.stdout
    assert "expected" not in done.stdout


def test_the_demo_uses_a_configuration_that_is_named(shell: Shell) -> None:
    (shell.directory / "mine.toml").write_text("[stages.parse]\nuse = 'nowhere:Broken'\n")
    shell.environment["TMPDIR"] = str(shell.directory)

    done = shell.run("demo", "-c", "mine.toml")

    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert list(shell.directory.glob("crawler-demo-*")) == []
