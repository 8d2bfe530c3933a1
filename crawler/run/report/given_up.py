"""Tasks that were given up, grouped by reason: ten thousand refused connections are one line.

Dead, Dead, … ──kind of reason──▶ name not found (2): http://exmaple.invalid/, …
                                  connection refused (10,000): …
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from crawler.broker.contract import Broker
from crawler.items import Dead

PAGE: Final = 500  # tasks in one call
LOOKED_AT: Final = 5_000  # dead tasks that a report reads; the others are only counted
LOOKED_BYTES: Final = 64 << 20  # bytes of their items; the item of a dead page is its whole body
EXAMPLES: Final = 3  # tasks named for each reason
LONGEST: Final = 100  # characters of a reason that has no short name
DIED: Final = "its worker "  # how the reason begins that says how a worker ended
UNKNOWN: Final = "no reason given"
NOT_LOOKED_AT: Final = "not looked at"

# Short names for reasons, by a pattern in the text. The patterns cover resolvers, operating systems and both HTTP clients.
KINDS: Final[Mapping[str, str]] = {
    "name not found": r"name or service not known|could not resolve host|no address associated|nodename nor servname|"
                      r"name does not resolve|has no address",
    "name server failed": r"temporary failure in name resolution",
    "connection refused": r"connection refused",
    "connection reset": r"connection reset|remote end closed|empty reply|broken pipe",
    "no route to the host": r"no route to host|network is unreachable|host is unreachable",
    "timed out": r"timed out|no connection to .* within|not finished after|see stages\.fetch\.(timeout|connect_timeout|min_rate)",
    "larger than stages.fetch.max_bytes": r"see stages\.fetch\.max_bytes",
    "expands to more than stages.fetch.max_ratio allows": r"see stages\.fetch\.max_ratio",
    "certificate not accepted, see stages.fetch.verify": r"certificate",
    "no TLS there, perhaps plain HTTP": r"does not speak tls|plain http",
    "connection closed": r"closed the connection",
    "TLS failed": r"\bssl\b|\btls\b",
    "the worker died or hung": r"^the lease ran out",
}  # fmt: skip
# Compiled when they are first used, like the table: most crawls give nothing up.
_STATUS = r"(?:^|: )((?:robots\.txt: )?status \d{3})\b"  # of a robots.txt it is no status of the page
_URL = r"\w+://[^\s,;'\"]+"
_NUMBER = r"(?<!\.py:)(?<!\d)\d+(\.\d+)?"  # keeps the line number in a stage's code
_PLACE = r" \(?at \S+:\d+( in \S+)?$"


class Group(Struct, frozen=True):
    """Tasks that were given up for the same reason."""

    reason: str
    count: int
    examples: list[str]  # URLs, or another name of a task


def kind(reason: str, host: str = "") -> str:
    """Return a short name for a reason that does not depend on hosts, addresses and numbers in it."""
    if reason.startswith(DIED):
        return reason[:LONGEST]  # an exit code is not a number to leave out
    for name, pattern in KINDS.items():
        if re.search(pattern, reason, re.IGNORECASE):
            return name
    if status := re.search(_STATUS, reason):
        return status[1]
    text = re.sub(_URL, "URL", reason)
    if host:
        text = text.replace(f"{host}: ", "").replace(host, "HOST")
    return re.sub(_NUMBER, "N", text) or UNKNOWN


def grouped(tasks: Iterable[Dead]) -> list[Group]:
    """Group these tasks by the kind of their reason, the largest group first. Equal reasons are shown as written."""
    counts: dict[str, int] = {}
    first: dict[str, str] = {}
    examples: dict[str, list[str]] = {}
    for task in tasks:
        which = kind(task.reason, task.host)
        counts[which] = counts.get(which, 0) + 1
        written = which if _is_short_name(which) else shortened(task.reason)
        if first.setdefault(which, written) != written:  # they differ, for example in a number
            first[which] = shortened(which)
        if len(named := examples.setdefault(which, [])) < EXAMPLES:
            named.append(brief(task))
    return [Group(first[which], n, examples[which]) for which, n in sorted(counts.items(), key=lambda each: -each[1])]


def shortened(reason: str) -> str:
    """Return a reason of at most `LONGEST` characters, cut in the middle: the place in the code, at its end, stays."""
    if len(reason) <= LONGEST:
        return reason
    place = re.search(_PLACE, reason)
    end = place.group()[-LONGEST // 2 :] if place else ""
    return f"{reason[: LONGEST - 1 - len(end)].rstrip()}…{end}"


def _is_short_name(which: str) -> bool:
    return which in KINDS or which == UNKNOWN or re.fullmatch(_STATUS, which) is not None


def given_up(broker: Broker, total: int) -> list[Group]:
    """Group all dead tasks by reason, reading the first `LOOKED_AT` of them. total: the number of dead tasks."""
    if not total:
        return []
    looked_at = list(_first(broker))
    rest = [Group(NOT_LOOKED_AT, total - len(looked_at), [])] if total > len(looked_at) else []
    return grouped(looked_at) + rest


def _first(broker: Broker) -> Iterator[Dead]:
    size = 0
    for n, task in enumerate(every(broker)):
        size += len(task.item)
        if n >= LOOKED_AT or size > LOOKED_BYTES:
            return
        yield task


def every(broker: Broker, queue: str | None = None) -> Iterator[Dead]:
    """List all dead tasks by id."""
    after = 0
    while tasks := broker.dead(queue, PAGE, after):
        yield from tasks
        after = tasks[-1].id


def plain(item: bytes) -> Any:
    """Return an item as far as it can be read without its stage; bytes inside it are replaced by their length."""
    from crawler.codec.bodies import readable  # here, because a crawl without dead tasks does not need it

    return _short(readable(item))


def brief(task: Dead) -> str:
    """Return a short name for a task: its URL if it has one."""
    value = plain(task.item)
    text = value.get("url", value) if isinstance(value, dict) else value
    return (json.dumps(text, ensure_ascii=False) if isinstance(text, str) and _looks_otherwise(text) else str(text))[:200]


def _looks_otherwise(text: str) -> bool:
    """Tell whether a text reads like a value of another type, as "5" or "true" do."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return not text
    return True


def _short(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, dict):
        return {str(name): _short(each) for name, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, list) else value
