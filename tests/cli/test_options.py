"""Options as people type them: twice, empty, with a ~, and by the names of other programs."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from crawler.cli import build_parser, main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def refusal(capsys: pytest.CaptureFixture[str], *typed: str) -> str:
    """All of standard error of a command that ends with exit code 2."""
    try:
        code = main(typed)
    except SystemExit as end:
        code = end.code
    assert code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("run x.org -o a.jsonl -o b.csv", "-o is given twice, as a.jsonl and b.csv; one output for now"),
        ("run x.org -o a.jsonl -O a.jsonl", "-o and -O are both given, as a.jsonl and a.jsonl; one output for now"),
        ("stage store -O a.csv -o b.csv", "-o and -O are both given, as a.csv and b.csv; one output for now"),
        ("run x.org --delay 1 --delay 2", "--delay is given twice, as 1 and 2; give it once"),
        ("check -c a.toml --config b.toml", "--config is given twice, as a.toml and b.toml; give it once"),
        ("status --data a --data b", "--data is given twice, as a and b; give it once"),
        ("status --hub a:1 --hub b:1", "--hub is given twice, as a:1 and b:1; give it once"),
        ("take q -n 1 -n 2", "-n is given twice, as 1 and 2; give it once"),
        ("run --data= x.org", "argument --data: it is empty; expected DIR"),
        ("run --delay= x.org", "argument --delay: it is empty; expected S"),
        ("check -c ", "argument -c/--config: it is empty; expected FILE"),
        ("run x.org -o -.jsonl", "a value that begins with a dash is joined to its option: --output=-.jsonl"),
        ("run x.org --output -.jsonl", "is joined to its option: --output=-.jsonl"),
        ("run x.org --deny -x", "is joined to its option: --deny=-x"),
        ("stage store -o -x.csv", "is joined to its option: --output=-x.csv"),
        ("run x.org --max-pages", "argument --max-pages: expected one argument;"),
        ("run x.org --max-pages -o x.jsonl", "argument --max-pages: expected one argument;"),
        ("run x.org --limit 3", "unrecognized arguments: --limit 3; did you mean --max-pages N?"),
        ("run x.org --resume", "did you mean crawler run, which goes on by itself?"),
        ("run x.org --jobs 4", "did you mean -s frontier.per_host=N?"),
        ("run x.org -d 2", "did you mean --depth N?"),
        ("run x.org -t 2", "did you mean -s stages.fetch.timeout=SECONDS?"),
        ("run x.org --output-file a.csv", "did you mean -o FILE?"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_options_is_told_in_one_line(capsys: pytest.CaptureFixture[str], typed: str, words: str) -> None:
    said = refusal(capsys, *typed.split(" "))

    assert words in said
    assert said.startswith(f"crawler {typed.split()[0]}: ")
    assert len(said.splitlines()) == 1
    assert said.rstrip().endswith(f"see 'crawler help {typed.split()[0]}'")


def test_the_same_value_twice_is_no_mistake() -> None:
    assert build_parser("run").parse_args(["run", "x", "-o", "a.csv", "-o", "a.csv"]).output == "a.csv"


def test_a_home_directory_is_found_where_the_shell_did_not_expand_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "home").mkdir()
    (here / "home/c.toml").write_text("[frontier]\ndelay = 2.5\n")

    assert main(["settings", "delay", "-c", "~/c.toml", "--json"]) == 0
    assert '"value": 2.5' in capsys.readouterr().out
    assert build_parser("run").parse_args(["run", "x.org", "-o", "~/x.jsonl"]).output == f"{here}/home/x.jsonl"
    assert main(["settings", "data", "-s", "data=~/d", "--json"]) == 0
    assert f'"value": "{here}/home/d"' in capsys.readouterr().out


def test_seeds_of_all_files_and_of_standard_input_are_taken_together(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crawler.cli import seeds

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"http://c.org/\n")))
    for name in "ab":
        Path(name).write_text(f"http://{name}.org/\n")
    args = build_parser("run").parse_args(["run", "http://d.org/", "--seeds", "a", "--seeds", "b", "--seeds", "-"])

    assert set(seeds.read(args.urls, args.seeds)) == {f"http://{name}.org/" for name in "abcd"}


@pytest.mark.parametrize("typed", ["run -", "run --seeds -", "put urls -", "run - --fresh"])
@pytest.mark.parametrize("text", [b"", b"# nothing\n\n"])
def test_standard_input_without_a_url_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, typed: str, text: bytes
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))

    assert "standard input has no URL" in refusal(capsys, *typed.split())
    assert not Path("crawler-data").exists()
