"""The verbs of the embedded engine on its tables, one call inside one open transaction; no thread, no waiting.

    put ──insert──▶ READY / DELAYED ──lend──▶ LEASED ──hand_in──▶ DONE (row kept if keyed, else deleted), DEAD, or READY again
                                  ▲──── tick: leases that ran out, delays that are over

`insert` is the way in, `lend` the way out, and here is the way back. Each verb is a function over a `state.Ledger`;
`commits.Writer` runs them, many to a commit. Nothing is changed before a call can be refused, so a refused one leaves the
transaction usable; after a failed one `Ledger.open` reads everything again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence, Set

from crawler.broker.arguments import LARGEST
from crawler.broker.budget import time_counter
from crawler.broker.contract import MAX_BODY, is_taker
from crawler.broker.sqlite import inbox, quarantine
from crawler.broker.sqlite.leases import OpenLease
from crawler.broker.sqlite.queues import Queue
from crawler.broker.sqlite.schema import DELAYED, DONE, LEASED, READY
from crawler.broker.sqlite.state import BEATS, SILENCE, Ledger
from crawler.broker.sqlite.verdicts import judge
from crawler.items import Done, Failed, New, Pace, Step, Verdict, counts_of_each
from crawler.limits import LONGEST_REST

NOTHING: Set[int] = frozenset()
STORY = 2_000  # characters of reports from which no more are added to the story of a task
# Add a report on a task whose row is not kept to the story of the keyed task from which it came.
TELL = ("UPDATE task SET report = iif(report = '', '', report || char(10)) || ? "
        "WHERE id = (SELECT parent FROM task WHERE id = ?) AND state = 4 AND length(report) < ?")  # fmt: skip
PROMOTE = 1_000  # delayed tasks made ready in one transaction
WORKER_GONE = "the lease ran out: worker {} died, hung or was cut off"


# ---- back


def hand_in(ledger: Ledger, step: Step) -> list[Verdict]:
    """Complete, fail and release; children go in with the task that made them."""
    ledger.check(child for done in step.done for child in done.children)
    # First, since it decides when the hosts of arrived and ended tasks may be asked again.
    unknown = set_paces(ledger, step.paces)
    _arrived(ledger, step.worker, step.arrived)
    verdicts: list[Verdict] = []
    finished: list[tuple[OpenLease, str]] = []
    children: list[New] = []
    origins: list[int | None] = []
    for done in step.done:
        lease = ledger.leases.end(done.token, step.worker)
        if lease is None:
            verdicts.append(Verdict.STALE)
        elif (refusal := _too_big(done)) is not None:
            verdicts.append(_fail(ledger, lease, refusal, None, True))
        else:
            finished.append((lease, done.report))
            if done.children:
                children += done.children
                origins += [_origin(ledger, lease)] * len(done.children)
            verdicts.append(Verdict.DONE)
    finish(ledger, finished)
    if children:
        inbox.bring(ledger, children, origins)
    if unknown:
        set_paces(ledger, unknown)  # some may be hosts of the children
    verdicts += [_failed(ledger, step.worker, failed) for failed in step.failed]
    verdicts += [_release(ledger, step.worker, token) for token in step.released]
    verdicts += [_release(ledger, step.worker, token, was_begun=False) for token in step.returned]
    ledger.count(step.counters)
    if Verdict.STALE in verdicts:
        _uncount(ledger, step, verdicts)
    return verdicts


def _uncount(ledger: Ledger, step: Step, verdicts: Sequence[Verdict]) -> None:
    """Undo the counts for tasks that another worker has now."""
    for verdict, counts in zip(verdicts, counts_of_each(step), strict=False):
        if verdict == Verdict.STALE:
            ledger.count({name: -n for name, n in counts.items() if abs(n) <= LARGEST})


def finish(ledger: Ledger, finished: Sequence[tuple[OpenLease, str]]) -> None:
    """Record these leases, already removed from memory, as done."""
    kept, gone, told, now, in_trouble = [], [], [], ledger.now, ledger.troubles.lanes
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
            quarantine.forget_suspect(ledger, queue, lease.task)
        if queue.spec.polite:
            _ended(ledger, lease)
            if lease.lane in in_trouble:
                del in_trouble[lease.lane]
    for queue, n in Counter([lease.queue for lease, _ in finished]).items():
        queue.recent.add(now, n)
    if kept:
        ledger.db.executemany("UPDATE task SET state = 4, attempt = ?, report = ?, changed_at = ? WHERE id = ?", kept)
    if told:
        ledger.db.executemany(TELL, told)
    if gone:
        ledger.db.executemany("DELETE FROM task WHERE id = ?", gone)


def _origin(ledger: Ledger, lease: OpenLease) -> int | None:
    """Return the keyed task from which the children of a task come: itself, or the one from which it came. None: unknown."""
    if lease.queue.spec.keyed:
        return lease.task
    (origin,) = ledger.db.execute("SELECT parent FROM task WHERE id = ?", (lease.task,)).fetchone()
    return origin if isinstance(origin, int) else None


def _failed(ledger: Ledger, worker: str, failed: Failed) -> Verdict:
    lease = ledger.leases.end(failed.token, worker)
    if lease is None:
        return Verdict.STALE
    return _fail(ledger, lease, failed.reason, failed.after, failed.final, failed.trace)


def _fail(ledger: Ledger, lease: OpenLease, reason: str, after: float | None, is_final: bool, trace: str = "") -> Verdict:
    _ended(ledger, lease)
    ledger.leases.give_back(lease)
    quarantine.forget_suspect(ledger, lease.queue, lease.task)
    if lease.queue.spec.polite:
        ledger.troubles.host_failed(lease.lane, reason)
    return judge(ledger, lease.task, lease.queue, LEASED, lease.size, lease.attempt, reason, after, is_final, trace)


def _release(ledger: Ledger, worker: str, token: int, *, was_begun: bool = True) -> Verdict:
    lease = ledger.leases.end(token, worker)
    if lease is None:
        return Verdict.STALE
    _take_back(ledger, lease, was_begun=was_begun)
    return Verdict.RELEASED


def _take_back(ledger: Ledger, lease: OpenLease, *, was_begun: bool) -> None:
    """Make the task of a lease, already off the books, READY again without counting an attempt. One that was not begun leaves
    no trace: neither its host's clock nor its order has moved."""
    _ended(ledger, lease, was_begun=was_begun)
    ledger.leases.give_back(lease)
    if quarantine.put_back(ledger, lease):
        return
    ledger.db.execute("UPDATE task SET changed_at = ? WHERE id = ?", (ledger.now, lease.task))
    lease.queue.move(LEASED, READY)
    ledger.made_ready(lease.queue, lease.lane)


