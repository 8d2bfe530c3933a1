"""End of `crawler run`: shows its report, and decides its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.broker.sqlite.place import store_path
from crawler.cli import common
from crawler.run.reporting import Report, report

if TYPE_CHECKING:
    from crawler.run.session import Ended, Session, View


def conclude(session: Session, ended: Ended, view: View, interrupted: int, *, quiet: bool) -> int:
    """Write and show the report. Returns the exit code. Raises the failure that ended the crawl if it has no code of its own.

    interrupted: the exit code for the signal that ended the crawl; 0: none did.
    """
    from crawler.run.processes.supervisor import ChildFailed

    failure = ended.failure
    if isinstance(failure, ChildFailed) and not failure.is_hopeless:  # otherwise the child has said it
        view.say(f"crawler: {failure}")
    ending = common.CLOSED if ended.is_unheard else interrupted
    code = ending
    if (found := report(session, ended)) is not None:
        show(session, ended, found, view)
        code = exit_code(found, ending)
        if quiet and failure is None and code == common.NOTHING_FETCHED:
            tell_why(found)
    if failure is None:
        return code
    if isinstance(failure, ChildFailed):
        return failure.code
    raise failure


def show(session: Session, ended: Ended, found: Report, view: View) -> None:
    """Show the summary, and what kept the crawl from its end or its report."""
    hint = session.hint
    for line in found.lines:
        view.say(line)
    if ended.is_unheard and not found.is_done:
        view.say(
            f"the program that read standard output has ended, so the crawl was stopped: '{hint('run')}' goes on and prints, "
            f"'{hint('run -o FILE --change')}' goes on and writes to FILE"
        )
    if not found.has_store:
        view.say(
            f"crawler: {store_path(session.data)} was removed while the crawl ran, so the crawl cannot go on; "
            f"'{hint('run URL')}' begins another"
        )
    elif found.lost is not None:
        view.say(f"crawler: {found.lost}")


def tell_why(found: Report) -> None:
    """Tell why no page was got, where nothing else is shown: an exit code alone does not say what to correct."""
    from crawler.cli.printing import tell
    from crawler.run.report.no_page import brief

    tell(f"crawler: {brief(found.numbers)}")


def exit_code(found: Report, interrupted: int) -> int:
    """Return the exit code of a crawl that did not fail: see `common`."""
    numbers = found.numbers
    if not found.is_done:
        return interrupted or common.INTERRUPTED
    if found.lost is not None or not found.has_store:
        return common.STORAGE
    has_fetched = numbers["pages"] > numbers["pages_before"]
    if numbers["got_nothing"] or (numbers["not_taken"] and not has_fetched):
        return common.NOTHING_FETCHED
    return common.DEAD_TASKS if numbers["dead"] or numbers["stranded"] else common.OK
