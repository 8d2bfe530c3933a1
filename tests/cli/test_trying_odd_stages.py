"""crawler try with stages that fail in odd ways."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from crawler.cli import main
from tests.e2e.conftest import BETWEEN

PAGE = "<title>Tea</title><h1>Green</h1>"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    (tmp_path / "page.html").write_text(PAGE)
    return tmp_path


def rows(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


ODD = """
import os, subprocess, sys
from typing import Any
from crawler import Page, Retry, Stage
from crawler_stages.parse import Parse

class Odd(Exception):
    def __str__(self) -> str:
        raise ValueError

class Enrich(Stage):
    class Options(Stage.Options, frozen=True, kw_only=True):
        least: int = 0

    @classmethod
    def check(cls, options, name):
        if options.least < 0:
            raise ValueError("least is below 0")

    def process(self, record: dict) -> Any:
        match record.get("n"):
            case 1: raise Retry("busy", after="soon")
            case 2: raise Odd
            case 3: raise ValueError("x" * 5_000_000)
            case 4: return "x" * 20_000_000
        os.write(1, b"written\\n")
        subprocess.run([sys.executable, "-c", "print('echoed')"], check=True)
        return record

    def close(self) -> None:
        if "fails" in os.environ.get("CLOSING", ""):
            raise OSError("the connection is gone")

class Pages(Stage):
    def process(self, page: Page) -> Any: return page.url

class Prices(Stage):
    def process(self, prices: dict[str, float]) -> Any: return prices

class Typo(Parse):
    def records(self, page, html):
        yield {"title": page.titel}
"""


@pytest.fixture
def odd(here: Path) -> Any:
    (here / "odd_stages.py").write_text(ODD)
    (here / "crawler.toml").write_text(BETWEEN.replace("enrich:Enrich", "odd_stages:Enrich"))
    yield here
    sys.modules.pop("odd_stages", None)


@pytest.mark.parametrize(
    ("n", "says", "has_trace"),
    [
        (1, "Retry with an after of 'soon' is not possible; give a number of seconds", False),
        (2, "enrich failed at this item: Odd at odd_stages.py:", True),
        (3, "enrich failed at this item: ValueError: xxx", True),
        (4, "an item of 20000005 bytes for queue 'records'; at most", False),
    ],
)
def test_whatever_a_stage_raises_is_told_in_bounded_words(odd, capsys, n, says, has_trace):
    (odd / "items.jsonl").write_text(f'{{"n": {n}}}\n')

    assert main(["try", "enrich", "items.jsonl"]) == 3

    told = capsys.readouterr().err
    assert says in told
    assert "internal error" not in told
    assert len(told) < 10_000
    assert ("Traceback" in told) == has_trace
    assert "crawler/run/trial.py" not in told


def test_standard_output_is_for_rows_alone(odd, capfd):
    assert main(["try", "enrich", "page.html"]) == 0

    done = capfd.readouterr()
    assert [row["title"] for row in rows(done.out)] == ["Tea"]
    assert "written" in done.err
    assert "echoed" in done.err


def test_a_failure_to_close_is_the_stages_own(odd, capsys, monkeypatch):
    monkeypatch.setenv("CLOSING", "fails")

    assert main(["try", "enrich", "page.html"]) == 1

    assert "stage enrich cannot be closed: OSError: the connection is gone at odd_stages.py:" in capsys.readouterr().err


def test_a_mistake_in_the_options_is_told_before_anything_is_fetched(odd, capsys):
    assert main(["try", "enrich", "http://127.0.0.1:9/", "-s", "stages.enrich.least=-1"]) == 2

    told = capsys.readouterr().err
    assert "least is below 0" in told
    assert "could not be fetched" not in told


@pytest.mark.parametrize(
    ("use", "item", "says"),
    [
        ("Pages", "", "not an item of stage 'enrich': process takes Page, but it was given a record (a dict)"),
        ("Prices", '{"tea": 1.5, "milk": "dear"}', "Expected `float`, got `str` - at `$['milk']`"),
    ],
)
def test_an_item_that_does_not_fit_is_told_by_what_it_is(odd, capsys, use, item, says):
    (odd / "items.jsonl").write_text(item)

    assert main(["try", "enrich", "items.jsonl" if item else "page.html", "-s", f"stages.enrich.use=odd_stages:{use}"]) == 3

    assert says in capsys.readouterr().err


@pytest.mark.parametrize("command", [["parse", "page.html"], ["try", "parse", "page.html"]])
def test_a_mistake_in_a_class_made_of_parse_is_shown_with_its_line(odd, capsys, command):
    assert main([*command, "-s", "stages.parse.use=odd_stages:Typo"]) == 3

    told = capsys.readouterr().err
    assert "parse failed at this item: AttributeError: 'Page' object has no attribute 'titel'" in told
    assert "Traceback" in told
    assert "internal error" not in told
