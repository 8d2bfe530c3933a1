"""Check a whole configuration before anything is started: settings, pipeline, stages, and their outputs.

`crawler check`, `run` and `stage` all call `verify`, so that they refuse the same mistakes in the same words. It opens and changes
nothing, and reports all mistakes at once.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from crawler.config.load import Config
from crawler.config.tables import at
from crawler.errors import Collected, ConfigError, Mistakes, UsageError
from crawler.pipeline import graph, hooks
from crawler.pipeline.build import Pipeline, StageSpec, build, load
from crawler.run import shares
from crawler.run.local_store import check_directory
from crawler.stage import LocalShared, Stage
from crawler.web.frontier import Frontier

_OURS = r"hub\.|authkey|report\.json|sinks$|certs$"  # names of files in a data directory; compiled where it is used, as few are
_KEY = r"(?:stages|frontier)\.[\w.-]*\w"  # the setting that a message begins with


class Verified(NamedTuple):
    """A configuration that has passed all checks."""

    pipeline: Pipeline
    options: dict[str, Stage.Options]  # by stage


def verify(config: Config, names: Collection[str] | None = None) -> Verified:
    """Return the pipeline and its stages' options. Raises ConfigError with all mistakes.

    names: the stages, or the classes they use, whose code and options are checked; None: all. A machine that runs one stage does
    not need the code of the others.
    """
    found = Collected()
    pipeline: Pipeline | None = None
    with found.mistakes():
        pipeline = build(config)
    if names is None:  # a worker's machine, with names, stores nothing there
        with found.mistakes():
            if not config.settings.data:
                raise UsageError(f'{at(config.origin("data"))}data is empty; name a directory, or "." for this one')
            check_directory(Path(config.settings.data))
    if config.settings.hub.address:
        from crawler.hub.address import Address  # here, because most crawls use the socket in their data directory

        with found.mistakes():
            Address.parse(config.settings.hub.address)
    with found.mistakes(), _placed(config):
        Frontier(config.settings.frontier, LocalShared())  # compiles the patterns
    if config.settings.hosts:
        from crawler.web import hosts  # here, because few configurations have such tables

        with found.mistakes():
            hosts.check(config.settings.hosts, config.origin)
    options = {}
    if pipeline is not None:
        found.each += queue_mistakes(pipeline, config)
        for stage in pipeline.stages.values():
            if names is None or stage.name in names or stage.use in names:
                with found.mistakes():
                    refuse_own_file(stage.options_table.get("output"), Path(config.settings.data))
                    options[stage.name] = options_of(stage, config)
        with found.mistakes(), _placed(config):
            _chains(pipeline, names)
    with found.mistakes():
        hooks.classes()
    found.refuse()
    assert pipeline is not None  # noqa: S101  (otherwise its mistakes were raised above)
    return Verified(pipeline, options)


def verify_options(config: Config, stages: Iterable[StageSpec]) -> None:
    """Check the classes and options of these stages alone. Raises ConfigError with all mistakes."""
    found = Collected()
    for stage in stages:
        with found.mistakes():
            options_of(stage, config)
    found.refuse()


def refuse_own_file(output: object, data: Path) -> None:
    """Raise UsageError for an output in the data directory, where the files of the hub are.

    If the data directory is the working directory or above it, only the hub's own files are refused.
    """
    if not isinstance(output, str) or output in ("", "-"):
        return
    path, home, here = Path(output).resolve(), data.resolve(), Path.cwd().resolve()
    if not path.is_relative_to(home) or path == home:
        return
    first = path.relative_to(home).parts[0]
    if here.is_relative_to(home) and not re.match(_OURS, first):
        return
    raise UsageError(f"the output {output} is in the data directory {data}; the crawl keeps its own files there, "
                     "so write the records to another directory")  # fmt: skip


def queue_mistakes(pipeline: Pipeline, config: Config) -> list[str]:
    """List queues that nothing fills or reads, with the setting that names them, and cycles that would never end."""
    unread = [name for name in pipeline.unread() if name not in pipeline.by_hand]
    inputs = {stage.name: stage.input for stage in pipeline.stages.values()}
    unfilled = [name for name in pipeline.unfilled() if name not in pipeline.by_hand]
    messages = []
    for queue in unfilled:
        if not pipeline.queues[queue].polite:  # seeds are put there by people
            key = f"stages.{pipeline.readers(queue)[0].name}.input"
            from crawler.wording.spelling import nearest  # here, because only mistakes need it

            near = nearest(queue, unread) or nearest(queue, _filled(pipeline))
            if near in unread and not _place(config, key):
                continue  # the other end of one misspelled name: it is named below
            messages.append(f"{_place(config, key)}{key} is {queue!r}, which no stage fills; {_ways(queue, near, 'put')}")
            if near in unread:  # both ends of one misspelled name
                unread.remove(near)
    for queue in unread:
        writer = pipeline.writers(queue)[0].name
        key = f"stages.{writer}.outputs"
        from crawler.wording.spelling import nearest  # here, because only mistakes need it

        near = nearest(queue, [name for stage, name in inputs.items() if stage != writer])
        near = "" if near == inputs[writer] else near  # it would read its own output
        messages.append(f"{_place(config, key)}{key} has {queue!r}, which no stage reads; {_ways(queue, near, 'take')}")
    messages += _shared(pipeline, config)
    if drawn := _endless(pipeline):
        messages.append(drawn)
    return messages


def _shared(pipeline: Pipeline, config: Config) -> list[str]:
    """List the stages that read the queue of a store beside it: what goes to them makes no row."""
    stores = {stage.input: stage for stage in pipeline.stores()}
    storing = {stage.name for stage in stores.values()}
    messages = []
    for stage in pipeline.stages.values():
        store = stores.get(stage.input)
        if store is None or stage.use == store.use or stage.name in storing:
            continue
        key = f"stages.{stage.name}.input"
        messages.append(
            f"{_place(config, key)}{key} is {stage.input!r}, which {store.name} reads as well: each item goes to one of them, so "
            f"rows would be missing; give {stage.name} a queue of its own, such as 'parsed', and name that in the outputs of the "
            f"stage before it; its outputs = [{stage.input!r}]"
        )
    return messages


def _filled(pipeline: Pipeline) -> list[str]:
    return [queue for stage in pipeline.stages.values() for queue in stage.outputs]


def _ways(queue: str, near: str, command: str) -> str:
    if near:
        return f"did you mean {near!r}?"
    end = "in the outputs of the stage that fills it" if command == "put" else "as the input of the stage that reads it"
    return f"name it {end}, or, if people do so with 'crawler {command} {queue}', set queues.{queue}.by_hand = true"


def _endless(pipeline: Pipeline) -> str:
    """Describe a cycle of queues in which no queue is keyed, so that tasks would go round for ever; "" if there is none."""
    edges: dict[str, list[str]] = {}
    for stage in pipeline.stages.values():
        if not pipeline.queues[stage.input].keyed:
            edges.setdefault(stage.input, []).extend(name for name in stage.outputs if not pipeline.queues[name].keyed)
    path = graph.cycle(edges)
    if not path:
        return ""
    drawn = path[0]
    for here, there in itertools.pairwise(path):
        drawn += f" ──[{next(stage.name for stage in pipeline.readers(here) if there in stage.outputs)}]──▶ {there}"
    keyed = f", or set queues.{path[0]}.keyed = true, so that no task is done twice"
    is_of_rows = path[0] in pipeline.stored()  # an item that has gone round would be known, and make no row
    return f"{drawn}: tasks there never end; give the stage another input or output{'' if is_of_rows else keyed}"


def _chains(pipeline: Pipeline, names: Collection[str] | None) -> None:
    """Refuse stages that cannot share a process as configured. names: run together, as in `crawler stage fetch+parse`."""
    if names is None:
        shares.groups(pipeline, pipeline.reachable())
    elif len(names) > 1:
        shares.chained(pipeline, list(names))
        shares.refuse_unfit(pipeline, list(names))


def options_of(stage: StageSpec, config: Config) -> Stage.Options:
    """Return the stage's options. Raises ConfigError for options that its class does not know or does not accept."""
    kind, options = load(stage, config.origin)
    found = Collected()
    with found.mistakes():
        _ask(kind, options, stage)
    with found.mistakes():
        _refuse_lacking(kind, options, stage)
    if found.each:
        raise Mistakes([f"{_place(config, message)}{message}" for message in found.each])
    return options


