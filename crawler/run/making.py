"""Make from the settings all that a crawl runs: its stages, workers, and the limits of its hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crawler.broker.contract import Broker, Politeness
    from crawler.config.load import Config
    from crawler.config.settings import Settings
    from crawler.pipeline.build import Pipeline, StageSpec
    from crawler.stage import Context, Shared, Stage
    from crawler.worker.chain import Chain
    from crawler.worker.hooked import Hooks
    from crawler.worker.loop import Worker
    from crawler.worker.marks import Marks
    from crawler.worker.routing import Gatekeeper, Routes
    from crawler.worker.shared_notes import SharedNotes
    from crawler.worker.tally import Tally


def make(config: Config, spec: StageSpec, shared: Shared | None = None) -> Stage:
    """Return the stage with its options and its context."""
    from crawler.pipeline import plugins
    from crawler.pipeline.stage_class import refuse_init, refuse_uninitialised
    from crawler.worker.opening import opening

    kind = plugins.find(spec.use)
    refuse_init(kind)
    options = plugins.options_for(spec.name, kind, spec.options_table, config.origin)
    with opening(spec.name):  # its __init__ may be the author's code
        stage = kind(options, shared)
    refuse_uninitialised(stage)
    stage.context = context(config, spec, shared)
    return stage


def context(config: Config, spec: StageSpec, shared: Shared | None) -> Context:
    """Return what the stage may know of its crawl. shared: the crawl's notes; None: there is no crawl."""
    from crawler.stage import Context
    from crawler.worker.shared_notes import CRAWL_NOTE

    settings = config.settings
    run = (shared.get(CRAWL_NOTE) if shared else None) or b""
    return Context(
        stage=spec.name,
        data=str(settings.data),
        state=str(Path(settings.data) / "sinks"),
        run=run.decode("utf-8", "replace"),
        delay=settings.frontier.delay if shared else None,
        hosts=settings.hosts,
    )


def hooks_made() -> Hooks | None:
    """Return the hooks that installed packages offer, for the tasks of one process; None if there are none. Raises ConfigError."""
    from crawler.pipeline import hooks

    if not hooks.found():
        return None
    from crawler.worker.hooked import Hooks

    return Hooks(hooks.made())


def keepers(config: Config, pipeline: Pipeline, spec: StageSpec, shared: SharedNotes) -> dict[str, Gatekeeper]:
    """Return the gatekeepers that decide on items for the queues this stage feeds: only the frontier has one."""
    from crawler.pipeline.build import FRONTIER
    from crawler.web.frontier import Frontier

    frontier = Frontier(config.settings.frontier, shared)
    return {queue: frontier for queue in spec.outputs if queue == FRONTIER and pipeline.queues[queue].keyed}


def make_chain(
    config: Config,
    pipeline: Pipeline,
    spec: StageSpec,
    shared: SharedNotes,
    gatekeepers: Mapping[str, Gatekeeper],
    hooks: Hooks | None = None,
) -> Chain:
    """Return a chain of stages, each with its own options. hooks: see `Chain`."""
    from crawler.run.shares import refuse_unfit
    from crawler.worker.chain import SIGN, Chain
    from crawler.worker.chain_link import Link

    names = spec.name.split(SIGN)
    refuse_unfit(pipeline, names)
    specs = [pipeline.stage(name) for name in names]
    stages = [make(config, each, shared) for each in specs]
    feeds = [each.input for each in specs[1:]] + [""]
    links = [
        Link(each.name, stage, each.outputs, feed, each.input, pipeline.stored())
        for each, stage, feed in zip(specs, stages, feeds, strict=True)
    ]
    return Chain(links, gatekeepers, hooks)


def wire(
    config: Config, pipeline: Pipeline, spec: StageSpec, stage: Stage, gatekeepers: Mapping[str, Gatekeeper],
    shared: SharedNotes, broker: Broker, side: Broker, name: str, tally: Tally, on_lost: Callable[[], None], concurrency: int,
    *, is_probe: bool = False, marks: Marks | None = None, hooks: Hooks | None = None,
) -> Worker:  # fmt: skip
    """Return a worker of this stage. concurrency, is_probe, marks, hooks: see `Worker`."""
    from crawler.pipeline import plugins
    from crawler.worker.chain import Chain
    from crawler.worker.loop import Worker
    from crawler.worker.routing import Router

    schema, is_async = plugins.item_schema(type(stage.first if isinstance(stage, Chain) else stage))
    router: Routes = stage.router if isinstance(stage, Chain) else Router(
        spec.name, spec.outputs, gatekeepers, input=spec.input, stored=pipeline.stored(), count=stage.count
    )  # fmt: skip
    return Worker(
        stage, schema, is_async, router, name=spec.name, broker=broker, side=side, input=spec.input, shared=shared, worker=name,
        concurrency=concurrency, lease=config.settings.hub.lease, tally=tally, on_lost=on_lost,
        marks=marks, is_probe=is_probe, hooks=hooks,
    )  # fmt: skip


def politeness(settings: Settings) -> Politeness:
    """Return the limits for the hosts of the frontier, in general and by the tables in [hosts]."""
    from msgspec import structs

    from crawler.broker.contract import Politeness

    general = Politeness(settings.frontier.per_host, settings.frontier.delay)
    if not settings.hosts:
        return general
    from crawler.web.hosts import Hosts, check  # here, because few configurations have such tables

    check(settings.hosts)
    hosts = Hosts(settings.hosts)

    def own(host: str) -> Politeness | None:
        table = hosts.of(host)
        if table is None:
            return None
        per_host = general.per_host if table.per_host is None else table.per_host
        has_delay = table.delay is not None
        delay = general.delay if table.delay is None else table.delay
        return Politeness(per_host, delay, table.max_pages, "table" if has_delay else general.source)

    limits = [table.max_pages for table in settings.hosts.values() if table.max_pages]
    return structs.replace(general, own=own, least=min(limits, default=None))
