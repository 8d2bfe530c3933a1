"""Name the settings that define a crawl and are not defaults: as text, or as options to type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crawler.config.load import Config
from crawler.run.resume.definition import DEFAULT, RESUMED, Definition, Value, is_typed
from crawler.run.resume.differences import ENABLED, MODE, toml, typed

WIRING: Final = ("input", "outputs")  # options of a stage that are named by its name


def described(values: Mapping[str, Value]) -> str:
    """Return the defining settings that are set: `max_pages 5, deny whatsnew, output pages.jsonl`; "" if there are none."""
    parts: list[str] = []
    for name, value in values.items():
        section, _, rest = name.partition(".")
        last = name.rpartition(".")[2]
        if value.origin == DEFAULT or last in WIRING or last in (MODE, ENABLED):
            continue
        if section == "stages" and rest.endswith(".use"):
            parts.append(f"stage {rest.removesuffix('.use')}")
        else:
            parts.append(f"{rest.removeprefix('store.') if section == 'stages' else rest} {_plain(value.value)}")
    return ", ".join(parts)


def options(was: Definition, config: Config, directory: str) -> list[str]:
    """Return the options that were typed for this crawl and are not set now, for a command that does not remember them.

    directory: the working directory now.
    """
    words: list[str] = []
    for name, value in was.values.items():
        last = name.rpartition(".")[2]
        if not is_typed(value.origin) or value.value is None or last == MODE or config.origin(name) not in (DEFAULT, RESUMED):
            continue
        now = typed(value.value, was.directory, directory) if last == "output" else value.value
        if value.origin.startswith("--") or value.origin in ("-o", "-O"):
            words += [word for each in (now if isinstance(now, list) else [now]) for word in (value.origin, str(each))]
        else:
            words += ["-s", f"{name}={toml(now)}"]
    return words


def _plain(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return " and ".join(value)
    return value if isinstance(value, str) else toml(value)
