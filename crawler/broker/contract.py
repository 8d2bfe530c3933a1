"""Promises every engine keeps. One conformance suite (`tests/broker/`) runs over each of them, and over the hub's wire.

              put                 lease                   done (+ children, one transaction)
    producer ─────▶ ready / delayed ─────▶ leased by a worker ─────▶ done ──▶ kept (keyed) or gone (plain)
                        ▲                      │
                        ├─────── released ─────┤          a lease that runs out is a failed attempt
                        └─────── failed ───────┴─────▶ dead, after max_attempts

On a polite queue a leased task takes one of its host's slots until it ends, or until its worker says that it has arrived: then
its host may be asked again while the task is still in process.

At every commit, for every queue: accepted = ready + delayed + leased + dead + done. Nothing here knows of sockets or stages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from crawler.items import Dead, Found, HostStats, New, Note, Pace, Stats, Step, Stepped, Story, Verdict
from crawler.limits import (
    PAGE,
    PAGE_BYTES,
    Counter,
    Ends,
    Host,
    Hosts,
    Ids,
    Key,
    Line,
    Name,
    Names,
    NoteName,
    Notes,
    Paces,
    Puts,
    Ttl,
    Url,
)

MAX_DRAINED_WAIT = 1.0  # s; longest wait until a crawl is at its end
MAX_WAIT = 20.0  # s; longest long poll, so that no thread of a hub waits for ever on behalf of a client
MAX_BODY = 16 << 20  # bytes; a body over this is TOO_BIG (half of what a frame may carry)


TAKER = "take:"  # begins the name of a worker that takes values off a queue for a person and works on none


def is_taker(worker: str) -> bool:
    """Tell whether nothing that this worker holds can have killed it. "": it takes and completes in one call."""
    return not worker or worker.startswith(TAKER)


class Quota(Struct, frozen=True):
    """Limits on what all who are no admins may put. 0: no limit."""

    queue_bytes: int = 0  # bytes waiting on a queue from which nothing more is put there
    free: int = 0  # bytes that stay free on the disk of the store, at most a tenth of it


class Budget(Struct, frozen=True):
    """A limit on the sum of some counters: once it is reached, nothing more is leased from a queue."""

    name: str  # for people: "frontier.max_time = 60"
    counters: tuple[str, ...]
    most: int


def is_full(page: Sequence[Note]) -> bool:
    """Tell whether a page of notes ended because it was full, so that there may be more."""
    return len(page) >= PAGE or sum(len(note.name) + len(note.value) for note in page) >= PAGE_BYTES


def all_pages(read: Callable[[int, str], list[Note]], since: int) -> list[Note]:
    """Read pages of notes until there are no more; oldest change first.

    read: returns a page, given the version since which they changed and, if that is 0, the name after which the page begins.
    """
    page = read(since, "")
    found = {note.name: note for note in page}
    first = max((note.version for note in page), default=0)
    while is_full(page):
        page = read(page[-1].version, "") if since > 0 else read(0, page[-1].name)
        found |= {note.name: note for note in page}
    if since <= 0 and len(found) > PAGE:  # what changed meanwhile may have changed behind us
        found |= {note.name: note for note in all_pages(read, first)}
    return sorted(found.values(), key=lambda note: note.version)


class QueueSpec(Struct, frozen=True):
    """Settings of one queue."""

    name: str
    keyed: bool = False  # deduplicated by key; finished tasks are kept as the seen-set
    polite: bool = False  # leased per host: `per_host` at a time, `delay` apart
    is_read: bool = False  # a stage takes from it, so it counts for `drained`
    feeds: tuple[str, ...] = ()  # queues that its tasks come to next, and later; they gate its leases when full
    high_water: int = 10_000  # tasks waiting at which the queue counts as full
    high_water_bytes: int = 256 << 20  # bytes waiting at which it counts as full
    max_attempts: int = 5  # deliveries before a task is dead
    limit: int = 0  # tasks accepted at most, ever; 0: no limit
    host_limit: int = 0  # of one host, on a polite queue; 0: no limit
    host_waiting: int = 0  # of one host, on a polite queue, waiting: then no more are taken from other tasks; 0: no limit
    budgets: tuple[Budget, ...] = ()  # nothing is leased once one of them is used up
    is_outside: bool = False  # in the store, but not in the pipeline: nothing may be put on it, and `take` empties it


class Politeness(Struct, frozen=True):
    """Default limits for a host of a polite queue; the host may ask for others."""

    per_host: int = 1  # tasks of one host that are leased and have not arrived, at a time
    delay: float = 1.0  # s between the end of one and the start of the next
    most: int | None = None  # tasks of one host at most, ever, 0: no limit; None: the queue's own limit
    source: str = "setting"  # of the delay, see `HostStats.delay_by`
    own: Callable[[str], Politeness | None] | None = None  # what single hosts are granted instead; for the others None
    least: int | None = None  # the smallest limit of any of these hosts that has one

    def of(self, host: str) -> Politeness:
        """Return what this host is granted."""
        return (self.own(host) if self.own is not None else None) or self


class Broker(Protocol):
    """The verbs. All are idempotent: repeated after a lost reply a call changes nothing.

    Raises: CallRefused for an unknown queue, StorageError when the disk failed, and over a wire HubError.
    """

    def put(self, items: Puts[New], caller: Name = "", call: int = 0) -> list[Verdict]:
        """Store tasks; on disk when this returns. `(caller, call)` names the call as in `Step`; "" gives up idempotence
        for unkeyed items."""
        ...

    def step(self, step: Step) -> Stepped:
        """Complete, fail, release and lease in one transaction and one round trip.

        `arrived` gives the slots of these tasks back to their hosts as if they had ended, before anything is leased; they stay
        leased, and give nothing back a second time when they do end. A token that is not current, has arrived before, or is of
        a queue that is not polite changes nothing. Arrivals are not stored: after a restart of the hub each leased task takes its
        slot again."""
        ...

    def extend(self, worker: Name, tokens: Ends[int], ttl: Ttl) -> list[bool]:
        """Send a heart-beat: these leases last `ttl` seconds from now. False for a lease that is no longer yours."""
        ...

    def expire(self, worker: Name | None, reason: Line = "", begun: Ends[int] = (), at_work: Ends[int] = ()) -> int:
        """End the leases of a worker that is known to be dead (None: of all workers). Returns how many.

        reason: how the worker ended, as in "was killed by SIGSEGV"; "": not known. begun, at_work: tokens of the tasks that
        it had begun, and of those it was at work on rather than waiting for a host. A task it was at work on has lost an attempt
        and is quarantined: lent alone, to a probe. If there is none, what was begun has lost an attempt; if that is not known
        either, all have: these are lent in groups that get smaller with each death. All other leases are as if they had not been.
        """
        ...

    def held(self, worker: Name, tokens: Ends[int] = ()) -> list[str]:
        """Return the URLs of the tasks that a worker holds, oldest first, some at most; "" for an item without a `url`.

        tokens: of its leases, if only these are meant.
        """
        ...

    def pace(self, paces: Paces[Pace]) -> None:
        """Set when and how often hosts may be asked.

        A host that never had a task is known only once it is paused or its delay is fixed; anything else about it is left out."""
        ...

    def note(self, notes: Notes[Note]) -> int:
        """Store shared notes by name, last one wins; returns the new version."""
        ...

    def notes(self, prefix: NoteName, since: int = 0, after: NoteName | None = None) -> list[Note]:
        """Notes whose name starts with `prefix` and that changed after version `since`, oldest change first.

        after: give one page of them, as a hub does for its clients: see `all_pages`."""
        ...

    def forget(self, notes: Names[NoteName] = (), counters: Names[Counter] = ()) -> int:
        """Delete shared notes and counters by name; returns how many there were. Workers that run keep the notes they have read."""
        ...

    def take(self, queue: Name, n: int, wait: float = 0.0) -> list[bytes]:
        """Lease and complete at once: the classic `get`. Once returned, an item is no longer kept by the hub."""
        ...

    def dead(self, queue: Name | None = None, limit: int = 100, after: int = 0) -> list[Dead]:
        """Dead tasks by id, those above `after`."""
        ...

    def revive(self, ids: Ids[int]) -> int:
        """Make dead tasks ready again with attempts at zero; returns how many."""
        ...

    def drop(self, ids: Ids[int]) -> int:
        """Count dead tasks as done; returns how many. On a keyed queue the key stays known."""
        ...

    def stats(self) -> Stats:
        """Return all counts, taken at one moment."""
        ...

    def hosts(self, names: Hosts[Host] = ()) -> list[HostStats]:
        """Return the given hosts that are known; without names, those with work, most ready tasks first, 1,000 at most."""
        ...

    def why(self, queue: Name, key: Key) -> Story | None:
        """Return the life story of a keyed task; None if the key is unknown."""
        ...

    def find(self, url: Url) -> list[Found]:
        """Tasks that are not done, on queues without keys, whose item has this `url`. Looks at the first thousands of each."""
        ...

    def drained(self, queues: Names[Name] | None = None, wait: float = 0.0) -> bool:
        """Return whether nothing is ready, delayed or leased on these queues (None: all that a stage reads), counted in one
        transaction.

        wait: s, at most MAX_DRAINED_WAIT, to wait for that.

        Tasks of a queue whose budget is used up do not count: they will not be leased."""
        ...

    def close(self) -> None:
        """Release what is held; for an embedded engine: commit, checkpoint and close the file."""
        ...
