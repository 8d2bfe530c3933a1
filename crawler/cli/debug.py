"""The option --debug of crawler run: the crawl in one thread of this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crawler.config.load import Config
    from crawler.pipeline.build import Pipeline
    from crawler.run.debug import DebugCrawl

SAID = "debugging: the stages take turns in this process; breakpoint() and print() work, Ctrl-C stops cleanly"


def crawl_here(config: Config, pipeline: Pipeline, stages: Sequence[str]) -> DebugCrawl:
    """Return a crawl of these stages on the store of this configuration. Raises UsageError while another hub uses the store."""
    from crawler.broker.sqlite.broker import SqliteBroker
    from crawler.broker.sqlite.place import store_path
    from crawler.cli.hub import note_start
    from crawler.pipeline import plugins
    from crawler.run.debug import Bench, DebugCrawl
    from crawler.run.making import hooks_made, keepers, make, politeness
    from crawler.worker.hooked import Hooks
    from crawler.worker.routing import Router
    from crawler.worker.shared_notes import SharedNotes

    settings = config.settings
    broker = SqliteBroker(
        str(store_path(Path(settings.data))), list(pipeline.queues.values()),
        politeness(settings), settings.hub.durability,
    )  # fmt: skip
    try:
        note_start(broker, config, pipeline, is_by_hand=False)
        shared = SharedNotes(broker)
        hooks = hooks_made() or Hooks([])
        benches = []
        for name in stages:
            spec = pipeline.stages[name]
            stage = make(config, spec, shared)
            schema, is_async = plugins.item_schema(type(stage))
            router = Router(
                name, spec.outputs, keepers(config, pipeline, spec, shared), input=spec.input, stored=pipeline.stored(),
                count=stage.count,
            )  # fmt: skip
            benches.append(
                Bench(stage, schema, is_async, router, spec.input, hooks, writes_rows=spec.options_table.get("output") == "-")
            )
    except BaseException:
        broker.close()
        raise
    return DebugCrawl(broker, benches, shared)
