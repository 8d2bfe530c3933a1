"""The built-in stages by the name they once had: the same classes, and only where nothing else has the name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MINE = "from stages.parse import Parse\nclass Mine(Parse):\n    def records(self, page, html): yield {'mine': page.url}\n"


def parse(here: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a stage in a new interpreter: in this one a checkout is on the path, whose folder has the old name."""
    (here / "page.html").write_text("<title>x</title>")
    command = [sys.executable, "-P", "-m", "crawler", "parse", "page.html", *options]
    return subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=60)


def test_a_stage_that_imports_the_old_name_works_and_is_told_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)

    done = parse(tmp_path, "-s", "stages.parse.use=mine:Mine")

    assert (done.returncode, '"mine":' in done.stdout) == (0, True)
    assert done.stderr.count("stages.parse is now crawler_stages.parse") == 1


def test_a_stage_that_is_named_by_its_old_module_is_the_built_in_one(tmp_path: Path) -> None:
    done = parse(tmp_path, "-s", "stages.parse.use=stages.parse:Parse")

    assert done.returncode == 0
    assert "stages.parse is now crawler_stages.parse" in done.stderr


@pytest.mark.parametrize("use", ["mine:Mine", "stages.parse:Parse"])
@pytest.mark.parametrize("is_package", [False, True])
def test_a_folder_of_the_users_with_that_name_goes_first(tmp_path: Path, use: str, is_package: bool) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "mine.py").write_text(MINE)
    if is_package:
        (tmp_path / "stages" / "__init__.py").touch()

    done = parse(tmp_path, "-s", f"stages.parse.use={use}")

    assert done.returncode == 2
    assert "crawler_stages.parse" in done.stderr


def test_every_old_name_gives_the_module_itself_and_no_second_one(tmp_path: Path) -> None:
    code = (
        "import sys; from crawler.pipeline import old_names; old_names.find_last(); old_names.find_last()\n"
        "import stages.sinks.jsonl as old, crawler_stages.sinks.jsonl as new, stages.fetch, crawler_stages.fetch\n"
        "assert old is new and stages.fetch.Fetch is crawler_stages.fetch.Fetch\n"
        "assert new.__spec__.name == new.__name__ == 'crawler_stages.sinks.jsonl'\n"
        "try: import stages.nothing\n"
        "except ModuleNotFoundError as error: print(error)\n"
    )

    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stdout) == (0, "No module named 'stages.nothing'\n"), done.stderr


def test_nothing_is_installed_under_the_old_name(tmp_path: Path) -> None:
    code = "import crawler, importlib.util; print([importlib.util.find_spec(name) for name in ('stages', 'bench')])"

    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert done.stdout == "[None, None]\n", done.stderr
