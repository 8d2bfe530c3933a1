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
OURS = ("crawler", "stages")
COMMANDS = ("crawler.cli", "crawler.__main__")

# module or package -> what it may import of ours; what is not listed here may import anything but stages
MAY = {
    "crawler.errors": [],
    "crawler.limits": [],
    "crawler.items": ["crawler.errors", "crawler.limits"],
    "crawler.stage": ["crawler.errors", "crawler.items"],
    "crawler.bounds": [],
    "crawler.private": ["crawler.errors"],
    "crawler.values": [],
    "crawler.settings": ["crawler.bounds", "crawler.errors"],
    "crawler.graph": [],
    "crawler.reference": ["crawler.settings"],
    "crawler.hints": ["crawler.reference"],
    "crawler.secrets": [],
    "crawler.units": [],
    "crawler.slips": ["crawler.secrets", "crawler.settings", "crawler.units"],
    "crawler.tables": ["crawler.errors", "crawler.hints", "crawler.secrets", "crawler.units"],
    "crawler.config": ["crawler.errors", "crawler.hints", "crawler.secrets", "crawler.settings", "crawler.slips", "crawler.tables"],
    "crawler.broker": ["crawler.broker", "crawler.errors", "crawler.items", "crawler.limits"],
    "crawler.hub": [
        "crawler.hub", "crawler.broker.base", "crawler.errors", "crawler.extras", "crawler.items", "crawler.limits",
        "crawler.notes", "crawler.private", "crawler.values",
    ],
}

# module or package -> what it may not import, be it ours or not
MAY_NOT = {
    "crawler": ["stages"],
    "crawler.broker": ["socket", "socketserver", "ssl", "multiprocessing", "asyncio"],
    "crawler.stage": ["socket", "multiprocessing"],
    "crawler.web": ["crawler.broker", "crawler.hub", "crawler.worker", "crawler.pipeline", "crawler.config"],
    "crawler.worker": ["crawler.cli", "crawler.config"],
}

# package -> what of it anything of ours may import, and who may import the rest of it. A module that is new may not: it is handed
# what it needs. A whole package stands for its modules; "crawler" is the package's own file alone, which names what is public.
ONLY_BY = {
    "crawler.hub": ([], ["crawler", "crawler.cli", "crawler.run", "crawler.crawl"]),
    "crawler.broker": (
        ["crawler.broker.base", "crawler.broker.budget", "crawler.broker.checks"], ["crawler.cli", "crawler.run", "crawler.crawl"],
    ),
}  # fmt: skip
ALSO = {"crawler.supervisor": ["crawler.hub.identity"]}          # it gives its children their secret


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in OURS:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
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
    wrong = [
        (name, one) for name in trees() if is_in(name, part) for one in imports(name) if any(is_in(one, no) for no in MAY_NOT[part])
    ]

    assert wrong == []


def strangers(package: str, name: str, imported: tuple[str, ...]) -> list[str]:
    """Return what a module imports of a package that it may not."""
    open_to_all, insiders = ONLY_BY[package]
    if is_in(name, package) or any(is_in(name, insider) and (insider != "crawler" or name == "crawler") for insider in insiders):
        return []
    allowed = [*open_to_all, *ALSO.get(name, [])]
    return [one for one in imported if is_in(one, package) and not any(is_in(one, ok) for ok in allowed)]


@pytest.mark.parametrize("package", ONLY_BY)
def test_a_package_is_imported_only_by_those_that_hand_it_on(package: str) -> None:
    found = {name: wrong for name in trees() if (wrong := strangers(package, name, imports(name)))}

    assert found == {}


@pytest.mark.parametrize("name", ["crawler.pool", "crawler.routing", "crawler.worker", "crawler.held", "crawler.new", "stages.new"])
def test_that_would_find_a_worker_that_knows_its_hub_or_its_store(name: str) -> None:
    assert strangers("crawler.hub", name, ("crawler.hub.client.HubClient",))
    assert strangers("crawler.broker", name, ("crawler.broker.sqlite.SqliteBroker",))
    assert not strangers("crawler.broker", name, ("crawler.broker.base.Broker",))


def test_only_commands_import_commands() -> None:
    assert [name for name in trees() if not is_command(name) for one in imports(name) if is_in(one, "crawler.cli")] == []


def test_stages_use_only_public_names() -> None:
    public = {f"crawler.{name}" for name in dir(crawler)}

    private = {name: [one for one in imports(name) if is_in(one, "crawler") and one not in public] for name in trees()}

    assert {name: ones for name, ones in private.items() if is_in(name, "stages") and ones} == {}


def test_only_commands_print_or_exit() -> None:
    found = []
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and not is_command(name):
                called = ast.unparse(node.func)
                is_copy = (name, called) == ("crawler.forked", "os._exit")      # of a process that no command has started
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
