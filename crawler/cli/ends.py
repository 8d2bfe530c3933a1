"""The end of `crawler run`: its report, its summary and its exit code, however it ended."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crawler.broker.place import store_path
from crawler.cli import common
from crawler.errors import CrawlerError, StorageError

NEEDED = ("crawler.run.ending", "crawler.report", "crawler.run.gone", "crawler.run.summary")     # by every end

if TYPE_CHECKING:
    from crawler.cli.view import View
    from crawler.crawl import Beginning
    from crawler.run.ending import Ending
    from crawler.run.resume import Plan
    from crawler.run.seeds import Taken


def preload() -> None:
    """Import what the end of a crawl needs."""
    for module in NEEDED:
        import_module(module)


class End:
    """The facts about a crawl that has ended."""

    def __init__(self) -> None:
        self.ending: Ending | None = None      # None: the hub did not answer, so the store is read
        self.taken: Taken | None = None        # of the seeds; None: they were not put
        self.code = 0                          # exit code for what ended the crawl: a signal, a closed output; 0: nothing did
        self.failure: CrawlerError | None = None
        self.trouble = ""                      # what kept it from working when it was stopped
        self.restarts: Mapping[str, int] = {}
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began


def conclude(args: argparse.Namespace, plan: Plan, end: End, read: list[str], view: View, beginning: Beginning) -> int:
    """Write and show the report. Returns the exit code. Raises the failure that ended the crawl if there is nothing to report.

    read: the queues of the crawl's stages.
    """
    from crawler.run.ending import at_rest
    from crawler.supervisor import ChildFailed

    failure = end.failure
    if isinstance(failure, ChildFailed) and not failure.is_hopeless:       # otherwise the child has said it
        view.say(f"crawler: {failure}")
    if end.ending is None and end.taken is not None:
        with suppress(CrawlerError):
            end.ending = at_rest(plan, read)
    code = end.code if failure is None else failure.code if isinstance(failure, ChildFailed) else None
    if end.ending is not None and end.taken is not None:
        shown = show(args, plan, end, end.ending, end.taken, view, beginning)
        code = shown if failure is None else code
    if code is None and failure is not None:
        raise failure
    return code or common.OK


def show(args: argparse.Namespace, plan: Plan, end: End, ending: Ending, taken: Taken, view: View, beginning: Beginning) -> int:
    """Write the report, show the summary, and return the exit code of a crawl that did not fail."""
    from crawler import report as reporting
    from crawler.cli.printing import tell
    from crawler.run.gone import gone, warning
    from crawler.run.nothing import brief
    from crawler.run.seeds import not_taken
    from crawler.run.summary import summary

    frontier = plan.config.settings.frontier
    is_done = ending.is_done and end.failure is None
    report = reporting.build(
        ending.stats, crawl=ending.crawl, beginning=beginning,
        reason="failed" if end.failure is not None else ending.reason,
        elapsed=end.elapsed, restarts=end.restarts, output=plan.output, rows=ending.rows,
        not_taken=[not_taken(taken.refused, frontier)] if taken.refused else [], pages_before=plan.pages,
        given_up=ending.given_up, examples=ending.examples, failure=in_words(end.failure), trouble=end.trouble,
    )  # fmt: skip
    lost: StorageError | None = None
    data = Path(plan.config.settings.data)
    try:
        reporting.write(report, data)
    except StorageError as error:              # the summary is printed all the same
        lost = error
    hint = common.hints(args, plan.config)
    is_there = store_path(data).exists()
    lost_rows = gone(ending.rows)
    said = [warning(name, rows, f"'{hint('run --fresh')}' starts over") for name, rows in lost_rows.items()]
    there = {name: rows for name, rows in ending.rows.items() if name not in lost_rows}
    for line in summary(report, there, hint, can_go_on=is_there, gone=said):
        view.say(line)
    if end.code == common.CLOSED and not is_done:
        view.say(f"the program that read standard output has ended, so the crawl was stopped: '{hint('run')}' goes on and prints, "
                 f"'{hint('run -o FILE --change')}' goes on and writes to FILE")
    if not is_there:
        view.say(f"crawler: {store_path(data)} was removed while the crawl ran, so the crawl cannot go on; "
                 f"'{hint('run URL')}' begins another")
    elif lost is not None:
        view.say(f"crawler: {lost}")
    code = exit_code(report, is_done, end.code)
    if args.quiet and code == common.NOTHING_FETCHED:
        tell(f"crawler: {brief(report)}")      # an exit code alone does not say what to correct
    return common.STORAGE if (lost is not None or not is_there) and is_done else code


def in_words(failure: CrawlerError | None) -> str:
    """Return what ended a crawl that failed; its message has been shown above."""
    from crawler.supervisor import ChildFailed

    if failure is None:
        return ""
    return f"{failure.name} gave up, see above" if isinstance(failure, ChildFailed) else "the hub was lost"


def exit_code(report: dict[str, Any], is_done: bool, interrupted: int) -> int:
    """See `common`."""
    if not is_done:
        return interrupted or common.INTERRUPTED
    has_fetched = report["pages"] > report["pages_before"]
    if report["got_nothing"] or (report["not_taken"] and not has_fetched):
        return common.NOTHING_FETCHED
    return common.DEAD_TASKS if report["dead"] or report["stranded"] else common.OK
