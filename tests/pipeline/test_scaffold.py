"""What `crawler new stage` writes works as it stands, and nothing of yours is overwritten."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crawler.cli import main
from crawler.config.load import load
from crawler.errors import UsageError
from crawler.pipeline.build import build, check
from crawler.pipeline.scaffold import table, write_stage

ROOT = Path(__file__).parents[2]


@pytest.mark.slow  # starts an interpreter with pytest
def test_the_test_that_is_written_passes(tmp_path: Path) -> None:
    code, test = write_stage("price_check", tmp_path)

    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", test.name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed" in result.stdout
    assert code.name == "price_check.py"


def test_the_table_puts_the_stage_between_parse_and_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_stage("word_count", tmp_path)
    (tmp_path / "crawler.toml").write_text(table("word_count"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    config = load(None, ["stages.word_count.minimum=3"], {})
    pipeline = build(config)
    options = check(pipeline, config.origin)

    assert pipeline.reachable() == ["fetch", "parse", "word_count", "store"]
    assert getattr(options["word_count"], "minimum") == 3  # noqa: B009 - its type is known at run time only


def test_the_command_says_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "stage", "mine", "--dir", str(tmp_path / "stages")]) == 0

    told = capsys.readouterr().out
    assert str(tmp_path / "stages" / "test_mine.py") in told
    assert told.endswith(table("mine"))


@pytest.mark.parametrize("there", ["mine.py", "test_mine.py"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("precious", encoding="utf-8")

    with pytest.raises(UsageError, match="is there already; choose another name"):
        write_stage("mine", tmp_path)

    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [(there, "precious")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("price-check", "cannot name a stage; use a-z, 0-9 and _"),
        ("Price", "cannot name a stage"),
        ("3d", "cannot name a stage"),
        ("_x", "cannot name a stage"),
        ("class", "cannot name a stage"),
        ("", "cannot name a stage"),
        ("../up", "cannot name a stage"),
        ("parse", "there is a stage 'parse' already"),
        ("json", "would hide the module 'json'"),
        ("requests", "would hide the module 'requests'"),
        ("crawler", "would hide the module 'crawler'"),
    ],
)
def test_a_name_that_would_not_work_is_refused(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        write_stage(name, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(UsageError, match=r"cannot be written: .*; choose another --dir"):
        write_stage("mine", tmp_path / "file" / "deeper")


@pytest.mark.parametrize("folder", [".", "own", "own/deeper", "not-a-name", "stages", "../beside"])
def test_the_table_works_as_the_command_says_wherever_the_stage_is(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"words_{abs(hash(folder))}"  # modules of other tests are not asked for again

    assert main(["new", "stage", name, "--dir", folder]) == 0
    told = capsys.readouterr().out
    hint = re.search(r"add this to (\S+), then check it with: crawler (.*)", told)
    assert hint is not None
    Path(hint[1]).write_text(table_of(told), encoding="utf-8")

    assert main(hint[2].split()) == 0
    assert name in capsys.readouterr().out


def table_of(told: str) -> str:
    return told[told.index("[stages.parse]") :]


def test_the_stage_in_the_readme_is_the_one_that_is_written(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    code, _ = write_stage("enrich", tmp_path)

    written = code.read_text("utf-8").split("annotations\n\n")[1]

    assert f"```python\n{written}```" in readme
