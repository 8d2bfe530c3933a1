"""What a fault did, as a row of figures, and the rows as a Markdown file."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from crawler_bench.processes import machine

MIB = 1 << 20
LOAD = "{:.1f}, {:.1f}, {:.1f}: processes that wanted a core in the last 1, 5 and 15 minutes of the run"
HUB = 128 * MIB  # a hub's most, whatever it holds: 64 MiB are the page cache of its store, which fills up with time
HEAD = ("", "fault", "rounds", "lost", "twice", "redelivery", "recovery", "RSS", "threads", "CPU", "holds")


@dataclass
class Row:
    """One fault, what was seen, and what of the promise did not hold. A figure that does not apply is None."""

    id: str
    fault: str
    promise: str
    others: str = ""  # what others get on the same test, with where that is from
    rounds: int = 0
    lost: int | None = None
    twice: int | None = None  # rows or results there is one too many of
    redelivery: Sequence[float] = ()  # s, one a round
    recovery: Sequence[float] = ()  # s, one a round
    rss: int | None = None  # bytes, the hub's highest
    threads: int | None = None  # the hub's most
    cpu: float | None = None  # s of the hub's, in all
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)  # bounds of time that were passed: a busy machine's tests leave them out

    @property
    def failures(self) -> list[str]:
        """All that does not hold, bounds of time included."""
        return [*self.broken, *self.late]

    def expect(self, is_so: bool, otherwise: str) -> None:
        """Note what does not hold."""
        if not is_so:
            self.broken.append(otherwise)

    def expect_in_time(self, is_so: bool, otherwise: str) -> None:
        """Note a bound of time that does not hold. The command judges it, the tests of every day do not."""
        if not is_so:
            self.late.append(otherwise)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def times(values: Sequence[float]) -> str:
    """The middle, the 99th of a hundred and the worst, in s."""
    if not values:
        return "·"
    return " / ".join(f"{value:.2f}" for value in (percentile(values, 0.5), percentile(values, 0.99), max(values)))


def cells(row: Row) -> list[str]:
    """What stands in the table, without the sentences."""
    return [
        row.id, row.fault, f"{row.rounds:,}", number(row.lost), number(row.twice), times(row.redelivery), times(row.recovery),
        "·" if row.rss is None else f"{row.rss / MIB:.0f} MiB", number(row.threads),
        "·" if row.cpu is None else f"{row.cpu:.1f} s", "**no**" if row.failures else "yes",
    ]  # fmt: skip


def number(value: int | None) -> str:
    return "·" if value is None else f"{value:,}"


def document(rows: Sequence[Row], command: str) -> str:
    """The whole file."""
    lines = [
        "# Faults", "",
        f"What `{command}` said on {time.strftime('%Y-%m-%d')}. Every process is a real one, started by its command and killed by",
        "a real signal; the web it crawls is generated from a seed, so what should have come home is known.", "",
        "Times are in s: the middle, the 99th of a hundred, the worst. *Lost* is what should be in the file and is not, *twice*",
        "what is there once too often. *Redelivery*: until a dead or frozen worker's tasks are another's. *Recovery*: from the",
        "fault, or from its end, until tasks are finished again; of an attack the time a call takes. RSS, threads and CPU are the",
        "hub's: highest, most, all. A dot: does not apply. What others do is from their documentation or was measured on a",
        "machine of this kind before, unless it says *in this run*.", "",
        "## Machine", "", *pairs({**machine(), "load": LOAD.format(*os.getloadavg())}), "",
        "## Figures", "", line(HEAD), line(["---"] * len(HEAD)), *(line(cells(row)) for row in rows), "",
        "## Row by row", "",
    ]  # fmt: skip
    for row in rows:
        lines += [f"**{row.id}, {row.fault}** ({row.seconds:.0f} s). Must hold: {row.promise}."]
        lines += [f"- {note}" for note in row.notes]
        lines += [f"- The field: {row.others}."] if row.others else []
        lines += [f"- **Does not hold:** {fault}" for fault in row.failures]
        lines += [""]
    return "\n".join(lines)


def pairs(table: Mapping[str, str]) -> list[str]:
    return [line(["", ""]), line(["---", "---"]), *(line(pair) for pair in table.items())]


def line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def short(row: Row) -> str:
    """For a terminal, as soon as it is known."""
    figures = ", ".join(f"{name} {cell}" for name, cell in zip(HEAD[2:], cells(row)[2:], strict=True) if cell != "·")
    return "\n".join([f"{row.id:4}{row.fault}: {figures} ({row.seconds:.0f} s)", *(f"    ! {fault}" for fault in row.failures)])
