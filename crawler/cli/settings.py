"""The command crawler settings: each value in force, its origin, and its meaning."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.cli import common
from crawler.cli.printing import data, say, tell
from crawler.errors import ConfigError, UsageError
from crawler.wording.secrets import masked

if TYPE_CHECKING:
    from msgspec import Struct

MOST = 110  # characters in a line of an explanation
VALUE = 40  # characters in the column of values


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "settings",
        parents=[common.options()],
        description="Show each setting's value, the options of every stage included, and where it came from: default, the "
        "configuration file, a variable of the environment, or -s. Passwords, tokens, cookies and keys are not shown.",
        epilog="One setting has three spellings: delay under [frontier] in the file, CRAWLER_FRONTIER__DELAY, "
        "and -s frontier.delay=0. The last wins.",
    )
    parser.add_argument("names", metavar="PREFIX", nargs="*", help="only settings that begin with PREFIX, or end with that word")
    parser.add_argument("--explain", action="store_true", help="show what each means, its allowed values, and its default")
    parser.add_argument("--json", action="store_true", help="one JSON object: name -> {value, origin}")
    common.short_forms(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from crawler.config.load import shown
    from crawler.pipeline.build import build, check, values

    try:
        config = common.load(args)
        pipeline = build(config)
        options = check(pipeline, config.origin)
    except ConfigError as error:
        if not args.explain:
            raise
        from crawler.config.load import load

        tell(*f"crawler: {masked(str(error), args.typed)}".split("\n"), "crawler: the defaults are explained in its place")
        config = load(Path(os.devnull), [], {})
        pipeline = build(config)
        options = check(pipeline, config.origin)
    in_force = values(pipeline, options, config.settings)
    rows = {name: (shown(name, in_force[name]), config.origin(name)) for name in chosen(list(in_force), args.names)}
    if args.json:
        told = {name: {"value": value, "origin": origin} for name, (value, origin) in rows.items()}
        if args.explain:
            told = {name: row | about(name, options) for name, row in told.items()}
        data(json.dumps(told, ensure_ascii=False, indent=2))
    elif args.explain:
        for name, (value, origin) in rows.items():
            say(*explained(name, value, origin, about(name, options)))
    else:
        show(rows)
    return common.OK


def chosen(names: list[str], wanted: Iterable[str]) -> list[str]:
    """Return the names that begin with a wanted word or, if none do, end with it; all names if no word is given."""
    found: dict[str, None] = {} if wanted else dict.fromkeys(names)
    for word in wanted:
        word = word.replace("-", "_").strip(".[]")
        matches = [name for name in names if name == word or name.startswith(f"{word}.")]
        matches = matches or [name for name in names if name.startswith(word) or name.rpartition(".")[2] == word]
        if not matches:
            raise UsageError(f"no setting begins or ends with {word!r}; {_meant(word, names)}")
        found.update(dict.fromkeys(matches))
    return [name for name in names if name in found]


def _meant(word: str, names: Iterable[str]) -> str:
    from crawler.config import suggestions
    from crawler.wording.spelling import nearest

    last = word.rpartition(".")[2]
    if tables := [table for table in dict.fromkeys(name.rpartition(".")[0] for name in names) if table.endswith(f".{last}")]:
        return suggestions.question(tables)
    near = nearest(word, names)
    offers = suggestions.elsewhere(last) or ([near] if near else suggestions.similar(last, ""))
    return suggestions.question(offers) if offers else "'crawler settings' shows all of them"


def about(name: str, options: Mapping[str, Struct]) -> dict[str, Any]:
    """Return the meaning, the allowed values and the default of a setting. Of a user's own stage only the values are known."""
    from crawler.config.reference import explain
    from crawler.config.tables import expected

    entry, kind = explain(name), kind_of(name, options)
    return {
        "about": entry.about if entry else "",
        "expected": expected(kind) if kind is not None else "",
        "default": entry.default if entry else default_of(name, options),
    }


def default_of(name: str, options: Mapping[str, Struct]) -> str:
    """Return the default of an option of a user's own stage, as its class has it; "" if it has none."""
    from msgspec import NODEFAULT, structs

    _, stage, key = [*name.split(".", 2), "", ""][:3]
    for field in structs.fields(options[stage]) if name.startswith("stages.") and stage in options else ():
        if field.name == key:
            value = field.default_factory() if field.default_factory is not NODEFAULT else field.default
            return "required" if value is NODEFAULT else "not set" if value is None else json.dumps(value, default=str)
    return ""


def kind_of(name: str, options: Mapping[str, Struct]) -> Any:
    """Return the type of a setting; None for one in a table whose names the user chooses."""
    from msgspec import structs

    from crawler.config.settings import HostSettings, QueueSettings, Settings, StageSettings

    first, _, rest = name.partition(".")
    stage, _, key = rest.partition(".")
    tables: list[Any] = [Settings]
    path = name.split(".")
    if first == "hosts":
        tables, path = [HostSettings], [name.rpartition(".")[2]] if ".headers." not in name else []
    elif first == "queues":
        tables, path = [QueueSettings], [key]
    elif first == "stages":
        tables, path = [StageSettings, *([type(options[stage])] if stage in options else [])], [key]
    for kind in tables:
        for part in path:
            is_struct = hasattr(kind, "__struct_fields__")
            kind = {field.name: field.type for field in structs.fields(kind)}.get(part) if is_struct else None
        if kind is not None:
            return kind
    return None


def explained(name: str, value: Any, origin: str, known: Mapping[str, Any]) -> list[str]:
    import shutil
    import textwrap

    width = min(shutil.get_terminal_size().columns, MOST)
    head = f"{name} is not set" if value is None else f"{name} = {json.dumps(value, ensure_ascii=False)}"
    lines = [
        known["about"],
        f"write {known['expected']}" if known["expected"] else "",
        f"default: {known['default']}" if known["default"] and (value is None or origin != "default") else "",
    ]
    body = [part for line in lines for part in textwrap.wrap(line, width - 4, break_long_words=False, break_on_hyphens=False)]
    return [head + (f"    ({origin})" if origin != "default" else ""), *(f"    {line}" for line in body)]


def show(rows: Mapping[str, tuple[Any, str]]) -> None:
    texts = [(name, json.dumps(value, ensure_ascii=False), origin) for name, (value, origin) in rows.items()]
    wide = [max(len(text) for text in column) for column in zip(*texts, strict=True)]
    for name, value, origin in texts:
        say(f"{name:<{wide[0]}}  {value:<{min(wide[1], VALUE)}}  {origin}")
