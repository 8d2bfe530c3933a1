"""One setting in three spellings, and what is said of a wrong one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from msgspec import Struct, field, structs

from crawler.config.load import Config, _value, load
from crawler.config.settings import HostSettings, QueueSettings, Settings, StageSettings
from crawler.config.tables import fill
from crawler.errors import ConfigError
from crawler.pipeline.build import BUILT_IN, build, check, values

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(*sets: str, toml: str = "", environ: Mapping[str, str] | None = None) -> str:
    if toml:
        Path("crawler.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        build(load(None, sets, environ or {}))
    return str(caught.value)


def test_without_a_file_every_setting_is_the_default(here: Path) -> None:
    config = load(None, [], {})

    assert config.settings == Settings()
    assert config.origins == {}
    assert config.origin("frontier.delay") == "default"


def test_the_option_goes_before_the_environment_and_that_before_the_file(here: Path) -> None:
    (here / "crawler.toml").write_text("[frontier]\ndelay = 3\nper_host = 2\nmax_depth = 7\n", encoding="utf-8")
    environ = {"CRAWLER_FRONTIER__DELAY": "2", "crawler_frontier__per_host": "4"}

    config = load(None, ["frontier.delay=0.5"], environ)

    frontier = config.settings.frontier
    assert (frontier.delay, frontier.per_host, frontier.max_depth) == (0.5, 4, 7)
    assert config.origin("frontier.delay") == "-s"
    assert config.origin("frontier.per_host") == "crawler_frontier__per_host"
    assert config.origin("frontier.max_depth") == "crawler.toml"


@pytest.mark.parametrize(
    ("option", "path", "value"),
    [
        ("frontier.allow=['/blog/', '/shop/']", "frontier.allow", ["/blog/", "/shop/"]),
        ("frontier.sort-query=true", "frontier.sort_query", True),
        ("data=2024", "data", "2024"),  # a directory, although it looks like a number
        ("data=2024-01-31", "data", "2024-01-31"),  # or like a date
        ("hub.address=127.0.0.1:8000", "hub.address", "127.0.0.1:8000"),
        ("hub.address=", "hub.address", ""),
        ("data='quoted'", "data", "quoted"),
        ("queues.pages={high-water=5}", "queues.pages.high_water", 5),
    ],
)
def test_a_value_is_read_as_toml_where_it_is_toml(here: Path, option: str, path: str, value: object) -> None:
    found: Any = load(None, [option], {}).settings
    for key in path.split("."):
        found = found[key] if isinstance(found, dict) else getattr(found, key)

    assert found == value


def test_an_option_of_a_stage_can_be_set_without_quotes(here: Path) -> None:
    config = load(None, ["stages.parse.fields.price=.price::text", "stages.parse.max-links=5"], {})

    assert config.settings.stages == {"parse": {"fields": {"price": ".price::text"}, "max_links": 5}}
    assert config.origin("stages.parse.fields") == "-s"


def test_a_variable_finds_the_stage_whose_name_has_a_dash(here: Path) -> None:
    (here / "crawler.toml").write_text("[stages.price-check]\ninput = 'records'\n", encoding="utf-8")

    config = load(None, [], {"CRAWLER_STAGES__PRICE_CHECK__PROCESSES": "3"})

    assert config.settings.stages["price-check"] == {"input": "records", "processes": 3}


@pytest.mark.parametrize(("variable", "host", "key", "better"), [
    ("CRAWLER_HOSTS__EXAMPLE_ORG__DELAY", "example.org", "delay", "CRAWLER_HOSTS__EXAMPLE__ORG__DELAY"),
    ("CRAWLER_HOSTS__EXAMPLE_ORG_DELAY", "example.org", "delay", "CRAWLER_HOSTS__EXAMPLE__ORG__DELAY"),
    ("CRAWLER_HOSTS_EXAMPLE_ORG_DELAY", "example.org", "delay", "CRAWLER_HOSTS__EXAMPLE__ORG__DELAY"),
    ("CRAWLER_HOSTS_EXAMPLE_ORG__DELAY", "example.org", "delay", "CRAWLER_HOSTS__EXAMPLE__ORG__DELAY"),
    ("CRAWLER_HOSTS__EXAMPLE_ORG_PER_HOST", "example.org", "per_host", "CRAWLER_HOSTS__EXAMPLE__ORG__PER_HOST"),
    ("CRAWLER_HOSTS__SHOP__EXAMPLE_ORG__MAX_PAGES", "shop.example.org", "max_pages",
     "CRAWLER_HOSTS__SHOP__EXAMPLE__ORG__MAX_PAGES"),
    ("crawler_hosts__example_org__delay", "example.org", "delay", "CRAWLER_HOSTS__EXAMPLE__ORG__DELAY"),
    ("CRAWLER_HOSTS__127_0_0_1__DELAY", "127.0.0.1", "delay", "CRAWLER_HOSTS__127__0__0__1__DELAY"),
    ("CRAWLER_HOSTS_LOCALHOST_DELAY", "localhost", "delay", "CRAWLER_HOSTS__LOCALHOST__DELAY"),
    ("CRAWLER_HOSTS__LOCALHOST_8080__DELAY", "localhost:8080", "delay", ""),
    ("CRAWLER_HOSTS_LOCALHOST_8080__DELAY", "localhost:8080", "delay", ""),
    ("CRAWLER_HOSTS__127_0_0_1_8080__DELAY", "127.0.0.1:8080", "delay", ""),
])  # fmt: skip
def test_a_variable_with_an_unclear_host_is_refused_with_what_works(
    here: Path, variable: str, host: str, key: str, better: str
) -> None:
    words = refusal(environ={variable: "7"})

    option = f'hosts."{host}".{key}=VALUE'
    assert words.startswith(variable)
    assert f"write [hosts.\"{host}\"] in crawler.toml or -s '{option}'" in words
    assert words.endswith(f"or {better}, where the dots of the host are __") if better else "where" not in words
    toml = here / "written.toml"
    toml.write_text(f'[hosts."{host}"]\n{key} = 7\n', encoding="utf-8")
    ways = [load(toml, [], {}), load(None, [option.replace("VALUE", "7")], {})] + [load(None, [], {better: "7"})] * bool(better)
    assert [each.settings.hosts for each in ways] == [{host: HostSettings(**{key: 7})}] * len(ways)


def test_a_variable_finds_the_host_of_the_file_that_has_an_underscore_or_a_dash(here: Path) -> None:
    (here / "crawler.toml").write_text('[hosts."my_host"]\ndelay = 1\n[hosts."your-host"]\ndelay = 1\n', encoding="utf-8")

    hosts = load(None, [], {"CRAWLER_HOSTS__MY_HOST__DELAY": "3", "CRAWLER_HOSTS__YOUR_HOST__DELAY": "4"}).settings.hosts

    assert {name: host.delay for name, host in hosts.items()} == {"my_host": 3.0, "your-host": 4.0}


def test_the_text_of_a_host_may_look_like_a_number(here: Path) -> None:
    config = load(None, ["hosts.a.test.headers.X-Token=1", 'hosts."a.test".auth=a:1'], {"CRAWLER_HOSTS__A__TEST__HEADERS__Y": "2"})

    assert config.settings.hosts == {"a.test": HostSettings(headers={"X-Token": "1", "y": "2"}, auth="a:1")}


def test_a_line_break_in_a_variable_sets_nothing_else(here: Path) -> None:
    config = load(None, [], {"CRAWLER_DATA": "1\nhub = 2"})

    assert config.settings.data == "1\nhub = 2"


def test_the_key_and_variables_of_other_programs_are_no_settings(here: Path) -> None:
    config = load(None, [], {"CRAWLER_AUTHKEY": "x", "CRAWLER_SERVICE_HOST": "10.0.0.1", "CRAWLER_PORT_80_TCP": "y"})

    assert config.settings == Settings()


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("frontier.dely=1", "-s: frontier.dely is not a setting; did you mean 'frontier.delay'?"),
        ("fronteer.delay=1", "-s: fronteer is not a setting; did you mean 'frontier'?"),
        ("frontier.delay=fast", "-s: frontier.delay is 'fast'; expected a number from 0 to 604800 (7 days), in seconds"),
        ("frontier.delay=-1", "-s: frontier.delay is -1; expected a number from 0 to 604800 (7 days)"),
        ("frontier.delay=inf", "-s: frontier.delay is inf; expected a finite number"),
        ("frontier.delay=nan", "-s: frontier.delay is nan; expected a finite number"),
        ("hub.lease=0", "-s: hub.lease is 0; expected a number from 1 to 3600"),
        ("hub.insecure=1", "-s: hub.insecure is 1; expected true or false"),
        ("hub.durability=ful", "-s: hub.durability is 'ful'; expected one of 'full', 'normal'"),
        ("frontier.allow=[1]", "-s: frontier.allow[0] is 1; expected a string"),
        ("frontier=3", "-s: frontier is 3; expected a table"),
        ("queues.pages.high-watr=3", "-s: queues.pages.high_watr is not a setting; did you mean 'queues.pages.high_water'?"),
        ("queues.pages.high_water=0", "-s: queues.pages.high_water is 0; expected a whole number from 1 to 1000000000"),
        ("stages.parse=3", "-s: stages.parse is 3; expected a table"),
        ("frontier.delay", "-s frontier.delay: expected KEY=VALUE, for example -s frontier.delay=0.5"),
        ("frontier..delay=1", "-s frontier..delay=1: expected KEY=VALUE, for example -s frontier.delay=0.5"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_expected(here: Path, option: str, words: str) -> None:
    assert refusal(option) == words


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("CRAWLER_FRONTIER_DELAY", "CRAWLER_FRONTIER__DELAY"),
        ("CRAWLER_STAGES_PARSE__FOLLOW", None),
        ("CRAWLER_DATTA", "CRAWLER_DATA"),
    ],
)
def test_a_slip_in_a_variable_is_refused(here: Path, variable: str, meant: str | None) -> None:
    words = refusal(environ={variable: "1"})

    assert words.startswith(f"{variable}")
    assert "is not a setting" in words
    assert meant is None or words.endswith(f"did you mean '{meant}'?")


def test_the_message_names_the_file_the_person_wrote(here: Path) -> None:
    toml = "[frontier]\ndelay = 1\n[hub]\nleese = 3\n"

    assert refusal(toml=toml) == "crawler.toml: hub.leese is not a setting; did you mean 'hub.lease'?"


def test_a_key_with_dash_and_underscore_is_refused_as_set_twice(here: Path) -> None:
    words = refusal(toml="[frontier]\nper-host = 1\nper_host = 2\n")

    assert words == "crawler.toml: frontier.per_host is set twice, with dash and underscore; keep one"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[hub]\nlease = = 3\n", "line 2"),
        (b"data = unquoted\n", "line 1"),
        (b"data = '\xff'\n", "is not UTF-8 at byte 8"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(here: Path, content: bytes | None, words: str) -> None:
    path = Path("mine.toml")
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        load(path, [], {})

    assert str(caught.value).startswith("mine.toml ")
    assert words in str(caught.value)


def test_a_byte_order_mark_is_no_error(here: Path) -> None:
    (here / "bom.toml").write_bytes(b"\xef\xbb\xbfdata = 'there'\n")

    assert load(Path("bom.toml"), [], {}).settings.data == "there"


class Inner(Struct, forbid_unknown_fields=True):
    css: str = ""
    many: bool = False


class Outer(Struct):
    fields: dict[str, Inner] = field(default_factory=dict)
    mixed: dict[str, str | Inner] = field(default_factory=dict)
    low: int = 0
    high: int = 1

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"fields": {"price": {"cs": "a"}}}, "x.fields.price.cs is not a setting; did you mean 'x.fields.price.css'?"),
        ({"fields": {"price": {"many": 1}}}, "x.fields.price.many is 1; expected true or false"),
        ({"fields": {"price": 1}}, "x.fields.price is 1; expected a table"),
        ({"mixed": {"price": {"cs": "a"}}}, "x.mixed.price.cs is not a setting; did you mean 'x.mixed.price.css'?"),
        ({"mixed": {"price": {"many": 1}}}, "x.mixed.price.many is 1; expected true or false"),
        ({"mixed": {"price": 1}}, "x.mixed.price is 1; expected a string or a table"),
        ({"low": 3}, "x; low is above high"),
    ],
)
def test_the_deepest_key_at_fault_is_named(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fill(Outer, table, "x")

    assert str(caught.value) == words


def example() -> tuple[Config, str]:
    with chdir(EXAMPLE.parent):
        return load(Path(EXAMPLE.name), [], {}), EXAMPLE.read_text(encoding="utf-8")


def test_the_example_says_the_defaults_and_nothing_else(here: Path) -> None:
    config, _ = example()
    plain = load(None, [], {})
    pipeline, default = build(config), build(plain)

    assert pipeline.queues == default.queues
    assert values(pipeline, check(pipeline), config.settings) == values(default, check(default), plain.settings)


def test_the_example_leaves_no_setting_out(here: Path) -> None:
    config, text = example()
    written = {line.lstrip("# ").split(" = ")[0] for line in text.splitlines() if " = " in line}
    default = build(load(None, [], {}))

    missing = [name for name in values(default, check(default), Settings()) if config.origin(name) == "default"]

    # What cannot be written, because its default is "not given" or a table of the user's own names, stands in a comment.
    assert [name for name in missing if name.rpartition(".")[2] not in written] == []
    for kind in (StageSettings, QueueSettings, HostSettings):
        assert {item.name for item in structs.fields(kind)} <= written


def test_the_example_explains_every_key(here: Path) -> None:
    _, text = example()
    keys = [line for line in text.splitlines() if " = " in line]

    assert [line for line in keys if line.count("#") < (2 if line.startswith("#") else 1)] == []
    assert set(tomllib.loads(text)["stages"]) == set(BUILT_IN)


def of_toml(text: str) -> Any:
    """A value as the reader of TOML alone says it: text where it is not one value of TOML, or a date."""
    try:
        table = tomllib.loads(f"value = {text}")
    except ValueError:
        return text
    is_one = set(table) == {"value"} and isinstance(table["value"], bool | int | float | str | list | dict)
    return table["value"] if is_one else text


TYPED = [
    "", " ", "0", "-0", "+1", "00", "01", "1_000", "12", "-7", "1.5", "0.25", "-0.5", "1.", ".5", "1e3", "1.0e-2", "0x1F", "0b1",
    "123456789012345678901234567890", "true", "false", "True", "truex", "inf", "nan", "-inf", "info", "domain", "x.jsonl", "-",
    "~/x", "/x/y", "./x", "A", "é", '"a"', '"a\\nb"', '"\\/"', '"a"b"', '"tab\t"', '"nul\0"', '"\x7f"', '"é"', '""', "'a'", '"',
    "a = 1", "1\nb = 2", "1 # one", "[1, 2]", '["a"]', "{a = 1}", '{"a": 1}', "null", "2024-01-01", "10:00:00", " 1", "1 ",
    "http://x/?a=1",
]  # fmt: skip


@pytest.mark.parametrize("text", TYPED)
def test_a_plain_value_is_read_as_the_reader_of_toml_reads_it(text: str) -> None:
    value, typed = _value(text)

    assert (repr(value), typed) == (repr(of_toml(text)), text)  # repr: it tells 1 from 1.0 and True, and NaN is equal


@given(some.text(alphabet='019.-_+eE"\\\t\n#atrueflsinf/é {}[]=,') | some.floats().map(str) | some.integers().map(str))
def test_any_value_is_read_as_the_reader_of_toml_reads_it(text: str) -> None:
    value = _value(text)[0]

    assert repr(value) == repr(of_toml(text))
