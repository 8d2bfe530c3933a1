"""Tasks kept apart because a worker died while it held them. Part of `hand_in.Ledger`.

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
from crawler.broker.sqlite.inbox import Inbox
from crawler.broker.sqlite.lane import Lane
from crawler.broker.sqlite.leases import OpenLease
from crawler.broker.sqlite.queues import Queue, StandIn, Suspect
from crawler.broker.sqlite.schema import DELAYED, LEASED, NEVER, READY

GROUPS = {1: 32, 2: 8, 3: 2}  # suspects in the hands of one worker at most, by the deaths of the one with most
PROBED = 10.0  # s after a probe's last call in which another one is not missed
PATIENCE = 5.0  # s for which a quarantined task waits for a probe before an ordinary worker stands in
LOOKED_AT = 64  # suspects that are looked at in one call


class Quarantine(Inbox):
    """The books, and suspects kept apart from other tasks."""

    # ---- in

    def charge_death(self, lease: OpenLease, reason: str, *, is_certain: bool) -> None:
        """Count a worker's death against the task of this lease, which is no longer in memory.

        is_certain: the worker was at work on it. If not, it was one of many: that alone does not make it dead.
        """
        queue = lease.queue
        known = queue.suspects.pop(lease.task, None)  # and last again: others may be cleared first
        is_certain = is_certain or (known is not None and known.is_alone)
        is_last = lease.attempt >= queue.spec.max_attempts
        if is_last and is_certain:
            self._forget(queue, lease.task)
            self.judge(lease.task, queue, LEASED, lease.size, lease.attempt, reason, None, True)
            return
        attempt = lease.attempt - 1 if is_last else lease.attempt  # the last one is for when it is alone
        deaths = 1 if known is None else known.deaths + 1
        is_alone = is_certain or deaths not in GROUPS or attempt + 1 >= queue.spec.max_attempts
        queue.suspects[lease.task] = Suspect(lease.task, lease.lane, deaths, is_alone, self.now)
        self.note_failure(lease.task, lease.attempt, reason)
        self.troubles.failed(queue.id, reason)
        self.db.execute("INSERT OR REPLACE INTO suspect VALUES (?, ?, ?)", (lease.task, deaths, is_alone))
        self._keep_apart(lease, attempt)

    def put_back(self, lease: OpenLease) -> bool:
        """Keep a suspect whose lease, already off the books, was given back apart as before. False: it is no suspect."""
        if lease.task not in lease.queue.suspects:
            return False
        self._keep_apart(lease, lease.attempt - 1)
        return True

    def _keep_apart(self, lease: OpenLease, attempt: int) -> None:
        self.db.execute(
            "UPDATE task SET state = ?, attempt = ?, due = ?, changed_at = ? WHERE id = ?",
            (DELAYED, attempt, NEVER, self.now, lease.task),
        )
        lease.queue.move(LEASED, DELAYED)
        self._end_stand_in(lease.queue)

    def forget_suspect(self, queue: Queue, task: int) -> None:
        """Remove the suspicion of a task, because its worker lived or the task is dead."""
        if queue.suspects.pop(task, None) is not None:
            self._forget(queue, task)

    def _forget(self, queue: Queue, task: int) -> None:
        self.db.execute("DELETE FROM suspect WHERE id = ?", (task,))
        self._end_stand_in(queue)

    # ---- out

    def choose_apart(self, queue: Queue, worker: str, n: int, *, is_probe: bool) -> tuple[list[Suspect], bool]:
        """Choose suspects to lend to a worker, n at most. The flag: whether ordinary tasks may go with them."""
        if is_probe:
            queue.probed_at = self.now
        if not queue.suspects or is_taker(worker):
            return self._waiting(queue)[:n], not is_probe
        held = self.leases.of(worker)
        mine = [queue.suspects[lease.task] for lease in held if lease.task in queue.suspects]
        if any(suspect.is_alone for suspect in mine):
            return [], False
        waiting = self._waiting(queue)
        if len(waiting) == LOOKED_AT:  # there may be more: each comes to the front in its turn
            for suspect in waiting:
                queue.suspects[suspect.task] = queue.suspects.pop(suspect.task)
        alone = next((suspect for suspect in waiting if suspect.is_alone and self._may_be_asked(queue, suspect)), None)
        if is_probe:
            return [] if held or alone is None else [alone], False
        if alone is not None and (stand_in := self._stands_in(queue, worker, alone, is_free=not held)) is not None:
            stand_in.has_it = not held
            return [] if held else [alone], False
        return self._group(queue, mine, [suspect for suspect in waiting if not suspect.is_alone], n), True

    def reserved(self, queue: Queue) -> Lane | None:
        """Return the host whose next turn belongs to a quarantined task, as a probe has nothing else to do; None if none is."""
        if not queue.suspects or self._is_without_probe(queue) or self._has_probing(queue):
            return None
        lanes = [self.lanes.numbered(queue, suspect.lane) for suspect in self._waiting(queue) if suspect.is_alone]
        return min((lane for lane in lanes if not lane.paused and lane.room() > 0), key=lambda lane: lane.next, default=None)

    def next_apart(self, queue: Queue) -> float | None:
        """Hub time at which a suspect may be lent that may not be lent now; None: not by itself."""
        waiting = self._waiting(queue)
        times = [queue.work_until, *(suspect.since + PATIENCE for suspect in waiting if suspect.is_alone)]
        if queue.spec.polite:
            lanes = [self.lanes.numbered(queue, suspect.lane) for suspect in waiting]
            times += [lane.next for lane in lanes if not lane.paused and lane.room() > 0]
        return min((time for time in times if time > self.now), default=None) if waiting else None

    def _waiting(self, queue: Queue) -> list[Suspect]:
        """Return suspects that are not leased, those first that were looked at least lately, some at most."""
        leased = self.leases.tasks
        return list(islice((suspect for suspect in queue.suspects.values() if suspect.task not in leased), LOOKED_AT))

    def _has_probing(self, queue: Queue) -> bool:
        """Return whether a quarantined task is leased."""
        return any(suspect.is_alone and suspect.task in self.leases.tasks for suspect in queue.suspects.values())

    def _may_be_asked(self, queue: Queue, suspect: Suspect) -> bool:
        """Return whether the suspect's host may be asked now."""
        if not queue.spec.polite:
            return True
        lane = self.lanes.numbered(queue, suspect.lane)
        return not lane.paused and lane.room() > 0 and lane.next <= self.now

    def _group(self, queue: Queue, mine: Sequence[Suspect], waiting: Sequence[Suspect], n: int) -> list[Suspect]:
        """Choose as many tasks as one worker may hold together."""
        chosen: list[Suspect] = []
        most = min((GROUPS[suspect.deaths] for suspect in mine), default=GROUPS[1])
        of_host: Counter[int] = Counter()
        for suspect in waiting:
            fits = min(most, GROUPS[suspect.deaths])
            if len(chosen) == n or len(mine) + len(chosen) >= fits or not self._may_be_asked(queue, suspect):
                continue
            if queue.spec.polite and of_host[suspect.lane] >= self.lanes.numbered(queue, suspect.lane).room():
                continue
            of_host[suspect.lane] += 1
            most = fits
            chosen.append(suspect)
        return chosen

    # ---- without a probe

    def _stands_in(self, queue: Queue, worker: str, suspect: Suspect, *, is_free: bool) -> StandIn | None:
        """Return the stand-in if it is this worker: it finishes what it holds, and then takes the quarantined task.

        is_free: it holds nothing.
        """
        is_idle = is_free and not queue.counts[READY]
        is_time = is_idle or self.now >= max(suspect.since + PATIENCE, queue.work_until)
        if not is_time or not self._is_without_probe(queue) or self._has_probing(queue):
            return None
        if queue.stand_in is None or queue.stand_in.heard_at + PROBED < self.now:
            queue.stand_in = StandIn(worker, self.now)
        if queue.stand_in.worker != worker:
            return None
        queue.stand_in.heard_at = self.now
        return queue.stand_in

    def _is_without_probe(self, queue: Queue) -> bool:
        return queue.probed_at is None or queue.probed_at + PROBED < self.now

    def _end_stand_in(self, queue: Queue) -> None:
        """End the time for which a worker stands in; ordinary work for as long a time follows."""
        if queue.stand_in is not None and queue.stand_in.has_it and not self._has_probing(queue):
            queue.work_until = self.now + (self.now - queue.stand_in.since)
            queue.stand_in = None
