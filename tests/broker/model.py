"""A broker as short as it can be said: a list of tasks, looked through for every question. `test_model` compares."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crawler.broker.sqlite.hand_in import BEATS, SILENCE
from crawler.broker.sqlite.quarantine import GROUPS
from crawler.items import Done, Failed, Lease, New, Verdict

MAX_ATTEMPTS = 3
HIGH_WATER = 3  # tasks on `out` at which `urls` and `work` are given no work
PER_HOST = 1
DELAY = 1.0  # s


@dataclass
class Task:
    new: New
    state: str
    due: float
    attempt: int = 0
    token: int = 0
    worker: str = ""
    until: float = 0.0
    ttl: float = 0.0
    has_arrived: bool = False
    deaths: int = 0  # of workers that held it, in a row; while there are any it is set aside
    is_alone: bool = False


class Model:
    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._tasks: list[Task] = []  # in order of arrival
        self._next: dict[str, float] = {}  # by host: when it may be asked again
        self._silent: set[str] = set()
        self._ttl: dict[str, float] = {}  # by worker: the longest it asked for
        self._last: dict[str, list[int]] = {}  # by worker: tokens of its last call
        self._undo: dict[str, tuple[int, float]] = {}  # by host: the lease that moved its clock last, and where that stood
        self._probed: set[str] = set()  # queues that had a probe
        self.tokens: list[int] = []  # every one ever given out

    # ---- questions

    def counts(self, queue: str) -> dict[str, int]:
        counted = Counter(task.state for task in self._tasks if task.new.queue == queue)
        return {state: counted[state] for state in ("ready", "delayed", "leased", "dead", "done")}

    def size(self, queue: str) -> int:
        unfinished = ("ready", "delayed", "leased")
        return sum(len(task.new.item) for task in self._tasks if task.new.queue == queue and task.state in unfinished)

    def in_state(self, state: str) -> set[bytes]:
        return {task.new.item for task in self._tasks if task.state == state}

    def keys(self) -> dict[bytes, str]:
        return {task.new.key: task.state for task in self._tasks if task.new.key is not None}

    def holders(self) -> dict[str, int]:
        return dict(Counter(task.worker for task in self._tasks if task.state == "leased"))

    def slots(self) -> dict[str, int]:
        """Those in use, by host."""
        return dict(Counter(task.new.host for task in self._tasks if task.state == "leased" and not task.has_arrived))

    def is_drained(self) -> bool:
        return all(task.state in ("done", "dead") for task in self._tasks)

    # ---- time

    def tick(self) -> None:
        now = self._now()
        self._die([task for task in self._tasks if task.state == "leased" and task.until <= now])
        for task in self._tasks:
            if task.state == "delayed" and task.due <= now:
                task.state = "ready"

    def restarted(self) -> None:
        """Who held something has to be heard of again."""
        self._undo.clear()
        for task in self._tasks:
            if task.state == "leased":
                task.has_arrived = False
                task.ttl = self._ttl[task.worker]
                task.until = self._now() + max(SILENCE, task.ttl * BEATS)
                self._silent.add(task.worker)

    def heard(self, worker: str) -> None:
        if worker in self._silent:
            self._silent.discard(worker)
            for task in self._held(worker):
                task.until = max(task.until, self._now() + task.ttl)

    # ---- in

    def put(self, new: New) -> Verdict:
        if new.key is not None and new.key in self.keys():
            return Verdict.DUPLICATE
        self._tasks.append(Task(new, "delayed" if new.delay else "ready", self._now() + new.delay))
        return Verdict.ACCEPTED

    # ---- out: the broker chooses, the model says whether it may

    def lent(self, worker: str, queue: str, want: int, ttl: float, leases: Sequence[Lease], *, is_probe: bool) -> None:
        if is_probe and queue and want:
            self._probed.add(queue)
        apart = [lease for lease in leases if self._of(lease.item).deaths]
        self._check_apart(worker, queue, apart)
        if is_probe:
            assert len(leases) == len(apart) <= 1
            assert all(self._of(lease.item).is_alone for lease in apart)
        elif self._may_have_others(worker, queue, apart, leases):
            rest = [lease for lease in leases if not self._of(lease.item).deaths]
            if queue == "urls":
                self._check_hosts(want - len(apart), rest, {lease.host for lease in apart})
            else:
                assert [lease.item for lease in rest] == [task.new.item for task in self._available(queue)[: want - len(apart)]]
        if leases:
            self._ttl[worker] = max(ttl, self._ttl.get(worker, 0.0))
        for lease in leases:
            task = self._of(lease.item)
            assert (lease.attempt, lease.key, lease.host) == (task.attempt + 1, task.new.key, task.new.host)
            assert lease.token not in self.tokens
            self.tokens.append(lease.token)
            task.state, task.token, task.worker, task.attempt = "leased", lease.token, worker, lease.attempt
            task.until, task.ttl, task.has_arrived = self._now() + ttl, ttl, False
            if queue == "urls":
                self._undo[task.new.host] = (lease.token, self._next.get(task.new.host, 0.0))
                self._next[task.new.host] = max(self._next.get(task.new.host, 0.0), self._now() + DELAY)
        self._last[worker] = [lease.token for lease in leases]

    def _check_apart(self, worker: str, queue: str, leases: Sequence[Lease]) -> None:
        """Check that suspects are lent alone, or in groups that get smaller with each death, and as its host allows."""
        tasks = [self._of(lease.item) for lease in leases]
        held = self._held(worker)
        if tasks:
            assert self._gates(queue)
            assert all(task.state == "delayed" and task.new.queue == queue for task in tasks)
            assert not any(task.is_alone for task in held if task.new.queue == queue)
            mine = [task for task in held if task.deaths and task.new.queue == queue]
            if any(task.is_alone for task in tasks):
                assert (len(tasks), held) == (1, [])
            else:
                assert len(mine) + len(tasks) <= min(GROUPS[task.deaths] for task in (*mine, *tasks))
        hosts = [task.new.host for task in tasks if queue == "urls"]
        assert len(hosts) == len(set(hosts))
        assert not set(hosts) & set(self.slots())
        assert all(self._next.get(host, 0.0) <= self._now() for host in hosts)

    def _may_have_others(self, worker: str, queue: str, apart: Sequence[Lease], leases: Sequence[Lease]) -> bool:
        """Tell whether ordinary tasks may be lent. Not if what is in this worker's hands is to be alone there, or it is getting
        ready for that; then it was lent nothing else."""
        is_alone = any(self._of(lease.item).is_alone for lease in apart) or any(
            task.is_alone and task.new.queue == queue for task in self._held(worker)
        )
        waits = any(task.is_alone and task.state == "delayed" and task.new.queue == queue for task in self._tasks)
        if is_alone or (waits and len(leases) == len(apart)):
            assert len(leases) == len(apart)
            return False
        return True

    def _check_hosts(self, want: int, leases: Sequence[Lease], busy_now: set[str]) -> None:
        """One task of a host at most, the first of its own, and no host that waited less before one that waited more."""
        free: dict[str, bytes] = {}
        for task in self._available("urls"):
            free.setdefault(task.new.host, task.new.item)
        busy = set(self.slots()) | busy_now
        free = {host: item for host, item in free.items() if host not in busy and self._next.get(host, 0.0) <= self._now()}
        chosen = [lease.host for lease in leases]
        kept = {task.new.host for task in self._tasks if task.is_alone and task.state == "delayed" and "urls" in self._probed}
        if len(chosen) < min(want, len(free)):  # a host's next turn is that of a quarantined task
            skipped = next(host for host in sorted(free) if host in kept and host not in chosen)
            del free[skipped]
        assert len(chosen) == len(set(chosen)) == min(want, len(free))
        assert all(free[lease.host] == lease.item for lease in leases)
        passed_over = [self._next.get(host, 0.0) for host in free if host not in chosen and host not in kept]
        assert max((self._next.get(host, 0.0) for host in chosen), default=0.0) <= min(passed_over, default=float("inf"))

    def lent_again(self, worker: str, queue: str, want: int, ttl: float, leases: Sequence[Lease], *, is_probe: bool) -> None:
        held = [task.token for task in self._held(worker)]
        before = [token for token in self._last.get(worker, []) if token in held]
        if before:
            assert [lease.token for lease in leases] == before
        elif queue:
            self.lent(worker, queue, want, ttl, leases, is_probe=is_probe)
        else:
            assert not leases

    def taken(self, queue: str, n: int, items: Sequence[bytes]) -> None:
        apart = [item for item in items if self._of(item).deaths]
        assert all(self._of(item).state == "delayed" for item in apart)
        waiting = sum(task.deaths > 0 and task.state == "delayed" and task.new.queue == queue for task in self._tasks)
        assert len(apart) == (min(n, waiting) if self._gates(queue) else 0)
        assert list(items)[len(apart) :] == [task.new.item for task in self._available(queue)[: n - len(apart)]]
        for item in items:
            task = self._of(item)
            task.state, task.deaths, task.is_alone = "done", 0, False

    def _available(self, queue: str) -> list[Task]:
        if not self._gates(queue):
            return []
        ready = [task for task in self._tasks if task.new.queue == queue and task.state == "ready"]
        return sorted(ready, key=lambda task: -task.new.priority)

    def _gates(self, queue: str) -> bool:
        """Nothing downstream is full."""
        waiting = self.counts("out")
        return queue not in ("urls", "work") or waiting["ready"] + waiting["delayed"] < HIGH_WATER

    # ---- back

    def done(self, worker: str, done: Done) -> Verdict:
        task = self._current(worker, done.token)
        if task is None:
            return Verdict.STALE
        task.deaths, task.is_alone = 0, False
        self._end(task, "done")
        for child in done.children:
            self.put(child)
        return Verdict.DONE

    def failed(self, worker: str, failed: Failed, backoff: Callable[[int], float]) -> Verdict:
        task = self._current(worker, failed.token)
        if task is None:
            return Verdict.STALE
        return self._fail(task, backoff(task.attempt) if failed.after is None else failed.after, failed.final)

    def released(self, worker: str, token: int) -> Verdict:
        task = self._current(worker, token)
        if task is None:
            return Verdict.STALE
        self._end(task, "delayed" if task.deaths else "ready")
        task.attempt -= 1
        return Verdict.RELEASED

    def returned(self, worker: str, token: int) -> Verdict:
        """Give back what was never begun: unless something else has moved its host's clock since, that stands where it stood."""
        task = self._current(worker, token)
        if task is None:
            return Verdict.STALE
        task.state, task.attempt, host = "delayed" if task.deaths else "ready", task.attempt - 1, task.new.host
        mover, before = self._undo.get(host, (0, 0.0))
        if mover == token and not task.has_arrived:
            self._next[host] = before
        return Verdict.RELEASED

    def arrived(self, worker: str, token: int) -> None:
        task = self._current(worker, token)
        if task is not None and task.new.queue == "urls":
            self._rest(task)
            task.has_arrived = True

    def extend(self, worker: str, token: int, ttl: float) -> bool:
        task = self._current(worker, token)
        if task is not None:
            task.until = self._now() + ttl
        return task is not None

    def expire(self, worker: str | None) -> int:
        held = [task for task in self._tasks if task.state == "leased" and worker in (None, task.worker)]
        self._die(held)
        return len(held)

    def _die(self, tasks: Sequence[Task]) -> None:
        """The workers of these have died."""
        for worker in {task.worker for task in tasks}:
            mine = [task for task in tasks if task.worker == worker]
            is_only_one = len(self._held(worker)) == 1
            for task in mine:
                self._set_aside(task, is_only_one or task.is_alone)

    def _set_aside(self, task: Task, is_certain: bool) -> None:
        if is_certain and task.attempt >= MAX_ATTEMPTS:
            self._fail(task, 0.0, True)
            return
        task.attempt = min(task.attempt, MAX_ATTEMPTS - 1)
        task.deaths += 1
        task.is_alone = is_certain or task.deaths not in GROUPS or task.attempt + 1 >= MAX_ATTEMPTS
        self._end(task, "delayed")
        task.due = math.inf

    def undertake(self, item: bytes, state: str) -> None:
        """A dead task is revived or dropped."""
        task = self._of(item)
        assert task.state == "dead"
        task.state, task.attempt = state, 0

    def rest(self, host: str, seconds: float) -> None:
        self._next[host] = max(self._next.get(host, 0.0), self._now() + seconds)
        self._undo.pop(host, None)

    def _fail(self, task: Task, after: float, is_final: bool) -> Verdict:
        task.deaths, task.is_alone = 0, False
        is_dead = is_final or task.attempt >= MAX_ATTEMPTS
        self._end(task, "dead" if is_dead else "delayed")
        task.due = self._now() + after
        return Verdict.DEAD if is_dead else Verdict.RETRY

    def _end(self, task: Task, state: str) -> None:
        task.state = state
        self._rest(task)

    def _rest(self, task: Task) -> None:
        if task.new.host and not task.has_arrived:
            self._next[task.new.host] = max(self._next.get(task.new.host, 0.0), self._now() + DELAY)
            self._undo.pop(task.new.host, None)

    def _held(self, worker: str) -> list[Task]:
        return [task for task in self._tasks if task.state == "leased" and task.worker == worker]

    def _current(self, worker: str, token: int) -> Task | None:
        return next((task for task in self._held(worker) if task.token == token), None)

    def _of(self, item: bytes) -> Task:
        return next(task for task in self._tasks if task.new.item == item)
