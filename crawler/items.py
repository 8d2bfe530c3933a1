"""Messages between a worker and the broker: new tasks, leased tasks, and the outcomes.

    New ──put──▶ (broker) ──lease──▶ Lease ──▶ Done(children: New…) | Failed | a released token

Items are opaque bytes here; the worker encodes and decodes a stage's own items: see `crawler.codec.bodies`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, TypeVar

from msgspec import MsgspecError, Struct, field, msgpack

from crawler.limits import Counters, CountsOfEach, Ends, Host, Key, Line, NoteName, Paces, Tasks, Trace, Ttl
from crawler.limits import Name as ShortName

Name = str | bytes  # identity of a task on a keyed queue: its key, or a name in place of it
_Some = TypeVar("_Some", bound=Name)


class Verdict(StrEnum):
    """Answer of the broker to each part of a call."""

    ACCEPTED = "accepted"  # put: it is on its queue
    DUPLICATE = "duplicate"  # put: a keyed queue has, or had, a task of this key
    TOO_BIG = "too big"  # put: the body is over the queue's limit; nothing was stored
    LIMIT = "over the limit"  # put: the queue has had as many tasks, or as many of this host, as it may; nothing was stored
    WAITING = "too many waiting"  # put: too many tasks of its host wait already; nothing was stored
    DONE = "done"  # step: finished, children stored
    RETRY = "retry"  # step: failed, will be tried again
    DEAD = "dead"  # step: failed for the last time; kept for `crawler dead`
    RELEASED = "released"  # step: given back, attempt not counted
    STALE = "stale"  # step: the token is not current; nothing changed


class Tried(Struct, frozen=True, array_like=True, omit_defaults=True):
    """A first attempt that failed before the task was put on its queue: see `Failed`."""

    reason: Line
    after: float | None = None
    final: bool = False
    trace: Trace = ""


class New(Struct, frozen=True, array_like=True, omit_defaults=True):
    """A task to be put on a queue."""

    queue: ShortName
    item: bytes
    key: Key | None = None  # 16 bytes; on a keyed queue two tasks of one key are one, and the item stands for a None
    host: Host = ""  # on a polite queue: whose delay and limit it waits for
    priority: int = 0  # higher first, first come first served within one
    delay: float = 0.0  # s from now before it may be leased
    depth: int = 0  # steps from a seed
    parent: Key | None = None  # key of the task that found it, for its life story
    tried: Tried | None = None  # its first attempt has failed; never on a polite queue, where the hub decides when to try


class Unknown(Protocol):
    """Function that returns those of some names that a queue is not known to have, in their order."""

    def __call__(self, names: Sequence[_Some], /) -> Sequence[_Some]: ...


class Admitted(Struct, frozen=True):
    """Outcome for an item that stands for many: tasks to be put on a queue, and counts of the others."""

    queue: str
    tasks: list[New]
    names: list[Name]  # by which the tasks are known once the hub has them
    skipped: dict[str, int]  # number by reason, in stable words


class Lease(Struct, frozen=True, array_like=True):
    """A task lent to one worker until a time; the token is good for this delivery only."""

    id: int
    token: int  # hub-wide counter, never reused: a late answer is recognised by it
    attempt: int  # 1 on the first delivery
    queue: str
    item: bytes
    key: bytes | None
    host: str
    depth: int
    is_last: bool = False  # there is no further attempt
    left: int = 0  # attempts after this one


class Done(Struct, frozen=True, array_like=True):
    """A finished task and everything it gave rise to: stored together or not at all."""

    token: int
    children: Tasks[New] = ()
    # For the task's life story, as "200 text/html 5120 B"; without a key, for that of the keyed task from which it came.
    report: Line = ""


class Failed(Struct, frozen=True, array_like=True):
    """An attempt that failed."""

    token: int
    reason: Line
    after: float | None = None  # s before the next try; None: the broker's back-off decides
    final: bool = False  # True: no further attempt makes sense, dead at once
    trace: Trace = ""  # traceback in the stage's code, if the task is dead now


class Pace(Struct, frozen=True, array_like=True):
    """Wishes of a host about our pace. None leaves a value as it is."""

    host: Host
    rest: float | None = None  # s from now in which nothing is fetched from it (Retry-After, back-off)
    delay: float | None = None  # s between the end of one fetch and the start of the next (Crawl-delay)
    paused: bool | None = None  # by hand: nothing is fetched until it is resumed
    fixed: float | None = None  # by hand: the delay in s, whatever else is asked for; below 0: no longer
    held: float | None = None  # s from now until its task in process makes the next request; only shown to people


class Step(Struct, frozen=True):
    """One round trip of a worker: hand in finished tasks, lease new ones.

    `(worker, call)` names the call: repeated after a lost reply it changes nothing and is answered as before.
    """

    worker: ShortName  # who; unique among all workers of the hub
    call: int  # the worker's own counter, one more each new call
    queue: ShortName = ""  # where to lease from
    want: int = 0  # tasks at most
    ttl: Ttl = 30.0  # s a lease lasts unless extended
    wait: float = 0.0  # s to wait for a task when there is none; at most 20
    is_probe: bool = False  # only quarantined tasks are wanted, one at a time: their worker died
    done: Ends[Done] = ()
    failed: Ends[Failed] = ()
    released: Ends[int] = ()  # tokens of tasks that were begun and are given back: their hosts have their rest
    returned: Ends[int] = ()  # tokens of tasks that were never begun: as if they had not been leased
    arrived: Ends[int] = ()  # tokens of tasks still in process that ask no more of their host: it is free again
    paces: Paces[Pace] = ()
    counters: Counters = field(default_factory=dict)  # what to add to the hub's counters, e.g. "fetch/status/200"
    # msgpack: how much of `counters` is of each task in done and failed; if its token is not current, that is not added.
    # Read only then: see `counts_of_each`.
    of_each: CountsOfEach = b""
    trouble: Line = ""  # the reason the worker cannot go on, for people: "p.jsonl: No space left on device"
    is_last: bool = False  # the worker ends: it is not listed any more


def counts_of_each(step: Step) -> list[dict[str, int]]:
    """Return the counters of each task in a step's done and failed, in their order; [] if it does not say them."""
    try:
        return msgpack.decode(step.of_each, type=list[dict[str, int]]) if step.of_each else []
    except (MsgspecError, ValueError, RecursionError):
        return []