def expire(
    ledger: Ledger, leases: Iterable[OpenLease], reason: str = "", begun: Set[int] = NOTHING, at_work: Set[int] = NOTHING
) -> int:
    """End these leases, already off the books, because their workers are gone.

    reason: how the worker ended, if that is known. begun, at_work: tokens of the tasks that it had begun and was at work on. If
    any is known, only these tasks count an attempt; the others are released.
    """
    by_worker: dict[str, list[OpenLease]] = {}
    for lease in leases:
        by_worker.setdefault(lease.worker, []).append(lease)
    for of_worker in by_worker.values():
        _worker_died(ledger, of_worker, reason, begun, at_work)
    return sum(map(len, by_worker.values()))


def _worker_died(ledger: Ledger, leases: Sequence[OpenLease], reason: str, begun: Set[int], at_work: Set[int]) -> None:
    """End these leases of one worker: see `expire`."""
    worker = leases[0].worker
    if is_taker(worker):
        for lease in leases:
            _take_back(ledger, lease, was_begun=False)
        return
    known = {lease.token for lease in leases}
    charged = (at_work & known) or (begun & known) or known
    is_only_one = len(charged) == 1 and not ledger.leases.of(worker)
    for lease in leases:
        if lease.token in charged:
            _ended(ledger, lease)
            ledger.leases.give_back(lease)
            why = f"its worker {reason}" if reason else WORKER_GONE.format(worker)
            quarantine.charge_death(ledger, lease, why, is_certain=is_only_one or lease.token in at_work)
        else:
            _take_back(ledger, lease, was_begun=lease.token in begun)


def _arrived(ledger: Ledger, worker: str, tokens: Iterable[int]) -> None:
    """Free the hosts' slots of these tasks: they send no more requests, although they are still in process."""
    for token in tokens:
        lease = ledger.leases.held(token, worker)
        if lease is not None:
            _ended(ledger, lease)
            lease.has_arrived = True


def _ended(ledger: Ledger, lease: OpenLease, *, was_begun: bool = True) -> None:
    """Free the host of this lease, unless it has been freed before."""
    if lease.queue.spec.polite and not lease.has_arrived:
        lane = ledger.lanes.numbered(lease.queue, lease.lane)
        if was_begun:
            lane.ended(ledger.now)
        else:
            lane.untouched(lease.token)
        ledger.lanes.touch(lane)


