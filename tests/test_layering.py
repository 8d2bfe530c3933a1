"""Who may import whom. What is imported late, inside a function, counts as well."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import crawler

ROOT = Path(__file__).parents[1]
OURS = {"crawler": ROOT, "crawler_stages": ROOT / "stages"}  # package -> its parent folder
COMMANDS = ("crawler.cli", "crawler.__main__")

# module or package -> what it may import of ours; what is not listed here may import anything but stages
MAY = {
    "crawler.errors": [],
    "crawler.limits": [],
    "crawler.items": ["crawler.errors", "crawler.limits"],
    "crawler.stage": ["crawler.errors", "crawler.items"],
    "crawler.hook": [],
    "crawler.notes": ["crawler.errors", "crawler.items", "crawler.web.domains"],
    "crawler.wording": ["crawler.errors", "crawler.wording"],
    "crawler.machine": ["crawler.errors", "crawler.machine", "crawler.wording"],
    "crawler.config": ["crawler.config", "crawler.errors", "crawler.wording"],
    "crawler.config.settings": ["crawler.config.bounds", "crawler.errors"],
    "crawler.codec": ["crawler.codec", "crawler.errors", "crawler.stage", "crawler.wording"],
    "crawler.demo": ["crawler.demo"],
    "crawler.broker": ["crawler.broker", "crawler.errors", "crawler.items", "crawler.limits", "crawler.wording.spelling"],
    "crawler.broker.contract": ["crawler.items", "crawler.limits"],
    "crawler.hub": [
        "crawler.hub",
        "crawler.broker.contract",
        "crawler.codec.values",
        "crawler.errors",
        "crawler.items",
        "crawler.limits",
        "crawler.machine.private",
        "crawler.notes",
        "crawler.wording.extras",
    ],
    "crawler.pipeline": [
        "crawler.pipeline",
        "crawler.broker.contract",
        "crawler.broker.budget",
        "crawler.codec",
        "crawler.config",
        "crawler.errors",
        "crawler.hook",
        "crawler.stage",
        "crawler.wording",
    ],
    "crawler.worker": [
        "crawler.worker",
        "crawler.broker.contract",
        "crawler.broker.arguments",
        "crawler.codec",
        "crawler.errors",
        "crawler.hook",
        "crawler.items",
        "crawler.limits",
        "crawler.machine",
        "crawler.pipeline.plugins",
        "crawler.stage",
        "crawler.wording",
    ],
}

# module or package -> what it may not import, be it ours or not
MAY_NOT = {
    "crawler": ["crawler_stages", "crawler_bench"],
    "crawler.broker": ["socket", "socketserver", "ssl", "multiprocessing", "asyncio"],
    "crawler.stage": ["socket", "multiprocessing", "sqlite3"],
    "crawler.worker": ["sqlite3"],
    "crawler.pipeline": ["sqlite3"],
    "crawler.broker.contract": ["sqlite3"],
    "crawler.web": [
        "crawler.broker",
        "crawler.hub",
        "crawler.worker",
        "crawler.pipeline",
        "crawler.run",
        "crawler.config.load",
        "crawler.config.suggestions",
        "crawler.config.slips",
        "crawler.config.reference",
    ],
    "crawler.run": ["crawler.demo"],
}
MEASURES = {"crawler.cli.bench": ["crawler_bench"]}  # the command that runs the bench

# package -> what of it anything of ours may import, and who may import the rest of it. A module that is new may not: it is handed
# what it needs. A whole package stands for its modules; "crawler" is the package's own file alone, which names what is public.
ONLY_BY = {
    "crawler.hub": ([], ["crawler", "crawler.cli", "crawler.run"]),
    "crawler.broker": (
        ["crawler.broker.contract", "crawler.broker.budget", "crawler.broker.arguments"], ["crawler.cli", "crawler.run"],
    ),
}  # fmt: skip


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package, home in OURS.items():
        for path in sorted((home / package).rglob("*.py")):
            parts = path.relative_to(home).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            yield name, ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def trees() -> dict[str, ast.Module]:
    return dict(modules())


@cache
def imports(name: str) -> tuple[str, ...]:
    """Dotted names, as far as the source says: `from crawler.web import urls` is crawler.web.urls."""
    return tuple(imported(name, trees()[name]))


def imported(name: str, tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}, line {node.lineno}: write the whole name of what is imported"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def is_command(name: str) -> bool:
    return any(is_in(name, package) for package in COMMANDS)


@pytest.mark.parametrize("part", MAY)
def test_a_layer_imports_only_those_below_it(part: str) -> None:
    strangers = {
        name: wrong
        for name in trees()
        if is_in(name, part)
        and (wrong := [one for one in imports(name) if is_in(one, "crawler") and not any(is_in(one, ok) for ok in MAY[part])])
    }

    assert strangers == {}


@pytest.mark.parametrize("part", MAY_NOT)
def test_a_layer_does_not_import_those_above_it(part: str) -> None:
    def is_wrong(name: str, one: str) -> bool:
        return any(is_in(one, no) for no in MAY_NOT[part]) and not any(is_in(one, ok) for ok in MEASURES.get(name, []))

    wrong = [(name, one) for name in trees() if is_in(name, part) for one in imports(name) if is_wrong(name, one)]

    assert wrong == []


def strangers(package: str, name: str, imported: tuple[str, ...]) -> list[str]:
    """Return what a module imports of a package that it may not."""
    open_to_all, insiders = ONLY_BY[package]
    if is_in(name, package) or any(is_in(name, insider) and (insider != "crawler" or name == "crawler") for insider in insiders):
        return []
    return [one for one in imported if is_in(one, package) and not any(is_in(one, ok) for ok in open_to_all)]


@pytest.mark.parametrize("package", ONLY_BY)
def test_a_package_is_imported_only_by_those_that_hand_it_on(package: str) -> None:
    found = {name: wrong for name in trees() if (wrong := strangers(package, name, imports(name)))}

    assert found == {}


@pytest.mark.parametrize("name", ["crawler.worker.pool", "crawler.worker.routing", "crawler.worker.x", "crawler_stages.x"])
def test_that_would_find_a_worker_that_knows_its_hub_or_its_store(name: str) -> None:
    assert strangers("crawler.hub", name, ("crawler.hub.client.HubClient",))
    assert strangers("crawler.broker", name, ("crawler.broker.sqlite.broker.SqliteBroker",))
    assert not strangers("crawler.broker", name, ("crawler.broker.contract.Broker",))


def reached(name: str) -> set[str]:
    """Return the modules that a module leads to, through all that it imports, at whatever time."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        name = ahead.pop()
        if name in found or name == "crawler":  # which names all that is public, and imports it when it is asked for
            continue
        found.add(name)
        for one in imports(name):
            while one not in trees() and "." in one:
                one = one.rpartition(".")[0]
            if one in trees():
                ahead.append(one)
    return found


