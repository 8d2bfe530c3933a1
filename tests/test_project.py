"""What the README says is what CI does."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent

# A docstring begins with a verb or a noun phrase, so with none of these.
NO_BEGINNINGS = re.compile(
    r"(And|Anything|As|At|But|By|Can|Does|Everything|False|For|From|Had|Has|He|Here|How|If|In|Is|It|Its|May|Must|No|Nobody|None|Not|Nothing|"
    r"Of|On|Only|Or|Same|She|So|Than|That|Then|There|These|They|This|Those|To|True|Until|Was|What|When|Where|Whether|Which|Who|Whom|"
    r"Unless|Whose|Why|With)\b"
)
# A check that is switched off for a line, by its code, and then the reason.
SWITCHED_OFF = re.compile(
    r"# (?:noqa|type: ignore)(?P<rules>: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|\[[a-z, -]+\])?(?P<reason>[^#\n]*(?:#[^\n]*)?)"
)


def start_blocks() -> list[str]:
    section = (ROOT / "README.md").read_text("utf-8").split("## Start")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)\n```", section, re.DOTALL)


def test_the_start_section_has_one_block_that_ends_with_the_demo_and_one_that_ends_with_the_tests() -> None:
    first, second = start_blocks()

    assert first.endswith("crawler demo")
    assert second.endswith("pytest")


def test_ci_runs_the_test_command_of_the_readme() -> None:
    _, second = start_blocks()

    assert second in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


def test_every_command_is_in_the_readme() -> None:
    from crawler.cli import build_parser

    readme = (ROOT / "README.md").read_text("utf-8") + (ROOT / "CHANGELOG.md").read_text("utf-8")
    actions = [action for action in build_parser()._actions if action.choices]

    names = [name for action in actions for name in action.choices or ()]

    assert names
    assert [name for name in names if not re.search(rf"\b{name}\b", readme)] == []


def test_the_quick_tests_are_of_every_area(quick_folders: dict[Path, bool]) -> None:
    """Look at every folder that was collected: all of them, in a run of the whole suite."""
    assert ROOT / "tests" in quick_folders
    assert [folder for folder, has_quick in quick_folders.items() if not has_quick] == []


def test_an_older_python_is_refused_by_name() -> None:
    pretend = "import runpy, sys; sys.version_info = (3, 10, 13, 'final', 0); runpy.run_module('crawler', run_name='__main__')"

    done = subprocess.run([sys.executable, "-c", pretend], cwd=ROOT, capture_output=True, text=True, check=False)

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    assert (done.returncode, done.stderr) == (2, "crawler needs Python 3.11 or newer; this is 3.10.13\n")


def test_what_is_imported_before_that_can_be_read_by_python_3_8() -> None:
    for name in ("__init__", "__main__"):
        ast.parse((ROOT / "crawler" / f"{name}.py").read_text("utf-8"), feature_version=(3, 8))


def test_sql_has_no_numbered_parameters() -> None:
    """Python 3.12.1 takes ?1 for a named one and warns; :name does as well."""
    sources = [path for package in ("crawler", "stages") for path in (ROOT / package).rglob("*.py")]

    assert [path for path in sources if re.search(r"[=(,<>*+ -]\?\d", path.read_text("utf-8"))] == []


def test_all_that_is_installed_has_a_name_of_ours() -> None:
    """A user's project has modules called `stages` or `bench` too."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    there = {
        ".".join(file.parent.relative_to(home).parts)
        for home, package in ((ROOT, "crawler"), (ROOT / "stages", "crawler_stages"), (ROOT / "bench", "crawler_bench"))
        for file in (home / package).rglob("*.py")
    }

    assert set(setuptools["packages"]) == there
    assert [name for name in setuptools["packages"] if not name.startswith("crawler")] == []
    assert set((metadata.distribution("crawler").read_text("top_level.txt") or "").split()) == {
        name.partition(".")[0] for name in there
    }


def documented(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the name and the docstring of every module, class and function from this node down."""
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (text := ast.get_docstring(node)):
        yield getattr(node, "name", "the module"), text
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from documented(child)


def test_a_docstring_begins_by_saying_what_the_thing_is_or_does() -> None:
    sources = [path for package in ("crawler", "stages") for path in sorted((ROOT / package).rglob("*.py"))]

    found = [(path.name, *each) for path in sources for each in documented(ast.parse(path.read_text("utf-8")))]

    assert len(found) > 1000
    assert [each for each in found if NO_BEGINNINGS.match(each[2])] == []


def test_a_check_that_is_switched_off_for_a_line_has_a_reason_there() -> None:
    sources = [path for folder in ("crawler", "stages", "bench", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]

    found = [(path.name, each) for path in sources for each in SWITCHED_OFF.finditer(path.read_text("utf-8"))]

    assert len(found) > 50
    assert [(name, each[0]) for name, each in found if not each["rules"] or not re.search(r"\w+ \w+", each["reason"])] == []


def test_a_module_logs_under_its_own_name() -> None:
    sources = [path for folder in ("crawler", "stages") for path in sorted((ROOT / folder).rglob("*.py"))]
    found = [
        (path.name, name)
        for path in sources
        for name in re.findall(r"^log = logging.getLogger\((.*)\)", path.read_text("utf-8"), re.M)
    ]

    assert len(found) > 30
    assert {name for _, name in found} == {"__name__"}