class Stepped(Struct, frozen=True):
    """The answer to a Step; verdicts stand in the order done, failed, released, returned."""

    verdicts: Sequence[Verdict] = ()
    leases: Sequence[Lease] = ()
    store: int = 0  # which store answered: another number means that nothing known of before holds
    epoch: int = 0  # times it was opened: after a power cut the last steps before may never have been
    notes: int = 0  # version of the shared notes: greater than yours means there is something to read
    commit: int = 0  # number of the commit that this is part of, in this epoch
    durable: int = 0  # of the last commit that a power cut cannot undo


class Note(Struct, frozen=True, array_like=True):
    """A small fact all workers share: the hosts of the seeds, a robots.txt, …"""

    name: NoteName
    value: bytes
    version: int = 0  # set by the broker, grows with every change


class Dead(Struct, frozen=True):
    """Task that was given up, kept until it is revived or dropped."""

    id: int
    queue: str
    attempt: int
    reason: str
    item: bytes
    key: bytes | None
    host: str
    at: float  # s since the epoch
    trace: str = ""  # traceback of the last attempt in the stage's code, if it failed there


class Found(Struct, frozen=True):
    """A task that is not finished, found by the URL of its item."""

    id: int
    queue: str
    state: str  # ready, delayed, leased, dead
    attempt: int
    due: float  # s from now until it may be leased, for a delayed task
    reason: str  # of the last failed attempt; "" if there is none


