"""A mistake in a stage's class is told by `crawler check`, in one line that says what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.cli import main
from tests.e2e.conftest import BETWEEN


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module with a stage whose class has this line; its name is no other test's."""
    name = f"written{abs(hash(request.node.name))}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "crawler.toml").write_text(BETWEEN.replace("enrich:", f"{name}:"))
    return name


CASES = [
    ("concurrency = 0", ".concurrency is 0; use a whole number of 1 or more"),
    ("concurrency = 'x'", ".concurrency is 'x'; use a whole number of 1 or more"),
    ("concurrency = True", ".concurrency is True; use a whole number of 1 or more"),
    ("prefetch = -1", ".prefetch is -1; use a whole number of 0 or more"),
    ("batch = 1.5", ".batch is 1.5; use a whole number of 0 or more"),
    ("overlap = None", ".overlap is None; use a whole number of 0 or more"),
    ("hang = 'x'", ".hang is 'x'; use a number of seconds above 0"),
    ("hang = float('nan')", ".hang is nan; use a number of seconds above 0"),
    ("stuck = -1", ".stuck is -1; use a number of seconds, or 0 for no warning"),
    ("facts = ()", ".facts is what a worker reads of the class, such as concurrency and batch; give yours another name"),
    ("context = 3", ".context is what a stage may know of its crawl, and set before open(self); give yours another name"),
    (
        "def context(self): ...",
        ".context is what a stage may know of its crawl, and set before open(self); give yours another name",
    ),
    (
        "def begin(self, item, then): ...",
        ".begin is called with the item alone, and returns a Pending or None; write def begin(self, item)",
    ),
    ("process = 3", ".process is 3, which is not a method; write def process(self, item)"),
    ("count = 0", ".count is 0, which is not a method; write def count(self, name, n=1)"),
    ("async def open(self): pass", ".open is async, and only process may be; write def open(self)"),
    ("def __init__(self): pass", ".__init__ is called with the options and the shared notes; write def __init__("),
]


@pytest.mark.parametrize(("line", "told"), CASES, ids=[line for line, _ in CASES])
def test_a_class_that_cannot_work_is_refused(written: str, line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    own = "" if line.startswith("process") else "    def process(self, record: dict): return record\n"
    Path(f"{written}.py").write_text(f"from crawler import Stage\n\nclass Enrich(Stage):\n    {line}\n{own}")

    assert main(["check"]) == 2

    shown = capsys.readouterr().err
    assert f"{written}:Enrich{told}" in shown
    assert "internal error" not in shown


def test_all_mistakes_of_a_class_are_told_at_once(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(f"{written}.py").write_text("from crawler import Stage\n\nclass Enrich(Stage):\n    concurrency = 0\n    hang = 0\n")

    assert main(["check"]) == 2

    shown = capsys.readouterr().err
    assert ".concurrency is 0" in shown
    assert ".hang is 0" in shown


def test_an_init_that_leaves_out_that_of_stage_is_told(written: str, capsys: pytest.CaptureFixture[str]) -> None:
    init = "    def __init__(self, options=None, shared=None): pass\n"
    process = "    def process(self, record): ...\n"
    Path(f"{written}.py").write_text(f"from crawler import Stage\n\nclass Enrich(Stage):\n{init}{process}")
    Path("one.jsonl").write_text("{}\n")

    assert main(["try", "enrich", "one.jsonl"]) == 2

    assert f"{written}:Enrich.__init__ has to call super().__init__(options, shared)" in capsys.readouterr().err
