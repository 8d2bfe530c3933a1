"""A crawl while its stages run. Imported when they have been started.

seeds put ──▶ watched, shown, given more workers ──▶ drained or stopped ──▶ stages end ──▶ its last counts
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from crawler.items import QueueStats, Stats
from crawler.pipeline.build import FRONTIER
from crawler.run import reporting
from crawler.run import seeds as putting
from crawler.run.processes.supervisor import ChildFailed
from crawler.run.resume import definition
from crawler.run.seeds import Taken
from crawler.web.frontier import Frontier
from crawler.wording.counting import counted
from crawler.worker.shared_notes import SharedNotes

if TYPE_CHECKING:
    from crawler.run.crawl import Crawl
    from crawler.run.debug import DebugCrawl
    from crawler.run.processes.process import Bell
    from crawler.run.session import Ended, Session, View

SOON = 0.05  # s of one question whether it is over, when it may soon be: the hub answers once it is
QUICK = 0.01  # s between these
OVERGROWN = 20_000  # URLs of one host that wait from which it is looked at more closely
LOOK = 0.1  # s between them otherwise; a process that ends is seen at once


def to_the_end(
    session: Session, here: Crawl | DebugCrawl, view: View, by_text: Mapping[str, str], adapt: Callable[[list[str]], None],
    ended: Ended,
) -> None:  # fmt: skip
    """Put the seeds, watch the crawl until nothing is left or it is stopped, and note in `ended` how it went.

    by_text: the URL of each seed as it was typed. adapt: see `follow`. Raises ChildFailed and HubError if the hub is lost.
    """
    stop = session.stop
    is_over = False
    with view:
        ended.taken = put_seeds(session, here, view, by_text)
        try:
            is_over = follow(here, session.read, view, stop, adapt)
        except ChildFailed as failure:
            if failure.is_unheard:
                ended.is_unheard = True
            else:
                ended.failure = failure
        if stop.is_rung and not is_over:
            from crawler.run.explain.idle import disk_trouble

            stats = here.watch()
            view.say(stopping(stats))
            ended.trouble = disk_trouble(stats) if stats is not None else ""
        here.stop_stages(are_idle=is_over, meanwhile=Showing(here, view))
        from crawler.run.ending import ending

        ended.ending = ending(here, session.read, session.plan.definition)


def put_seeds(session: Session, here: Crawl | DebugCrawl, view: View, by_text: Mapping[str, str]) -> Taken:
    """Store the crawl's definition, put its seeds on the frontier, and warn about seeds and tasks that will not be processed."""
    plan, hub = session.plan, here.hub
    frontier = plan.config.settings.frontier
    if plan.definition is not None:
        note = definition.encode(definition.settled(plan.definition, by_text), session.data)
        here.insist(lambda: hub.note([note]))
    taken = here.insist(lambda: putting.put(list(by_text.values()), Frontier(frontier, SharedNotes(hub)).seed, hub.put))
    from crawler.run.report.stranded import described, stranded  # here, because the seeds are not to wait for it

    lines = putting.warnings(taken, frontier, [by_text[text] for text in plan.added])
    lines += [described(name, n, session.hint) for name, n in stranded(here.insist(hub.stats).queues).items()]
    for line in lines:
        view.say(f"warning: {line}")
    return taken


def follow(here: Crawl | DebugCrawl, read: list[str], view: View, stop: Bell, adapt: Callable[[list[str]], None]) -> bool:
    """Watch until nothing is left (returns True) or the crawl is stopped. adapt: called with the busy queues, at each count."""
    outlook, told = Outlook(read), set[str]()
    next_counts = 0.0
    while not stop.is_rung:
        now = time.monotonic()
        if now < next_counts:
            if here.is_drained(read, SOON if outlook.is_near else 0.0):
                return True
        elif (stats := here.watch()) is not None:
            next_counts = now + view.every
            view.show(stats)
            if stats.hosts and stats.hosts[0].ready >= OVERGROWN:
                from crawler.run.explain.endless import endless  # here, because few crawls have such hosts

                for line in endless(stats.hosts, told):
                    view.say(f"warning: {line}")
            outlook.see(stats)
            adapt(outlook.ready)
            if outlook.is_over:
                return True
        here.wait(QUICK if outlook.is_near else LOOK, stop)
    return False


class Outlook:
    """An estimate of how near the end is, from the counts of the queues that stages read."""

    def __init__(self, read: Sequence[str]) -> None:
        self._read = frozenset(read)
        self._done: int | None = None
        self.ready: list[str] = []  # queues with something to do
        self.is_over = False
        self.is_near = True  # it may be over before the next counts

    def see(self, stats: Stats) -> None:
        queues = [queue for queue in stats.queues if queue.name in self._read]
        done, left = sum(queue.done for queue in queues), sum(map(_left, queues))
        self.ready = [queue.name for queue in queues if queue.ready]
        self.is_over = not left
        self.is_near = self._done is None or left <= 2 * (done - self._done)  # as fast again as since the last counts
        self._done = done


def _left(queue: QueueStats) -> int:
    """Return the number of tasks that are or will be leased."""
    return queue.leased + (0 if queue.spent else queue.ready + queue.delayed)


def stopping(stats: Stats | None) -> str:
    """Say that the crawl stops, and what it still waits for."""
    leased = {queue.name: queue.leased for queue in stats.queues if queue.leased} if stats is not None else {}
    requests = leased.get(FRONTIER, 0)  # all other tasks take a moment only
    what = counted(requests, "request") if requests else counted(sum(leased.values()), "task")
    from crawler.run.explain.idle import at_work

    if stats is not None and (slow := at_work(stats)):
        return f"stopping: {slow}; Ctrl-C again stops at once"
    return f"stopping{f': waiting for {what}' if leased else ''} (Ctrl-C again stops at once)"


class Showing:
    """Callback for the time while the stages stop: imports what is needed after it, and keeps the view up to date."""

    def __init__(self, here: Crawl | DebugCrawl, view: View) -> None:
        self._here = here
        self._view = view
        self._next = time.monotonic() + view.every

    def __call__(self) -> None:
        reporting.preload()
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._view.every
            if (stats := self._here.watch()) is not None:
                self._view.show(stats)
