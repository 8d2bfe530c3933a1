"""What each form does alone: JSON Lines, CSV, SQLite, streams."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from crawler import GiveUp, StorageError, UsageError
from crawler.web.fields import OF_OUTPUTS
from crawler_stages.sinks import SinkOptions, Written, open_sink
from crawler_stages.sinks import csv as csv_sink
from crawler_stages.sinks import sqlite as sqlite_sink
from crawler_stages.sinks.check import check
from tests.stages.outputs import Output, page


@pytest.fixture
def jsonl(tmp_path: Path) -> Output:
    return Output(tmp_path / "out.jsonl")


@pytest.fixture
def table(tmp_path: Path) -> Output:
    return Output(tmp_path / "out.csv")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(tmp_path / "out.sqlite")
    yield db
    db.close()


# -- names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "words"), [
    ("a\nb.jsonl", "'a\\nb.jsonl' has a line break or another control character in its name; name a file without one"),
    ("a\tb.csv", "'a\\tb.csv' has a line break or another control character"),
    ("\x7f.sqlite", "has a line break or another control character"),
    ("a.jsonl ", "'a.jsonl ' ends with a blank; write 'a.jsonl'"),
    ("a.csv\u00a0", "ends with a blank; write 'a.csv'"),
    ("x" * 300 + ".jsonl", "File name too long; give another output"),
    ("x/" * 3000 + "a.jsonl", "File name too long; give another output"),
])  # fmt: skip
def test_a_name_that_no_file_can_or_should_have_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError) as error:
        check(SinkOptions(output=name))

    assert words in str(error.value)


@pytest.mark.parametrize(("output", "words"), [
    ("", 'is empty; name a file, or "-" for standard output'),
    ("/dev/stdout", '/dev/stdout: standard output is "-" here, as in -o -'),
    ("/dev/fd/1", 'standard output is "-" here'),
    ("/proc/self/fd/1", 'standard output is "-" here'),
    ("/dev/stderr", "it is standard error, where the messages go; name a file, or - for standard output"),
    ("/dev/fd/2", "it is standard error, where the messages go"),
    ("/dev/stdin", "it is standard input; name a file, or - for standard output"),
    ("/dev/fd/63", "another process, which does not have this descriptor; write to standard output: -o - | PROGRAM"),
    ("/dev/zero", "it is a device that keeps nothing; name a file, - for standard output, or /dev/null for no output"),
    ("/dev/../dev/urandom", "it is a device that keeps nothing"),
    ("socket", "it is a socket; name a file"),
    ("here", "it is a directory; name a file in it, such as here/pages.jsonl"),
    ("here/", "it is a directory; name a file in it, such as here/pages.jsonl"),
    (".", "it is a directory; name a file in it, such as pages.jsonl"),
    ("gone/", "it ends like a directory; name a file, such as gone.jsonl"),
    ("a.jsonl/", "it ends like a directory; name a file, such as a.jsonl"),
    ("gone/a.jsonl", "there is no directory gone; create it, or give another output"),
    ("led.jsonl", "cannot write to led.jsonl: it leads to {here}/gone/x, and there is no directory {here}/gone; create it"),
    ("a.jsonl,b.csv", "a.jsonl,b.csv: one output for now, several are not supported"),
    ("/dev/nosuch", "what format is a name without suffix?"),
])  # fmt: skip
def test_an_output_that_cannot_take_rows_is_refused_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, words: str
):
    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    Path("led.jsonl").symlink_to("gone/x")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind("socket")

    with pytest.raises(UsageError) as error:
        check(SinkOptions(output=output))

    assert words.replace("{here}", str(tmp_path.resolve())) in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "led.jsonl", "socket"]


@pytest.mark.parametrize("output", ["-", "/dev/null", "fifo"])
def test_a_stream_is_an_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")

    check(SinkOptions(output=output))


def test_a_terminal_that_is_not_there_is_no_pipe_to_be_waited_for(monkeypatch: pytest.MonkeyPatch):
    def gone(*_: object) -> int:
        raise OSError(errno.ENXIO, "No such device or address")

    monkeypatch.setattr(os, "open", gone)  # as /dev/tty is for a process without a terminal

    with pytest.raises(UsageError, match="cannot write to /dev/tty: No such device or address"):
        open_sink(SinkOptions(output="/dev/tty"))


@pytest.mark.parametrize("name", [
    "mit Leerzeichen.jsonl", 'Ümläut "q".csv', "o'brien.sqlite", "a.JSONL", "-a.jsonl", "日本.csv", "a\u00a0b.csv",
])  # fmt: skip
def test_a_name_with_blanks_quotes_and_letters_of_any_language_is_a_name(tmp_path: Path, name: str):
    output = Output(tmp_path / name)

    assert output.put([{"a": 1}]) == [Written(1, 0, 0)]


# -- JSON Lines ----------------------------------------------------------------------------------------------------------


def test_lines_of_others_are_kept_as_they_stand(jsonl: Output):
    others = b'\xef\xbb\xbf{ "a" : 1 }\r\n\n[1, 2]\n{ "a" : 1 }\n{}\n{"url": "http://old/"}'
    jsonl.path.write_bytes(others)

    assert jsonl.put([{"a": 1}, {"b": 2}]) == [Written(1, 0, 1)]

    assert jsonl.path.read_bytes() == others + b'\n{"b":2}\n'


def test_a_line_that_is_no_json_is_named_and_nothing_is_touched(jsonl: Output):
    for content in (b'{"a":1}\nnot json\n{"b":2}\n', b'{\n  "a": 1\n}\n', b"a poem", b'{"a":1}\n{"b"\n'):
        jsonl.path.write_bytes(content)
        number = 1 if content[:7] != b'{"a":1}' else 2
        for _ in range(2):
            with pytest.raises(UsageError, match=rf"out\.jsonl, line {number}: not JSON .*repair or remove that line"):
                jsonl.put([{"c": 3}])
        assert jsonl.path.read_bytes() == content


def test_noughts_that_a_power_cut_left_are_cut(jsonl: Output, caplog: pytest.LogCaptureFixture):
    jsonl.put([{"a": 1}])
    with jsonl.path.open("ab") as file:
        file.write(b'{"b": 2}\n' + b"\0" * 50)

    jsonl.put([{"b": 2}])

    assert jsonl.path.read_bytes() == b'{"a":1}\n{"b": 2}\n'
    assert "50 bytes" in caplog.text


def test_a_line_is_one_line_for_every_tool(jsonl: Output):
    jsonl.put([{"a": "x\u2028y\u2029z\x85ü\n\x0b\x0c\x1c大"}])

    text = jsonl.path.read_text(encoding="utf-8")
    assert len(text.splitlines()) == 1
    assert "ü" in text
    assert json.loads(text) == {"a": "x\u2028y\u2029z\x85ü\n\x0b\x0c\x1c大"}


# -- CSV -----------------------------------------------------------------------------------------------------------------


def test_the_header_is_the_first_batch_and_later_fields_go_into_the_extra_column(table: Output):
    table.put([{"a": 1}, {"b": "x,y"}], [{"a": 2, "c": [3], "_extra": 1}])
    table.put([{"a": 4, "d": None}])

    assert table.path.read_bytes() == (b'a,b,_extra\r\n1,,\r\n,"x,y",\r\n2,,"{""c"":[3],""_extra"":1}"\r\n4,,"{""d"":null}"\r\n')


def test_fields_that_have_no_column_are_told_once(table: Output, caplog: pytest.LogCaptureFixture):
    table.put([{"a": 1}], [{"a": 2, "c": 3}], [{"a": 3, "c": 4}])
    table.put([{"a": 4, "d": 1, "e": 1}], [{"a": 5, "d": 2}])

    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"{table.path} has no column 'c'; its values go to _extra; stages.store.columns names those that are wanted",
        f"{table.path} has no column 'd', 'e'; their values go to _extra; -O begins a new file",
    ]


def test_named_columns_and_no_others(table: Output):
    table.put([{"a": 1, "b": 2, "c": 3}], columns=["c", "a", "z"])
    assert table.path.read_bytes() == b"c,a,z\r\n3,1,\r\n"

    with pytest.raises(UsageError, match=r"has the columns c, a, z; stages\.store\.columns says a"):
        table.put([], columns=["a"])


def test_one_empty_cell_is_a_row_all_the_same(table: Output):
    table.put([{"a": None}, {"a": "1"}], columns=["a"])
    assert table.path.read_bytes() == b'a\r\n""\r\n1\r\n'
    table.lose_index()
    assert table.put([{"a": None}], columns=["a"]) == [Written(0, 0, 1)]


def test_a_cell_cannot_become_a_formula(table: Output):
    signs = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
    cells = {name: name + "cmd|' /C calc'!A0" for name in signs} | {"number": -5, "word": "x=1"}

    table.put([cells], [cells])
    table.lose_index()
    assert table.put([cells]) == [Written(0, 0, 1)]

    (row,) = csv.DictReader(io.StringIO(table.path.read_text(), newline=""))
    assert all(row[name] == "'" + cells[name] for name in ("=", "+", "-", "@", "＝", "＋", "－", "＠"))
    assert (row["number"], row["word"]) == ("-5", "x=1")


def test_the_guard_against_formulas_can_be_switched_off(table: Output):
    table.put([{"a": "=1"}], csv_safe=False)
    assert b"\n=1," in table.path.read_bytes()


def test_nothing_is_an_empty_cell(table: Output):
    table.put([{"a": None, "b": None, "c": 1.5}])

    assert table.path.read_text() == "a,b,c,_extra\n,,1.5,\n"


def test_rows_are_added_to_a_csv_of_others_in_its_own_way(table: Output):
    others = '\ufeffname,size\n"two\nlines",5" disk\nodd\nlast,1'.encode()
    table.path.write_bytes(others)
    with pytest.raises(GiveUp, match="has no column for price"):
        table.put([{"name": "x", "price": 1}])

    table.path.write_bytes(others.replace(b"odd\n", b""))
    table.put([{"size": 2, "name": "a,b"}])

    assert table.path.read_bytes() == others.replace(b"odd\n", b"") + b'\n"a,b",2\n'


def test_a_csv_that_is_none_is_refused_and_not_touched(table: Output):
    content = b'a,b\n1,"x"y\n2,3\n'
    table.path.write_bytes(content)
    with pytest.raises(UsageError, match="line 2: not CSV"):
        table.put([{"a": 1}])
    assert table.path.read_bytes() == content


def test_a_header_cut_in_the_middle_is_written_again(table: Output):
    table.put([])
    table.path.write_bytes(b"url,fetch")
    table.put([page("http://a/")])
    assert table.rows() == [page("http://a/")]


# -- SQLite --------------------------------------------------------------------------------------------------------------


def test_columns_come_with_the_fields_and_values_keep_their_type(tmp_path: Path, database: sqlite3.Connection):
    output = Output(tmp_path / "out.sqlite")
    output.put([{"n": 1, "f": 1.5}], [{'odd "name"; --': "x", "list": [1], "raw": b"\xff", "n": -(2**63)}])

    names = [row[1] for row in database.execute("PRAGMA table_info(records)")]
    assert names == ["_key", "n", "f", 'odd "name"; --', "list", "raw"]
    rows = database.execute('SELECT n, f, "odd ""name""; --", list, raw FROM records').fetchall()
    assert rows == [(1, 1.5, None, None, None), (-(2**63), None, "x", "[1]", b"\xff")]


@pytest.mark.parametrize("name", ["_extra", "_EXTRA", "_key", "_Key"])
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".sqlite"])
@pytest.mark.parametrize("value", ["x", {"a": 1}, None])
def test_a_row_keeps_a_field_with_the_name_of_a_column_of_the_output(tmp_path: Path, suffix: str, name: str, value: object):
    output = Output(tmp_path / f"out{suffix}")

    output.put([page("http://a/", first=1)], [page("http://b/", later=2, **{name: value})])

    (row,) = [row for row in output._read() if row["url"] == "http://b/"]
    found = row if suffix == ".jsonl" else {**row, **json.loads(row["_extra"])}
    assert (found[name], str(found["later"])) == (value, "2")
    assert output.put([page("http://b/", later=2, **{name: value})]) == [Written(duplicates=1)]


def test_a_declared_field_cannot_have_the_name_of_a_column_of_an_output():
    assert {sqlite_sink.KEY, sqlite_sink.EXTRA, csv_sink.EXTRA} == OF_OUTPUTS


def test_what_cannot_be_a_column_goes_into_extra(tmp_path: Path, database: sqlite3.Connection):
    output = Output(tmp_path / "out.sqlite")
    many = {f"f{number}": number for number in range(600)}

    output.put([{"Price": 1, "price": 2, "nul\0": 3, "_key": 4}], [many])

    first, second = (json.loads(row[0]) for row in database.execute("SELECT _extra FROM records"))
    assert first == {"price": 2, "nul\0": 3, "_key": 4}
    assert 90 < len(second) < 110


def test_other_tables_are_left_alone_and_a_foreign_one_is_refused(tmp_path: Path, database: sqlite3.Connection):
    output = Output(tmp_path / "out.sqlite")
    database.execute("CREATE TABLE mine (a)")
    database.execute("CREATE TABLE records (a)")
    database.commit()

    with pytest.raises(UsageError, match=r"records is not a crawler's.*stages\.store\.table"):
        output.put([{"a": 1}])
    output.put([{"a": 1}], table='crawl "one"', mode="overwrite")

    assert database.execute('SELECT a FROM "crawl ""one"""').fetchall() == [(1,)]
    assert database.execute("SELECT count(*) FROM mine").fetchall() == [(0,)]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    output = Output(tmp_path / "out.sqlite")
    output.path.write_bytes(b"a letter to my aunt\n" * 100)
    with pytest.raises(UsageError, match="not a database"):
        output.put([{"a": 1}])


