"""Decide how a crawl begins, before anything is started or changed.

data directory ──look──▶ Found ──┐
command and configuration now ───┴─plan──▶ Plan: settings, seeds and definition, and messages about them
                                     └───▶ UsageError: nothing to do, or it is a different crawl

in the data directory     asked for                 what begins
nothing, or finished      URLs                      a first or a fresh crawl
finished                  nothing, or --change      nothing; a message names its rows and the ways out
finished or unfinished    --fresh, no URLs          the same crawl from its beginning
unfinished                the same, or nothing      the crawl continues
unfinished                something else            nothing; with --change the crawl continues with the change
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, structs

from crawler.broker.sqlite.place import store_path
from crawler.config.load import HIDDEN, Config
from crawler.config.settings import FrontierSettings
from crawler.errors import StorageError, UsageError
from crawler.pipeline.build import FRONTIER, Pipeline, budgets_of
from crawler.run.command import Command
from crawler.run.local_store import has_store
from crawler.run.resume import definition as definitions
from crawler.run.resume.definition import Definition, Value
from crawler.run.verify import verify
from crawler.web import urls
from crawler.web.frontier import AUTH

if TYPE_CHECKING:
    from crawler.broker.sqlite.peek import Peek
    from crawler.run.report.outputs import Rows
    from crawler.run.resume.begun_with import Load
    from crawler.run.resume.differences import Difference

# Modules needed only for a directory with a crawl in it are imported in the functions: a first crawl starts at once.

_LIMITS = ("frontier.max_time", "frontier.max_total_bytes")
ASIDE = f"{FRONTIER}/aside/"  # in the names of counters: see `broker.review`


class Found(Struct, frozen=True):
    """The contents of a data directory."""

    definition: Definition | None = None
    store: Peek | None = None

    @property
    def is_empty(self) -> bool:
        return self.store is None or not any(queue.accepted for queue in self.store.queues.values())

    def unfinished(self, queues: Sequence[str]) -> int:
        """Return the number of tasks left on these queues."""
        return sum(self.store.queues[name].unfinished for name in queues if name in self.store.queues) if self.store else 0

    @property
    def aside(self) -> int:
        """The number of URLs that changed rules have set aside, and other ones may bring back."""
        counters = self.store.counters if self.store else {}
        return sum(n for name, n in counters.items() if name.startswith(ASIDE))

    @property
    def rows(self) -> dict[str, Rows]:
        """The rows by output."""
        if self.store is None or self.definition is None:
            return {}
        from crawler.run.report.outputs import rows_by_output

        return rows_by_output(self.definition.outputs, self.store.notes, self.store.counters, self.definition.directory)


class Plan(Struct, frozen=True):
    """The decision on how a crawl begins."""

    config: Config
    pipeline: Pipeline
    options: dict[str, Any]  # of every stage, by its name
    definition: Definition | None  # to be stored with the crawl
    remembered: dict[str, Any]  # settings that the crawl had and that nothing sets now
    texts: list[str]  # seeds to put
    added: list[str]  # those of them that are new to the crawl
    queues_read: list[str]  # queues of the stages it has now or had before: work may be left on them
    said: list[str]  # messages on what a change means for existing tasks and rows
    pages: int  # fetched by earlier runs of this crawl
    gone: frozenset[str] = frozenset()  # outputs whose file is missing though rows were written to it
    rules: dict[str, tuple[Any, Any]] = {}  # changed settings, then and now, by which queued URLs must be judged again
    last_pages: int = 0  # fetched by the crawl that was in the data directory, whether it goes on or not

    @property
    def stages(self) -> list[str]:
        """The names of the stages that the crawl needs."""
        return self.pipeline.reachable(FRONTIER)

    @property
    def output(self) -> str:
        """The place that rows go to; "" if no stage of the crawl has an output."""
        return next((str(self.options[name].output) for name in self.stages if hasattr(self.options[name], "output")), "")


def look(data: Path, *, is_fresh: bool = False, status: str = "crawler status") -> Found:
    """Read what is in this data directory. is_fresh: treat a store that cannot be read as absent; it will be moved aside.

    status: the command that shows a crawl that runs here, for the message.
    Raises UsageError if a hub uses the store or the directory cannot be used, StorageError if the store cannot be read.
    """
    if not has_store(data):
        return Found()
    from crawler.broker.sqlite.peek import peek
    from crawler.run.report.outputs import ROWS
    from crawler.run.resume.owner import wait_or_refuse

    path = store_path(data)
    wait_or_refuse(path, status)
    try:
        store = peek(path, (definitions.NOTE, ROWS, AUTH))
    except StorageError:
        if not is_fresh:
            raise
        return Found()
    note = store.notes.get(definitions.NOTE)
    return Found(definitions.decode(note, data) if note else None, store)


def plan(
    load: Load, texts: Sequence[str], command: Command, *,
    is_fresh: bool = False, is_change: bool = False,
) -> Plan:  # fmt: skip
    """Decide how the crawl begins.

    command: the command as typed, for the hints. Raises UsageError if there is nothing to do or the unfinished crawl is
    another one.
    """
    for text in texts:
        urls.seed(text)
    config = load({})
    data = Path(config.settings.data)
    found = look(data, is_fresh=is_fresh, status=command.other("status"))
    was = found.definition
    goes_on = not is_fresh and was is not None and (
        found.is_empty or found.unfinished(was.queues_read) > 0 or (is_change and found.aside > 0)
    )  # fmt: skip
    file: Path | None = None
    if was is not None and (goes_on or not texts):
        from crawler.run.resume import begun_with

        config, file = begun_with.loaded(load, config, was)
    asked = _asked(load, config, was if goes_on or not texts else None, file)
    if was is not None and not goes_on and not is_fresh and found.unfinished(asked.queues_read):
        goes_on = True  # the crawl was finished, but a stage was added and has tasks to read
        asked = _asked(load, config, was, file)
    if was is not None and goes_on:
        return _resumed(found, was, asked, texts, command, is_change=is_change)
    if was is None and not is_fresh and found.store is not None and found.unfinished(asked.queues_read):
        return _by_hand(load, found.store, asked, texts, data)
    if is_change and texts and not found.is_empty:
        raise UsageError(_nothing_to_change(found, was, command, data, texts))
    seeds = list(texts) or _seeds_again(found, was, command, data, asked, is_fresh=is_fresh, is_change=is_change)
    definition = definitions.of(_kept(was, asked, asked.settings), seeds, how=_how(was, asked))
    definition = structs.replace(definition, config=definitions.stored_file(config, definition.directory))
    said = _same_rules(definition) if is_fresh and not texts else []
    return structs.replace(_plan(asked, definition, seeds, said=said), last_pages=_pages(found))


def _same_rules(definition: Definition) -> list[str]:
    """Name the rules of a crawl that begins anew without being told its URLs; nothing if all of them are defaults."""
    from crawler.run.resume import rules

    described = rules.described(definition.values)
    return [f"with its rules: {described}"] if described else []


def _by_hand(load: Load, store: Peek, asked: _Asked, texts: Sequence[str], data: Path) -> Plan:
    """Plan the continuation of a crawl that has no definition: `crawler run` did not begin it, or an older version did."""
    from crawler.run.resume import by_hand

    stage = next((name for name in asked.pipeline.reachable(FRONTIER) if hasattr(asked.options[name], "output")), "")
    output = by_hand.output(store.notes, store.counters)
    if stage and output and by_hand.is_open(asked.config, stage):
        remembered = {f"stages.{stage}.output": output}
        config = load(remembered)
        pipeline, options = verify(config)
        asked = _Asked(config, pipeline, dict(options), remembered)
    definition = by_hand.define(data, asked.settings, asked.how, texts, definitions.stored_file(asked.config, os.getcwd()))
    return _plan(asked, definition, texts, said=by_hand.said(definition, store, data), pages=_pages(Found(None, store)))


class _Asked(Struct, frozen=True):
    """A loaded configuration with its pipeline and options."""

    config: Config
    pipeline: Pipeline
    options: dict[str, Any]
    remembered: dict[str, Any]
    file: Path | None = None  # configuration file that is used because the crawl was begun with it

    @property
    def queues_read(self) -> list[str]:
        return [self.pipeline.stages[name].input for name in self.pipeline.reachable(FRONTIER)]

    @property
    def settings(self) -> dict[str, Value]:
        return definitions.settings_of(self.config, self.pipeline, self.options)

    @property
    def how(self) -> dict[str, Value]:
        return definitions.how_of(self.config, self.pipeline, self.options)


def _asked(load: Load, config: Config, was: Definition | None, file: Path | None = None) -> _Asked:
    """Load and check the configuration. was: the crawl whose settings apply where nothing sets them now. file: see `_Asked`."""
    remembered: dict[str, Any] = {}
    if was is not None:
        from crawler.run.resume import differences

        remembered = differences.remembered(was, config.origin, os.getcwd())
    full = load(remembered, file) if remembered else config
    pipeline, options = verify(full)
    return _Asked(full, pipeline, dict(options), remembered, file)


def _plan(
    asked: _Asked, definition: Definition | None, texts: Sequence[str], *,
    added: Sequence[str] = (), was: Definition | None = None, said: Sequence[str] = (), pages: int = 0,
) -> Plan:  # fmt: skip
    return Plan(
        config=asked.config, pipeline=asked.pipeline, options=asked.options, definition=definition, remembered=asked.remembered,
        texts=list(texts), added=list(added), said=[*_file_used(asked), *_hosts_missed(asked, texts), *said], pages=pages,
        queues_read=list(dict.fromkeys([*(was.queues_read if was is not None else ()), *asked.queues_read])),
    )  # fmt: skip


def _hosts_missed(asked: _Asked, seeds: Sequence[str]) -> list[str]:
    if not asked.config.settings.hosts:
        return []
    from crawler.web.hosts import of_other_ports

    return of_other_ports(asked.config.settings.hosts, seeds)


def _file_used(asked: _Asked) -> list[str]:
    return [f"using {asked.file}, as the crawl was begun with it"] if asked.file is not None else []


def _seeds_again(
    found: Found, was: Definition | None, command: Command, data: Path, asked: _Asked, *, is_fresh: bool, is_change: bool
) -> list[str]:  # fmt: skip
    """Return the seeds of the previous crawl, to begin it again.

    Raises UsageError if they are not all known, or if a fresh start was not asked for.
    """
    left = _left_over(found, asked, command)
    if was is None and left:
        raise UsageError("\n".join([f"nothing to crawl in {data} with the stages that are configured", *left]))
    if was is None:
        raise UsageError(f"nothing to crawl: name a URL, or --data with the directory of an unfinished crawl; {data} has none")
    if not is_fresh:
        raise UsageError("\n".join([
            ("--change resumes an unfinished crawl, and " if is_change else "") + _finished(found, was, command, data), *left,
            f"crawl it again:    {command.again('--fresh', without='--change')}",
            f"another crawl:     {command.again('URL', without='--change')}",
        ]))  # fmt: skip
    if len(was.seeds) < was.seeds_total:
        why = f"it began from {was.seeds_total:,} URLs, which are not all stored"
        raise UsageError(f"cannot start the crawl in {data} over without URLs: {why}; name them again")
    seeds = [_with_password(seed.url, found) for seed in was.seeds]
    if any(HIDDEN in seed for seed in seeds):
        typed = [seed.replace(HIDDEN, "USER:PASSWORD") for seed in seeds]
        why = f"the passwords of its seeds are not stored; type them:\n{command.bare('--fresh', *typed)}"
        raise UsageError(f"cannot start the crawl in {data} over without URLs: {why}")
    return seeds


def _nothing_to_change(found: Found, was: Definition | None, command: Command, data: Path, texts: Sequence[str]) -> str:
    """Say that --change has no unfinished crawl to resume, and the ways out."""
    finished = f"--change resumes an unfinished crawl, and {_finished(found, was, command, data)}"
    if not texts:
        return f"{finished}\nstart over:        {command.again('--fresh', without='--change')}"
    return (
        f"{finished}\n"
        f"start over:        {command.again(without='--change')}\n"
        f"in parallel:       {command.again('--data', 'DIR', without='--change')}"
    )


def _left_over(found: Found, asked: _Asked, command: Command) -> list[str]:
    """List the queues whose tasks no configured stage reads, with what to do about them."""
    from crawler.run.report import stranded

    queues = found.store.queues if found.store is not None else {}
    left = {name: queue.unfinished for name, queue in queues.items() if queue.unfinished and name not in asked.queues_read}
    by_hand = asked.pipeline.by_hand
    return [
        f"left over: {stranded.described(name, n, lambda text: command.other(*text.split()), is_by_hand=name in by_hand)}"
        for name, n in left.items()
    ]


def _with_password(seed: str, found: Found) -> str:
    """Return a seed with the user name and password that the store has for its origin, in place of the mask."""
    if HIDDEN not in seed or found.store is None:
        return seed
    note = found.store.notes.get(AUTH + urls.origin(seed.replace(f"{HIDDEN}@", "")))
    return seed if note is None else seed.replace(HIDDEN, note.decode("utf-8", "surrogateescape"))


def _finished(found: Found, was: Definition | None, command: Command, data: Path) -> str:
    """Say that the crawl is finished, with its rows, and what may be left to do all the same."""
    from crawler.run.report.outputs import described
    from crawler.run.resume.gone import gone, warning
    from crawler.wording.counting import agree, counted

    rows = described(found.rows)
    lost = gone(found.rows)
    dead = sum(queue.dead for queue in found.store.queues.values()) if found.store is not None else 0
    retry = f"{dead:,} dead: '{command.other('dead', 'retry', '--all')}' tries {agree(dead, 'it', 'them')} again"
    first = f"the crawl in {data} is finished{f': {rows}' if rows else ''}; {retry if dead else 'nothing is left to do'}"
    lines = [first, *(warning(name, each, f"'{command.bare('--fresh')}' crawls anew") for name, each in lost.items())]
    if n := found.aside:
        them = agree(n, "it", "them")
        lines.append(f"{counted(n, 'URL')} set aside by changed rules: --change with wider ones queues {them} again")
    return "\n".join(lines)


def _resumed(found: Found, was: Definition, asked: _Asked, texts: Sequence[str], command: Command, *, is_change: bool) -> Plan:
    """Plan the continuation of the unfinished crawl. Raises UsageError if it differs from what is asked for, without --change."""
    from crawler.run.resume import change
    from crawler.run.resume.differences import compare
    from crawler.run.resume.gone import gone, warning

    directory = os.getcwd()
    data = Path(asked.config.settings.data)
    changed = compare(was, asked.settings, directory)
    strange = change.strangers(data, was, texts)
    if (changed or strange) and not is_change:
        limits = _limits_reached(found, was, asked, changed)
        raise UsageError(change.refusal(data, was, changed, strange, command, asked.config, limits, has_seeds=bool(texts)))
    rules = change.of_rules(changed)
    if is_change and not rules and not found.is_empty and not found.unfinished([*was.queues_read, *asked.queues_read]):
        raise UsageError(_nothing_to_change(found, was, command, data, texts))  # tasks set aside stay so
    _refuse_at_limit(found, was, asked, command)
    if changed or strange:
        here = change.with_change(was, _kept(was, asked, asked.settings), strange, directory)
    else:
        here = _typed_now(was, asked)
    here = structs.replace(here, how=_how(was, asked), config=definitions.stored_file(asked.config, was.directory) or was.config)
    seeds = [*(seed.url for seed in was.seeds), *strange] if was.has_all_seeds else texts
    lost = gone(found.rows)
    said = [
        *change.file_gone(was, asked.config, command), *(warning(name, rows) for name, rows in lost.items()), *_not_emptied(asked),
        *change.consequences(found, was, changed, here, asked.pipeline),
    ]  # fmt: skip
    plan = _plan(asked, here, seeds, added=strange, was=was, said=said, pages=_pages(found))
    return structs.replace(plan, gone=frozenset(lost), rules=rules)


def _limit_reached(found: Found, was: Definition, asked: _Asked, frontier: FrontierSettings) -> str:
    """Return the limit of the whole crawl that is reached, so that with these settings nothing would be done; "" if none is."""
    from crawler.broker.budget import spent

    limit = spent(budgets_of(asked.pipeline.stages, frontier), found.store.counters if found.store is not None else {})
    return "" if found.unfinished([name for name in was.queues_read if name != FRONTIER]) else limit


def _limits_reached(found: Found, was: Definition, asked: _Asked, changed: Sequence[Difference]) -> tuple[str, str]:
    """Return the limit that is reached with the settings of then, and with those of now."""
    now = asked.config.settings.frontier
    then = {each.name.partition(".")[2]: each.then for each in changed if each.name in _LIMITS}
    default = FrontierSettings()
    before = structs.replace(now, **{name: value.value if value else getattr(default, name) for name, value in then.items()})
    return _limit_reached(found, was, asked, before), _limit_reached(found, was, asked, now)


def _refuse_at_limit(found: Found, was: Definition, asked: _Asked, command: Command) -> None:
    """Raise UsageError if a limit of the whole crawl is reached, so that nothing would be done."""
    from crawler.wording.counting import counted

    limit = _limit_reached(found, was, asked, asked.config.settings.frontier)
    if not limit:
        return
    left, setting = counted(found.unfinished([FRONTIER]), "URL"), limit.partition(" ")[0]
    raise UsageError("\n".join([
        f"the crawl in {asked.config.settings.data} has reached its limit {limit}; {left} left to do",
        f"raise the limit:   {command.bare('-s', f'{setting}=N', '--change')}",
        f"start over:        {command.bare('--fresh')}",
    ]))  # fmt: skip


def _typed_now(was: Definition, asked: _Asked) -> Definition:
    """Return the definition in which settings that are typed now count as typed: they are remembered when their file is gone."""
    typed = {name: value.origin for name, value in _kept(was, asked, asked.settings).items() if definitions.is_typed(value.origin)}
    values = {name: Value(value.value, typed.get(name, value.origin)) for name, value in was.values.items()}
    return structs.replace(was, values=values)


def _not_emptied(asked: _Asked) -> list[str]:
    """Say that an output is not emptied, though -O or its setting asks for that now."""
    return [
        f"{options.output} is not emptied: a resumed crawl keeps its rows (--fresh starts over and empties it)"
        for name, options in asked.options.items()
        if getattr(options, "mode", "") == "overwrite" and f"stages.{name}.mode" not in asked.remembered
    ]  # fmt: skip


def _kept(was: Definition | None, asked: _Asked, settings: Mapping[str, Value]) -> dict[str, Value]:
    """Return these settings; a remembered one keeps its original origin."""
    known = {**was.how, **was.values} if was is not None else {}
    return {name: known[name] if name in asked.remembered and name in known else value for name, value in settings.items()}


def _how(was: Definition | None, asked: _Asked) -> dict[str, Value]:
    """Return the settings on how the work is done, from this run and the typed ones of earlier runs."""
    before = was.how if was is not None else {}
    now = {name: value for name, value in asked.how.items() if name not in asked.remembered}
    return {**{name: value for name, value in before.items() if name in asked.remembered}, **now}


def _pages(found: Found) -> int:
    """Return the number of pages fetched so far."""
    counters = found.store.counters if found.store else {}
    return sum(n for name, n in counters.items() if "/status/" in name)
