"""Whatever stands in a configuration: it is a pipeline, or a ConfigError that says what is wrong."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from corpora import examples, kept
from hypothesis import given
from hypothesis import strategies as st

from crawler.config.load import load
from crawler.errors import ConfigError
from crawler.pipeline.build import build, check, draw, values

EXAMPLE = (Path(__file__).parents[2] / "config.example.toml").read_text(encoding="utf-8")
KEYS = sorted(set(re.findall(r"^#?\s*([a-z_]+) = ", EXAMPLE, re.MULTILINE)))
TABLES = sorted(set(re.findall(r"^#?\s*\[([a-z_.]+)\]", EXAMPLE, re.MULTILINE)))
VALUES = st.one_of(
    st.sampled_from([
        "", "0", "-1", "1", "1e400", "nan", "inf", "-inf", "9223372036854775808", "true", "{}", "[]", '""', '"x"', '[""]',
        "{a = {b = 1}}",
        '["("]', "2024-01-01", "[[1], {}]", '"\\u0000"', "'''", "0x", '{css = "a::text"}', '{css = "a[", type = "int"}',
        '"parse"', '"urls"',
        '["urls", "urls"]', '"unix:"', '"[::1"', '":99999"', "0.0.0.0:1",
    ]),
    st.text(max_size=12),
)  # fmt: skip
NAMES = st.one_of(
    st.builds("{}.{}".format, st.sampled_from(TABLES), st.sampled_from(KEYS)),
    st.builds("stages.{}.{}".format, st.sampled_from(["fetch", "parse", "store", "mine"]), st.sampled_from([*KEYS, "use",
    "input", "outputs"])),
    st.sampled_from(["", ".", "a..b", "stages", "stages.fetch", "queues", "hub", "data", "frontier.", "-",
    "stages.fetch.headers.x"]),
)  # fmt: skip


def read(file: Path | None, sets: list[str], environ: dict[str, str]) -> None:
    with contextlib.suppress(ConfigError):
        config = load(file, sets, environ)
        pipeline = build(config)
        draw(pipeline)
        options = check(pipeline)
        values(pipeline, options, config.settings)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "crawler.toml"


@pytest.mark.slow
@examples(150)
@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=3))
def test_any_option_is_taken_or_refused(file: Path, given: list[tuple[str, str]]) -> None:
    file.write_bytes(b"")
    read(file, [f"{name}={value}" for name, value in given], {})


@pytest.mark.slow
@examples(100)
@given(st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=3))
def test_any_variable_is_taken_or_refused(file: Path, given: list[tuple[str, str]]) -> None:
    file.write_bytes(b"")
    read(file, [], {f"CRAWLER_{name.replace('.', '__').upper()}": value for name, value in given})


@pytest.mark.slow
@examples(100)
@given(
    st.lists(st.one_of(
        st.builds("[{}]".format, st.one_of(st.sampled_from([*TABLES, "stages.mine", "stages.parse.fields", "x"]),
        st.text(max_size=5))),
        st.builds("{} = {}".format, st.one_of(st.sampled_from([*KEYS, "use", "input"]), st.text(max_size=5)), VALUES),
    ), max_size=6).map("\n".join),
    st.binary(max_size=3),
)  # fmt: skip
def test_any_file_is_taken_or_refused(file: Path, text: str, noise: bytes) -> None:
    file.write_bytes(text.encode("utf-8", "surrogatepass") + noise)
    read(file, [], {})


@kept("settings")
def test_a_file_that_was_kept_is_taken_or_refused(file: Path, data: Any) -> None:
    file.write_bytes(data)
    read(file, [], {})