class QueueStats(Struct, frozen=True):
    """Counts of one queue; accepted = ready + delayed + leased + dead + done, always."""

    name: str
    accepted: int
    ready: int
    delayed: int
    leased: int
    dead: int
    done: int
    bytes: int  # bodies of ready, delayed and leased tasks
    keyed: bool
    polite: bool
    is_read: bool  # a stage reads it: it counts for `drained`
    full: str = ""  # name of the queue downstream whose high-water mark holds this one back
    due: float = 0.0  # s from now until the next delayed task is ready; 0: none is delayed
    failure: str = ""  # reason of the last failed attempt since the hub was started
    longest: float = 0.0  # s; age of the oldest lease since the hub was started; 0: there is none
    holder: str = ""  # the worker that has this lease
    rate: float = 0.0  # tasks done per second, over the last few seconds
    spent: str = ""  # the budget that is used up, so that nothing more is leased: see `broker.base.Budget`
    suspects: int = 0  # unfinished tasks that were held when a worker died: they are lent apart; delayed or leased
    quarantined: int = 0  # those of them that a worker is lent alone
    is_outside: bool = False  # the store has tasks of it, but the pipeline does not name it: no stage reads or fills it


class HostStats(Struct, frozen=True):
    """One host of a polite queue."""

    name: str
    ready: int
    leased: int
    delay: float  # s
    rest: float  # s from now until the next fetch may start; 0 or less: now
    paused: bool
    delay_by: str = "setting"  # who set it: "setting", "table" ([hosts]), "host" (its Crawl-delay), "hand" (`host delay`)
    failures: int = 0  # in a row, since its last success or the start of the hub
    failure: str = ""  # reason of the last of them
    held: float = 0.0  # s from now until its task in process makes the next request; 0: it has, or there is none
    asked: float = 0.0  # s since the oldest task in process was leased whose answer is awaited; 0: there is none
    accepted: int = 0  # tasks of it, ever


class WorkerStats(Struct, frozen=True):
    """One worker that has called lately."""

    name: str
    leased: int
    seen: float  # s ago
    queue: str = ""  # the queue it last asked for work; "": it has not asked since the hub was started
    trouble: str = ""  # see `Step`
    is_heard: bool = True  # it has called since the hub was started


class Stats(Struct, frozen=True):
    """The whole hub at one commit."""

    at: float  # s since the epoch
    uptime: float  # s since the hub was opened
    queues: Sequence[QueueStats]
    workers: Sequence[WorkerStats]  # some at most: those with leases, then those heard of last
    hosts: Sequence[HostStats]  # those with work, most ready tasks first, 20 at most
    hosts_total: int  # hosts with work
    counters: dict[str, int]
    is_drained: bool
    hosts_open: int = 0  # hosts for which one more task could be leased now
    is_short: bool = False  # of room on the hub's disk: work from outside is refused, nothing new is begun
    workers_total: int = 0  # workers, also those that are not in the list


class Attempt(Struct, frozen=True, array_like=True):
    """One failed attempt."""

    at: float  # s since the epoch
    number: int  # from 1
    reason: str


class Story(Struct, frozen=True):
    """History of one keyed task, as the broker knows it."""

    id: int
    queue: str
    key: bytes
    state: str  # ready, delayed, leased, dead, done; aside: taken off its queue, as the rules have changed
    item: bytes
    host: str
    depth: int
    attempt: int
    parent: bytes | None
    parent_item: bytes | None
    put_at: float  # s since the epoch
    changed_at: float  # s since the epoch
    report: str  # of the step that finished it; one line for each of its reports
    failures: Sequence[Attempt]  # oldest first; the last `FAILURES_KEPT` of the engine
    due: float  # s from now until it may be leased, for a delayed task
    is_suspect: bool = False  # a worker died that held it: it is lent apart from the others, which counts as delayed
