"""The report of a crawl that has ended: built, written, and put into the lines that a person reads."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from crawler.broker.sqlite.place import store_path
from crawler.errors import CrawlerError, StorageError

if TYPE_CHECKING:
    from crawler.run.ending import Ending
    from crawler.run.seeds import Taken
    from crawler.run.session import Ended, Session

NEEDED: Final = (              # by every end
    "crawler.run.ending", "crawler.run.report.totals", "crawler.run.resume.gone", "crawler.run.report.summary",
)  # fmt: skip


def preload() -> None:
    """Import the modules that the end of a crawl needs."""
    for module in NEEDED:
        import_module(module)


class Report(Struct):
    """Result of a crawl."""

    numbers: dict[str, Any]  # as in report.json: see `crawler.run.report.totals`
    lines: list[str]  # the summary
    is_done: bool  # nothing is left to do
    has_store: bool  # else the store was removed while the crawl ran, and the crawl cannot go on
    lost: StorageError | None  # report.json could not be written


def report(session: Session, ended: Ended) -> Report | None:
    """Write the report of a crawl and return it. None: there is nothing to report, as the crawl had no seeds or no store."""
    from crawler.run.ending import at_rest

    if ended.taken is None:
        return None
    if ended.ending is None:
        with suppress(CrawlerError):
            ended.ending = at_rest(session.plan, session.read)
    return None if ended.ending is None else _report(session, ended, ended.ending, ended.taken)


def _report(session: Session, ended: Ended, ending: Ending, taken: Taken) -> Report:
    from crawler.run.report import totals as reporting
    from crawler.run.report.summary import summary
    from crawler.run.resume.gone import gone, warning
    from crawler.run.seeds import not_taken

    plan, data, hint = session.plan, session.data, session.hint
    numbers = reporting.build(
        ending.stats, crawl=ending.crawl, beginning=session.beginning,
        reason="failed" if ended.failure is not None else ending.reason,
        elapsed=ended.elapsed, restarts=ended.restarts, output=plan.output, rows=ending.rows,
        not_taken=[not_taken(taken.refused, plan.config.settings.frontier)] if taken.refused else [], pages_before=plan.pages,
        given_up=ending.given_up, examples=ending.examples, failure=in_words(ended.failure), trouble=ended.trouble,
    )  # fmt: skip
    lost: StorageError | None = None
    try:
        reporting.write(numbers, data)
    except StorageError as error:  # the summary is shown all the same
        lost = error
    has_store = store_path(data).exists()
    lost_rows = gone(ending.rows)
    said = [warning(name, rows, f"'{hint('run --fresh')}' starts over") for name, rows in lost_rows.items()]
    there = {name: rows for name, rows in ending.rows.items() if name not in lost_rows}
    lines = list(summary(numbers, there, hint, can_go_on=has_store, gone=said))
    return Report(numbers, lines, ending.is_done and ended.failure is None, has_store, lost)


def in_words(failure: CrawlerError | None) -> str:
    """Return what ended a crawl that failed; its message has been shown."""
    from crawler.run.processes.supervisor import ChildFailed

    if failure is None:
        return ""
    return f"{failure.name} gave up, see above" if isinstance(failure, ChildFailed) else "the hub was lost"
