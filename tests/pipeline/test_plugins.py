"""A stage's class is found by name, and tells what it takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from crawler import Page
from crawler.errors import ConfigError
from crawler.pipeline import plugins
from crawler.pipeline.plugins import item_schema
from crawler.stage import Stage


class Item(Struct):
    name: str


class Plain(Stage):
    def process(self, item: Item) -> Item:
        return item


class Untyped(Stage):
    def process(self, item):  # type: ignore[no-untyped-def]  # the case under test
        return item


class Batch(Stage):
    batch = 10

    def process(self, items: list[Item]) -> None:
        pass


class Coroutine(Stage):
    async def process(self, item: int) -> int:
        return item


class Generator(Stage):
    async def process(self, item: int | str) -> AsyncIterator[int | str]:
        yield item


class Hidden(Stage):
    def process(self, item: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821 - the case under test
        pass


class Single(Stage):
    batch = 10

    def process(self, item: Item) -> None:
        pass


class Picky(Stage):
    class Options(Stage.Options, frozen=True, kw_only=True):
        timeout: float = 60.0
        fields: dict[str, str] = {}  # noqa: RUF012 - msgspec copies an empty default for each struct

    def process(self, item: Any) -> None:
        pass


class Greedy(Stage):
    class Options(Stage.Options, frozen=True, kw_only=True):
        input: str = ""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):  # others may be in use by other tests
            del sys.modules[name]


def refusal(use: str) -> str:
    with pytest.raises(ConfigError) as caught:
        plugins.find(use)
    return str(caught.value)


def test_the_built_in_stages_are_entry_points() -> None:
    ours = {point.name: point.value for point in entry_points(group=plugins.GROUP) if point.value.startswith("crawler_stages.")}

    assert ours == plugins.BUILT_IN
    assert set(plugins.BUILT_IN) <= set(plugins.names())
    assert plugins.find("square").__name__ == "Square"


def test_a_class_in_the_working_directory_is_found(here: Path) -> None:
    (here / "near_by.py").write_text("from crawler import Stage\nclass Near(Stage): pass\n", encoding="utf-8")

    kind = plugins.find("near_by:Near")

    assert kind.__name__ == "Near"
    assert issubclass(kind, Stage)


@pytest.mark.parametrize(
    ("file", "use", "whose"),
    [
        ("json.py", "json:Enrich", "Python's own module 'json'"),
        ("crawler.py", "crawler:Enrich", "the installed module 'crawler'"),
        ("crawler_stages/parse.py", "crawler_stages.parse:Enrich", "the installed module 'crawler_stages.parse'"),
        ("msgspec/__init__.py", "msgspec:Enrich", "the installed module 'msgspec'"),
    ],
)
def test_a_file_with_the_name_of_another_module_is_named(here: Path, file: str, use: str, whose: str) -> None:
    (here / file).parent.mkdir(exist_ok=True)
    (here / file).write_text("from crawler import Stage\nclass Enrich(Stage): pass\n")

    assert f"{here / file} is hidden by {whose}; rename the file" in refusal(use)


def test_the_working_directory_stands_behind_all_that_is_installed(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    beside = tmp_path_factory.mktemp("beside")
    sys.path = [entry for entry in sys.path if entry != str(here)]
    installed = list(sys.path)
    plugins.look_beside(beside / "crawler.toml")
    (here / "near_by_too.py").write_text("from crawler import Stage\nclass Near(Stage): pass\n")
    (beside / "near_by_too.py").write_text("1 / 0")

    plugins.find("near_by_too:Near")

    assert sys.path == [*installed, str(here), str(beside)]


@pytest.mark.parametrize("options", [[], ["-P"]])
def test_files_named_like_modules_disturb_nothing(here: Path, options: list[str]) -> None:
    for name in ("queue", "email", "requests", "stages", "selectors"):
        (here / f"{name}.py").write_text("1 / 0")
    (here / "mine.py").write_text(
        "from crawler_stages.parse import Parse\nclass Mine(Parse):\n    def records(self, page, html): yield {'mine': page.url}\n"
    )
    (here / "page.html").write_text("<title>x</title>")

    done = subprocess.run(
        [sys.executable, *options, "-m", "crawler", "parse", "page.html", "-s", "stages.parse.use=mine:Mine"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert '"mine":' in done.stdout


def test_an_entry_point_to_a_missing_module_names_the_package_it_is_from(here: Path) -> None:
    info = here / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[crawler.stages]\nshiny = acme_gone:Shiny\n")
    sys.path.append(str(here))

    assert refusal("shiny").startswith("stage 'shiny' of the installed package acme: no module 'acme_gone' in ")


def test_an_unknown_stage_is_refused_with_those_there_are(here: Path) -> None:
    words = refusal("fetsh")

    assert words.startswith("no stage 'fetsh' is installed; ")
    assert "did you mean 'fetch'?" in words
    assert "module:Class" in words


@pytest.mark.parametrize(
    ("source", "use", "words"),
    [
        ("", "absent_mod:Thing", "'absent_mod:Thing': no module 'absent_mod' in "),
        ("import not_there_at_all", "mod_needs:Thing", "mod_needs needs 'not_there_at_all', which is not installed"),
        ("1 / 0", "mod_fails:Thing", "importing mod_fails failed: ZeroDivisionError: division by zero at mod_fails.py:1"),
        ("raise SystemExit", "mod_exits:Thing", "importing mod_exits failed: SystemExit at mod_exits.py:1"),
        ("def broken(:", "mod_syntax:Thing", "importing mod_syntax failed: SyntaxError: "),
        ("Thing = 3", "mod_value:Thing", "Thing is there but is not a class; write class Thing(Stage)"),
        ("class Thing: pass", "mod_class:Thing", "Thing is there but is not a Stage; write class Thing(Stage)"),
        ("from crawler import Stage", "mod_base:Stage", "Stage is the base of all stages; name a class of your own"),
        (
            "from crawler import Stage\nclass Thing(Stage): pass",
            "mod_typo:Thin",
            "module mod_typo has no class 'Thin'; did you mean 'Thing'?",
        ),
        ("", "mod.py:Thing()", "'mod.py:Thing()' does not name a class; expected module:Class"),
        ("", "../evil:Thing", "'../evil:Thing' does not name a class; expected module:Class"),
    ],
)
def test_a_class_that_does_not_load_is_refused_in_one_line(here: Path, source: str, use: str, words: str) -> None:
    if source:
        (here / f"{use.partition(':')[0]}.py").write_text(f"{source}\n", encoding="utf-8")

    message = refusal(use)

    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (Plain, (Item, False)),
        (Untyped, (Any, False)),
        (Batch, (Item, False)),
        (Coroutine, (int, True)),
        (Generator, (int | str, True)),
    ],
)
def test_the_schema_is_the_annotation_of_the_item(kind: type[Stage], schema: tuple[Any, bool]) -> None:
    assert plugins.item_schema(kind) == schema


@pytest.mark.parametrize(("kind", "words"), [(Hidden, "name 'Nowhere' is not defined"), (Single, "expected a list")])
def test_an_annotation_that_cannot_be_used_is_refused(kind: type[Stage], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plugins.item_schema(kind)


def test_options_are_filled_from_the_table() -> None:
    options = plugins.options_for("picky", Picky, {"timeout": 3, "fields": {"a": "h1"}})

    assert options == Picky.Options(timeout=3.0, fields={"a": "h1"})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"timout": 3}, "crawler.toml: stages.picky.timout is not a setting; did you mean 'stages.picky.timeout'?"),
        ({"outptus": []}, "crawler.toml: stages.picky.outptus is not a setting; did you mean 'stages.picky.outputs'?"),
        ({"timeout": "3"}, "crawler.toml: stages.picky.timeout is '3'; expected a number; write it without quotes"),
        ({"fields": {"a": 1}}, "crawler.toml: stages.picky.fields.a is 1; expected a string"),
    ],
)
def test_wrong_options_are_named_with_their_table(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plugins.options_for("picky", Picky, table, lambda _: "crawler.toml")

    assert str(caught.value) == words


def test_an_option_that_every_table_has_already_is_refused() -> None:
    with pytest.raises(ConfigError, match="has an option 'input', which every stage's table has already"):
        plugins.options_for("greedy", Greedy, {})


def test_options_of_a_stage_that_has_none_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"stages\.plain\.anything is not a setting; "):
        plugins.options_for("plain", Plain, {"anything": 1})


class Needy(Stage):
    class Options(Stage.Options, frozen=True, kw_only=True):
        a: int
        tags: list[str] = []  # noqa: RUF012 - as above
        minimum: int = 1

    def process(self, item: Any) -> None:
        pass


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({}, "stages.needy.a is missing; expected a whole number"),
        ({"a": True}, "stages.needy.a is true; expected a whole number"),
        ({"a": 1, "tags": ["x", False]}, "stages.needy.tags[1] is false; expected a string"),
        ({"a": 1, "minimum": [True, "x"]}, "stages.needy.minimum is [true, 'x']; expected a whole number"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named_and_quoted_as_toml_writes_it(table: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plugins.options_for("needy", Needy, table)

    assert str(caught.value) == says


class Reading(Stage):
    def process(self, page: Page) -> str:
        return page.url


class ReadingMore(Reading):
    def process(self, page):  # type: ignore[no-untyped-def]  # as people write it who override a stage
        return super().process(page)


class ReadingOther(ReadingMore):
    def process(self, page: str) -> str:  # type: ignore[override]  # it takes something else
        return page


def test_a_method_that_overrides_another_takes_what_that_takes_unless_it_says_otherwise() -> None:
    assert item_schema(ReadingMore) == (Page, False)
    assert item_schema(ReadingOther) == (str, False)


def test_a_subclass_of_parse_without_an_annotation_is_given_pages() -> None:
    from crawler_stages.parse import Parse

    class Mine(Parse):
        def process(self, page):  # type: ignore[no-untyped-def]  # as above
            yield from super().process(page)

    assert item_schema(Mine) == item_schema(Parse)
