"""The verbs of the embedded engine on its tables, one call inside one open transaction; no thread, no waiting.

    put ──insert──▶ READY / DELAYED ──lend──▶ LEASED ──hand_in──▶ DONE (row kept if keyed, else deleted), DEAD, or READY again
                                  ▲──── tick: loans that ran out, delays that are over

`writer.Writer` runs these in its thread, many to a commit. Nothing is changed before a call can be refused, so a refused one
leaves the transaction usable; after a failed one `open` reads everything again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from crawler.broker.base import MAX_BODY
from crawler.broker.books import BEATS, SILENCE, Books
from crawler.broker.policy import backoff
from crawler.broker.schema import DEAD, DELAYED, DONE, INLINE, LEASED, READY
from crawler.broker.state import Loan, Queue
from crawler.items import Attempt, Done, Failed, Lease, New, Pace, Step, Verdict

REPLY_BYTES = 8 << 20     # leases of one answer end here (but hold at least one task), far below a frame's limit
LEASE_BYTES = 128         # of a lease beside its body: a flood of empty tasks has to end somewhere too
FAILURES_KEPT = 4_000     # characters of what went wrong with a task: some eight attempts
PROMOTE = 1_000           # delayed tasks made ready in one transaction
GONE = "the lease ran out: worker "
WORKER_GONE = GONE + "{} died, hung or was cut off"


class Ledger(Books):
    """Every verb is one function inside an open transaction."""

    # ---- in

    def insert(self, items: Sequence[New]) -> list[Verdict]:
        """Store tasks whose queues were checked; one verdict each, in order."""
        if any(self.queues[name].is_limited for name in {new.queue for new in items}):
            return [verdict for new in items for verdict in self._insert_limited(new)]
        return self._insert(items)

    def _insert_limited(self, new: New) -> list[Verdict]:
        """One by one, as each counts before the next is looked at. What is there already is a duplicate, whatever the limit."""
        queue = self.queues[new.queue]
        if queue.is_limited and self._is_over(queue, new) and not self._has(queue, new):
            return [Verdict.LIMIT]
        return self._insert([new])

    def _is_over(self, queue: Queue, new: New) -> bool:
        if 0 < queue.spec.limit <= queue.accepted:
            return True
        return queue.spec.polite and 0 < queue.spec.host_limit <= self.lanes.named(queue, new.host).accepted

    def _has(self, queue: Queue, new: New) -> bool:
        row = self.db.execute("SELECT 1 FROM task WHERE queue = ? AND key = ?", (queue.id, _key(queue, new))).fetchone()
        return row is not None

    def _insert(self, items: Sequence[New]) -> list[Verdict]:
        first, rows = self._next_id, []
        verdicts = [Verdict.TOO_BIG] * len(items)
        kept: list[tuple[int, int, New, Queue]] = []
        for place, new in enumerate(items):
            if len(new.item) > MAX_BODY:
                continue
            queue = self.queues[new.queue]
            key = _key(queue, new)
            lane = self.lanes.named(queue, new.host).id if queue.spec.polite else queue.lane
            state = DELAYED if new.delay > 0 else READY
            id, self._next_id = self._next_id, self._next_id + 1
            due = self.now + new.delay
            item = new.item if len(new.item) <= INLINE else None
            rows.append((id, queue.id, lane, state, new.priority, new.depth, due, self.now, self.now, key, new.parent, item))
            kept.append((place, id, new, queue))
        self.db.executemany(
            "INSERT OR IGNORE INTO task (id, queue, lane, state, priority, depth, due, put_at, changed_at, key, parent, item) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows,
        )  # fmt: skip
        stored = {id for (id,) in self.db.execute("SELECT id FROM task WHERE id >= ?", (first,))}
        bodies = [(id, new.item) for _, id, new, _ in kept if len(new.item) > INLINE and id in stored]
        if bodies:
            self.db.executemany("INSERT INTO body VALUES (?, ?)", bodies)
        for place, id, new, queue in kept:
            if id in stored:
                self._taken_in(queue, new)
            verdicts[place] = Verdict.ACCEPTED if id in stored else Verdict.DUPLICATE
        return verdicts

    def _taken_in(self, queue: Queue, new: New) -> None:
        state = DELAYED if new.delay > 0 else READY
        queue.add(state, len(new.item))
        if state == DELAYED:
            self._wait_until(self.now + new.delay)
        if queue.spec.polite:
            lane = self.lanes.named(queue, new.host)
            lane.accepted += 1
            lane.ready += state == READY
            self.lanes.touch(lane)

    # ---- out

    def lend(self, queue: Queue, worker: str, n: int, ttl: float) -> list[Lease]:
        """Lease up to n tasks that may be had now."""
        lent: list[Lease] = []
        room = REPLY_BYTES
        for lane, name, share in self._grants(queue, n):
            got = 0
            rows = self.db.execute(
                "SELECT id, attempt, item, key, depth, failures FROM whole WHERE lane = ? AND state = 0 "
                "ORDER BY priority DESC, id LIMIT ?",
                (lane, min(share, n - len(lent))),
            )
            for id, attempt, item, key, depth, noted in rows:
                if lent and len(item) > room:
                    break
                room -= len(item) + LEASE_BYTES
                self._token += 1
                loan = Loan(self._token, id, queue, lane, worker, attempt + 1, len(item), self.now + ttl, ttl)
                self.loans.add(loan)
                lent.append(_lease(loan, item, key, name, depth, noted))
                got += 1
            if queue.spec.polite:
                row = self.lanes.numbered(queue, lane)
                row.granted(got, self.now)
                self.lanes.touch(row)
            if len(lent) >= n or room <= 0:
                break
        if not lent:
            return lent
        holder = self.callers.worker(worker, self.now) if worker else 0      # 0: a take, finished in this transaction
        self.db.executemany(
            "UPDATE task SET state = 2, attempt = ?, token = ?, holder = ? WHERE id = ?",
            [(lease.attempt, lease.token, holder, lease.id) for lease in lent],
        )
        queue.move(READY, LEASED, len(lent))
        return lent

    def _grants(self, queue: Queue, n: int) -> Iterable[tuple[int, str, int]]:
        """Which lanes may be leased from, and how many tasks of each."""
        if n <= 0 or not queue.counts[READY] or queue.full_gate():
            return []
        if self.is_short and queue.spec.keyed:    # its rows stay and what they give is added; a plain task that is done makes room
            return []
        if not queue.spec.polite:
            return [(queue.lane, "", n)]
        return ((lane.id, lane.name, min(lane.room(), lane.ready)) for lane in self.lanes.open(queue, self.now, n))

    def leased_between(self, worker: str, first: int, last: int) -> list[Lease]:
        """What a call of this worker was given and still holds: to answer a repeated call."""
        held = {loan.task: loan for loan in self.loans.of(worker) if first <= loan.token <= last}
        leases = []
        for task, loan in held.items():
            row = self.db.execute(
                "SELECT item, key, name, depth, failures FROM whole JOIN lane ON lane.id = lane WHERE whole.id = ?", (task,)
            ).fetchone()
            leases.append(_lease(loan, *row))
        return leases

    # ---- back

    def hand_in(self, step: Step) -> list[Verdict]:
        """Complete, fail and release; children go in with the task that made them."""
        for done in step.done:
            self.check(done.children)
        self._arrived(step.worker, step.arrived)
        verdicts: list[Verdict] = []
        finished: list[tuple[Loan, str]] = []
        children: list[New] = []
        for done in step.done:
            loan = self.loans.end(done.token, step.worker)
            if loan is None:
                verdicts.append(Verdict.STALE)
            elif (refusal := _too_big(done)) is not None:
                verdicts.append(self._fail(loan, refusal, None, True))
            else:
                finished.append((loan, done.report))
                children += done.children
                verdicts.append(Verdict.DONE)
        self.finish(finished)
        for child, verdict in zip(children, self.insert(children) if children else (), strict=True):
            if verdict == Verdict.LIMIT:
                self.count({f"{child.queue}/skipped/over the limit": 1})
        verdicts += [self._failed(step.worker, failed) for failed in step.failed]
        verdicts += [self._release(step.worker, token) for token in step.released]
        self.set_paces(step.paces)
        self.count(step.counters)
        return verdicts

    def finish(self, finished: Sequence[tuple[Loan, str]]) -> None:
        """These loans, already off the books, are done."""
        kept = [(DONE, report, self.now, loan.task) for loan, report in finished if loan.queue.spec.keyed]
        gone = [(loan.task,) for loan, _ in finished if not loan.queue.spec.keyed]
        self.db.executemany("UPDATE task SET state = ?, report = ?, changed_at = ? WHERE id = ?", kept)
        self.db.executemany("DELETE FROM task WHERE id = ?", gone)
        for loan, _ in finished:
            loan.queue.move(LEASED, DONE)
            loan.queue.bytes -= loan.size
            self._ended(loan)

    def _failed(self, worker: str, failed: Failed) -> Verdict:
        loan = self.loans.end(failed.token, worker)
        return Verdict.STALE if loan is None else self._fail(loan, failed.reason, failed.after, failed.final)

    def _fail(self, loan: Loan, reason: str, after: float | None, is_final: bool) -> Verdict:
        self._ended(loan)
        self._note_failure(loan, reason)
        if is_final or loan.attempt >= loan.queue.spec.max_attempts:
            self.db.execute("UPDATE task SET state = ?, changed_at = ? WHERE id = ?", (DEAD, self.now, loan.task))
            loan.queue.move(LEASED, DEAD)
            loan.queue.bytes -= loan.size
            return Verdict.DEAD
        wait = backoff(loan.attempt, self._random) if after is None else after
        due = self.now + wait
        self.db.execute(
            "UPDATE task SET state = ?, due = ?, changed_at = ? WHERE id = ?", (DELAYED, due, self.now, loan.task)
        )
        loan.queue.move(LEASED, DELAYED)
        self._wait_until(due)
        return Verdict.RETRY

    def _note_failure(self, loan: Loan, reason: str) -> None:
        """One line an attempt, the last `FAILURES_KEPT` characters of them: see `failures`."""
        line = f"{self.now:.3f} {loan.attempt} {' '.join(reason.split())}\n"
        self.db.execute("UPDATE task SET failures = substr(failures || ?, ?) WHERE id = ?", (line, -FAILURES_KEPT, loan.task))

    def _release(self, worker: str, token: int) -> Verdict:
        loan = self.loans.end(token, worker)
        if loan is None:
            return Verdict.STALE
        self._ended(loan)
        self.db.execute(
            "UPDATE task SET state = ?, attempt = attempt - 1, changed_at = ? WHERE id = ?", (READY, self.now, loan.task)
        )
        loan.queue.move(LEASED, READY)
        self.made_ready(loan.queue, loan.lane)
        return Verdict.RELEASED

    def expire(self, loans: Iterable[Loan]) -> int:
        """The workers of these loans, already off the books, are gone: a failed attempt, to be tried again at once."""
        return len([self._fail(loan, WORKER_GONE.format(loan.worker), 0.0, False) for loan in loans])

    def _arrived(self, worker: str, tokens: Iterable[int]) -> None:
        """What these tasks asked of their hosts is over, however long they are still in process."""
        for token in tokens:
            loan = self.loans.held(token, worker)
            if loan is not None:
                self._ended(loan)
                loan.has_arrived = True

    def _ended(self, loan: Loan) -> None:
        """Its host is free of it, unless it has been before."""
        if loan.queue.spec.polite and not loan.has_arrived:
            lane = self.lanes.numbered(loan.queue, loan.lane)
            lane.ended(self.now)
            self.lanes.touch(lane)

    # ---- workers that fall silent

    def heard(self, worker: str) -> None:
        """A worker called: if its connection had broken, its loans last again as it asked for."""
        if worker in self._silent:
            self._silent.discard(worker)
            self.loans.restore(worker, self.now)

    def lost(self, worker: str) -> None:
        """A worker's last connection broke: it may come back, but not for long."""
        if loans := self.loans.of(worker):
            self._silent.add(worker)
            self.loans.shorten(worker, self.now + max(SILENCE, max(loan.ttl for loan in loans) * BEATS))

    # ---- time

    def tick(self) -> None:
        """Look at the clock: loans that ran out, delays that are over."""
        self.now = self.time.now()
        self.expire(self.loans.ended(self.now))
        if self._next_due is not None and self._next_due <= self.now:
            self._promote()

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
        """Hub time at which something may change by itself, for who waits on these queues."""
        times = [self._next_due, self.loans.next_end()]
        times += [self.lanes.next_open(queue) for queue in waited_for if queue.spec.polite and not queue.full_gate()]
        return min((time for time in times if time is not None), default=None)

    # ---- hosts, counters

    def set_paces(self, paces: Iterable[Pace]) -> None:
        """What hosts asked of us, for every polite queue."""
        for pace in paces:
            for queue in self.queues.values():
                if not queue.spec.polite:
                    continue
                lane = self.lanes.named(queue, pace.host)
                if pace.rest is not None:
                    lane.next = max(lane.next, self.now + pace.rest)
                if pace.delay is not None:
                    lane.delay = pace.delay
                if pace.paused is not None:
                    lane.paused = pace.paused
                if pace.fixed is not None:
                    lane.fixed = pace.fixed if pace.fixed >= 0 else None
                    lane.next = min(lane.next, self.now + lane.gap())
                self.lanes.touch(lane)


