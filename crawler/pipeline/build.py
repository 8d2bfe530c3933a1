"""The pipeline: which stage reads which queue, made of the `[stages.*]` tables, checked before anything runs.

    urls ──[fetch]──▶ pages ──[parse]──▶ records ──[store]        task ──[square]──▶ result
      ▲                         │
      └─────────────────────────┘            the tables of the configuration are laid over this, key by key

A queue exists because a stage names it. No stage's code is loaded here except by `check`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import Struct, to_builtins

from crawler.broker.contract import Budget, QueueSpec
from crawler.config.load import Config
from crawler.config.settings import FrontierSettings, QueueSettings, Settings, StageSettings
from crawler.config.tables import fill, leaves
from crawler.errors import Collected, ConfigError
from crawler.pipeline import graph

if TYPE_CHECKING:
    from crawler.stage import Stage

FRONTIER = "urls"

BUILT_IN: Mapping[str, Mapping[str, Any]] = {
    "fetch": {"input": FRONTIER, "outputs": ["pages", FRONTIER]},
    "parse": {"input": "pages", "outputs": ["records", FRONTIER]},
    "store": {"input": "records", "outputs": []},
    "square": {"input": "task", "outputs": ["result"]},
}

# Queues of the built-in stages that people fill (`crawler put`) or read (`crawler take`); `queues.NAME.by_hand` adds more.
BY_HAND = frozenset({"task", "result"})

_QUEUE = re.compile(r"[a-z][a-z0-9_]*")
_STAGE = re.compile(r"[a-z][a-z0-9_-]*")


class StageSpec(Struct, frozen=True):
    """One stage of a checked pipeline."""

    name: str
    use: str  # entry point or module:Class: see `crawler.pipeline.plugins`
    input: str
    outputs: tuple[str, ...]  # a plain item goes to the first
    processes: int | None  # None: the command that starts it decides
    concurrency: int | None  # None: the class's value
    chain: bool | None  # with the stage it reads from: see `crawler.run.shares.groups`
    options_table: dict[str, Any]


class Pipeline(Struct, frozen=True):
    """Stages as they are configured, and queues in the order in which work comes to them."""

    stages: dict[str, StageSpec]
    queues: dict[str, QueueSpec]
    by_hand: frozenset[str] = BY_HAND  # queues that people alone may fill or read

    def stage(self, name: str) -> StageSpec:
        """Return the definition of a stage. Raises ConfigError, with the nearest name, if there is none."""
        if name not in self.stages:
            from crawler.wording.spelling import suggestion  # here, because only mistakes need it

            raise ConfigError(f"no stage {name!r} in this pipeline; {suggestion(name, self.stages)}")
        return self.stages[name]

    def readers(self, queue: str) -> list[StageSpec]:
        return [stage for stage in self.stages.values() if stage.input == queue]

    def writers(self, queue: str) -> list[StageSpec]:
        return [stage for stage in self.stages.values() if queue in stage.outputs]

    def stored(self) -> list[str]:
        """Return the queues whose items the built-in store, or a class of the user's own that is based on it, makes rows of."""
        return [stage.input for stage in self.stores()]

    def stores(self) -> list[StageSpec]:
        """Return the stages that make rows of their items: the built-in store, and classes of the user's own based on it."""
        return [stage for stage in self.stages.values() if stage.use == "store" or (":" in stage.use and _makes_rows(stage.use))]

    def unread(self) -> list[str]:
        """Return the queues that no stage reads: only people do, with `crawler take`."""
        return [name for name in self.queues if not self.readers(name)]

    def unfilled(self) -> list[str]:
        """Return the queues that no stage fills: only people do, with `crawler put`."""
        return [name for name in self.queues if not self.writers(name)]

    def reachable(self, queue: str = FRONTIER) -> list[str]:
        """The stages that a task on this queue may come to, nearest first: those a crawl needs."""
        return [stage.name for name in graph.flow(_edges(self.stages), [queue]) for stage in self.readers(name)]

    def upstream(self, queue: str) -> list[str]:
        """Return the queues whose tasks may lead to tasks on this one, itself included, as far as a stage reads them."""
        edges = _edges(self.stages)
        return [name for name in self.queues if name in edges and queue in graph.flow(edges, [name])]


def _makes_rows(use: str) -> bool:
    """Tell whether a class stores rows. One that cannot be loaded here is for another machine."""
    from crawler.pipeline.plugins import find

    with suppress(ConfigError):
        return find(use).makes_rows
    return False


