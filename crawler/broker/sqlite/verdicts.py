"""Decide after a failed attempt whether the task is tried again later or dead."""

from __future__ import annotations

from crawler.broker.backoff import backoff
from crawler.broker.sqlite.queues import Queue
from crawler.broker.sqlite.schema import DEAD, DELAYED
from crawler.broker.sqlite.state import Ledger
from crawler.items import Verdict

TRACE_KEPT = 4_000  # characters of a dead task's traceback
NO_REASON = "no reason given"
FAILURES_KEPT = 4_000  # characters of a task's failures: about eight attempts


def judge(
    ledger: Ledger, task: int, queue: Queue, state: int, size: int, attempt: int, reason: str, after: float | None, is_final: bool,
    trace: str = "",
) -> Verdict:  # fmt: skip
    """Record the failure of an attempt of a task in this state, and move the task on."""
    note_failure(ledger, task, attempt, reason)
    ledger.troubles.failed(queue.id, reason)
    if is_final or attempt >= queue.spec.max_attempts:
        ledger.db.execute("UPDATE task SET state = ?, attempt = ?, changed_at = ? WHERE id = ?", (DEAD, attempt, ledger.now, task))
        if trace:
            ledger.db.execute("INSERT OR REPLACE INTO trace VALUES (?, ?)", (task, trace[-TRACE_KEPT:]))
        queue.move(state, DEAD)
        queue.bytes -= size
        return Verdict.DEAD
    due = ledger.now + (backoff(attempt, ledger.random) if after is None else after)
    ledger.db.execute(
        "UPDATE task SET state = ?, attempt = ?, due = ?, changed_at = ? WHERE id = ?",
        (DELAYED, attempt, due, ledger.now, task),
    )
    queue.move(state, DELAYED)
    ledger.wait_until(due)
    return Verdict.RETRY


def note_failure(ledger: Ledger, task: int, attempt: int, reason: str) -> None:
    """Add a line for this attempt; the last `FAILURES_KEPT` characters are kept: see `failures`."""
    line = f"{ledger.now:.3f} {attempt} {' '.join(reason.split()) or NO_REASON}\n"
    ledger.db.execute("UPDATE task SET failures = substr(failures || ?, ?) WHERE id = ?", (line, -FAILURES_KEPT, task))
