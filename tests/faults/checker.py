"""What must be true after every fault, whatever it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from crawler.items import Stats
from tests.faults.table import Row

CLOCKS = 0.002  # s two clocks of one machine and the way between them may differ


def check_rows(row: Row, file: Path, expected: Collection[str]) -> None:
    """What is in the file is what can be reached, each page once; what is missing or there twice is added to the row."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    urls = Counter(str(json.loads(line)["url"]) for line in lines)
    lost, strange = expected - urls.keys(), urls.keys() - expected
    twice = urls.total() - len(urls)
    row.lost, row.twice = (row.lost or 0) + len(lost), (row.twice or 0) + twice
    row.expect(not lost, f"{len(lost)} page(s) are not in the file, for example {sorted(lost)[:3]}")
    row.expect(not twice, f"{twice} row(s) are there twice, for example {[url for url, n in urls.items() if n > 1][:3]}")
    row.expect(not strange, f"{len(strange)} page(s) are in the file that no link leads to, for example {sorted(strange)[:3]}")


def check_books(row: Row, stats: Stats) -> None:
    """A task is in exactly one place."""
    for queue in stats.queues:
        places = queue.ready + queue.delayed + queue.leased + queue.dead + queue.done
        row.expect(
            queue.accepted == places and min(queue.ready, queue.delayed, queue.leased, queue.dead, queue.done) >= 0,
            f"queue {queue.name}: {queue.accepted} accepted, but {places} are somewhere: {queue}",
        )


def check_end(row: Row, stats: Stats, *, dead: int = 0) -> None:
    """Accepted = done + dead, and no innocent is dead."""
    check_books(row, stats)
    for queue in stats.queues:
        if queue.is_read:
            left = queue.ready + queue.delayed + queue.leased
            row.expect(not left, f"queue {queue.name} has {left} task(s) left at the end")
    found = sum(queue.dead for queue in stats.queues)
    row.expect(found == dead, f"{found} task(s) are dead, {dead} should be")


def check_gaps(row: Row, gaps: Collection[float], delay: float) -> None:
    """No host was asked more often than it should be."""
    quickest = min(gaps, default=delay)
    row.expect(
        quickest >= delay - CLOCKS, f"a host was asked again after {quickest * 1000:.1f} ms, the delay is {delay * 1000:.0f} ms"
    )
    row.notes.append(
        f"{len(gaps):,} pauses between two requests to a host, the shortest {quickest * 1000:.1f} ms of {delay * 1000:.0f}"
    )