@pytest.mark.parametrize("part", ["crawler.worker", "crawler.pipeline", "crawler.codec", "crawler.broker.contract"])
def test_what_is_for_any_pipeline_knows_neither_the_web_nor_an_engine(part: str) -> None:
    particular = ("crawler.web", "crawler.hub", "crawler.broker.sqlite", "crawler.run", "crawler.cli")

    known = {one for name in trees() if is_in(name, part) for one in reached(name)}

    assert [one for one in sorted(known) if any(is_in(one, no) for no in particular)] == []


def test_only_commands_import_commands() -> None:
    assert [name for name in trees() if not is_command(name) for one in imports(name) if is_in(one, "crawler.cli")] == []


def test_stages_use_only_public_names() -> None:
    public = {f"crawler.{name}" for name in dir(crawler)}

    private = {name: [one for one in imports(name) if is_in(one, "crawler") and one not in public] for name in trees()}

    assert {name: ones for name, ones in private.items() if is_in(name, "crawler_stages") and ones} == {}


def test_only_commands_print_or_exit() -> None:
    found = []
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and not is_command(name):
                called = ast.unparse(node.func)
                is_copy = (name, called) == ("crawler.worker.forked", "os._exit")  # of a process that no command has started
                if called in ("print", "exit", "quit", "input", "sys.exit", "os._exit", "SystemExit") and not is_copy:
                    found.append(f"{name}, line {node.lineno}: {called}")

    assert found == []


def test_every_public_name_is_there() -> None:
    for name in dir(crawler):
        assert getattr(crawler, name) is not None

    with pytest.raises(AttributeError, match="no public name 'Stag'"):
        crawler.Stag  # noqa: B018 - looking it up is the test


def test_type_checkers_see_the_names_that_are_there() -> None:
    seen = {one.rpartition(".")[2] for one in imports("crawler") if one.startswith("crawler.")}

    assert seen == set(dir(crawler)) - {"__version__"}


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert crawler.__version__ == project["version"]