def failures(noted: str) -> list[Attempt]:
    """What `Ledger` noted of a task's failed attempts; the first line may have been cut."""
    attempts = []
    for line in noted.splitlines():
        at, _, rest = line.partition(" ")
        number, _, reason = rest.partition(" ")
        if number.isdecimal() and at.replace(".", "", 1).isdecimal():
            attempts.append(Attempt(float(at), int(number), reason))
    return attempts


def _lease(loan: Loan, item: bytes, key: bytes | None, host: str, depth: int, noted: str) -> Lease:
    """noted: its failed attempts."""
    spec = loan.queue.spec
    is_suspect = any(failure.reason.startswith(GONE) for failure in failures(noted)[-1:])
    is_last = loan.attempt >= spec.max_attempts
    return Lease(loan.task, loan.token, loan.attempt, spec.name, item, key, host, depth, is_suspect, is_last)


def _key(queue: Queue, new: New) -> bytes | None:
    """What makes it the same task as another: on a keyed queue its key, or else its body."""
    if not queue.spec.keyed:
        return None
    return new.key or blake2b(new.item, digest_size=16).digest()


def _too_big(done: Done) -> str | None:
    """Why a step cannot be stored as it is; its task is dead then, with this reason, rather than half done."""
    for child in done.children:
        if len(child.item) > MAX_BODY:
            return f"an item of {len(child.item)} bytes for queue {child.queue!r}; at most {MAX_BODY} bytes fit on a queue"
    return None
