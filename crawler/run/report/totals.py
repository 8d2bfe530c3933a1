"""Totals of a crawl: the numbers of `report.json`, the summary a person reads, and the exit code they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from crawler.codec.values import REPLACED
from crawler.errors import StorageError
from crawler.items import Stats
from crawler.machine import private
from crawler.pipeline.build import FRONTIER
from crawler.run.report import unread
from crawler.run.report.stranded import stranded
from crawler.worker.given import NOTHING, nothing

if TYPE_CHECKING:
    from crawler.run.report.given_up import Group
    from crawler.run.report.outputs import Rows

REPORT_FILE = "report.json"
FETCH = "fetch"
ASIDE = "/aside/"  # in the name of a counter, between queue and reason: see `broker.review`
STATUS = f"{FETCH}/status/"  # counters of the fetch stage, by HTTP status

COMMON = (                            # counters of ours
    "failed", "retried", "dropped", "skipped", "put back", NOTHING, "fields", "links", "sitemaps", "noindex", "replaced", "",
)  # fmt: skip


def build(
    stats: Stats, *, crawl: str, beginning: str, reason: str, elapsed: float, restarts: Mapping[str, int], output: str,
    rows: Mapping[str, Rows] = MappingProxyType({}), not_taken: Sequence[str] = (), pages_before: int = 0,
    given_up: Sequence[Group] = (), examples: Mapping[str, str] = MappingProxyType({}), failure: str = "", trouble: str = "",
) -> dict[str, Any]:  # fmt: skip
    """All numbers of a crawl, by name.

    reason: finished, stopped (by a limit), interrupted, or failed. elapsed: s of this run; the counts are of the whole crawl,
    earlier runs included.
    output: where rows go now; rows: those in each output that the crawl has had. not_taken: messages about seeds beyond a limit.
    given_up: dead tasks by reason. examples: see `unread.tally`.
    failure: what ended a crawl that failed. trouble: what kept it from working when it was stopped.
    pages_before: pages fetched by earlier runs of a resumed crawl; the pages per second are of this run.
    """
    statuses = {name.removeprefix(STATUS): n for name, n in stats.counters.items() if name.startswith(STATUS)}
    pages = sum(statuses.values())
    report: dict[str, Any] = {
        "crawl": crawl,
        "beginning": beginning,
        "reason": reason,
        "limit": next((queue.spent for queue in stats.queues if queue.spent), "") if reason == "stopped" else "",
        "failure": failure,
        "trouble": trouble,
        "elapsed": round(elapsed, 3),
        "output": output,
        "outputs": {name: each.rows for name, each in rows.items()},
        "pages": pages,
        "pages_before": pages_before,
        "pages_now": pages - pages_before,
        "pages_per_second": round((pages - pages_before) / elapsed, 2) if elapsed > 0 else None,
        "statuses": statuses,
        "skipped": skipped(stats.counters),
        "set_aside": set_aside(stats.counters),
        "replaced": replaced(stats.counters),
        "not_taken": list(not_taken),
        "stranded": stranded(stats.queues),
        "dead": {queue.name: queue.dead for queue in stats.queues if queue.dead},
        "given_up": [msgspec.to_builtins(group) for group in given_up],
        "dropped": dropped(stats.counters),
        "gave_nothing": nothing(stats.counters),
        "left": {queue.name: queue.ready + queue.delayed + queue.leased for queue in stats.queues if queue.is_read},
        "fields": unread.tally(stats.counters, examples),
        "fields_unmatched": unread.unmatched(stats.counters),
        "queues": {queue.name: msgspec.to_builtins(queue) for queue in stats.queues},
        "unread": by_name(stats.counters, "/unread/"),
        "sitemaps": {
            "read": no_page(stats.counters)["sitemaps"],
            "gave_nothing": by_name(stats.counters, "/sitemaps/nothing/"),
        },
        "no_page": no_page(stats.counters),
        "counters": dict(stats.counters),
        "restarts": dict(restarts),
    }
    report["got_nothing"] = got_nothing(report)
    return report


def no_page(counters: Mapping[str, int]) -> dict[str, int]:
    """Return the number of answers of status 2xx or 304 that brought no page, by the reason."""

    def total(name: str) -> int:
        return sum(n for counter, n in counters.items() if counter.partition("/")[2] == name)

    return {
        "unread": total("nothing/unread"),
        "empty": total("nothing/empty"),
        "noindex": total("skipped/noindex") - total("noindex/no page"),
        "sitemaps": total("sitemaps"),  # the pages they list were wanted
    }


def got_nothing(report: Mapping[str, Any]) -> bool:
    """Tell whether no page came of all there was to fetch: each was refused, missing, led nowhere, or had nothing in it.

    A crawl that a limit ended, or kept from its URLs, is not judged.
    """
    if not report["pages"]:
        return is_empty(report)
    if report["limit"] or report["skipped"].get("over the limit") or any(report["left"].values()):
        return False
    good = sum(n for status, n in report["statuses"].items() if status.startswith("2") or status == "304")
    return bool(good <= sum(report["no_page"].values()))


def skipped(counters: Mapping[str, int]) -> dict[str, int]:
    """Return the number of URLs not fetched and links not followed, by reason, the most frequent first."""
    return by_name(counters, "/skipped/")


def replaced(counters: Mapping[str, int]) -> dict[str, int]:
    """Return the number of values that were replaced because no record can have them, by kind: see `values`."""
    return by_name(counters, f"/{REPLACED}")


def by_name(counters: Mapping[str, int], mark: str) -> dict[str, int]:
    """Return the sums of the counters with this mark after the name of a stage, the largest first, by what follows the mark."""
    found: dict[str, int] = {}
    for counter, n in counters.items():
        _, has_mark, name = counter.partition(mark)
        if has_mark:
            found[name] = found.get(name, 0) + n
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def set_aside(counters: Mapping[str, int]) -> dict[str, int]:
    """Return the number of queued URLs that changed rules have set aside, by reason."""
    mark = f"{FRONTIER}{ASIDE}"
    return {name.removeprefix(mark): n for name, n in counters.items() if name.startswith(mark) and n > 0}


def dropped(counters: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the number of items that stages dropped, by stage and reason, most frequent first. The reason "" means unknown.

    The fetch stage is left out: each item that it drops is a URL counted in `skipped`.
    """
    found: dict[str, dict[str, int]] = {}
    for name, n in counters.items():
        stage, mark, reason = name.partition("/dropped")
        stage = stage.partition("+")[0]  # of a chain take the first; the other links have counters of their own
        if mark and stage != FETCH:
            reasons = found.setdefault(stage, {})
            reasons[reason[1:]] = reasons.get(reason[1:], 0) + n
    for reasons in found.values():
        reasons[""] = reasons.get("", 0) - sum(n for reason, n in reasons.items() if reason)
    return {
        stage: {reason: n for reason, n in sorted(reasons.items(), key=lambda each: -each[1]) if n > 0}
        for stage, reasons in found.items()
    }


def own_counters(counters: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return what stages count themselves, by stage: all counters but those of fetch and store, and those of every stage."""
    found: dict[str, dict[str, int]] = {}
    for name, n in counters.items():
        stage, _, counter = name.partition("/")
        if stage.partition("+")[0] not in (FETCH, "store", FRONTIER) and counter.partition("/")[0] not in COMMON:
            found.setdefault(stage, {})[counter] = n
    return found


def write(report: Mapping[str, Any], data: Path) -> Path:
    """Put it where scripts look for it: whole, or not at all. Raises StorageError."""
    path = data / REPORT_FILE
    try:
        private.write(path, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    except OSError as error:
        raise StorageError(f"the report {path} cannot be written: {error.strerror}; the crawl itself is stored") from error
    return path


def is_empty(report: Mapping[str, Any]) -> bool:
    """Return whether there was something to fetch and nothing could be."""
    frontier = report["queues"].get(FRONTIER, {})
    return bool(report["pages"] == 0 and frontier.get("accepted", 0) > 0)
