"""The stages of a crawl as processes: those it starts with, and more of them where there is more to do than time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from crawler.chain import Share, groups, share
from crawler.growth import Growth
from crawler.pipeline import Pipeline

if TYPE_CHECKING:
    from crawler.crawl import Crawl
    from crawler.run.debug import DebugCrawl


class Workers:
    """Starts them with `start`, before there is a thread in this process; `adapt` starts further ones."""

    def __init__(self, pipeline: Pipeline, stages: Sequence[str], delay: float, say: Callable[[str], None]) -> None:
        """stages: names of those the crawl needs. delay: s between two requests to a host. say: told what is shared by whom."""
        together = groups(pipeline, stages)
        self._say = say
        self._shares: list[Share] = [share(pipeline, group, delay) for group in together]
        self._passed_by = {pipeline.stages[name].input: name for group in together for name in group[1:]}
        self._growths = [(each, Growth(each.processes, each.most)) for each in self._shares]
        for each in self._shares:
            if said := each.said(each.processes):
                say(said)

    def start(self, here: Crawl | DebugCrawl, arguments: Sequence[str]) -> None:
        """Start those it begins with. arguments: of each process, which is one worker."""
        for each in self._shares:
            here.start_stage(each.name, each.processes, arguments)

    def adapt(self, here: Crawl | DebugCrawl, arguments: Sequence[str], ready: Sequence[str]) -> None:
        """Start what is lacking. ready: queues with something to do."""
        for queue in ready:        # an earlier run, or a worker of another machine, has left it where a chain does not look
            if name := self._passed_by.pop(queue, None):
                here.start_stage(name, 1, arguments)
        for each, growth in self._growths:
            if growth.needs_one(here.cpu(each.name), time.monotonic()):
                here.start_stage(each.name, 1, arguments)
                self._say(f"{each.said(growth.processes)} now: there was more to do than time")
