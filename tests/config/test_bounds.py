"""Every number a person may set has a minimum and a maximum, and no value between them breaks anything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, inspect

from crawler import Context
from crawler.cli import main
from crawler.config import bounds
from crawler.config.load import load
from crawler.config.settings import FrontierSettings, HubSettings, QueueSettings, StageSettings
from crawler.errors import ConfigError
from crawler.pipeline import plugins
from crawler.pipeline.build import BUILT_IN, build, check
from tests.e2e.conftest import Shell
from tests.site import Site

STRUCTS: dict[str, type[Struct]] = {
    "hub": HubSettings,
    "frontier": FrontierSettings,
    "queues.pages": QueueSettings,
    **{f"stages.{name}": plugins.find(name).Options for name in BUILT_IN},
}
Number = inspect.IntType | inspect.FloatType

# What is not asked for here, because it would make the crawl wait, or refuse its own pages, as it says it does.
SLOW = {"frontier.delay", "stages.fetch.adaptive", "stages.fetch.pause_after_robots", "stages.fetch.max_crawl_delay"}
STRICT = {
    "stages.fetch.timeout", "stages.fetch.connect_timeout", "stages.fetch.max_bytes", "stages.fetch.max_header_bytes",
    "frontier.max_url_length", "stages.fetch.min_rate",
}  # fmt: skip


def numbers(info: Any, name: str) -> Iterator[tuple[str, Number]]:
    """Every number in a type, also in lists, tables, unions and structs within it, by its dotted name."""
    match info:
        case inspect.IntType() | inspect.FloatType():
            yield name, info
        case inspect.Metadata():
            yield from numbers(info.type, name)
        case inspect.StructType():
            for field in info.fields:
                yield from numbers(field.type, f"{name}.{field.encode_name}")
        case inspect.UnionType():
            for kind in info.types:
                yield from numbers(kind, name)
        case inspect.DictType():
            yield from numbers(info.value_type, f"{name}.KEY")
        case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
            yield from numbers(info.item_type, f"{name}.0")
        case inspect.TupleType():
            for place, kind in enumerate(info.item_types):
                yield from numbers(kind, f"{name}.{place}")


FOUND = {
    name: number
    for prefix, kind in [*STRUCTS.items(), *((f"stages.{name}", StageSettings) for name in BUILT_IN)]
    for name, number in numbers(inspect.type_info(kind), prefix)
}


def use(name: str, value: object) -> None:
    config = load(None, [f"{name}={value}"], {})
    check(build(config), config.origin)


def refusal(name: str, value: object) -> str:
    with pytest.raises(ConfigError) as caught:
        use(name, value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_there_are_numbers_in_all_parts() -> None:
    assert len(FOUND) > 30
    assert set(FOUND) >= {
        "hub.lease", "frontier.delay", "queues.pages.high_water", "stages.fetch.timeout", "stages.store.processes"
    }  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_a_number_has_both_bounds_and_what_is_outside_is_refused_with_the_range(name: str) -> None:
    number = FOUND[name]
    low, high = number.ge, number.le
    assert low is not None, f"{name} has no minimum"
    assert high is not None, f"{name} has no maximum"
    step = 1 if isinstance(number, inspect.IntType) else 0.0001

    for value in (low - step, high + step, 10**20, -(10**20), 2**80):
        words = refusal(name, value)
        assert words.startswith(f"-s: {name} is {value}; expected "), words
        assert " from " in words, words
        assert " to " in words, words


@given(st.sampled_from(sorted(FOUND)), st.one_of(st.integers(), st.floats()))
def test_any_number_is_within_its_bounds_or_refused(name: str, value: float) -> None:
    number = FOUND[name]
    is_whole = isinstance(value, int) or isinstance(number, inspect.FloatType)
    is_inside = math.isfinite(value) and is_whole and number.ge <= value <= number.le  # type: ignore[operator]  # neither is None in FOUND
    if is_inside:
        use(name, value)
    else:
        refusal(name, value)


def test_a_number_without_end_is_refused_where_it_stands() -> None:
    long = "9" * 5_000

    assert "frontier.per_host is " in refusal("frontier.per_host", long)
    assert "a whole number of 20000 bits" in refusal("frontier.per_host", "0x" + "f" * 5_000)
    Path("crawler.toml").write_text(f"[frontier]\nper_host = {long}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"crawler\.toml is not TOML.*digits"):
        load(None, [], {})


def test_a_plugin_s_number_without_bounds_has_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    from crawler.stage import Stage

    class Own(Stage):
        class Options(Stage.Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
            minimum: int = 1
            steps: dict[str, list[int]] = {}  # noqa: RUF012  (msgspec copies it)

    assert plugins.options_for("own", Own, {"minimum": 2**63 - 1}).minimum == 2**63 - 1  # type: ignore[attr-defined]  # the class is Own
    inside = {"steps": {"a": [1, -(10**20)]}}
    for table, name in (({"minimum": 10**20}, "stages.own.minimum"), (inside, r"stages.own.steps.a\[1\]")):
        with pytest.raises(ConfigError, match=f"{name} is -?100000000000000000000; expected a number of 64 bits"):
            plugins.options_for("own", Own, table)


ARGUMENTS = {
    "stage fetch --processes": bounds.Processes,
    "stage fetch --concurrency": bounds.Concurrency,
    "take result -n": bounds.Values,
    "take result --timeout": bounds.Wait,
    "host delay example.org": bounds.Delay,
    "bench --pages": bounds.Tasks,
    "bench --urls": bounds.Tasks,
    "bench --runs": bounds.Runs,
    "dead show": bounds.Id,
}


@pytest.mark.parametrize("command", ARGUMENTS)
@pytest.mark.parametrize("value", ["soon", "1e300", "99999999999999999999", "nan", "500.5.5", "9" * 5_000])
def test_a_number_on_the_command_line_is_refused_with_the_range(
    command: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    [number] = [number for _, number in numbers(inspect.type_info(ARGUMENTS[command]), "")]

    with pytest.raises(SystemExit) as caught:
        main([*command.split(), value])

    assert caught.value.code == 2
    words = " ".join(capsys.readouterr().err.split())
    assert f"{value[:200]!r} is not " in words
    assert f" {number.ge} to " in words


def test_a_long_port_is_refused() -> None:
    assert main(["status", "--hub", "127.0.0.1:" + "9" * 5_000]) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("edge", "left_out"), [("le", SLOW), ("ge", STRICT)])
def test_a_crawl_at_all_edges_at_once_ends_as_any_other(tmp_path: Path, edge: str, left_out: set[str]) -> None:
    # Not the number of processes: 256 of each stage would only show what this machine can bear.
    names = [name for name in FOUND if name not in left_out and not name.endswith(".processes")]
    sets = [word for name in names for word in ("-s", f"{name}={getattr(FOUND[name], edge)}")]
    delay = [] if "frontier.delay" in names else ["-s", "frontier.delay=0"]
    pages = {"/robots.txt": "User-agent: *\nCrawl-delay: 0", "/": '<a href="/a">a</a>', "/a": "<h1>tea</h1>"}

    with Site(pages) as site:
        done = Shell(tmp_path).run("run", site.url, "-o", "rows.jsonl", *sets, *delay)

    assert done.returncode == 0, done.stderr
    # With the smallest bounds a page has no links: max_links is 0.
    assert len(Shell(tmp_path).rows("rows.jsonl")) == (2 if edge == "le" else 1)
    assert "rror" not in done.stderr


def test_what_settings_allow_does_not_make_a_fetch_look_hung() -> None:
    from crawler_stages.fetch import Fetch

    usual, by_option, by_context = Fetch(), Fetch(Fetch.Options(timeout=3_600, pause_after_robots=604_800)), Fetch()
    by_context.context = Context(delay=86_400.0)
    for fetch in (usual, by_option, by_context):
        fetch.open()
        fetch.close()

    assert usual.facts.hang == 900
    assert by_option.facts.hang > 7 * 3_600 + 604_800
    assert by_context.facts.hang > 7 * 60 + 86_400
