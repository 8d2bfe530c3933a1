"""Commands with standard streams that are closed, full, unread, or of an encoding that lacks characters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.cli import common, streams
from tests.e2e.conftest import Shell

TITLE = "Ünï 日本 😀"
FULL = "standard output: No space left on device; what was printed is not complete"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.html"
    file.write_text(f"<meta charset=utf-8><title>{TITLE}</title>", "utf-8")
    return file


def bash(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in which `crawler` is the command."""
    command = f'crawler() {{ "{sys.executable}" -m crawler "$@"; }}; {line}'
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env={**os.environ, **environment}, capture_output=True, stdin=subprocess.DEVNULL,
        timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("crawler parse page.html >&-", common.OK, ""),
        ("crawler parse page.html >&- 2>&- <&-", common.OK, ""),
        ("crawler --help >&-", common.OK, ""),
        ("crawler settings >/dev/full", common.STORAGE, FULL),
        ("crawler --help >/dev/full", common.STORAGE, FULL),
        ("crawler nonsense 2>/dev/full", common.USAGE, ""),
        ("crawler nonsense 2>&-", common.USAGE, ""),
        ("crawler status --watch >&-", common.USAGE, "standard output is closed: nobody would see what is watched"),
        ("crawler take result >&-", common.USAGE, "standard output is closed: what is taken would be lost"),
        ("crawler run http://127.0.0.1:1/ -o - >&-", common.USAGE, "standard output is closed: the rows cannot go there"),
        ("crawler stage store -o - >&-", common.USAGE, "standard output is closed: the rows cannot go there; name a file"),
        ("crawler parse page.html | true; exit ${PIPESTATUS[0]}", common.CLOSED, ""),
        ("crawler new config | true; exit ${PIPESTATUS[0]}", common.CLOSED, ""),
    ],
)
def test_a_stream_that_cannot_be_used_is_no_internal_error(page: Path, line: str, code: int, says: str) -> None:
    done = bash(line, page.parent)

    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stderr.decode().startswith(f"crawler: {says}" if says else "")
    assert says or not done.stderr


def test_what_is_printed_while_standard_error_is_closed_is_on_standard_output_alone(page: Path) -> None:
    done = bash("crawler parse page.html 2>&-", page.parent)

    assert done.returncode == 0
    assert [json.loads(line)["title"] for line in done.stdout.splitlines()] == [TITLE]


@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict", "latin-1", "cp1252", "utf-16", "utf-8"])
def test_json_stays_json_in_every_encoding(page: Path, encoding: str) -> None:
    done = bash("crawler parse page.html", page.parent, PYTHONIOENCODING=encoding)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.decode(encoding.partition(":")[0]))["title"] == TITLE


def test_json_stays_json_in_the_c_locale(page: Path) -> None:
    done = bash("crawler parse page.html", page.parent, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["title"] == TITLE


def test_what_an_encoding_lacks_is_written_as_json_writes_it() -> None:
    streams.prepare()

    assert "a\u00e9\U0001f600\ud83d".encode("ascii", streams.ESCAPE) == rb"a\u00e9\ud83d\ude00\ud83d"


# Bytes on standard input of `crawler put`, and the values that come of them.
TYPED = [
    (b'\xef\xbb\xbf{"a": 1}\r\n\r\n  2  \r\nlast', ['{"a":1}', "2", '"last"']),
    ('\ufeff"\u00e9"\n'.encode("utf-16-le"), ['"\u00e9"']),
    (rb'{"a": "x\ud83d", "n": 123456789012345678901234567890, "v": [NaN]}',
     ['{"a":"x\ufffd","n":"123456789012345678901234567890","v":[null]}']),
    (b'{"a": {"b": 1}}\rnull\r', ['{"a":{"b":1}}', "null"]),
]  # fmt: skip


@pytest.mark.slow
def test_values_are_put_as_any_editor_writes_them_and_stay_on_their_queue_if_they_cannot_be_printed(shell: Shell) -> None:
    shell.start_hub()
    for typed, _ in TYPED:
        (shell.directory / "values").write_bytes(typed)
        put = bash("crawler put result - <values", shell.directory)
        assert put.returncode == 0, put.stderr

    lost = bash("crawler take result -n 99 --timeout 0 >/dev/full", shell.directory)
    taken = bash("crawler take result -n 99 --timeout 0", shell.directory)

    assert (lost.returncode, lost.stderr.decode()) == (common.STORAGE, f"crawler: {FULL}\n")
    assert sorted(taken.stdout.decode().splitlines()) == sorted(value for _, values in TYPED for value in values)
