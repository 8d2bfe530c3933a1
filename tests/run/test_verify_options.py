"""Outputs, fields and options of fetch that cannot work: refused by `check` and `run` in the same words, and nothing is touched."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.cli import main
from crawler_stages.sinks import open_sink
from crawler_stages.sinks.contract import SinkOptions
from tests.disks import mounted


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "others.csv").write_text("name,price\nhat,3\n")
    (tmp_path / "broken.csv").write_text('url,_extra\n1,"x"y\n')
    (tmp_path / "diary.jsonl").write_text("Dear diary\n")
    (tmp_path / "mixed.jsonl").write_text('{"a": 1}\n\nDear diary\n{"a": 2}\n')
    (tmp_path / "none.db").write_text("this is no database, whatever its name says\n")
    with sqlite3.connect(tmp_path / "others.db") as database:
        database.execute("CREATE TABLE records (name TEXT)")
    database.close()
    return tmp_path


@pytest.fixture
def locked(here: Path) -> Iterator[Path]:
    """A directory in which nobody can make a file, root neither."""
    place = here / "locked"
    if os.geteuid() != 0:
        place.mkdir(mode=0o500)
        yield place
        return
    with mounted(place, 1):
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        yield place


def contents(here: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(here)): path.read_bytes() if path.is_file() else None for path in here.rglob("*")}


def refusals(here: Path, capsys: pytest.CaptureFixture[str], *sets: str) -> list[str]:
    before = contents(here)
    told = []
    options = [option for one in sets for option in ("-s", one)]
    for command in (["check"], ["run", "http://127.0.0.1:1/"]):
        assert main([*command, *options]) == 2, command
        told.append(capsys.readouterr().err)
    assert told[0] == told[1]
    assert contents(here) == before
    first, *others = told[0].removeprefix("crawler: ").splitlines()
    return [line.strip() for line in others] if others else [first]


OUTPUTS = [
    (
        "absent/p.jsonl",
        "cannot write to absent/p.jsonl: there is no directory absent; create it, or give another output",
    ),
    ("absent/p.db", "cannot write to absent/p.db: there is no directory absent; create it, or give another output"),
    ("file/p.csv", "cannot write to file/p.csv: file is not a directory; create it, or give another output"),
    (
        "folder.jsonl",
        "cannot write to folder.jsonl: it is a directory; name a file in it, such as folder.jsonl/pages.jsonl",
    ),
    (".", "cannot write to .: it is a directory; name a file in it, such as pages.jsonl"),
    ("p.json", "p.json: one JSON document cannot be added to; use JSON Lines, p.jsonl"),
    (
        "p.parquet",
        "p.parquet: what format is .parquet? use one of .jsonl, .ndjson, .csv, .sqlite, .sqlite3, .db, or set stages.store.format",
    ),
    (
        "s3://bucket/x.jsonl",
        "s3://bucket/x.jsonl: rows go to files on this machine; s3:// is not supported; name a file, such as x.jsonl, and copy it "
        "when the crawl is over",
    ),
    (
        "others.csv",
        "others.csv has the columns name, price and no _extra, so no crawl began it; give another output, "
        'or set stages.store.columns = ["name", "price"] if the records have fields of these names '
        '(without url, pages with the same values become one row)',
    ),
    (
        "broken.csv",
        "broken.csv, line 2: not CSV (',' expected after '\"'); repair or remove that line, or give another output",
    ),
    (
        "diary.jsonl",
        "diary.jsonl, line 1: not JSON (JSON is malformed: invalid character (byte 0)); repair or remove that line, "
        "or give another output",
    ),
    (
        "mixed.jsonl",
        "mixed.jsonl, line 3: not JSON (JSON is malformed: invalid character (byte 0)); repair or remove that line, "
        "or give another output",
    ),
    ("none.db", "cannot write to none.db: it is not an SQLite database; give another output"),
    (
        "others.db",
        "others.db: the table records is not a crawler's, it has no column _key; name another in stages.store.table, "
        "or give another output",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("output", "words"), OUTPUTS)
def test_an_output_that_cannot_be_used(here: Path, capsys: pytest.CaptureFixture[str], output: str, words: str) -> None:
    assert refusals(here, capsys, f"stages.store.output={output}") == [words]


def test_an_output_is_refused_by_its_option_as_well(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("-o", "-O"):
        assert main(["run", "http://127.0.0.1:1/", option, "folder.jsonl"]) == 2
        assert main(["stage", "store", option, "folder.jsonl"]) == 2

    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert len(set(lines)) == 1
    assert not (here / "crawler-data").exists()


def test_another_machine_than_that_of_the_store_need_not_have_its_directory(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.cli.worker.HUB_PATIENCE", 0.0)
    assert main(["stage", "parse", "-s", "stages.store.output=absent/p.jsonl", "--hub", "unix:nowhere.sock"]) != 0

    assert "absent" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "sets",
    [
        ["stages.store.output=-"],
        ["stages.store.output=new.jsonl"],
        ["stages.store.output=pipe"],
        ["stages.store.output=others.csv", 'stages.store.columns=["name", "price"]'],
        ["stages.store.output=others.csv", "stages.store.mode=overwrite"],
        ["stages.store.output=diary.jsonl", "stages.store.mode=overwrite"],
        ["stages.store.output=others.db", "stages.store.table=pages"],
        ["stages.store.output=ours.csv"],
        ["stages.store.output=ours.jsonl"],
        ["stages.store.output=ours.sqlite"],
        ["stages.store.output=new.parquet", "stages.store.format=jsonl"],
    ],
)
def test_an_output_that_can_be_used(here: Path, sets: list[str]) -> None:
    os.mkfifo(here / "pipe")
    for name in ("ours.csv", "ours.jsonl", "ours.sqlite"):
        sink = open_sink(SinkOptions(output=name))
        sink.write([{"url": "http://a/", "title": "x"}])
        sink.close()
    before = contents(here)

    assert main(["check", *[option for one in sets for option in ("-s", one)]]) == 0

    assert contents(here) == before


def test_what_may_not_be_written_to(locked: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusals(here, capsys, f"stages.store.output={locked.name}/p.jsonl") == [
        f"cannot write to {locked.name}/p.jsonl: no file can be made in {locked.name}; give another output, or change its "
        "permissions"
    ]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc, where nobody can make a file")
def test_a_directory_that_takes_no_files_is_told_whoever_asks(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (words,) = refusals(here, capsys, "stages.store.output=/proc/p.jsonl")

    assert words.startswith("cannot write to /proc/p.jsonl: no file can be made in /proc;")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (
            "stages.parse.fields.price=h1::txt",
            "-s: stages.parse.fields.price: cannot use the selector 'h1::txt': ::txt is not known; a selector may end with ::text, "
            "::html and ::attr(NAME); did you mean ::text?",
        ),
        ("stages.parse.fields.url=h1", "-s: stages.parse.fields.url: every record has a 'url' already; choose another name"),
        ('stages.parse.fields.price={css="a", xpath="//a"}', "-s: stages.parse.fields.price: give css or xpath, not both"),
        (
            "stages.fetch.proxy=socks5://127.0.0.1:1080",
            "-s: stages.fetch.proxy: the proxy for http is no URL of an HTTP proxy; write http://HOST:PORT, such as "
            "http://127.0.0.1:3128 (SOCKS, and TLS to the proxy itself, are not supported)",
        ),
        ("stages.fetch.verify=absent.pem", "-s: stages.fetch.verify: 'absent.pem' cannot be read: No such file or directory; "
         "write true, false, or a file of authorities"),
        (
            'stages.fetch.headers={Authorization="Bearer secret"}',
            "-s: stages.fetch.headers: Authorization would go to every site that is crawled; set stages.fetch.auth instead",
        ),
        (
            'stages.fetch.headers={X-It="a\\nb"}',
            "-s: stages.fetch.headers: the value of X-It has a line break or a character that cannot be sent; use plain letters",
        ),
        ('stages.fetch.headers={"X It"="a"}', "-s: stages.fetch.headers: 'X It' cannot name a header; use letters, digits and -"),
        (
            'stages.fetch.user_agent="me → you"',
            "-s: stages.fetch.user_agent: the value of User-Agent has a line break or a character that cannot be sent; use plain "
            "letters",
        ),
        (
            'stages.fetch.auth={"example.org"="secret"}',
            "-s: stages.fetch.auth: the value for example.org is neither user:password nor a scheme and a token ('Bearer …')",
        ),
        (
            'stages.fetch.allow_private=["127.0.0.1:8080", "http://127.0.0.1/"]',
            "-s: stages.fetch.allow_private: 'http://127.0.0.1/' is not a host; write it as in URLs, without scheme and path",
        ),
        ("data=file", "the data directory file is a file; choose another with --data, or move the file away"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_work(here: Path, capsys: pytest.CaptureFixture[str], setting: str, words: str) -> None:
    assert refusals(here, capsys, setting) == [words]


def test_all_mistakes_are_told_at_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = refusals(
        here, capsys, "stages.parse.fields.a=p[", "stages.parse.fields.b=h1:text", "stages.fetch.proxy=x", "frontier.deny=['(']",
        "stages.store.output=absent/p.csv",
    )  # fmt: skip

    assert len(told) == 5
