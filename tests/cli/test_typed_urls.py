"""URLs as people type them, on the command line, in a file and on standard input."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

import pytest

from crawler.cli import main
from crawler.cli.files import page_file, refuse
from tests.site import Site


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "seeds.txt is empty; it takes one URL a line"),
        (b"\n  \n", "seeds.txt is empty; it takes one URL a line"),
        (b"# nothing yet\n", "seeds.txt has no URL in it, only comments"),
        (b"http://example.org/\n\xe9\n", "seeds.txt, line 2: 0xe9 is not UTF-8"),
        ("http://example.org/".encode("utf-16-le"), "seeds.txt looks like UTF-16 without a byte order mark"),
        (b"htp://example.org/\nhttp://example.org/\nnope\n", "seeds.txt has 2 lines that cannot be crawled"),
        (None, "the seeds in seeds.txt cannot be read: No such file or directory"),
    ],
)
def test_a_file_of_seeds_that_cannot_be_used_is_refused_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], data: bytes | None, words: str
) -> None:
    if data is not None:
        Path("seeds.txt").write_bytes(data)

    assert main(["run", "--seeds", "seeds.txt"]) == 2

    assert words in capsys.readouterr().err
    assert not Path("crawler-data").exists()


@pytest.mark.parametrize("command", ["run -", "put urls -"])
def test_standard_input_is_read_as_a_file_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    text = "\ufeffhttp://example.org/\r\nhtp://example.org/\r\n\r\nnope\r\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode("utf-16"))))

    assert main(command.split()) == 2

    assert "standard input has 2 lines that cannot be crawled" in (said := capsys.readouterr().err)
    assert "line 2: 'htp://example.org/'" in said
    assert "line 4: 'nope'" in said


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "put urls", "fetch", "parse"])
def test_a_password_is_not_repeated_in_a_refusal(capsys: pytest.CaptureFixture[str], command: str) -> None:
    for typed in ("user:secret@example.org", "htp://user:secret@example.org/", "http://user:sec/ret@/", "http:/user:secret@[/"):
        assert main([*command.split(), typed]) == 2
        said = capsys.readouterr()
        assert "cannot be crawled" in said.err
        assert "sec" not in said.out + said.err


@pytest.mark.parametrize(
    "typed",
    [
        "http://me:s3cret@example.org/", "status http://me:s3cret@example.org/", "status --hub http://me:s3cret@example.org:8000",
        "status --hub me:s3cret@example.org", "hub --address tcp://me:s3cret@[", "check -s http://me:s3cret@h/?a=b",
        "check -s x=http://me:s3cret@h/", "settings http://me:s3cret@h/", "run -s http://me:s3cret@h/",
        "stage http://me:s3cret@h/", "put http://me:s3cret@h/ 1", "check -c http://me:s3cret@h/",
    ],
)  # fmt: skip
def test_a_password_in_the_wrong_place_is_not_repeated(capsys: pytest.CaptureFixture[str], typed: str) -> None:
    try:
        code = main(typed.split())
    except SystemExit as end:
        code = end.code

    assert code in (2, 5)
    said = capsys.readouterr()
    assert "s3cret" not in said.out + said.err


def test_a_page_that_is_no_file_and_no_url_is_said_to_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parse", "nofile.html"]) == 2

    assert "there is no file nofile.html; a URL is written with its scheme: https://nofile.html" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "run --debug", "put urls", "fetch", "parse", "try parse", "try fetch", "shell", "why"])
@pytest.mark.parametrize(("typed", "is_path"), [
    ("./nofile.html", True), ("./nofile", True), ("../no/file", True), ("/no/such/file.html", True), ("~/nofile.html", True),
    ("C:\\no\\file.html", True), (".\\nofile", True), ("file:///no/file.html", True), ("file://localhost/no/file", True),
    ("file:/no/file", True), ("nofile.html", False), ("no/file.html", False), ("nofile.HTM", False), ("nofile.php", False),
    ("seeds.txt", False), ("nofile.csv", False), ("records.jsonl.gz", False),
])  # fmt: skip
def test_a_file_that_is_not_there_is_said_to_be_missing(
    capsys: pytest.CaptureFixture[str], command: str, typed: str, is_path: bool
) -> None:
    assert main([*command.split(), typed]) == 2

    said = capsys.readouterr().err
    assert f"there is no file {typed}" in said
    assert ("a URL begins with https:// or http://" if is_path else f"a URL is written with its scheme: https://{typed}") in said
    assert not Path("crawler-data").exists()


@pytest.mark.parametrize("typed", ["./page.html", "page.html", "{here}/page.html", "file://{here}/page.html", "~/page.html"])
@pytest.mark.parametrize("command", ["parse", "try parse"])
def test_a_page_in_a_file_is_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, typed: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("page.html").write_text("<title>tea</title>")

    assert main([*command.split(), typed.format(here=tmp_path)]) == 0

    assert '"title":"tea"' in capsys.readouterr().out


@pytest.mark.parametrize("typed", ["a.test/page.html", "127.0.0.1:1/page.html", "localhost:1/nofile.txt", "a.test", "a.test:80/x"])
def test_a_host_with_a_path_is_no_file(typed: str) -> None:
    assert page_file(typed) is None
    refuse(typed)


@pytest.mark.parametrize("command", ["fetch", "parse"])
def test_a_host_that_speaks_http_alone_is_fetched_as_it_was_typed(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, command: str
) -> None:
    with Site({"/": "<title>tea</title>"}) as site, caplog.at_level(logging.INFO):
        assert main([command, f"127.0.0.1:{site.port}"]) == 0

    assert f"127.0.0.1:{site.port} answers over http only: taken as http://127.0.0.1:{site.port}/" in caplog.messages
    assert f"http://127.0.0.1:{site.port}/" in capsys.readouterr().out


@pytest.mark.slow
def test_several_urls_in_one_word_and_a_url_in_place_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    for typed, words in (
        (["run", "http://a.org/ http://b.org/"], "'http://a.org/ http://b.org/' is more than one URL; give each as a word"),
        (["run", "a.org\nhttps://b.org"], "is more than one URL; give each as a word of its own"),
        (["run", "--seeds", "http://a.org/"], "a URL is given without --seeds: crawler run http://a.org/"),
        (["run", "--seeds", "http://a.org/?a=1&b=2"], "a URL is given without --seeds: crawler run 'http://a.org/?a=1&b=2'"),
        (["run", "--seeds", "nofile"], "the seeds in nofile cannot be read: No such file or directory; it takes one URL a line"),
    ):
        assert main(typed) == 2
        assert words in capsys.readouterr().err


@pytest.mark.slow
def test_the_path_of_a_file_is_offered_as_no_host(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ok.txt").touch()
    for typed in ("./ok.txt", str(Path("ok.txt").resolve())):
        assert main(["run", typed]) == 2
        assert "https://" not in capsys.readouterr().err
    assert main(["run", "ok.txt"]) == 2
    assert capsys.readouterr().err.endswith("; if you mean the host: https://ok.txt\n")


def test_a_setting_in_place_of_a_url_is_not_repeated_with_its_secret(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        main(["parse", "stages.fetch.auth=S3cretPw"])

    assert "s3cretpw" not in caplog.text.lower()


@pytest.mark.slow
def test_a_file_or_directory_in_place_of_a_url_is_told_how_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    Path("ok.txt").write_text("http://example.org/\n")
    Path("a/b").mkdir(parents=True)
    for typed, words in (
        (["run", "ok.txt"], "ok.txt is a file here; if it has URLs to begin from: crawler run --seeds ok.txt;"),
        (["put", "urls", "./ok.txt"], "./ok.txt is a file here; if it has URLs"),
        (["run", "a/b"], "a/b is a directory here, not a URL"),
        (["parse", str(Path("a/b").resolve())], "a/b is a directory; give one file of it, or a URL"),
    ):
        assert main(typed) == 2
        assert words in capsys.readouterr().err
