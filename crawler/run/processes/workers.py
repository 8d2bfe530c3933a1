"""The worker processes of a crawl: the ones it starts with, and further ones where stages cannot keep up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from crawler.pipeline.build import Pipeline
from crawler.pipeline.plugins import find
from crawler.run.processes.growth import Growth
from crawler.run.shares import Share, groups, share

if TYPE_CHECKING:
    from crawler.run.crawl import Crawl
    from crawler.run.debug import DebugCrawl


class Workers:
    """Starts worker processes. Call `start` before this process has threads; `adapt` starts further workers later."""

    def __init__(self, pipeline: Pipeline, stages: Sequence[str], delay: float, say: Callable[[str], None]) -> None:
        """stages: the ones the crawl needs. delay: s between two requests to a host. say: told which stages share processes."""
        together = groups(pipeline, stages)
        self._say = say
        self._shares: list[Share] = [share(pipeline, group, delay) for group in together]
        self._pipeline = pipeline
        self._passed_by = {pipeline.stages[name].input: name for group in together for name in group[1:]}
        self._growths = [(each, Growth(each.processes, each.most)) for each in self._shares]
        for each in self._shares:
            if said := each.said(each.processes):
                say(said)

    def start(self, here: Crawl | DebugCrawl, arguments: Sequence[str]) -> None:
        """Start the initial processes. arguments: passed to each process, which is one worker."""
        for each in self._shares:
            here.start_stage(each.name, each.processes, arguments, probed_queue(self._pipeline, each.stages))

    def adapt(self, here: Crawl | DebugCrawl, arguments: Sequence[str], ready: Sequence[str]) -> None:
        """Start the workers that are missing. ready: queues with ready tasks."""
        for queue in ready:  # put there by an earlier run or another machine, where no chain looks
            if name := self._passed_by.pop(queue, None):
                here.start_stage(name, 1, arguments, probed_queue(self._pipeline, [name]))
        for each, growth in self._growths:
            if growth.needs_one(here.cpu(each.name), time.monotonic()):
                here.start_stage(each.name, 1, arguments)
                self._say(f"{each.said(growth.processes)} now: there was more to do than time")


def probed_queue(pipeline: Pipeline, stages: Sequence[str]) -> str:
    """Return the queue that stages in one process read, if they may have a probe; "" if one of them must be open only once."""
    specs = [pipeline.stage(name) for name in stages]
    return "" if any(find(spec.use).is_single for spec in specs) else specs[0].input