def build(config: Config) -> Pipeline:
    """Build the pipeline of this configuration. Raises ConfigError with all mistakes in the tables.

    `crawler.run.verify` checks whether every queue is filled and read: a hub need not know all stages.
    """
    stages = {}
    found = Collected()
    for name, table in _merged(config).items():
        with found.mistakes():
            common = {key: value for key, value in table.items() if key in StageSettings.__struct_fields__}
            settings = fill(StageSettings, common, f"stages.{name}", config.origin)
            if settings.enabled:
                options = {key: value for key, value in table.items() if key not in common}
                stages[name] = _stage(name, settings, options, _where(config, name))
    found.refuse()
    named = {queue: None for stage in stages.values() for queue in (stage.input, *stage.outputs)}
    for queue in config.settings.queues:
        if queue not in named:
            from crawler.wording.spelling import suggestion  # here, because only mistakes need it

            place = config.origin(f"queues.{queue}")
            raise ConfigError(f"{place}: queues.{queue} is the table of no queue; {suggestion(queue, named)}")
    square = {queue for stage in stages.values() if stage.use == "square" for queue in (stage.input, *stage.outputs)}
    by_hand = BY_HAND | square | {name for name, queue in config.settings.queues.items() if queue.by_hand}
    return Pipeline(stages=stages, queues=_queues(stages, list(named), config.settings), by_hand=by_hand)


def check(pipeline: Pipeline, place: Callable[[str], str] = lambda _: "") -> dict[str, Struct]:
    """Load every stage's class and fill its options: those, by stage. Raises ConfigError where that fails.

    place: where a key was set, for the messages; `Config.origin` is one.
    """
    return {stage.name: load(stage, place)[1] for stage in pipeline.stages.values()}


def load(stage: StageSpec, place: Callable[[str], str] = lambda _: "") -> tuple[type[Stage], Stage.Options]:
    """Return a stage's class and its filled options. Raises ConfigError, like `check`."""
    from crawler.pipeline import plugins  # here, because a hub builds a pipeline and has no use for the code of stages
    from crawler.pipeline.stage_class import refuse_init

    kind = plugins.find(stage.use)
    plugins.item_schema(kind)
    refuse_init(kind)
    return kind, plugins.options_for(stage.name, kind, stage.options_table, place)


def values(pipeline: Pipeline, options: Mapping[str, Struct], settings: Settings) -> dict[str, Any]:
    """Every value in force by dotted name, defaults included: settings, queues, stages and, as `check` gives them, options."""
    table = to_builtins(settings, enc_hook=str)
    hosts = {
        name: {key: value for key, value in host.items() if value not in (None, "", {})}
        for name, host in table.pop("hosts").items()
    }
    table |= {"hosts": hosts} if any(hosts.values()) else {}
    table["queues"] = {
        name: {key: getattr(queue, key) for key in QueueSettings.__struct_fields__ if key != "by_hand"}
        | {"by_hand": name in pipeline.by_hand}
        for name, queue in pipeline.queues.items()
    }
    table["stages"] = {
        name: {key: getattr(stage, key) for key in ("use", "input", "outputs", "processes", "concurrency", "chain")}
        | to_builtins(options[name], enc_hook=str)
        for name, stage in pipeline.stages.items()
    }
    return {".".join(path): value for path, value in leaves(table)}


def draw(pipeline: Pipeline) -> str:
    """The graph as text: a line for each stage, then one for each queue with the stages that fill and empty it."""
    stages = [stage for queue in pipeline.queues for stage in pipeline.readers(queue)]
    boxes = [f"[{stage.name}]" if stage.use == stage.name else f"[{stage.name} = {stage.use}]" for stage in stages]
    left = max((len(name) for name in pipeline.queues), default=0)
    middle = max((len(box) for box in boxes), default=0)
    lines = []
    for stage, box in zip(stages, boxes, strict=True):
        arrow = f"{box:─<{middle}}──▶ {', '.join(stage.outputs)}" if stage.outputs else box
        lines.append(f"  {stage.input:<{left}} ──{arrow}")
    ends = [f"  {name:<{left}}  {_ends(pipeline, name)}" for name in pipeline.queues]
    return "\n".join([*lines, "", *ends])


def _ends(pipeline: Pipeline, name: str) -> str:
    queue, writers, readers = pipeline.queues[name], pipeline.writers(name), pipeline.readers(name)
    words = [word for word, is_so in (("keyed", queue.keyed), ("polite", queue.polite)) if is_so]
    by_hand = f"crawler put {name} {'URL' if queue.polite else 'VALUE'}"
    if not writers and not queue.polite and name not in pipeline.by_hand:
        words.append("no stage fills it")
    elif not writers:
        words.append(f"only people fill it: {by_hand}")
    elif queue.polite:
        words.append(f"filled by {_list(writers)} and by people: {by_hand}")
    else:
        words.append(f"filled by {_list(writers)}")
    if not readers and name not in pipeline.by_hand:
        words.append("no stage reads it")
    elif not readers:
        words.append(f"only people read it: crawler take {name}")
    else:
        words.append(f"read by {_list(readers)}" + (", each task by one of them" if len(readers) > 1 else ""))
    if queue.feeds:
        words.append(f"waits while {' or '.join(queue.feeds)} {'is' if len(queue.feeds) == 1 else 'are'} full")
    return "; ".join(words)


