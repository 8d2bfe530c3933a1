"""What a crawl came to: the numbers of `report.json`, the summary a person reads, and the exit code they mean."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from crawler.errors import StorageError
from crawler.items import Stats
from crawler.pipeline import FRONTIER
from crawler.run.hints import PLAIN, Hint
from crawler.run.outputs import Rows, described
from crawler.run.stranded import described as stranded_line
from crawler.run.stranded import stranded

REPORT_FILE = "report.json"
STATUS = "fetch/status/"              # counters of the fetch stage, by HTTP status


def build(
    stats: Stats, *, crawl: str, beginning: str, reason: str, elapsed: float, restarts: Mapping[str, int], output: str,
    rows: Mapping[str, Rows] = MappingProxyType({}), not_taken: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """All numbers of a crawl, by name.

    reason: finished, interrupted, or failed. elapsed: s of this run; the counts are of the whole crawl, earlier runs included.
    output: where rows go now; rows: those of each output the crawl has had. not_taken: what became of seeds over a limit.
    """
    statuses = {name.removeprefix(STATUS): n for name, n in stats.counters.items() if name.startswith(STATUS)}
    pages = sum(statuses.values())
    return {
        "crawl": crawl,
        "beginning": beginning,
        "reason": reason,
        "elapsed": round(elapsed, 3),
        "output": output,
        "outputs": {name: each.rows for name, each in rows.items()},
        "pages": pages,
        "pages_per_second": round(pages / elapsed, 2) if beginning != "resumed" and elapsed > 0 else None,
        "statuses": statuses,
        "skipped": skipped(stats.counters),
        "not_taken": list(not_taken),
        "stranded": stranded(stats.queues),
        "dead": {queue.name: queue.dead for queue in stats.queues if queue.dead},
        "left": {queue.name: queue.ready + queue.delayed + queue.leased for queue in stats.queues if queue.is_read},
        "queues": {queue.name: msgspec.to_builtins(queue) for queue in stats.queues},
        "counters": dict(stats.counters),
        "restarts": dict(restarts),
    }


def skipped(counters: Mapping[str, int]) -> dict[str, int]:
    """URLs that were not fetched, by reason, most first."""
    found: dict[str, int] = {}
    for name, n in counters.items():
        _, mark, reason = name.partition("/skipped/")
        if mark:
            found[reason] = found.get(reason, 0) + n
    return dict(sorted(found.items(), key=lambda each: -each[1]))


def write(report: Mapping[str, Any], data: Path) -> Path:
    """Put it where scripts look for it: whole, or not at all. Raises StorageError."""
    path = data / REPORT_FILE
    draft = path.with_suffix(".tmp")
    try:
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        os.replace(draft, path)
    except OSError as error:
        raise StorageError(f"the report {path} cannot be written: {error.strerror}; the crawl itself is stored") from error
    return path


def summary(report: Mapping[str, Any], rows: Mapping[str, Rows] = MappingProxyType({}), hint: Hint = PLAIN) -> list[str]:
    """The same for a person, in a few lines. rows: by output; hint: completes the commands that are named."""
    statuses = ", ".join(f"{n} × {status}" for status, n in sorted(report["statuses"].items())) or "none"
    rate = f", {report['pages_per_second']:g} a second" if report["pages_per_second"] else ""
    lines = [f"{report['reason']} after {report['elapsed']:.1f} s: {report['pages']} pages{rate} ({statuses})"]
    if any(each.rows for each in rows.values()):
        lines.append(described(rows))
    if report["skipped"]:
        lines.append("not fetched: " + ", ".join(f"{n} {reason}" for reason, n in list(report["skipped"].items())[:6]))
    if report["dead"]:
        dead = ", ".join(f"{n} on {queue}" for queue, n in report["dead"].items())
        lines.append(f"given up: {dead}; see '{hint('dead list')}'")
    lines += report["not_taken"]
    lines += [f"left over: {stranded_line(name, n, hint)}" for name, n in report["stranded"].items()]
    if report["restarts"]:
        lines.append("started again: " + ", ".join(f"{name} {n}×" for name, n in report["restarts"].items()))
    left = {queue: n for queue, n in report["left"].items() if n}
    if left:
        lines.append("left to do: " + ", ".join(f"{n} on {queue}" for queue, n in left.items()) + f"; '{hint('run')}' goes on")
    return lines


def is_empty(report: Mapping[str, Any]) -> bool:
    """There was something to fetch, and nothing could be."""
    frontier = report["queues"].get(FRONTIER, {})
    return bool(report["pages"] == 0 and frontier.get("accepted", 0) > 0)
