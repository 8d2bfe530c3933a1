"""What the broker's tests hold on to: a worker's hand, and houses that keep a broker of each kind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Broker, Politeness, QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.hub.client import HubClient
from crawler.hub.server import HubServer
from crawler.items import Done, Failed, HostStats, Lease, New, QueueStats, Step, Stepped, Verdict

TTL = 30.0  # s
KEY = b"k" * 32
QUEUES = (
    QueueSpec("task", is_read=True, max_attempts=3),
    QueueSpec("result"),
    QueueSpec("urls", keyed=True, is_read=True),
    QueueSpec("pages", is_read=True, feeds=("records",)),
    QueueSpec("records", is_read=True, high_water=3, high_water_bytes=1_000),
)
FRONTIER = (QueueSpec("urls", keyed=True, polite=True, is_read=True, max_attempts=3), QueueSpec("pages"))


class Longest(Random):
    """Jitter that always waits as long as it may, so that a test knows when."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Hand:
    """One worker: its name, its call numbers, and the last thing it said."""

    def __init__(self, broker: Broker, name: str = "w") -> None:
        self.broker = broker
        self.name = name
        self.call = 0
        self.last = Step(name, 0)

    def step(self, queue: str = "", want: int = 0, **more: Any) -> Stepped:
        self.call += 1
        self.last = Step(self.name, self.call, queue, want, **{"ttl": TTL, **more})
        return self.broker.step(self.last)

    def repeat(self) -> Stepped:
        """The answer was lost: the same call again."""
        return self.broker.step(self.last)

    def lease(self, queue: str, want: int = 1, **more: Any) -> list[Lease]:
        return list(self.step(queue, want, **more).leases)

    def lease_one(self, queue: str) -> Lease:
        (lease,) = self.lease(queue)
        return lease

    def complete(self, lease: Lease, *children: New, report: str = "") -> Verdict:
        (verdict,) = self.step(done=[Done(lease.token, children, report)]).verdicts
        return verdict

    def fail(self, lease: Lease, reason: str = "no luck", after: float | None = 0.0, final: bool = False) -> Verdict:
        (verdict,) = self.step(failed=[Failed(lease.token, reason, after, final)]).verdicts
        return verdict

    def release(self, lease: Lease) -> Verdict:
        (verdict,) = self.step(released=[lease.token]).verdicts
        return verdict

    def give_back(self, *leases: Lease) -> list[Verdict]:
        """Give leases back that were never begun."""
        return list(self.step(returned=[lease.token for lease in leases]).verdicts)

    def extend(self, lease: Lease, ttl: float = TTL) -> bool:
        (is_ours,) = self.broker.extend(self.name, [lease.token], ttl)
        return is_ours


class House:
    """Keeps one embedded broker with a clock that stands still."""

    def __init__(self, path: str) -> None:
        self.clock = ManualClock()
        self._path = path
        self._specs: Sequence[QueueSpec] = QUEUES
        self._politeness = Politeness(delay=0.0)
        self._broker: SqliteBroker | None = None

    def open(self, specs: Sequence[QueueSpec] = QUEUES, politeness: Politeness | None = None) -> Broker:
        self._specs = specs
        self._politeness = politeness or self._politeness
        self._broker = SqliteBroker(self._path, specs, self._politeness, clock=self.clock, random=Longest())
        return self._broker

    def reopen(self) -> Broker:
        self.close()
        return self.open(self._specs)

    def close(self) -> None:
        if self._broker is not None:
            self._broker.close()


class WireHouse(House):
    """The same behind a hub on a socket."""

    def open(self, specs: Sequence[QueueSpec] = QUEUES, politeness: Politeness | None = None) -> Broker:
        broker = super().open(specs, politeness)
        self._server = HubServer(broker, specs, "127.0.0.1:0", KEY)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self._client = HubClient(self._server.place, KEY)
        return self._client

    def close(self) -> None:
        self._client.close()
        self._server.stop()
        self._thread.join()
        super().close()


def house(kind: str, folder: Path) -> House:
    if kind == "memory":
        return House(":memory:")
    return (WireHouse if kind == "wire" else House)(str(folder / "hub.sqlite3"))


def queue(broker: Broker, name: str) -> QueueStats:
    return next(stats for stats in broker.stats().queues if stats.name == name)


def counts(broker: Broker, name: str) -> tuple[int, int, int, int, int]:
    """(ready, delayed, leased, dead, done), which always add up to what was accepted."""
    stats = queue(broker, name)
    assert stats.accepted == stats.ready + stats.delayed + stats.leased + stats.dead + stats.done
    return stats.ready, stats.delayed, stats.leased, stats.dead, stats.done


def put(broker: Broker, name: str, *items: bytes, **more: Any) -> list[Verdict]:
    return list(broker.put([New(name, item, **more) for item in items]))


def bodies(broker: Broker, name: str) -> list[bytes]:
    """What can be had from a queue now; it is empty after that."""
    found: list[bytes] = []
    while got := broker.take(name, 20):
        found += got
    return found


def until(has_happened: Callable[[], bool]) -> None:
    """Ask again until it has: each question is a round trip through the broker's thread; the test's time limit ends it."""
    while not has_happened():
        pass


def seed(broker: Broker, **hosts: int) -> None:
    """So many URLs of each host."""
    broker.put([New("urls", f"{host}/{n}".encode(), host=host) for host, count in hosts.items() for n in range(count)])


def host(broker: Broker, name: str) -> HostStats:
    return next(stats for stats in broker.stats().hosts if stats.name == name)


def granted(hand: Hand, want: int = 100) -> list[bytes]:
    return [lease.item for lease in hand.lease("urls", want)]