def _list(stages: list[StageSpec]) -> str:
    return ", ".join(stage.name for stage in stages)


def _merged(config: Config) -> dict[str, dict[str, Any]]:
    """The built-in tables with the user's laid over them; a user's own stages come last."""
    tables = {name: dict(table) for name, table in BUILT_IN.items()}
    for name, table in config.settings.stages.items():
        if not _STAGE.fullmatch(name):
            raise ConfigError(f"{_where(config, name)} cannot name a stage; use a-z, 0-9, _ and -, a letter first")
        tables[name] = tables.get(name, {}) | table
    return tables


def _stage(name: str, settings: StageSettings, options: dict[str, Any], where: str) -> StageSpec:
    outputs = [settings.outputs] if isinstance(settings.outputs, str) else settings.outputs
    if not settings.input:
        from crawler.wording.spelling import suggestion  # here, because only mistakes need it

        meant = "" if settings.use else f"; {suggestion(name, BUILT_IN)}"
        raise ConfigError(f'{where} has no input; name the queue it reads, as in input = "records"{meant}')
    for queue in (settings.input, *outputs):
        if not _QUEUE.fullmatch(queue):
            raise ConfigError(f"{where}: {queue!r} cannot name a queue; use a-z, 0-9 and _, a letter first")
    return StageSpec(
        name=name,
        use=settings.use or name,
        input=settings.input,
        outputs=tuple(dict.fromkeys(outputs)),
        processes=settings.processes,
        concurrency=settings.concurrency,
        chain=settings.chain,
        options_table=options,
    )


def _edges(stages: Mapping[str, StageSpec]) -> dict[str, list[str]]:
    edges: dict[str, list[str]] = {}
    for stage in stages.values():
        edges.setdefault(stage.input, []).extend(stage.outputs)
    return edges


def _queues(stages: Mapping[str, StageSpec], named: list[str], settings: Settings) -> dict[str, QueueSpec]:
    edges = _edges(stages)
    fed = {output for outputs in edges.values() for output in outputs}
    sources = [queue for queue in named if queue == FRONTIER or queue not in fed]
    budgets = budgets_of(stages, settings.frontier)
    plain = {name: _queue(name, name in edges, settings, budgets) for name in graph.flow(edges, [*sources, *named])}
    # A queue without a reader would never be emptied, and the frontier is on disk without a bound: neither is a gate.
    bounded = {name for name, queue in plain.items() if queue.is_read and not (queue.keyed or queue.polite)}
    gates = graph.gates({name: edges.get(name, []) for name in plain}, bounded)
    # All of them, not the next ones alone: a chain of stages puts directly to the queue after its last one.
    return {name: _queue(name, name in edges, settings, budgets, tuple(graph.flow(gates, gates[name]))) for name in plain}


def _queue(
    name: str, is_read: bool, settings: Settings, budgets: tuple[Budget, ...], feeds: tuple[str, ...] = ()
) -> QueueSpec:  # fmt: skip
    own = settings.queues.get(name, QueueSettings())
    is_frontier = name == FRONTIER
    return QueueSpec(
        name=name,
        keyed=is_frontier if own.keyed is None else own.keyed,
        polite=is_frontier if own.polite is None else own.polite,
        is_read=is_read,
        feeds=feeds,
        high_water=own.high_water,
        high_water_bytes=own.high_water_bytes,
        max_attempts=settings.hub.max_attempts,
        limit=settings.frontier.max_pages if is_frontier else 0,
        host_waiting=settings.frontier.max_waiting if is_frontier else 0,
        host_limit=settings.frontier.max_pages_per_host if is_frontier else 0,
        budgets=budgets if is_frontier else (),
    )


def budgets_of(stages: Mapping[str, StageSpec], frontier: FrontierSettings) -> tuple[Budget, ...]:
    """Return the limits of a whole crawl. Received bytes are counted by the stages that read the frontier."""
    budgets = []
    if frontier.max_time:
        from crawler.broker.budget import time_counter  # here, because few crawls have such a limit

        name = f"frontier.max_time = {frontier.max_time:g}"
        budgets.append(Budget(name, (time_counter(FRONTIER),), int(frontier.max_time * 1_000)))
    if frontier.max_total_bytes:
        counters = tuple(f"{stage.name}/bytes" for stage in stages.values() if stage.input == FRONTIER)
        budgets.append(Budget(f"frontier.max_total_bytes = {frontier.max_total_bytes}", counters, frontier.max_total_bytes))
    return tuple(budgets)


def _where(config: Config, name: str) -> str:
    return f"{config.origin(f'stages.{name}')}: stages.{name}"
