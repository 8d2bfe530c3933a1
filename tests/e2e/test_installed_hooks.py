"""A package of somebody else offers hooks by entry point: installed by pip, they are told of every task of a crawl."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from crawler import Hook
from crawler.cli import main
from crawler.errors import ConfigError
from crawler.pipeline import hooks
from tests.e2e.conftest import FAST, Shell
from tests.e2e.packages import installed
from tests.site import Site

pytestmark = pytest.mark.slow

GROUP = "[crawler.hooks]\n"
MODULE = """
import json
import os

from crawler import Hook


class Writes(Hook):
    def before(self, task):
        self.write("before", task, "")

    def after(self, task, result):
        self.write("after", task, result.outcome)

    def failed(self, task, error):
        self.write("failed", task, str(error))

    def write(self, *what):
        method, task, how = what
        line = json.dumps([method, task.stage, str(getattr(task.item, "url", "")), how]) + "\\n"
        file = os.open("told.jsonl", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(file, line.encode())
        os.close(file)


class Breaks(Hook):
    def before(self, task):
        raise ValueError("mine")

    after = failed = lambda self, task, how: 1 / 0
"""
PAGES = {"/": '<title>tea</title><a href="/a">a</a><a href="/gone">b</a>', "/a": "<title>a</title>"}


def crawled(shell: Shell, *more: str) -> tuple[Site, str]:
    with Site(PAGES) as site:
        done = shell.run("run", site.url, *FAST, "-o", "rows.jsonl", *more)
    assert done.returncode == 0, done.stderr
    return site, done.stderr


@pytest.mark.parametrize("more", [["-s", "stages.fetch.processes=1"], ["-s", "stages.parse.chain=false"], ["--debug"]], ids=str)
def test_installed_hooks_are_told_of_every_task_and_cost_none(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    target = installed(shell.directory, "acme_hooks", MODULE, f"{GROUP}writes = acme_hooks:Writes\nbreaks = acme_hooks:Breaks\n")
    monkeypatch.chdir(shell.directory)
    monkeypatch.syspath_prepend(str(target))

    assert main(["check"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("hook")] == [
        "hook breaks: acme_hooks:Breaks, of acme_hooks 1.0, is told of every task",
        "hook writes: acme_hooks:Writes, of acme_hooks 1.0, is told of every task",
    ]

    shell.environment["PYTHONPATH"] = str(target)
    site, said = crawled(shell, *more)
    told = [json.loads(line) for line in (shell.directory / "told.jsonl").read_text().splitlines()]
    urls = {f"{site.url}{path}" for path in ("", "a", "gone")}
    assert {row["url"] for row in shell.rows("rows.jsonl")} == urls
    for stage in ("fetch", "parse"):
        for method, how in (("before", ""), ("after", "done")):
            assert {(each[0], each[2], each[3]) for each in told if each[:2] == [method, stage]} == {
                (method, url, how) for url in urls
            }
    assert {each[0] for each in told if each[1] == "store"} == {"before", "after"}
    assert "hook breaks failed in before: ValueError: mine" in said


WRONG = [
    ("Gone", "class Other: ...", "bad_hooks:Gone is no class derived from crawler.Hook"),
    ("Plain", "class Plain: ...", "bad_hooks:Plain is no class derived from crawler.Hook"),
    ("made", "from crawler import Hook\nmade = Hook()", "bad_hooks:made is no class derived from crawler.Hook"),
    ("Fails", "import no_such_module_here", "module bad_hooks needs 'no_such_module_here', which is not installed"),
    ("Fails", "1 / 0", "importing bad_hooks failed: ZeroDivisionError"),
    (
        "Late",
        "from crawler import Hook\nclass Late(Hook):\n    async def before(self, task): ...",
        "bad_hooks:Late.before is async",
    ),
]


@pytest.mark.parametrize(("name", "module", "wrong"), WRONG, ids=[f"{name}: {module[:20]}" for name, module, _ in WRONG])
def test_a_hook_that_cannot_be_loaded_is_named_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, module: str, wrong: str
) -> None:
    info = tmp_path / "site" / "bad_hooks-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad_hooks\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(f"{GROUP}bad = bad_hooks:{name}\n")
    (tmp_path / "site" / "bad_hooks.py").write_text(module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "bad_hooks", raising=False)

    assert main(["check"]) == 2
    assert main(["run", "http://127.0.0.1:1/"]) == 2

    said = capsys.readouterr().err
    assert said.count(f"hook 'bad' of the installed package bad_hooks 2.0: {wrong}") == 2


def test_a_hook_whose_init_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(Hook):
        def __init__(self, needed: int) -> None: ...

    monkeypatch.setattr(hooks, "classes", lambda: [("bad", Fails)])

    with pytest.raises(ConfigError, match=r"hook 'bad': Fails\(\) failed: TypeError"):
        hooks.made()


@pytest.mark.parametrize("form", ["dist-info", "egg-info", "archive"])
def test_a_hook_is_found_in_whatever_form_its_package_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    folder = "tea-1.0.egg-info" if form == "egg-info" else "tea-1.0.dist-info"
    files = {
        f"{folder}/{'PKG-INFO' if form == 'egg-info' else 'METADATA'}": "Metadata-Version: 2.1\nName: tea\nVersion: 1.0\n",
        f"{folder}/entry_points.txt": f"{GROUP}brews = tea:Brews\n",
    }
    with zipfile.ZipFile(tmp_path / "tea.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    if form != "archive":
        shutil.unpack_archive(tmp_path / "tea.zip", tmp_path / "site")
    before = hooks.found()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / ("tea.zip" if form == "archive" else "site"))])

    assert before == ()
    assert [(each.name, each.target, each.package) for each in hooks.found()] == [("brews", "tea:Brews", "tea 1.0")]
