"""A configuration file that cannot be read is explained, by its line and its usual slip, and the way out works."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from pathlib import Path

import pytest

from crawler.cli import main
from crawler.config.load import load
from crawler.errors import ConfigError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("delay = 0,5", "line 2: delay = 0,5: a number has a decimal point, not a comma"),
        ("delay = 0,5 # gently", "line 2: delay = 0,5 # gently: a number has a decimal point, not a comma"),
        ("strip_www = True", "line 2: strip_www = True: write true or false, in small letters"),
        ("max_pages = None", "line 2: max_pages = None: leave out a setting that has no value"),
        ("scope = domain", 'line 2: scope = domain: a string stands in quotes: "..."'),
        ("output = /tmp/x.jsonl", 'a string stands in quotes: "..."'),
        (r'allow = ["\d+"]', r"in double quotes a backslash begins an escape; write single quotes, as in '\d+'"),
        (r'allow = ["/a", "\.html$"]', "in double quotes a backslash begins an escape"),
        ("scope = 'host", "line 2: scope = 'host: a quote is not closed"),
        ('scope = "host', 'line 2: scope = "host: a quote is not closed'),
        ("scope = \"it's\"\ndelay = 'x", "line 3: delay = 'x: a quote is not closed"),
        ("deny = [abc]", 'line 2: deny = [abc]: a string stands in quotes: "..."'),
        ("deny = ['a', b]", 'a string stands in quotes: "..."'),
        ("auth = { 'x.org' = s3cret }", "line 2: auth = (hidden): "),
        ("price = { css = '.price', type = float }", 'a string stands in quotes: "..."'),
        ("max_pages = 1\nmax_pages = 2", "line 3: max_pages = 2: this setting is there twice"),
        ("[frontier]", "line 2: [frontier]: this table is there twice; put both parts together"),
        ("delay =", "line 2: delay =: its value is missing"),
        ("delay: 1", "line 2: delay: 1: a setting is written as key = value"),
        ("allow = ['/a' '/b']", "line 2: allow = ['/a' '/b']: "),
        ("proxy = u:s3cret@h:1", "line 2: proxy = (hidden): "),
    ],
)
def test_the_line_that_is_not_toml_is_shown_with_its_slip(line: str, words: str) -> None:
    Path("crawler.toml").write_text(f"[frontier]\n{line}\n")

    with pytest.raises(ConfigError) as caught:
        load(None, [], {})

    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("text", ["[frontier]\ndelay = 0,5\n", "[frontier]\ndelai = 1\n", "[stages.store]\nuse = 'no:No'\n"])
def test_the_settings_are_explained_also_where_the_file_is_broken(capsys: pytest.CaptureFixture[str], text: str) -> None:
    Path("crawler.toml").write_text(text)

    assert main(["settings"]) == 2
    assert main(["settings", "--explain", "frontier.delay"]) == 0

    said = capsys.readouterr()
    assert said.out.startswith("frontier.delay = 1.0\n")
    assert "the defaults are explained in its place" in said.err


def test_a_table_is_suggested_by_its_last_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "--explain", "store"]) == 2

    assert "did you mean 'stages.store'?" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_file_of_somebody_else_is_named_with_its_owner() -> None:
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:  # pytest's own directories are shut to other users
        os.seteuid(65534)
        try:
            with pytest.raises(ConfigError, match="cannot be read: Permission denied; it belongs to root; run it as that user"):
                load(Path(file.name), [], {})
        finally:
            os.seteuid(0)


@pytest.mark.parametrize("command", [["check"], ["parse", "page.html"]])
def test_an_output_of_any_encoding_is_written_to(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    Path("page.html").write_text("<title>日本</title>")
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="latin-1"))

    assert main(command) == 0

    sys.stdout.flush()
    assert out.getvalue()


@pytest.mark.parametrize("name", ["hub.sqlite3", "hub.sock", "authkey", "report.json", "x.jsonl", "below/x.csv"])
def test_an_output_in_the_data_directory_is_refused(capsys: pytest.CaptureFixture[str], name: str) -> None:
    for command in (["run", "http://127.0.0.1:1/"], ["stage", "store"]):
        assert main([*command, "-o", f"crawler-data/{name}"]) == 2
        assert f"the output crawler-data/{name} is in the data directory crawler-data; the crawl keeps" in capsys.readouterr().err
    Path("below").mkdir()
    assert main(["check", "--data", ".", "-s", f"stages.store.output={name}"]) == (0 if name.endswith(("x.jsonl", "x.csv")) else 2)
