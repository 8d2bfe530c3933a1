"""Continue a crawl whose settings or seeds have changed: list the differences, explain the effects, update the definition."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import structs

from crawler.broker.sqlite.place import store_path
from crawler.config.load import HIDDEN, Config
from crawler.pipeline.build import FRONTIER, Pipeline
from crawler.run.command import Command
from crawler.run.report.outputs import STDOUT, described
from crawler.run.resume import begun_with, differences, rules
from crawler.run.resume import definition as definitions
from crawler.run.resume.definition import Definition, Seed, Value, forms, seed_of
from crawler.run.resume.differences import Difference
from crawler.web import urls
from crawler.web.targets import Targets
from crawler.wording.counting import counted

if TYPE_CHECKING:
    from crawler.run.resume.decide import Found


def refusal(
    data: Path, was: Definition, changed: Sequence[Difference], strange: Sequence[str], command: Command, config: Config,
    limits: tuple[str, str] = ("", ""), *, has_seeds: bool,
) -> str:  # fmt: skip
    """Return the message that lists the differences and the commands to choose from.

    config: in force now. limits: those that are reached, with the settings of then and of now; with them it cannot go on.
    has_seeds: URLs were given on the command line, so they could also start a crawl in another directory.
    """
    lines = [f"the unfinished crawl in {data} is a different one:", *(f"  {difference}" for difference in changed)]
    if strange:
        lines.append(f"  {differences.describe_strangers(was, strange)}")
    file = begun_with.there(was)
    is_other = bool(file) and os.path.abspath(file) != os.path.abspath(config.file)
    sets, by_hand = differences.to_undo([each for each in changed if not (is_other and _is_of_files(each, was, config))])
    words = [word for setting in [*sets, *begun_with.lost(was, config)] for word in ("-s", setting)]
    as_it_was = command.with_file(file, *words) if is_other else command.bare(*words)
    first = f"{'; '.join(by_hand)}, then " if by_hand else ""
    lines += [f"{HIDDEN} below stands for a password or token: type it again"] if HIDDEN in command.again() else []
    more = rules.options(was, config, os.getcwd()) if has_seeds else []  # without URLs, a fresh crawl keeps them
    if has_seeds and file and not is_other and not command.has_file:
        more += ["-c", file]
    then, now = limits
    option = now.partition(" ")[0].replace("frontier.", "--").replace("_", "-")  # before it, a setting with -s has no effect
    raised = command.again(option, "N", "--change")
    return "\n".join([
        *lines,
        *([f"it has reached its limit {then or now}"] if then or now else []),
        *([] if then else [f"resume unchanged:  {first}{as_it_was}"]),
        f"and a new limit:   {raised}" if now else f"with the change:   {command.again('--change')}",
        f"start over:        {command.again('--fresh', *more)}",
        *([f"in parallel:       {command.again('--data', 'DIR')}"] if has_seeds else []),
    ])  # fmt: skip


def file_gone(was: Definition, config: Config, command: Command) -> list[str]:
    """Say that the file that the crawl was begun with is gone, if it set something that nothing sets now."""
    sets = begun_with.lost(was, config)
    again = command.bare(*(word for setting in sets for word in ("-s", setting)))
    return [f"warning: {was.config}, with which the crawl was begun, is gone; to keep its settings: {again}"] if sets else []


def of_rules(changed: Sequence[Difference]) -> dict[str, tuple[Any, Any]]:
    """Return the values then and now of changed settings that decide which of the queued URLs are fetched."""
    from crawler.run.resume.review import is_rule

    values = ((each.name, each.then, each.now) for each in changed if is_rule(each.name))
    return {name: (then.value if then else None, now.value if now else None) for name, then, now in values}


def _is_of_files(difference: Difference, was: Definition, config: Config) -> bool:
    """Tell whether naming the file that the crawl was begun with, in place of the one in use, removes this difference."""
    origins = {each.origin for each in (difference.then, difference.now) if each is not None} - {definitions.DEFAULT}
    files = {config.file, *(value.origin for value in was.values.values() if not definitions.is_typed(value.origin))}
    return origins <= files


def consequences(found: Found, was: Definition, changed: Sequence[Difference], here: Definition, pipeline: Pipeline) -> list[str]:
    """List what a change means for the tasks and rows that the crawl already has."""
    lines = []
    before = described(found.rows)
    if any(difference.name.endswith(f".{differences.OUTPUT}") for difference in changed):
        output = differences.typed(here.output, here.directory, os.getcwd())
        lines.append(f"so far: {before or 'no rows'}; further rows go to {output}")
    elif before and any(difference.name.startswith("stages.") for difference in changed):
        lines.append(f"existing rows stay as they are: {before}")
    for name in was.queues_read:
        if not pipeline.readers(name) and (n := found.unfinished([name])):
            lines.append(f"{counted(n, 'task')} on queue {name}, which no stage reads any more")
    return lines


def strangers(data: Path, was: Definition, texts: Sequence[str]) -> list[str]:
    """List the given seeds that the crawl did not start from. Raises BadUrl.

    If the definition does not hold all seeds, the store in `data` is searched.
    """
    if len(was.seeds) == was.seeds_total:
        return differences.strangers(was, texts)
    from crawler.broker.sqlite.peek import seeds_among

    form = Targets(was.frontier).form
    keys = {url: urls.key(form(url)) for text in texts for url in forms(seed_of(text))}
    known = seeds_among(store_path(data), FRONTIER, keys.values())
    return differences.strangers(was, texts, lambda url: keys[url] in known)


def with_change(was: Definition, settings: Mapping[str, Value], strange: Sequence[str], directory: str) -> Definition:
    """Return the definition with the change applied. An output relative to another working directory becomes an absolute path."""
    values = dict(settings)
    for name, value in settings.items():
        is_moved = directory != was.directory and value.value != STDOUT and was.values.get(name) != value
        if name.endswith(f".{differences.OUTPUT}") and is_moved:
            values[name] = Value(os.path.join(directory, value.value), value.origin)
    added = [seed_of(text) for text in strange]
    seeds: list[Seed] = [*was.seeds, *added][: definitions.SEEDS_KEPT]
    return structs.replace(
        was, values=values, seeds=tuple(seeds), seeds_total=was.seeds_total + len(added),
        seeds_digest=definitions.digest([*was.seeds, *added]) if len(was.seeds) == was.seeds_total else "",
        outputs=tuple(dict.fromkeys([*was.outputs, *definitions.outputs_in(values)])),
    )  # fmt: skip
