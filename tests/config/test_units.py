"""Messages about a number with a unit, with marks between its digits, or in quotes: the unit of the setting, and what to write."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from crawler.cli import main
from crawler.config.load import load
from crawler.errors import ConfigError
from crawler.pipeline.build import build, check

SECONDS, BYTES = "in seconds", "in bytes"
# setting, as written, unit, the number to write
WRITTEN = [
    ("frontier.max_time", "1h", SECONDS, 3600), ("frontier.max_time", "1.5h", SECONDS, 5400),
    ("frontier.max_time", "1h30m", SECONDS, 5400), ("frontier.max_time", "2 hours", SECONDS, 7200),
    ("frontier.max_time", "1:30:00", SECONDS, 5400), ("frontier.max_time", "5:00", SECONDS, 300),
    ("frontier.max_time", "1 day", SECONDS, 86400), ("frontier.max_time", "2w", SECONDS, 1209600),
    ("frontier.max_time", "1d 12h", SECONDS, 129600), ("frontier.delay", "30s", SECONDS, 30),
    ("frontier.delay", "500ms", SECONDS, 0.5), ("frontier.delay", "5 min", SECONDS, 300),
    ("frontier.delay", "0,5", SECONDS, 0.5), ("frontier.delay", ".5s", SECONDS, 0.5), ("frontier.delay", "5M", SECONDS, 300),
    ("hub.lease", "90sec", SECONDS, 90), ("hosts.\"a.test\".delay", "2s", SECONDS, 2),
    ("stages.fetch.timeout", "1m", SECONDS, 60), ("stages.fetch.max_crawl_delay", "1min", SECONDS, 60),
    ("stages.fetch.pause_after_robots", "1sec", SECONDS, 1), ("frontier.max_total_bytes", "10MB", BYTES, 10_000_000),
    ("frontier.max_total_bytes", "10 mb", BYTES, 10_000_000), ("frontier.max_total_bytes", "1.5G", BYTES, 1_500_000_000),
    ("stages.fetch.max_bytes", "5m", BYTES, 5_000_000), ("stages.fetch.max_bytes", "5MiB", BYTES, 5_242_880),
    ("stages.fetch.max_header_bytes", "64Ki", BYTES, 65_536), ("worker_memory", "4GiB", BYTES, 4 << 30),
    ("hub.producer_bytes", "1TB", BYTES, 10**12), ("hub.producer_free", "512 MB", BYTES, 512_000_000),
    ("queues.pages.high_water_bytes", "1GB", BYTES, 10**9), ("stages.fetch.min_rate", "1kB/s", "in bytes per second", 1000),
    ("stages.fetch.min_rate", "2 KB per second", "bytes per second", 2000), ("frontier.max_pages", "1k", "", 1000),
    ("frontier.max_pages", "1,000", "", 1000), ("frontier.max_pages", "1 000 000", "", 10**6),
    ("frontier.max_pages", "1.000.000", "", 10**6), ("frontier.max_pages", "1'000", "", 1000),
    ("frontier.max_waiting", "2M", "", 2_000_000), ("frontier.max_pages", "1.5k", "", 1500),
    ("stages.parse.max_links", "5k", "", 5000), ("queues.pages.high_water", "20k", "", 20_000),
]  # fmt: skip


def use(*sets: str, file: Path | None = None, environ: Mapping[str, str] = MappingProxyType({})) -> None:
    config = load(file, sets, environ)
    check(build(config), config.origin)


def refusal(*sets: str, file: Path | None = None, environ: Mapping[str, str] = MappingProxyType({})) -> str:
    with pytest.raises(ConfigError) as caught:
        use(*sets, file=file, environ=environ)
    return str(caught.value)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("name", "text", "unit", "number"), WRITTEN)
def test_a_number_with_a_unit_is_refused_with_the_one_to_write(
    name: str, text: str, unit: str, number: float, tmp_path: Path
) -> None:
    table, _, key = name.rpartition(".")
    file = tmp_path / "file.toml"
    file.write_text((f"[{table}]\n" if table else "") + f'{key} = "{text}"\n', encoding="utf-8")
    variable = f"CRAWLER_{name.replace('.', '__')}".upper().replace('"', "")

    said = [refusal(f"{name}={text}"), refusal(file=file), refusal(environ={variable: text})]

    for words in said:
        assert unit in words
        assert words.endswith(f"; {text} is {number}")
    use(f"{name}={number}")


@pytest.mark.parametrize(("setting", "end"), [
    ('frontier.delay="5"', ", in seconds; write it without quotes"),
    ("stages.fetch.max_bytes=1e6", "; write 1000000"),
    ("frontier.max_pages=10.0", "; write 10"),
    ("frontier.max_pages=-1", "; 0 is no limit"),
    ("frontier.max_time=-1", "; 0 is no limit"),
    ("frontier.max_depth=none", "; 0 is no limit"),
    ("frontier.max_depth=Unlimited", "; 0 is no limit"),
    ("worker_memory=off", "; 0 is no limit"),
    ("hosts.a.test.max_pages=-1", "; 0 is no limit"),
    ("hub.producer_free=-1", "to 1125899906842624"),       # 0 leaves nothing free: it is no limit that is switched off
    ("hub.max_attempts=-1", "to 1000"),
    ("frontier.max_depth=2.5", "to 1000000000000"),
    ("frontier.delay=fast", ", in seconds"),
    ("frontier.delay=1,000", ", in seconds"),              # one or a thousand
    ("stages.fetch.max_bytes=0.3B", ", in bytes"),
    ("frontier.max_pages=1h", "to 1000000000000"),
    ("frontier.max_time=1x", ", in seconds"),
    ("frontier.max_time=1h and a bit more, until it is late in the evening", ", in seconds"),
    ("hub.tls=1", "expected true or false"),
])  # fmt: skip
def test_what_cannot_be_known_is_not_guessed(setting: str, end: str) -> None:
    assert refusal(setting).endswith(end)


@pytest.mark.parametrize(("line", "words"), [
    ("max_time = 1h", "1h is 3600 in seconds;"),
    ("max_total_bytes = 10MB   # enough", "10MB is 10000000 in bytes;"),
    ("delay = 5m", "5m is 300 in seconds, 5000000 otherwise;"),
    ("max_pages = 1k", "1k is 1000;"),
    ("max_time = 1:30:00", "1:30:00 is 5400 in seconds;"),
])  # fmt: skip
def test_a_unit_in_a_file_is_explained_although_it_is_not_toml(line: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "file.toml"
    file.write_text(f"[frontier]\n{line}\n", encoding="utf-8")
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(line)

    assert f"{line}: a number is written without a unit; {words}" in refusal(file=file)


@pytest.mark.parametrize(("typed", "words"), [
    ("run http://a.test/ --max-time 1h", "--max-time: frontier.max_time is '1h'"),
    ("run http://a.test/ --delay 2s", "in seconds; 2s is 2\n"),
    ("run http://a.test/ --max-total-bytes 10MB", "in bytes; 10MB is 10000000\n"),
    ("run http://a.test/ --max-pages 1k", "1k is 1000\n"),
    ("take result --timeout 1m", "'1m' is not a number; 0 to 604800 (7 days), in seconds; 1m is 60;"),
    ("take result -n 1k", "1k is 1000;"),
    ("host delay a.test 5m", "in seconds; 5m is 300, or 'default';"),
])  # fmt: skip
def test_options_say_the_same(typed: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(typed.split())
    except SystemExit as ended:
        code = ended.code

    assert code == 2
    assert words in capsys.readouterr().err
