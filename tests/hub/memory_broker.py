"""A small honest broker in memory: enough behaviour to see that every verb crosses the wire. Leases never run out here."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from crawler.broker.contract import MAX_BODY, QueueSpec
from crawler.errors import CallRefused
from crawler.items import Dead, Found, HostStats, Lease, New, Note, Pace, QueueStats, Stats, Step, Stepped, Story, Verdict

KEY = b"0123456789abcdef0123456789abcdef"
QUEUES = (QueueSpec("task", is_read=True, high_water=5), QueueSpec("result"), QueueSpec("urls", keyed=True, is_read=True))


@dataclass
class MemoryBroker:
    specs: Sequence[QueueSpec] = QUEUES
    ready: dict[str, deque[New]] = field(default_factory=dict)
    leased: dict[int, tuple[str, Lease]] = field(default_factory=dict)
    answers: dict[tuple[str, int], Any] = field(default_factory=dict)
    done: int = 0
    token: int = 0
    is_open: bool = True

    def __post_init__(self) -> None:
        self.changed = threading.Condition()
        self.ready = {spec.name: deque() for spec in self.specs}
        self.accepted = dict.fromkeys(self.ready, 0)
        self.paces: list[Pace] = []
        self.arrived: list[int] = []
        self.stored: dict[str, Note] = {}
        self.gone: list[str] = []
        self.claims: dict[str, bytes] = {}
        self.waiting = 0

    def put(self, items: Sequence[New], caller: str = "", call: int = 0) -> list[Verdict]:
        with self.changed:
            if caller and (caller, call) in self.answers:
                return self.answers[caller, call]
            for item in items:
                self._queue(item.queue)
            verdicts = [Verdict.TOO_BIG if len(item.item) > MAX_BODY else self._store(item) for item in items]
            self.answers[caller, call] = verdicts
            return verdicts

    def step(self, step: Step) -> Stepped:
        end = time.monotonic() + step.wait
        with self.changed:
            if (step.worker, step.call) in self.answers:
                return self.answers[step.worker, step.call]
            self.arrived += [token for token in step.arrived if token in self.leased]
            verdicts = []
            for done in step.done:
                held = self.leased.pop(done.token, None)
                verdicts.append(Verdict.STALE if held is None else Verdict.DONE)
                if held is not None:
                    self.done += 1
                    for child in done.children:
                        self._store(child)
            self.waiting += 1
            self.changed.notify_all()
            while step.want and not self._queue(step.queue) and step.worker not in self.gone and self.is_open:
                if not self.changed.wait(end - time.monotonic()):
                    break
            leases = []
            while step.queue and self.ready[step.queue] and len(leases) < step.want:
                leases.append(self._lend(step))
            stepped = self.answers[step.worker, step.call] = Stepped(verdicts, leases, len(self.stored))
            return stepped

    def extend(self, worker: str, tokens: Sequence[int], ttl: float) -> list[bool]:
        with self.changed:
            return [self.leased.get(token, ("",))[0] == worker for token in tokens]

    def held(self, worker: str, tokens: Sequence[int] = ()) -> list[str]:
        with self.changed:
            return ["" for holder, _ in self.leased.values() if holder == worker]

    def expire(self, worker: str | None, reason: str = "", begun: Sequence[int] = (), at_work: Sequence[int] = ()) -> int:
        with self.changed:
            expired = [token for token, (holder, _) in self.leased.items() if worker in (None, holder)]
            for token in expired:
                _, lease = self.leased.pop(token)
                self.ready[lease.queue].appendleft(New(lease.queue, lease.item))
            self.changed.notify_all()
            return len(expired)

    def claim(self, worker: str, digest: bytes) -> bool:
        return self.claims.setdefault(worker, digest) == digest

    def lost(self, worker: str) -> None:
        self.expire(worker)
        with self.changed:
            self.gone.append(worker)
            self.changed.notify_all()

    def wait_until_lost(self, worker: str) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: worker in self.gone, timeout=10)

    def wait_until_asked(self, times: int) -> bool:
        """For so many calls of `take` and `step` to have come."""
        with self.changed:
            return self.changed.wait_for(lambda: self.waiting >= times, timeout=10)

    def pace(self, paces: Sequence[Pace]) -> None:
        self.paces += paces

    def note(self, notes: Sequence[Note], *, is_remade: bool = False, part: float = 1.0) -> int:
        for note in notes:
            self.stored[note.name] = msgspec.structs.replace(note, version=len(self.stored) + 1)
        return len(self.stored)

    def forget(self, notes: Sequence[str] = (), counters: Sequence[str] = ()) -> int:
        return sum(self.stored.pop(name, None) is not None for name in notes)

    def notes(self, prefix: str, since: int = 0, after: str | None = None) -> list[Note]:
        found = [note for note in self.stored.values() if note.name.startswith(prefix) and note.version > since]
        return found if after is None else sorted(found, key=lambda note: note.name)

    def take(self, queue: str, n: int, wait: float = 0.0) -> list[bytes]:
        with self.changed:
            self.waiting += 1
            self.changed.notify_all()
            self.changed.wait_for(lambda: self._queue(queue) or not self.is_open, timeout=wait)
            taken = [self.ready[queue].popleft() for _ in range(min(n, len(self.ready[queue])))]
            self.done += len(taken)
            return [item.item for item in taken]

    def dead(self, queue: str | None = None, limit: int = 100, after: int = 0) -> list[Dead]:
        return [Dead(after + 1, queue or "task", 5, "boom", b"body", None, "", 1.5)][:limit]

    def revive(self, ids: Sequence[int]) -> int:
        return len(ids)

    def drop(self, ids: Sequence[int]) -> int:
        raise ZeroDivisionError("a bug inside the broker, at /secret/path.py")

    def stats(self) -> Stats:
        with self.changed:
            queues = [
                QueueStats(
                    spec.name,
                    self.accepted[spec.name],
                    len(self.ready[spec.name]),
                    0,
                    0,
                    0,
                    0,
                    0,
                    spec.keyed,
                    polite=False,
                    is_read=spec.is_read,
                )
                for spec in self.specs
            ]
        return Stats(1.0, 2.0, queues, [], [], 0, {"calls": 1}, is_drained=False)

    def hosts(self, names: Sequence[str] = ()) -> list[HostStats]:
        return []

    def why(self, queue: str, key: bytes) -> Story | None:
        return None

    def find(self, url: str) -> list[Found]:
        return []

    def drained(self, queues: Sequence[str] | None = None, wait: float = 0.0) -> bool:
        with self.changed:
            return not self.leased and not any(self.ready[name] for name in queues or self.ready)

    def close(self) -> None:
        with self.changed:
            self.is_open = False
            self.changed.notify_all()

    def _queue(self, name: str) -> deque[New]:
        if name not in self.ready:
            raise CallRefused(f"no queue {name!r} on this hub; it has {', '.join(self.ready)}")
        return self.ready[name]

    def _store(self, item: New) -> Verdict:
        self.ready[item.queue].append(item)
        self.accepted[item.queue] += 1
        self.changed.notify_all()
        return Verdict.ACCEPTED

    def _lend(self, step: Step) -> Lease:
        item = self.ready[step.queue].popleft()
        self.token += 1
        lease = Lease(self.token, self.token, 1, step.queue, item.item, item.key, item.host, item.depth)
        self.leased[self.token] = (step.worker, lease)
        return lease
