"""Take over a crawl that was begun by hand, with `crawler hub`, `put` and `stage`, so that `crawler run` can resume it.

    seeds in the store ─┐
    outputs with rows ──┼──▶ Definition
    settings in force ──┘
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from crawler.broker.place import store_path
from crawler.config import Config
from crawler.pipeline import FRONTIER
from crawler.run import definition as definitions
from crawler.run import rules
from crawler.run.definition import DEFAULT, SEEDS_KEPT, Definition, Value
from crawler.run.outputs import STDOUT, described, rows_by_output

if TYPE_CHECKING:
    from crawler.broker.peek import Peek

OUTPUT_OPTION = "-o"               # counts as typed, so that it is remembered


def output(store: Peek) -> str:
    """Return the file that this crawl has written most rows to; "" if it has opened none, or none is there any more."""
    rows = rows_by_output((), store.notes, store.counters, os.getcwd())
    there = {name: each.rows for name, each in rows.items() if name != STDOUT and Path(name).exists()}
    return max(there, key=lambda name: there[name], default="")


def is_open(config: Config, stage: str) -> bool:
    """Tell whether nobody set the output of this stage."""
    return config.origin(f"stages.{stage}.output") == DEFAULT


def define(data: Path, settings: Mapping[str, Value], how: Mapping[str, Value], texts: Sequence[str], file: str) -> Definition:
    """Return the definition of the crawl in `data`. file: the configuration file, as stored."""
    from crawler.broker.peek import seeds  # here, because a first crawl does not need SQLite in this process
    from crawler.web.page import Visit

    visits = [msgspec.msgpack.decode(item, type=Visit) for item in seeds(store_path(data), FRONTIER, SEEDS_KEPT)]
    typed = {
        name: Value(value.value, OUTPUT_OPTION if value.origin == definitions.RESUMED else value.origin)
        for name, value in settings.items()
    }  # fmt: skip
    found = definitions.of(typed, [*(visit.url for visit in visits), *texts], how=how)
    return structs.replace(found, config=file)


def said(definition: Definition, store: Peek, data: Path) -> list[str]:
    """Say what is taken over."""
    lines = [f"the crawl in {data} was begun without 'crawler run'; from now on it is a crawl from {definition.began_from()}"]
    if rows := described(rows_by_output((), store.notes, store.counters, os.getcwd())):
        lines.append(f"so far: {rows}; further rows go to {definition.output}")
    if kept := rules.described(definition.values):
        lines.append(f"with the rules: {kept}")
    return lines