def _ask(kind: type[Stage], options: Stage.Options, stage: StageSpec) -> None:
    """Call the class's own `check`. It is the author's code: any failure of it becomes one line."""
    try:
        kind.check(options, f"stages.{stage.name}")
    except UsageError:
        raise
    except Exception as error:
        from crawler.wording.places import told  # here, because only mistakes need it

        raise ConfigError(f"stages.{stage.name}: {stage.use} cannot check its options: {told(error)}") from error


def _refuse_lacking(kind: type[Stage], options: Stage.Options, stage: StageSpec) -> None:
    """Refuse outputs without a queue that the stage sends items to by name: each such item would be the failure of its page."""
    if lacking := [name for name in kind.sends_to(options) if name not in stage.outputs]:
        outputs = ", ".join(f'"{name}"' for name in (*stage.outputs, *lacking))
        raise ConfigError(f"stages.{stage.name}.outputs lacks '{lacking[0]}', where {stage.name} sends links and redirects; "
                          f"write outputs = [{outputs}]")  # fmt: skip


@contextmanager
def _placed(config: Config) -> Iterator[None]:
    """Add to a mistake the place where its setting was set."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{_place(config, str(error))}{error}") from error


def _place(config: Config, message: str) -> str:
    """Return where the setting that begins the message was set, such as "crawler.toml: "; "" if nobody has set it."""
    key = re.match(_KEY, message)
    origin = config.origin(key.group()) if key else "default"
    return at("" if origin == "default" else origin)
