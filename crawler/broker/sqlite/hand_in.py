"""The verbs of the embedded engine on its tables, one call inside one open transaction; no thread, no waiting.

    put ──insert──▶ READY / DELAYED ──lend──▶ LEASED ──hand_in──▶ DONE (row kept if keyed, else deleted), DEAD, or READY again
                                  ▲──── tick: leases that ran out, delays that are over

`insert` is the way in, `lend` the way out, and here is the way back. `commits.Writer` runs these, many to a commit. Nothing
is changed before a call can be refused, so a refused one leaves the transaction usable; after a failed one `open` reads
everything again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set

from crawler.broker.arguments import LARGEST
from crawler.broker.budget import time_counter
from crawler.broker.contract import MAX_BODY, is_taker
from crawler.broker.sqlite.leases import OpenLease
from crawler.broker.sqlite.lend import Lending
from crawler.broker.sqlite.queues import Queue
from crawler.broker.sqlite.schema import DELAYED, DONE, LEASED, READY
from crawler.broker.sqlite.state import BEATS, SILENCE
from crawler.items import Done, Failed, New, Pace, Step, Verdict, counts_of_each
from crawler.limits import LONGEST_REST

NOTHING: Set[int] = frozenset()
STORY = 2_000  # characters of reports from which no more are added to the story of a task
# Add a report on a task whose row is not kept to the story of the keyed task from which it came.
TELL = ("UPDATE task SET report = iif(report = '', '', report || char(10)) || ? "
        "WHERE id = (SELECT parent FROM task WHERE id = ?) AND state = 4 AND length(report) < ?")  # fmt: skip
PROMOTE = 1_000  # delayed tasks made ready in one transaction
WORKER_GONE = "the lease ran out: worker {} died, hung or was cut off"


class Ledger(Lending):
    """Implementation of the broker's verbs: each is one function inside an open transaction."""

    # ---- back

    def hand_in(self, step: Step) -> list[Verdict]:
        """Complete, fail and release; children go in with the task that made them."""
        self.check(child for done in step.done for child in done.children)
        # First, since it decides when the hosts of arrived and ended tasks may be asked again.
        unknown = self.set_paces(step.paces)
        self._arrived(step.worker, step.arrived)
        verdicts: list[Verdict] = []
        finished: list[tuple[OpenLease, str]] = []
        children: list[New] = []
        origins: list[int | None] = []
        for done in step.done:
            lease = self.leases.end(done.token, step.worker)
            if lease is None:
                verdicts.append(Verdict.STALE)
            elif (refusal := _too_big(done)) is not None:
                verdicts.append(self._fail(lease, refusal, None, True))
            else:
                finished.append((lease, done.report))
                if done.children:
                    children += done.children
                    origins += [self._origin(lease)] * len(done.children)
                verdicts.append(Verdict.DONE)
        self.finish(finished)
        if children:
            self.bring(children, origins)
        if unknown:
            self.set_paces(unknown)  # some may be hosts of the children
        verdicts += [self._failed(step.worker, failed) for failed in step.failed]
        verdicts += [self._release(step.worker, token) for token in step.released]
        verdicts += [self._release(step.worker, token, was_begun=False) for token in step.returned]
        self.count(step.counters)
        if Verdict.STALE in verdicts:
            self._uncount(step, verdicts)
        return verdicts

    def _uncount(self, step: Step, verdicts: Sequence[Verdict]) -> None:
        """Undo the counts for tasks that another worker has now."""
        for verdict, counts in zip(verdicts, counts_of_each(step), strict=False):
            if verdict == Verdict.STALE:
                self.count({name: -n for name, n in counts.items() if abs(n) <= LARGEST})

    def finish(self, finished: Sequence[tuple[OpenLease, str]]) -> None:
        """Record these leases, already removed from memory, as done."""
        kept, gone, told, now, in_trouble = [], [], [], self.now, self.troubles.lanes
        for lease, report in finished:
            queue = lease.queue
            if queue.spec.keyed:
                kept.append((lease.attempt, report, now, lease.task))
            else:
                gone.append((lease.task,))
                if report:
                    told.append((report, lease.task, STORY))
            queue.move(LEASED, DONE)
            queue.bytes -= lease.size
            if queue.suspects:
                self.forget_suspect(queue, lease.task)
            if queue.spec.polite:
                self._ended(lease)
                if lease.lane in in_trouble:
                    del in_trouble[lease.lane]
        for queue, n in Counter([lease.queue for lease, _ in finished]).items():
            queue.recent.add(now, n)
        if kept:
            self.db.executemany("UPDATE task SET state = 4, attempt = ?, report = ?, changed_at = ? WHERE id = ?", kept)
        if told:
            self.db.executemany(TELL, told)
        if gone:
            self.db.executemany("DELETE FROM task WHERE id = ?", gone)

    def _origin(self, lease: OpenLease) -> int | None:
        """Return the keyed task from which the children of a task come: itself, or the one from which it came. None: unknown."""
        if lease.queue.spec.keyed:
            return lease.task
        (origin,) = self.db.execute("SELECT parent FROM task WHERE id = ?", (lease.task,)).fetchone()
        return origin if isinstance(origin, int) else None

    def _failed(self, worker: str, failed: Failed) -> Verdict:
        lease = self.leases.end(failed.token, worker)
        if lease is None:
            return Verdict.STALE
        return self._fail(lease, failed.reason, failed.after, failed.final, failed.trace)

    def _fail(self, lease: OpenLease, reason: str, after: float | None, is_final: bool, trace: str = "") -> Verdict:
        self._ended(lease)
        self.leases.give_back(lease)
        self.forget_suspect(lease.queue, lease.task)
        if lease.queue.spec.polite:
            self.troubles.host_failed(lease.lane, reason)
        return self.judge(lease.task, lease.queue, LEASED, lease.size, lease.attempt, reason, after, is_final, trace)

    def _release(self, worker: str, token: int, *, was_begun: bool = True) -> Verdict:
        lease = self.leases.end(token, worker)
        if lease is None:
            return Verdict.STALE
        self._take_back(lease, was_begun=was_begun)
        return Verdict.RELEASED

    def _take_back(self, lease: OpenLease, *, was_begun: bool) -> None:
        """Make the task of a lease, already off the books, READY again without counting an attempt. One that was not begun leaves
        no trace: neither its host's clock nor its order has moved."""
        self._ended(lease, was_begun=was_begun)
        self.leases.give_back(lease)
        if self.put_back(lease):
            return
        self.db.execute("UPDATE task SET changed_at = ? WHERE id = ?", (self.now, lease.task))
        lease.queue.move(LEASED, READY)
        self.made_ready(lease.queue, lease.lane)

    def expire(self, leases: Iterable[OpenLease], reason: str = "", begun: Set[int] = NOTHING, at_work: Set[int] = NOTHING) -> int:
        """End these leases, already off the books, because their workers are gone.

        reason: how the worker ended, if that is known. begun, at_work: tokens of the tasks that it had begun and was at work on. If
        any is known, only these tasks count an attempt; the others are released.
        """
        by_worker: dict[str, list[OpenLease]] = {}
        for lease in leases:
            by_worker.setdefault(lease.worker, []).append(lease)
        for of_worker in by_worker.values():
            self._worker_died(of_worker, reason, begun, at_work)
        return sum(map(len, by_worker.values()))

    def _worker_died(self, leases: Sequence[OpenLease], reason: str, begun: Set[int], at_work: Set[int]) -> None:
        """End these leases of one worker: see `expire`."""
        worker = leases[0].worker
        if is_taker(worker):
            for lease in leases:
                self._take_back(lease, was_begun=False)
            return
        known = {lease.token for lease in leases}
        charged = (at_work & known) or (begun & known) or known
        is_only_one = len(charged) == 1 and not self.leases.of(worker)
        for lease in leases:
            if lease.token in charged:
                self._ended(lease)
                self.leases.give_back(lease)
                why = f"its worker {reason}" if reason else WORKER_GONE.format(worker)
                self.charge_death(lease, why, is_certain=is_only_one or lease.token in at_work)
            else:
                self._take_back(lease, was_begun=lease.token in begun)

    def _arrived(self, worker: str, tokens: Iterable[int]) -> None:
        """Free the hosts' slots of these tasks: they send no more requests, although they are still in process."""
        for token in tokens:
            lease = self.leases.held(token, worker)
            if lease is not None:
                self._ended(lease)
                lease.has_arrived = True

    def _ended(self, lease: OpenLease, *, was_begun: bool = True) -> None:
        """Free the host of this lease, unless it has been freed before."""
        if lease.queue.spec.polite and not lease.has_arrived:
            lane = self.lanes.numbered(lease.queue, lease.lane)
            if was_begun:
                lane.ended(self.now)
            else:
                lane.untouched(lease.token)
            self.lanes.touch(lane)

    # ---- workers that fall silent

    def heard(self, worker: str) -> None:
        """Note a call of a worker: if its connection had broken, its leases last as long as it asked for again."""
        if worker in self._silent:
            self._silent.discard(worker)
            self.leases.restore(worker, self.now)

    def lost(self, worker: str) -> None:
        """Note that a worker's last connection broke: it may come back soon. Until then it does not count as heard of."""
        self.callers.leave(worker)
        if leases := self.leases.of(worker):
            self._silent.add(worker)
            self.leases.shorten(worker, self.now + max(SILENCE, max(lease.ttl for lease in leases) * BEATS))

    # ---- time

    def tick(self) -> None:
        """Look at the clock: leases that ran out, delays that are over."""
        before, self.now = self.now, self.time.now()
        if self.timed:
            self._pass_time(self.now - before)
        self.expire(self.leases.ended(self.now))
        if self._next_due is not None and self._next_due <= self.now:
            self._promote()

    def _pass_time(self, seconds: float) -> None:
        """Count the time of queues that had work meanwhile."""
        for queue in self.timed:
            if queue.counts[READY] or queue.counts[DELAYED] or queue.counts[LEASED]:
                self.unpaid[queue.id] = self.unpaid.get(queue.id, 0.0) + seconds * 1_000
                whole, self.unpaid[queue.id] = divmod(self.unpaid[queue.id], 1)
                self.count({time_counter(queue.spec.name): int(whole)})

    def _promote(self) -> None:
        rows = self.db.execute(
            f"SELECT id, queue, lane FROM task WHERE state = 1 AND due <= ? AND {self._ours} ORDER BY due LIMIT ?",  # noqa: S608  (numbers of ours)
            (self.now, PROMOTE),
        ).fetchall()
        self.db.executemany("UPDATE task SET state = ? WHERE id = ?", [(READY, id) for id, _, _ in rows])
        for _, queue_id, lane in rows:
            queue = self._by_id[queue_id]
            queue.move(DELAYED, READY)
            self.made_ready(queue, lane)
        self._next_due = self._first_due()

    def next_event(self, waited_for: Iterable[Queue]) -> float | None:
        """Hub time at which something may change by itself for calls that wait on these queues."""
        times = [self._next_due, self.leases.next_end()]
        for queue in waited_for:
            if not queue.full_gate() and not self.spent(queue):
                times += [self.lanes.next_open(queue)] if queue.spec.polite else []
                times += [self.next_apart(queue)] if queue.suspects else []
        return min((time for time in times if time is not None), default=None)

    # ---- hosts, counters

    def set_paces(self, paces: Iterable[Pace]) -> list[Pace]:
        """Set the wishes of hosts for every polite queue. Returns those of unknown hosts, which are not set.

        Only what an admin sets by hand makes a host known: otherwise a worker could fill the store with names.
        """
        unknown = []
        polite = [queue for queue in self.queues.values() if queue.spec.polite]
        for pace in paces:
            is_by_hand = pace.paused is not None or pace.fixed is not None
            if not is_by_hand and not any(self.lanes.known(queue, pace.host) for queue in polite):
                unknown.append(pace)
                continue
            for queue in polite:
                lane = self.lanes.named(queue, pace.host)
                if pace.rest is not None:
                    lane.rest(self.now + min(pace.rest, LONGEST_REST))
                if pace.delay is not None:
                    lane.delay = min(pace.delay, LONGEST_REST)
                if pace.paused is not None:
                    lane.paused = pace.paused
                if pace.fixed is not None:
                    lane.fixed = pace.fixed if pace.fixed >= 0 else None
                    lane.next, lane.undo = min(lane.next, self.now + lane.gap()), None
                if pace.held is not None:
                    self.troubles.hold(lane.id, self.now + pace.held)
                self.lanes.touch(lane)
        return unknown


def _too_big(done: Done) -> str | None:
    """Return why a step is too big to store, or None. Its task becomes dead for this reason rather than half done."""
    for child in done.children:
        if len(child.item) > MAX_BODY:
            return f"an item of {len(child.item)} bytes for queue {child.queue!r}; at most {MAX_BODY} bytes fit on a queue"
    return None
