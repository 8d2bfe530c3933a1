"""The results of a crawl, read from its hub before the hub is stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from crawler.broker.sqlite.place import store_path
from crawler.errors import StorageError
from crawler.items import Stats
from crawler.run.report.given_up import Group, given_up
from crawler.run.report.outputs import ROWS, Rows, rows_by_output
from crawler.run.resume.definition import Definition
from crawler.web.fields import FIELD_NOTE
from crawler.worker.shared_notes import CRAWL_NOTE

if TYPE_CHECKING:
    from crawler.broker.contract import Broker
    from crawler.run.crawl import Crawl
    from crawler.run.debug import DebugCrawl
    from crawler.run.resume.decide import Plan

T = TypeVar("T")


class Ending(Struct, frozen=True):
    """The hub's last counts, and what follows from them."""

    stats: Stats
    is_done: bool  # nothing that will be done is left on the queues that the crawl's stages read
    crawl: str  # id
    rows: dict[str, Rows]  # by output
    given_up: list[Group]  # dead tasks by reason
    examples: dict[str, str]  # by field, a text that could not be read; see `unread`

    @property
    def reason(self) -> str:
        """Reason of the end: see `report.build`."""
        is_at_limit = any(queue.spent and (queue.ready or queue.delayed) for queue in self.stats.queues)
        return "interrupted" if not self.is_done else "stopped" if is_at_limit else "finished"


class AtRest:
    """The store of a crawl whose processes have ended, in place of the crawl."""

    def __init__(self, broker: Broker) -> None:
        self.hub = broker

    def insist(self, question: Callable[[], T]) -> T:
        return question()


def at_rest(plan: Plan, read: Sequence[str]) -> Ending:
    """Collect the results from the store after the hub has ended. Raises UsageError or StorageError if it cannot be read."""
    from crawler.broker.contract import Politeness
    from crawler.run.local_store import open_store

    settings = plan.config.settings
    politeness = Politeness(settings.frontier.per_host, settings.frontier.delay)
    data = Path(settings.data)
    if not store_path(data).exists():
        raise StorageError(f"there is no store {store_path(data)} any more")
    broker = open_store(data, plan.pipeline.queues.values(), politeness, settings.hub.durability)
    try:
        return ending(AtRest(broker), read, plan.definition)
    finally:
        broker.close()


def ending(here: Crawl | DebugCrawl | AtRest, read: Sequence[str], definition: Definition | None) -> Ending:
    """Collect the results after the stages have ended. Raises what `Crawl.insist` raises."""
    stats = here.insist(here.hub.stats)
    is_done = here.insist(lambda: here.hub.drained(read))
    prefixes = (CRAWL_NOTE, ROWS, FIELD_NOTE)
    notes = {note.name: note.value for prefix in prefixes for note in here.insist(partial(here.hub.notes, prefix))}
    outputs = definition.outputs if definition is not None else ()
    directory = definition.directory if definition is not None else os.getcwd()
    rows = rows_by_output(outputs, notes, stats.counters, directory)
    groups = here.insist(lambda: given_up(here.hub, sum(queue.dead for queue in stats.queues)))
    texts = {name: value for name, value in notes.items() if name.startswith(FIELD_NOTE)}
    examples = {name.removeprefix(FIELD_NOTE): value.decode("utf-8", "replace") for name, value in texts.items()}
    return Ending(stats, is_done, notes.get(CRAWL_NOTE, b"").decode("utf-8", "replace"), rows, groups, examples)