# ---- workers that fall silent


def heard(ledger: Ledger, worker: str) -> None:
    """Note a call of a worker: if its connection had broken, its leases last as long as it asked for again."""
    if worker in ledger.silent:
        ledger.silent.discard(worker)
        ledger.leases.restore(worker, ledger.now)


def lost(ledger: Ledger, worker: str) -> None:
    """Note that a worker's last connection broke: it may come back soon. Until then it does not count as heard of."""
    ledger.callers.leave(worker)
    if leases := ledger.leases.of(worker):
        ledger.silent.add(worker)
        ledger.leases.shorten(worker, ledger.now + max(SILENCE, max(lease.ttl for lease in leases) * BEATS))


# ---- time


def tick(ledger: Ledger) -> None:
    """Look at the clock: leases that ran out, delays that are over."""
    before, ledger.now = ledger.now, ledger.time.now()
    if ledger.timed:
        _pass_time(ledger, ledger.now - before)
    expire(ledger, ledger.leases.ended(ledger.now))
    if ledger.next_due is not None and ledger.next_due <= ledger.now:
        _promote(ledger)


def _pass_time(ledger: Ledger, seconds: float) -> None:
    """Count the time of queues that had work meanwhile."""
    for queue in ledger.timed:
        if queue.counts[READY] or queue.counts[DELAYED] or queue.counts[LEASED]:
            ledger.unpaid[queue.id] = ledger.unpaid.get(queue.id, 0.0) + seconds * 1_000
            whole, ledger.unpaid[queue.id] = divmod(ledger.unpaid[queue.id], 1)
            ledger.count({time_counter(queue.spec.name): int(whole)})


def _promote(ledger: Ledger) -> None:
    rows = ledger.db.execute(
        f"SELECT id, queue, lane FROM task WHERE state = 1 AND due <= ? AND {ledger.ours} ORDER BY due LIMIT ?",  # noqa: S608  (numbers of ours)
        (ledger.now, PROMOTE),
    ).fetchall()
    ledger.db.executemany("UPDATE task SET state = ? WHERE id = ?", [(READY, id) for id, _, _ in rows])
    for _, queue_id, lane in rows:
        queue = ledger.by_id[queue_id]
        queue.move(DELAYED, READY)
        ledger.made_ready(queue, lane)
    ledger.next_due = ledger.first_due()


def next_event(ledger: Ledger, waited_for: Iterable[Queue]) -> float | None:
    """Hub time at which something may change by itself for calls that wait on these queues."""
    times = [ledger.next_due, ledger.leases.next_end()]
    for queue in waited_for:
        if not queue.full_gate() and not ledger.spent(queue):
            times += [ledger.lanes.next_open(queue)] if queue.spec.polite else []
            times += [quarantine.next_apart(ledger, queue)] if queue.suspects else []
    return min((time for time in times if time is not None), default=None)


# ---- hosts, counters


def set_paces(ledger: Ledger, paces: Iterable[Pace]) -> list[Pace]:
    """Set the wishes of hosts for every polite queue. Returns those of unknown hosts, which are not set.

    Only what an admin sets by hand makes a host known: otherwise a worker could fill the store with names.
    """
    unknown = []
    polite = [queue for queue in ledger.queues.values() if queue.spec.polite]
    for pace in paces:
        is_by_hand = pace.paused is not None or pace.fixed is not None
        if not is_by_hand and not any(ledger.lanes.known(queue, pace.host) for queue in polite):
            unknown.append(pace)
            continue
        for queue in polite:
            lane = ledger.lanes.named(queue, pace.host)
            if pace.rest is not None:
                lane.rest(ledger.now + min(pace.rest, LONGEST_REST))
            if pace.delay is not None:
                lane.delay = min(pace.delay, LONGEST_REST)
            if pace.paused is not None:
                lane.paused = pace.paused
            if pace.fixed is not None:
                lane.fixed = pace.fixed if pace.fixed >= 0 else None
                lane.next, lane.undo = min(lane.next, ledger.now + lane.gap()), None
            if pace.held is not None:
                ledger.troubles.hold(lane.id, ledger.now + pace.held)
            ledger.lanes.touch(lane)
    return unknown


def _too_big(done: Done) -> str | None:
    """Return why a step is too big to store, or None. Its task becomes dead for this reason rather than half done."""
    for child in done.children:
        if len(child.item) > MAX_BODY:
            return f"an item of {len(child.item)} bytes for queue {child.queue!r}; at most {MAX_BODY} bytes fit on a queue"
    return None
