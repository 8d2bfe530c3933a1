"""Let a crawl go on that was begun by hand, with `crawler hub`, `put` and `stage`, with `crawler run`, and the other way round.

seeds in the store ─┐
outputs with rows ──┼──▶ Definition
settings in force ──┘
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from crawler.broker.sqlite.place import store_path
from crawler.config.load import Config
from crawler.pipeline.build import FRONTIER
from crawler.run.paths import from_here
from crawler.run.report.outputs import ROWS, STDOUT, described, rows_by_output
from crawler.run.resume import definition as definitions
from crawler.run.resume import rules
from crawler.run.resume.definition import DEFAULT, SEEDS_KEPT, Definition, Value
from crawler.run.resume.differences import ENABLED, MODE, OUTPUT, placed

if TYPE_CHECKING:
    from crawler.broker.sqlite.broker import SqliteBroker
    from crawler.broker.sqlite.peek import Peek

OUTPUT_OPTION = "-o"  # counts as typed, so that it is remembered


def output(notes: Mapping[str, bytes], counters: Mapping[str, int]) -> str:
    """Return the file that this crawl has written most rows to; "" if it has opened none, or none is there any more."""
    rows = rows_by_output((), notes, counters, os.getcwd())
    there = {name: each.rows for name, each in rows.items() if name != STDOUT and Path(name).exists()}
    return max(there, key=lambda name: there[name], default="")


def output_of(broker: SqliteBroker, data: Path) -> str:
    """Return the place that the crawl in this store writes to, as it can be typed here; "" if it has written nowhere yet."""
    if (crawl := definitions.read(broker, data)) is not None:
        return crawl.output if crawl.output in ("", STDOUT) else from_here(crawl.path(crawl.output))
    return output({note.name: note.value for note in broker.notes(ROWS)}, broker.stats().counters)


def of_stages(crawl: Definition, stages: Sequence[str], config: Config) -> dict[str, Any]:
    """Return the settings of these stages that decide where and how the crawl stores its rows, and that nothing sets now."""
    found: dict[str, Any] = {}
    for stage in stages:
        if f"stages.{stage}.output" not in crawl.values or not is_open(config, stage):
            continue
        for name, value in crawl.values.items():
            is_open_option = name.startswith(f"stages.{stage}.") and value.value is not None and config.origin(name) == DEFAULT
            last = name.rpartition(".")[2]
            if is_open_option and last == OUTPUT:
                found[name] = placed(value.value, crawl.directory, os.getcwd())
            elif is_open_option and value.origin != DEFAULT and last not in (*rules.WIRING, MODE, ENABLED, "use"):
                found[name] = value.value
    return found


def is_open(config: Config, stage: str) -> bool:
    """Tell whether the output of this stage is not set."""
    return config.origin(f"stages.{stage}.output") == DEFAULT


def define(data: Path, settings: Mapping[str, Value], how: Mapping[str, Value], texts: Sequence[str], file: str) -> Definition:
    """Return the definition of the crawl in `data`. file: the configuration file, as stored."""
    from crawler.broker.sqlite.peek import seeds  # here, because a first crawl does not need SQLite in this process
    from crawler.web.queued import visit

    visits = [each for item in seeds(store_path(data), FRONTIER, SEEDS_KEPT) if (each := visit(item)) is not None]
    typed = {
        name: Value(value.value, OUTPUT_OPTION if value.origin == definitions.RESUMED else value.origin)
        for name, value in settings.items()
    }  # fmt: skip
    found = definitions.of(typed, [*(each.url for each in visits), *texts], how=how)
    return structs.replace(found, config=file)


def said(definition: Definition, store: Peek, data: Path) -> list[str]:
    """Say which settings are taken over."""
    lines = [f"the crawl in {data} was begun without 'crawler run'; from now on it is a crawl from {definition.began_from()}"]
    if rows := described(rows_by_output((), store.notes, store.counters, os.getcwd())):
        lines.append(f"so far: {rows}; further rows go to {definition.output}")
    if kept := rules.described(definition.values):
        lines.append(f"with the rules: {kept}")
    return lines
