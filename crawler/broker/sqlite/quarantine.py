"""Quarantine of tasks whose worker died while it held them.

    its worker died ──at work on it, or no more attempts to lose──▶ quarantined: lent alone, to a probe
                  └──was among what it held, more is not known───▶ suspect: lent in small groups, halved with each death
    a suspect that ends in any other way is an ordinary task again

A suspect stands outside its host's lane, which goes on without it. It is DELAYED without end in the tables, and a row of table
`suspect` says why. A probe is a worker that takes nothing but quarantined tasks; where there is none, an ordinary worker stands in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from crawler.broker.contract import is_taker
from crawler.broker.sqlite.lane import Lane
from crawler.broker.sqlite.leases import OpenLease
from crawler.broker.sqlite.queues import Queue, StandIn, Suspect
from crawler.broker.sqlite.schema import DELAYED, LEASED, NEVER, READY
from crawler.broker.sqlite.state import Ledger
from crawler.broker.sqlite.verdicts import judge, note_failure

GROUPS = {1: 32, 2: 8, 3: 2}  # suspects in the hands of one worker at most, by the deaths of the one with most
PROBED = 10.0  # s after a probe's last call in which another one is not missed
PATIENCE = 5.0  # s for which a quarantined task waits for a probe before an ordinary worker stands in
LOOKED_AT = 64  # suspects that are looked at in one call


# ---- in


def charge_death(ledger: Ledger, lease: OpenLease, reason: str, *, is_certain: bool) -> None:
    """Count a worker's death against the task of this lease, which is no longer in memory.

    is_certain: the worker was at work on it. If not, it was one of many: that alone does not make it dead.
    """
    queue = lease.queue
    known = queue.suspects.pop(lease.task, None)  # and last again: others may be cleared first
    is_certain = is_certain or (known is not None and known.is_alone)
    is_last = lease.attempt >= queue.spec.max_attempts
    if is_last and is_certain:
        _forget(ledger, queue, lease.task)
        judge(ledger, lease.task, queue, LEASED, lease.size, lease.attempt, reason, None, True)
        return
    attempt = lease.attempt - 1 if is_last else lease.attempt  # the last one is for when it is alone
    deaths = 1 if known is None else known.deaths + 1
    is_alone = is_certain or deaths not in GROUPS or attempt + 1 >= queue.spec.max_attempts
    queue.suspects[lease.task] = Suspect(lease.task, lease.lane, deaths, is_alone, ledger.now)
    note_failure(ledger, lease.task, lease.attempt, reason)
    ledger.troubles.failed(queue.id, reason)
    ledger.db.execute("INSERT OR REPLACE INTO suspect VALUES (?, ?, ?)", (lease.task, deaths, is_alone))
    _keep_apart(ledger, lease, attempt)


def put_back(ledger: Ledger, lease: OpenLease) -> bool:
    """Keep a suspect whose lease, already off the books, was given back apart as before. False: it is no suspect."""
    if lease.task not in lease.queue.suspects:
        return False
    _keep_apart(ledger, lease, lease.attempt - 1)
    return True


def _keep_apart(ledger: Ledger, lease: OpenLease, attempt: int) -> None:
    ledger.db.execute(
        "UPDATE task SET state = ?, attempt = ?, due = ?, changed_at = ? WHERE id = ?",
        (DELAYED, attempt, NEVER, ledger.now, lease.task),
    )
    lease.queue.move(LEASED, DELAYED)
    _end_stand_in(ledger, lease.queue)


def forget_suspect(ledger: Ledger, queue: Queue, task: int) -> None:
    """Remove the suspicion of a task, because its worker lived or the task is dead."""
    if queue.suspects.pop(task, None) is not None:
        _forget(ledger, queue, task)


def _forget(ledger: Ledger, queue: Queue, task: int) -> None:
    ledger.db.execute("DELETE FROM suspect WHERE id = ?", (task,))
    _end_stand_in(ledger, queue)


# ---- out


def choose_apart(ledger: Ledger, queue: Queue, worker: str, n: int, *, is_probe: bool) -> tuple[list[Suspect], bool]:
    """Choose suspects to lend to a worker, n at most. The flag: whether ordinary tasks may go with them."""
    if is_probe:
        queue.probed_at = ledger.now
    if not queue.suspects or is_taker(worker):
        return _waiting(ledger, queue)[:n], not is_probe
    held = ledger.leases.of(worker)
    mine = [queue.suspects[lease.task] for lease in held if lease.task in queue.suspects]
    if any(suspect.is_alone for suspect in mine):
        return [], False
    waiting = _waiting(ledger, queue)
    if len(waiting) == LOOKED_AT:  # there may be more: each comes to the front in its turn
        for suspect in waiting:
            queue.suspects[suspect.task] = queue.suspects.pop(suspect.task)
    alone = next((suspect for suspect in waiting if suspect.is_alone and _may_be_asked(ledger, queue, suspect)), None)
    if is_probe:
        return [] if held or alone is None else [alone], False
    if alone is not None and (stand_in := _stands_in(ledger, queue, worker, alone, is_free=not held)) is not None:
        stand_in.has_it = not held
        return [] if held else [alone], False
    return _group(ledger, queue, mine, [suspect for suspect in waiting if not suspect.is_alone], n), True


def reserved(ledger: Ledger, queue: Queue) -> Lane | None:
    """Return the host whose next turn belongs to a quarantined task, as a probe has nothing else to do; None if none is."""
    if not queue.suspects or _is_without_probe(ledger, queue) or _has_probing(ledger, queue):
        return None
    lanes = [ledger.lanes.numbered(queue, suspect.lane) for suspect in _waiting(ledger, queue) if suspect.is_alone]
    return min((lane for lane in lanes if not lane.paused and lane.room() > 0), key=lambda lane: lane.next, default=None)


def next_apart(ledger: Ledger, queue: Queue) -> float | None:
    """Hub time at which a suspect may be lent that may not be lent now; None: not by itself."""
    waiting = _waiting(ledger, queue)
    times = [queue.work_until, *(suspect.since + PATIENCE for suspect in waiting if suspect.is_alone)]
    if queue.spec.polite:
        lanes = [ledger.lanes.numbered(queue, suspect.lane) for suspect in waiting]
        times += [lane.next for lane in lanes if not lane.paused and lane.room() > 0]
    return min((time for time in times if time > ledger.now), default=None) if waiting else None


def _waiting(ledger: Ledger, queue: Queue) -> list[Suspect]:
    """Return suspects that are not leased, those first that were looked at least lately, some at most."""
    leased = ledger.leases.tasks
    return list(islice((suspect for suspect in queue.suspects.values() if suspect.task not in leased), LOOKED_AT))


def _has_probing(ledger: Ledger, queue: Queue) -> bool:
    """Return whether a quarantined task is leased."""
    return any(suspect.is_alone and suspect.task in ledger.leases.tasks for suspect in queue.suspects.values())


def _may_be_asked(ledger: Ledger, queue: Queue, suspect: Suspect) -> bool:
    """Return whether the suspect's host may be asked now."""
    if not queue.spec.polite:
        return True
    lane = ledger.lanes.numbered(queue, suspect.lane)
    return not lane.paused and lane.room() > 0 and lane.next <= ledger.now


