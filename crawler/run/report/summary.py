"""Summarize a crawl in a few lines for the person who ran it. Only the wording; the numbers come from `totals`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from crawler.pipeline.build import FRONTIER
from crawler.run.next_commands import PLAIN, Hint
from crawler.run.report import no_page, unread
from crawler.run.report.one_page import why_small
from crawler.run.report.outputs import Rows, described
from crawler.run.report.stranded import described as stranded_line
from crawler.run.report.totals import is_empty
from crawler.wording.counting import agree, counted

SHOWN: Final = 6  # reasons shown in one line
GROUPS: Final = 4  # reasons for given-up tasks that are shown, each with examples
# By the word in the counter. The first are URLs that were not fetched, the second pages without a record; all others are links.
URLS: Final = no_page.NOT_FETCHED
RECORDS: Final = {"noindex": "with noindex"}
SEEDS: Final = {"seed redirects to another site": "another site, see frontier.seed_redirects"}


def summary(
    report: Mapping[str, Any], rows: Mapping[str, Rows] = MappingProxyType({}), hint: Hint = PLAIN, *,
    can_go_on: bool = True, gone: Sequence[str] = (),
) -> list[str]:  # fmt: skip
    """Return the lines, one sentence each. rows: by output. hint: completes the commands that are named.

    can_go_on: the store of the crawl is there. gone: lines about outputs that are not.
    """
    lines = [_first(report)]
    if any(each.rows for each in rows.values()):
        lines.append(described(rows))
    elif report["pages"] and rows:
        lines.append("; ".join([described(rows), *(_gave_nothing(stage, n) for stage, n in report["gave_nothing"].items())]))
    lines += gone
    small = why_small(report)
    lines += no_page.told(report, is_explained=bool(small))
    lines += skipped_lines(report["skipped"])
    lines += unread.told(report["fields"])
    lines += unread.nowhere(report["fields_unmatched"]) if not report["got_nothing"] else []
    if report["replaced"]:
        lines.append("replaced in records: " + ", ".join(f"{what} ({n:,})" for what, n in report["replaced"].items()))
    lines += [_dropped(stage, reasons) for stage, reasons in report["dropped"].items() if reasons]
    if aside := report["set_aside"]:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in aside.items())
        lines.append(f"set aside, because the rules were changed: {counted(sum(aside.values()), 'URL')} ({reasons})")
    if small:
        lines.append(small)
    if report["dead"]:
        lines.append(_given_up(report, hint))
    lines += report["not_taken"]
    lines += [f"left over: {stranded_line(name, n, hint)}" for name, n in report["stranded"].items()]
    if report["restarts"]:
        lines.append("started again: " + ", ".join(f"{name} ({n}×)" for name, n in report["restarts"].items()))
    left = {queue: n for queue, n in report["left"].items() if n}
    if report.get("trouble"):
        lines.append(f"when it was stopped, {report['trouble']}")
    if left:
        way = f"; {_goes_on(report, hint)}" if can_go_on else ""
        lines.append("left to do: " + ", ".join(f"{n:,} on {queue}" for queue, n in left.items()) + way)
    return lines


def _goes_on(report: Mapping[str, Any], hint: Hint) -> str:
    """Say how a crawl goes on that has something left to do."""
    if report.get("failure"):
        return f"'{hint('run')}' goes on; if it fails again, '{hint('run --change')}' takes other settings, such as -o FILE"
    if not report["limit"]:
        return f"'{hint('run')}' goes on"
    setting = report["limit"].partition(" ")[0]
    return f"'{hint(f'run -s {setting}=N --change')}' goes on with a higher limit"


def _first(report: Mapping[str, Any]) -> str:
    statuses = ", ".join(f"{n:,} × {status}" for status, n in sorted(report["statuses"].items()))
    rate = f", {report['pages_per_second']:g} a second" if report["pages_per_second"] else ""
    now = f"{counted(report['pages_now'], 'page')} now{rate}, {report['pages']:,} in all"
    pages = f"{now if report['pages_before'] else counted(report['pages'], 'page') + rate} ({statuses})"
    what = pages if report["pages"] else f"no page was fetched{_why_empty(report)}"
    reason = f"stopped by {report['limit']}" if report["limit"] else report["reason"]
    failure = f" ({report['failure']})" if report.get("failure") else ""
    return f"{reason} after {report['elapsed']:.1f} s{failure}: {what}"


def _why_empty(report: Mapping[str, Any]) -> str:
    """Explain why there is no page; "" if there was nothing to fetch or something is still to be fetched."""
    if not is_empty(report) or any(report["left"].values()):
        return ""
    urls = report["queues"][FRONTIER]["accepted"]
    forbidden, private = (report["skipped"].get(reason, 0) for reason in URLS)
    dead = report["dead"].get(FRONTIER, 0)
    whole = "the only URL" if urls == 1 else f"all {urls:,} URLs"
    if forbidden == urls:
        return f"; robots.txt forbids {whole} (a site of your own: -s stages.fetch.robots=false)"
    if private == urls:
        return f"; {whole} {agree(urls, 'is at a private address', 'are at private addresses')}, see stages.fetch.allow_private"
    if dead == urls:
        return f"; {whole} {agree(urls, 'was', 'were')} given up"
    counts = {**dict(zip(URLS.values(), (forbidden, private), strict=True)), "given up": dead}
    parts = [f"{n:,} {what}" for what, n in counts.items() if n]
    return f"; of {counted(urls, 'URL')}: {', '.join(parts)}" if parts else ""


def skipped_lines(skipped: Mapping[str, int]) -> list[str]:
    """List what was not fetched, not recorded and not followed, each with its unit."""
    urls = {URLS[reason]: n for reason, n in skipped.items() if reason in URLS}
    records = {RECORDS[reason]: n for reason, n in skipped.items() if reason in RECORDS}
    seeds = {SEEDS[reason]: n for reason, n in skipped.items() if reason in SEEDS}
    links = {reason: n for reason, n in skipped.items() if reason not in URLS and reason not in RECORDS and reason not in SEEDS}
    lines = []
    if urls:
        lines.append("not fetched: " + ", ".join(f"{counted(n, 'URL')} {reason}" for reason, n in urls.items()))
    if records:
        lines.append("not recorded: " + ", ".join(f"{counted(n, 'page')} {reason}" for reason, n in records.items()))
    if seeds:
        lines.append("redirects of seeds not followed: " + ", ".join(f"{n:,} to {what}" for what, n in seeds.items()))
    if links:
        shown = [f"{n:,} {reason}" for reason, n in list(links.items())[:SHOWN]]
        rest = sum(list(links.values())[SHOWN:])
        lines.append("links not followed: " + ", ".join([*shown, *([f"{rest:,} for other reasons"] if rest else [])]))
    return lines


def _gave_nothing(stage: str, items: int) -> str:
    """Describe a stage that gave nothing for this number of items."""
    return f"{stage} gave nothing for {counted(items, 'item')}: does it return or yield them?"


def _dropped(stage: str, reasons: Mapping[str, int]) -> str:
    """Describe the items that a stage dropped, with the most frequent reasons."""
    total = sum(reasons.values())
    known = [f"{reason} ({n:,})" for reason, n in reasons.items() if reason][:SHOWN]
    return f"{total:,} dropped by {stage}" + (f": {', '.join(known)}" if known else "")


def _given_up(report: Mapping[str, Any], hint: Hint) -> str:
    """Describe the tasks that were given up: number, reasons, examples."""
    total = sum(report["dead"].values())
    groups: Sequence[Mapping[str, Any]] = report["given_up"]
    parts = [_group(group) for group in groups[:GROUPS]]
    if rest := sum(group["count"] for group in groups[GROUPS:]):
        parts.append(f"other reasons ({rest:,})")
    told = f": {'; '.join(parts)}" if parts else ""
    noun = "URL" if list(report["dead"]) == [FRONTIER] else "task"
    return f"given up: {counted(total, noun)}{told}; see '{hint('dead list')}'"


def _group(group: Mapping[str, Any]) -> str:
    examples = group["examples"]
    more = ", …" if group["count"] > len(examples) > 0 else ""
    return f"{group['reason']} ({group['count']:,})" + (f": {', '.join(examples)}{more}" if examples else "")