def test_a_field_that_is_gone_is_gone_from_the_replaced_row(tmp_path: Path, database: sqlite3.Connection):
    Output(tmp_path / "out.sqlite").put([page("http://a/", price=1)], [page("http://a/", title="t")])
    assert database.execute("SELECT price, title FROM records").fetchall() == [(None, "t")]


def test_a_database_that_is_full_keeps_what_was_acknowledged(tmp_path: Path, file_size_limit: Callable[[int], None]):
    output = Output(tmp_path / "out.sqlite")
    sink = open_sink(SinkOptions(output=str(output.path), **output.options))
    sink.write([page("http://a/")])

    file_size_limit(output.path.stat().st_size)
    with pytest.raises(StorageError, match="the rows in it are safe"):
        sink.write([page("http://b/", text="x" * 100_000)])
    file_size_limit(-1)

    assert sink.write([page("http://c/", text="y")]) == Written(1)
    sink.close()
    assert [row["url"] for row in output.rows()] == ["http://a/", "http://c/"]


# -- streams -------------------------------------------------------------------------------------------------------------


def test_a_full_device_is_the_storages_fault():
    sink = open_sink(SinkOptions(output="/dev/full"))
    with pytest.raises(StorageError, match="/dev/full: No space left on device"):
        sink.write([{"a": 1}])
    sink.close()


def test_a_stream_takes_json_lines_only():
    with pytest.raises(UsageError, match="a stream takes JSON Lines only, not csv"):
        open_sink(SinkOptions(output="-", format="csv"))


def test_columns_that_no_record_has_are_refused_with_those_it_has(tmp_path: Path) -> None:
    path = tmp_path / "others.csv"
    path.write_text("name,price\nhat,3\n")
    sink = open_sink(SinkOptions(output=str(path), columns=["name", "price"]))

    with pytest.raises(GiveUp, match="has the columns name, price, and a record has none of them; it has url, "):
        sink.write([page("http://a/")])
    sink.close()
    assert path.read_text() == "name,price\nhat,3\n"
