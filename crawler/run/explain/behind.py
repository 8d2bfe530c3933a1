"""Describe the fate of a URL's page after the frontier: its reports, its tasks on other queues, or how it may have ended.

reports of all stages   ──▶ 200, 122 bytes · dropped by enrich: no title
tasks on other queues   ──▶ dead on parsed: KeyError: 'ttle' at enrich.py:9 in process; see 'crawler dead show 2'
neither, and no record  ──▶ a stage gave nothing for it; its task is forgotten
"""

from __future__ import annotations

import re
from collections.abc import Callable
from shlex import quote
from typing import TYPE_CHECKING, Final

from crawler.wording.counting import agree, counted
from crawler.worker.drops import NO_REASON

if TYPE_CHECKING:
    from crawler.broker.contract import Broker
    from crawler.items import Found, Story

SHOWN: Final = 5  # reasons of dropped items
_REPORT: Final = re.compile(r"([\w-]+): (.*)")  # of a later stage of a chain


def reports(story: Story) -> tuple[str, list[str]]:
    """Return the first stage's own report ("" if there is none), and those of the later stages in the same process."""
    lines = story.report.splitlines()
    first = lines.pop(0) if lines and not _REPORT.match(lines[0]) else ""
    return first, [_told(line) for line in lines]


def tasks(hub: Broker, url: str, hint: Callable[[str], str]) -> list[str]:
    """Describe the unfinished tasks that this URL has on the queues after the frontier."""
    return [_task(found, hint) for found in hub.find(url)]


def lost(hub: Broker, story: Story, url: str, hint: Callable[[str], str]) -> list[str]:
    """Describe how a page may have ended that has no task and no record, and what shows it. [] if its story says it."""
    from crawler.run.report.summary import RECORDS
    from crawler.run.report.totals import dropped, skipped

    if story.state != "done" or reports(story)[1]:
        return []
    counters = hub.stats().counters
    by_stage = dropped(counters)
    counts = sorted(((n, stage, reason) for stage, reasons in by_stage.items() for reason, n in reasons.items()), reverse=True)
    known = [f"{counted(n, 'item')} {agree(n, 'was', 'were')} dropped by {stage}{f': {reason}' if reason else ''}"
             for n, stage, reason in counts[:SHOWN]]  # fmt: skip
    unwanted = skipped(counters)
    known += [f"{counted(n, 'page')} {agree(n, 'was', 'were')} not recorded, because of {reason}"
              for reason in RECORDS if (n := unwanted.get(reason, 0))]  # fmt: skip
    lines = ["; ".join(["it left the queues without a record: a stage dropped it or gave nothing for it", *known])]
    return [*lines, f"'{hint(f'parse {quote(url)}')}' fetches it again and shows what parse makes of it"]


def _told(report: str) -> str:
    """Return a report as a sentence: `enrich: dropped: no title` is "dropped by enrich: no title"."""
    dropped = re.match(r"([\w-]+): dropped: (.*)", report)
    return f"dropped by {dropped[1]}: {dropped[2].strip() or NO_REASON}" if dropped else report


def _task(found: Found, hint: Callable[[str], str]) -> str:
    failure = f"; attempt {found.attempt} failed: {found.reason}" if found.reason else ""
    return {
        "ready": f"waits on {found.queue}{failure}",
        "delayed": f"on {found.queue}, tried again in {found.due:.0f} s{failure}",
        "leased": f"on {found.queue}, in process now{failure}",
        "dead": f"dead on {found.queue}: {found.reason}; see '{hint(f'dead show {found.id}')}'",
    }[found.state]
