"""Session of a crawl on this machine, from its plan to its result: for `crawler run`, its demo, and other callers.

    Plan ──▶ Session: makes way in the data directory ──run──▶ hub and stages start ──▶ seeds put, followed ──▶ stages end ──▶ Ended

Nothing here prints or ends the process: a `View` shows the progress, and the caller reports `Ended`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from crawler.errors import CrawlerError, HubError, StorageError
from crawler.wording.counting import counted

if TYPE_CHECKING:
    from crawler.broker.sqlite.broker import SqliteBroker
    from crawler.items import Stats
    from crawler.run.crawl import Beginning, Crawl
    from crawler.run.debug import DebugCrawl
    from crawler.run.ending import Ending
    from crawler.run.next_commands import Hint
    from crawler.run.processes.process import Bell
    from crawler.run.resume.decide import Plan
    from crawler.run.seeds import Taken

Processes = Callable[[], AbstractContextManager["Crawl | DebugCrawl"]]
"""Returns hub and stages that are still to be started; when the context ends they have ended."""


class View(Protocol):
    """Interface for showing the progress of a crawl."""

    on_line: Callable[[str], None] | None  # called with a child's line on stderr; None: it goes to ours unchanged
    every: float  # s between counts that it can show

    def say(self, line: str) -> None: ...
    def show(self, stats: Stats) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


class Ended:
    """The facts about a crawl that has ended."""

    def __init__(self) -> None:
        self.ending: Ending | None = None  # its last counts; None: the hub did not answer
        self.taken: Taken | None = None  # of the seeds; None: they were not put
        self.is_unheard = False  # it was stopped because the reader of standard output has gone
        self.failure: CrawlerError | None = None
        self.trouble = ""  # what kept it from working when it was stopped
        self.restarts: Mapping[str, int] = {}  # how often each process was started again
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """s since it began."""
        return time.monotonic() - self._began


class Session:
    """One run of a crawl. `interrupt` and `kill` may be called from a signal handler."""

    def __init__(self, plan: Plan, stop: Bell, hint: Hint, *, is_fresh: bool) -> None:
        """Make way for the crawl in its data directory. stop: rung to end the crawl.

        hint: completes commands in messages. is_fresh: start over even if the last crawl was interrupted.
        Raises UsageError or StorageError if the crawl cannot begin there.
        """
        from crawler.run.crawl import begin, socket_address
        from crawler.run.local_store import make_directory
        from crawler.run.making import politeness

        self.plan, self.stop, self.hint = plan, stop, hint
        settings = plan.config.settings
        self.data = Path(settings.data)
        self._told: list[str] = []
        self._running: list[Crawl | DebugCrawl] = []
        self._ended = Ended()  # it measures the time from here on
        make_directory(self.data)
        queues, granted = list(plan.pipeline.queues.values()), politeness(settings)
        self.beginning = begin(self.data, queues, plan.queues_read, is_fresh, granted, self._correct, goes_on=bool(plan.rules))
        self.address = settings.hub.address or socket_address(self.data)

    @property
    def read(self) -> list[str]:
        """The queues of the crawl's stages."""
        return [self.plan.pipeline.stages[name].input for name in self.plan.stages]

    @property
    def pages(self) -> int:
        """Number of pages fetched, as of the last counts."""
        return sum(here.pages for here in self._running)

    def interrupt(self) -> None:
        """End the crawl in order."""
        self.stop.ring()
        for here in self._running:
            here.interrupt()

    def kill(self) -> None:
        """End all processes at once. What was acknowledged is kept."""
        for here in self._running:
            here.kill()

    def run(
        self, seeds: Sequence[str], view: View, processes: Processes, options: Sequence[str], preload: Callable[[], None],
        *, shares_process: bool = False,
    ) -> Ended:  # fmt: skip
        """Run the crawl until nothing is left or it is stopped.

        seeds: the URLs of `plan.texts`, in their order. options: of the worker processes. preload: imports what all stages need.
        shares_process: hub and stages are in this process.
        """
        from crawler.run.processes.supervisor import ChildFailed

        for line in [opening(self.beginning, self.plan, self.data), *self.plan.said, *self._told]:
            view.say(line)
        ended = self._ended
        try:
            with processes() as here:
                adapt = self._start(here, view, options, preload, shares_process=shares_process)
                from crawler.run.follow import to_the_end  # here: this process is idle while the stages start

                to_the_end(self, here, view, dict(zip(self.plan.texts, seeds, strict=True)), adapt, ended)
        except (ChildFailed, HubError, StorageError) as failure:  # of the hub: the store is read after its end
            if ended.failure is None or isinstance(failure, ChildFailed):
                ended.failure = failure  # the stages failed because of it
        ended.restarts = self._running[0].restarts if self._running else {}
        return ended

    def _start(
        self, here: Crawl | DebugCrawl, view: View, options: Sequence[str], preload: Callable[[], None], *, shares_process: bool
    ) -> Callable[[Sequence[str]], None]:  # fmt: skip
        """Start hub and stages. Returns the function that starts more of the stages that read these busy queues."""
        from crawler.pipeline.plugins import find
        from crawler.run.processes.workers import Workers

        self._running.append(here)
        plan = self.plan
        workers = Workers(
            plan.pipeline, plan.stages, plan.config.settings.frontier.delay, (lambda _line: None) if shares_process else view.say
        )  # fmt: skip

        def start_stages() -> None:  # while the hub opens its store
            preload()
            for name in plan.stages:
                find(plan.pipeline.stages[name].use).preload(plan.options[name])
            workers.start(here, options)

        here.start_hub(start_stages)  # all of them before there is a thread here
        return lambda ready: workers.adapt(here, options, ready)

    def _correct(self, broker: SqliteBroker) -> None:
        self._told += correct(self.plan, self.hint, broker)


def correct(plan: Plan, hint: Hint, broker: SqliteBroker) -> list[str]:
    """Correct the store of a crawl that is resumed: the counts of missing outputs, and what changed rules mean for queued URLs.

    Returns the messages about it.
    """
    told: list[str] = []
    if plan.rules:
        from crawler.run.resume.review import apply

        obeys_robots = getattr(plan.options.get("fetch"), "robots", True)
        told += apply(broker, plan.config.settings.frontier, plan.rules, hint, obeys_robots=obeys_robots)
    if plan.gone and plan.definition is not None:
        from crawler.run.resume.gone import forget

        forget(broker, plan.gone, plan.definition.directory)
    return told


def opening(beginning: Beginning, plan: Plan, data: Path) -> str:
    """Return what is about to happen, in one line."""
    n = counted(len(plan.texts), "URL")
    which = "the last one's" if plan.last_pages else "an earlier one's"  # one that fetched nothing does not displace another
    added = f", with {counted(len(plan.added), 'URL')} more to begin from" if plan.added else ""
    what: Mapping[str, str] = {
        "first": f"crawling from {n}",
        "resumed": f"resuming the unfinished crawl in {data}{added}",
        "fresh": f"starting a fresh crawl from {n}; {which} store is kept as {data}/hub.sqlite3.previous",
    }
    return what[beginning]
