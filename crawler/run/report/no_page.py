"""Say why a crawl got no page, and what it skipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crawler.wording.counting import counted

SHOWN: Final = 6  # reasons shown in one line
NOT_FETCHED: Final = {"robots": "forbidden by robots.txt", "private address": "at private addresses"}  # by the word in the counter
# Why a redirect leads nowhere, by the word in the counter.
NOT_FOLLOWED: Final = (
    "out of scope", "seed redirects to another site", "redirect loop", "too many redirects", "denied by pattern",
    "not allowed by pattern", "too deep", "path too deep", "path repeats", "too many parameters", "url too long", "not http",
)  # fmt: skip


def told(report: Mapping[str, Any], *, is_explained: bool = False) -> list[str]:
    """The lines: why there is no page, unless another line explains it, bodies that were not read, and sitemaps without URLs."""
    lines = []
    if report["pages"] and report["got_nothing"] and not is_explained:
        lines.append(f"no page was got: {', '.join(_reasons(report))}")
    if report["unread"]:
        lines.append(f"bodies not read: {_listed(report['unread'])}; see stages.fetch.content_types")
    if lacking := report["sitemaps"]["gave_nothing"]:
        lines.append(f"sitemaps that gave nothing: {_listed(lacking)}")
    return lines


def brief(report: Mapping[str, Any]) -> str:
    """Return one sentence on why there is no page, for a crawl whose summary is not shown."""
    given_up = "; ".join(f"{group['reason']}: {', '.join(group['examples'])}" for group in report["given_up"][:1])
    return f"no page was got: {', '.join(_reasons(report))}" + (f" ({given_up})" if given_up else "")


def _reasons(report: Mapping[str, Any]) -> list[str]:
    """List what became of each answer and each URL, in the order in which a person would ask."""
    statuses: Mapping[str, int] = report["statuses"]
    skipped: Mapping[str, int] = report["skipped"]
    found = [f"{n:,} × status {status}" for status, n in sorted(statuses.items()) if status >= "4"]
    if redirects := sum(n for status, n in statuses.items() if status.startswith("3") and status != "304"):
        why = [f"{n:,} {reason}" for reason in NOT_FOLLOWED if (n := skipped.get(reason, 0))]
        found.append(counted(redirects, "redirect") + (f" ({', '.join(why)})" if why else ""))
    named = {"unread": "not read", "empty": "empty", "noindex": "with noindex", "sitemaps": "a list of URLs"}
    found += [f"{n:,} {named[kind]}" for kind, n in report["no_page"].items() if n]
    found += [f"{n:,} {what}" for reason, what in NOT_FETCHED.items() if (n := skipped.get(reason, 0))]
    if dead := sum(report["dead"].values()):
        found.append(f"{dead:,} given up")
    return found or ["nothing was asked for"]


def _listed(numbers: Mapping[str, int]) -> str:
    shown = [f"{n:,} {'of ' * name.startswith('type ')}{name}" for name, n in list(numbers.items())[:SHOWN]]
    rest = sum(list(numbers.values())[SHOWN:])
    return ", ".join([*shown, *([f"{rest:,} for other reasons"] if rest else [])])