def _group(ledger: Ledger, queue: Queue, mine: Sequence[Suspect], waiting: Sequence[Suspect], n: int) -> list[Suspect]:
    """Choose as many tasks as one worker may hold together."""
    chosen: list[Suspect] = []
    most = min((GROUPS[suspect.deaths] for suspect in mine), default=GROUPS[1])
    of_host: Counter[int] = Counter()
    for suspect in waiting:
        fits = min(most, GROUPS[suspect.deaths])
        if len(chosen) == n or len(mine) + len(chosen) >= fits or not _may_be_asked(ledger, queue, suspect):
            continue
        if queue.spec.polite and of_host[suspect.lane] >= ledger.lanes.numbered(queue, suspect.lane).room():
            continue
        of_host[suspect.lane] += 1
        most = fits
        chosen.append(suspect)
    return chosen


# ---- without a probe


def _stands_in(ledger: Ledger, queue: Queue, worker: str, suspect: Suspect, *, is_free: bool) -> StandIn | None:
    """Return the stand-in if it is this worker: it finishes what it holds, and then takes the quarantined task.

    is_free: it holds nothing.
    """
    is_idle = is_free and not queue.counts[READY]
    is_time = is_idle or ledger.now >= max(suspect.since + PATIENCE, queue.work_until)
    if not is_time or not _is_without_probe(ledger, queue) or _has_probing(ledger, queue):
        return None
    if queue.stand_in is None or queue.stand_in.heard_at + PROBED < ledger.now:
        queue.stand_in = StandIn(worker, ledger.now)
    if queue.stand_in.worker != worker:
        return None
    queue.stand_in.heard_at = ledger.now
    return queue.stand_in


def _is_without_probe(ledger: Ledger, queue: Queue) -> bool:
    return queue.probed_at is None or queue.probed_at + PROBED < ledger.now


def _end_stand_in(ledger: Ledger, queue: Queue) -> None:
    """End the time for which a worker stands in; ordinary work for as long a time follows."""
    if queue.stand_in is not None and queue.stand_in.has_it and not _has_probing(ledger, queue):
        queue.work_until = ledger.now + (ledger.now - queue.stand_in.since)
        queue.stand_in = None
