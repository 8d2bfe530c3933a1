"""Interface of a stage, the code of one step, for the author of a plugin.

    class Square(Stage):
        def process(self, number: int) -> str:
            return f"{number}的平方是{number * number}"

`process` may return one item, return None, or yield many, and may be `async`. The annotation of its argument is the schema
of the queue it reads: an item is decoded and checked before `process` sees it. A stage never sees a queue, a socket or the
hub, so its test is a function call.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from operator import index
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from msgspec import Struct

from crawler.items import Pace

__all__ = [
    "Context",
    "Drop",
    "GiveUp",
    "Interrupted",
    "LocalShared",
    "Over",
    "Pace",
    "Pending",
    "Report",
    "Retry",
    "Shared",
    "Slow",
    "Stage",
    "To",
]


class Over(Protocol):
    """Callback of `Pending.start`: to be called when the wait is over; it returns the work that is left."""

    def __call__(self, can_finish: bool = True, is_free: bool = True, /) -> Callable[[], None]:
        """can_finish: `finish` can be called; if not, only `process` can go on. is_free: `finish` will not ask for a rest of the
        item's host, so the host need not wait for it."""
        ...


class Pending:
    """An item that a stage can wait for without a thread: what `Stage.begin` returns."""

    __slots__ = ()

    def start(self, over: Over) -> bool:
        """Start, and return at once. Called once, soon after `begin`; an error is the verdict on the item.

        Returns True if it has started. A thread of the stage then calls `over`, once, as soon as the wait is over, and soon after
        the function that `over` returns: it does the work on the item. Returns False if something has to be waited for first.
        """
        raise NotImplementedError(f"{type(self).__name__} has no start(over)")

    def finish(self) -> Any:
        """Return what `process` would have returned. Called once at most, in the work; an error is the verdict on the item."""
        raise NotImplementedError(f"{type(self).__name__} has no finish()")


class To(Struct, frozen=True):
    """Item for another queue than the stage's own output, or with delivery data of its own."""

    queue: str  # "" is the stage's own output
    item: Any
    key: bytes | None = None  # identity of the task on a keyed queue; None: the item's own content
    priority: int = 0  # higher first
    delay: float = 0.0  # s before it may be leased


class Many:
    """Several items in one: iterating gives each. The gatekeeper of a queue takes them together, which is quicker."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError


class Direct:
    """Item that is handed unchanged to the next stage of a process. Only a queue needs it packed.

    What makes one limits its size: it is not counted as part of a step.
    """

    __slots__ = ()

    def packed(self) -> Any:
        """Return the item as it goes on a queue."""
        raise NotImplementedError


class Report(Struct, frozen=True):
    """Line for the life story of the current task: yield it, and `crawler why` shows it for the URL of a crawl.

    A stage that runs in the fetch process, which is the default, adds it to the story of the page's URL. A stage in a process of
    its own has tasks that are forgotten when they are done, and their stories with them.
    """

    text: str


class Retry(Exception):
    """Raise it to have the task tried again: this counts as a failed attempt.

    after: seconds until then; None leaves it to the growing back-off.
    rest: seconds in which nothing at all is asked of the task's host.
    """

    def __init__(self, reason: str = "the stage asked for a retry", *, after: float | None = None, rest: float | None = None):
        super().__init__(reason)
        self.reason = reason
        self.after = after
        self.rest = rest


class Drop(Exception):
    """Raise it to finish the task with nothing to show for it: counted by reason in the summary.

    In a process shared with fetch, which is the default, `crawler why` shows the reason for the page's URL.
    """

    def __init__(self, reason: str = "no reason given"):
        super().__init__(reason)
        self.reason = reason


class GiveUp(Exception):
    """Raise it when no further attempt makes sense: the task is dead at once, kept with this reason for `crawler dead`."""

    def __init__(self, reason: str = "the stage gave it up"):
        super().__init__(reason)
        self.reason = reason


class Interrupted(Exception):
    """Raise it where `Stage.interrupt` has ended the work on an item: the item is given back, and no attempt is counted."""


class Shared(Protocol):
    """A small store of facts that all workers of a hub share (robots.txt, the hosts of the seeds)."""

    def get(self, name: str) -> bytes | None:
        """The value last set under this name by any worker, or None."""
        ...

    def set(self, name: str, value: bytes) -> None:
        """Store a value; when this returns every worker can read it."""
        ...

    def find(self, prefix: str) -> Mapping[str, bytes]:
        """Return the notes whose names start with the prefix, as of the current task or later. Cheap enough to call often."""
        ...

    def counted(self, name: str) -> int | None:
        """Return a counter (see `Stage.count`), summed over all stages, as the hub has it; None if there is no hub."""
        ...


class LocalShared:
    """`Shared` in this process alone: for tests, and for commands that run a stage without a hub."""

    def __init__(self, values: Mapping[str, bytes] | None = None) -> None:
        self._values = dict(values or {})

    def get(self, name: str) -> bytes | None:
        return self._values.get(name)

    def set(self, name: str, value: bytes) -> None:
        self._values[name] = value

    def find(self, prefix: str) -> Mapping[str, bytes]:
        return {name: value for name, value in self._values.items() if name.startswith(prefix)}

    def counted(self, name: str) -> int | None:
        return None


# Counts of stages for the current task, by the id of the stage; None: for no task.
counting: ContextVar[dict[int, dict[str, int]] | None] = ContextVar("counting", default=None)


class At(Struct):
    """The item that a thread works on, in one of several stages that share the thread."""

    stage: str
    item: Any
    since: float  # monotonic time, s
    stuck: float  # s after which a warning says that it takes long; 0: never
    is_told: bool = False


class Slow(Struct, frozen=True):
    """Items in process that wait for hosts which send next to nothing: they take no place that another could use."""

    items: int = 0
    threads: int = 0  # of these, that a thread waits for
    note: str = ""  # what they are, for people, if they are many


NOT_SLOW = Slow()


class Facts(Struct, frozen=True):
    """Facts a worker needs to run a stage: the attributes of `Stage` of the same names, with what `open` has set."""

    concurrency: int
    prefetch: int
    batch: int
    overlap: int
    is_single: bool
    makes_rows: bool
    stuck: float  # s
    hang: float  # s
    hang_at_work: float  # s; the same for work alone: on what `begin` began, and of threads in `at_work`
    grace: float  # s


class Context(Struct, frozen=True):
    """Circumstances of the crawl that a stage works in. The defaults are those of a stage without a crawl, as in a test."""

    stage: str = ""  # its name in the configuration, as in [stages.NAME]
    data: str = ""  # data directory of the crawl
    state: str = ""  # directory for what a stage keeps from one start to the next, made when it is needed; "": nowhere
    run: str = ""  # id of the crawl, the same after a restart; "": no crawl
    delay: float | None = None  # s between two requests to a host, frontier.delay; None: no crawl
    hosts: Mapping[str, Any] = MappingProxyType({})  # settings of single hosts: the tables in [hosts], for `crawler.Hosts`


class Stage:
    """Subclass it and write `process`. Register the class under the entry point group `crawler.stages`, or name it
    `module:Class` in the configuration."""

    class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
        """Options of this stage in `[stages.NAME]`: subclass it in yours as a Struct with defaults."""

        # Names of options that say how the work is done, not what is crawled and kept. They may change when a crawl is resumed;
        # a change of any other option must be asked for: see `crawler.run.resume.definition`.
        OPERATIONAL: ClassVar[frozenset[str]] = frozenset()

    concurrency: ClassVar[int] = 1  # items in process at once in one worker: threads, or tasks if `process` is async
    prefetch: ClassVar[int] = 0  # items leased beyond those in process, so that no thread waits for the hub
    is_single: ClassVar[bool] = False  # one worker at a time may have it open, as where it writes allows no more
    batch: ClassVar[int] = 0  # > 0: `process` takes a list of at most this many items and finishes them together

    context: Context = Context()  # set before `open`; a test may set one of its own

    makes_rows: ClassVar[bool] = False  # it stores its items as rows with named columns, so lists and plain values are a mistake
    overlap: int = 0  # > 0: items in process at once through `begin`; `open` may set it
    at: Mapping[int, At] = MappingProxyType({})  # by thread, for threads in a chain's later stages
    at_work: Mapping[int, float] = MappingProxyType({})  # threads in `process` that wait no more, since when (monotonic, s)

    on_work: Callable[[bool], None] = staticmethod(lambda is_work: None)  # called when `at_work` gets or loses this thread

    stuck: ClassVar[float] = 30.0  # s at one item until a warning says where it is; 0: never, because the stage mostly waits
    hang: ClassVar[float] = 300.0  # s in process after which an item is taken for hung: it fails, and its worker is replaced
    grace: ClassVar[float] = 17.0  # s an item in process has when its worker is stopped; then it is given back, uncounted

    def __init__(self, options: Options | None = None, shared: Shared | None = None) -> None:
        self.options: Any = options if options is not None else self.Options()
        self.shared: Shared = shared if shared is not None else LocalShared()
        self._counts: Counter[str] = Counter()
        self._paces: list[Pace] = []
        self._counts_lock = threading.Lock()

    @property
    def hang_at_work(self) -> float:
        """Return the s after which work alone is taken for hung: on what `begin` began, and of threads in `at_work`."""
        return self.hang

    @property
    def facts(self) -> Facts:
        """Return the facts of this stage as they are now: `open` may change them. A worker reads them once the stage is open."""
        return Facts(
            concurrency=self.concurrency, prefetch=self.prefetch, batch=self.batch, overlap=self.overlap, is_single=self.is_single,
            makes_rows=self.makes_rows, stuck=self.stuck, hang=self.hang, hang_at_work=self.hang_at_work, grace=self.grace,
        )  # fmt: skip

    @classmethod
    def check(cls, options: Any, table: str) -> None:
        """Raise ConfigError for options that cannot work, with the setting, its value and what is expected instead.

        table: the full name of the stage's table, for the message, as in `f"{table}.limit is {options.limit}; use 1 or more"`.
        `crawler check`, `run` and `stage` call it before anything is started, so it must not open, start or change anything.
        To report several mistakes, raise `Mistakes` with a list of messages. The types of the options have already been checked.
        """

    @classmethod
    def sends_to(cls, options: Any) -> tuple[str, ...]:
        """Return the queues that `process` names in `To` with these options. Outputs that lack one are refused at the start."""
        return ()

    @classmethod
    def preload(cls, options: Any) -> None:
        """Import what `open` would import: called once, before a crawl's processes are made as copies of the one that starts them.

        Nothing may be opened or started here.
        """

    def open(self) -> None:
        """Open files, pools, connections. Called once in the worker before the first item; `context` is set by then.

        After StorageFull, a full disk, it is called again from time to time: it must close what it had opened before it raises.
        """

    def close(self) -> None:
        """Close what `open` opened. Called once after the last item, also after an error."""

    def interrupt(self) -> None:
        """Make `process`, and what `begin` began, end soon. Called while the worker stops, from another thread, after items were
        given back. No item or error of theirs is used any more. `close` follows."""

    def process(self, item: Any) -> Any:
        """Process one item; return one item or None, or yield many."""
        raise NotImplementedError(f"{type(self).__name__} has no process(item)")

    def begin(self, item: Any) -> Pending | None:
        """Return an object that can start on the item without a thread, if the stage waits for the network most of the time.

        Nothing is waited for here. None: something has to be waited for first, and `process` is called, in a thread that may wait.
        An error is the verdict on the item, as in `process`.
        """
        return None

    def prepare(self, item: Any) -> bool:
        """Wait for what `begin` needs, in a thread that may wait: called after `begin` returned None, or `start` False. An error is
        the verdict.

        True: `begin` is called once more. False, or if that does not start either: `process` is called.
        """
        return False

    def slow(self) -> Slow:
        """Return the tasks that hardly make progress. Called about once a second; that many more items are taken."""
        return NOT_SLOW

    def count(self, name: str, n: int = 1) -> None:
        """Add to a counter that `crawler status` and the report show under this stage's name. Thread-safe.

        What `process` counts in the thread or the async task that runs it belongs to its item: it is not added if the item's lease
        has run out by then, as another worker counts the same.
        """
        if type(n) is not int:
            n = index(n)  # here, where the stage is at fault: the hub would refuse all tasks' counts
        of_task = counting.get()
        if of_task is not None:
            counts = of_task.get(id(self))
            if counts is None:
                of_task[id(self)] = {name: n}
            elif name in counts:
                counts[name] += n
            else:
                counts[name] = n
            return
        with self._counts_lock:
            self._counts[name] += n

    def counters(self, name: str) -> dict[str, int]:
        """Return what was counted for no task since the last call, by full names, for a stage of this name."""
        return {f"{name}/{counter}": n for counter, n in self.take_counts().items()}

    def counted(self, name: str, of_task: Mapping[int, Mapping[str, int]]) -> dict[str, int]:
        """Return what was counted for a task, by full names, for a stage of this name. of_task: see `counting`."""
        counts = of_task.get(id(self))
        return {f"{name}/{counter}": n for counter, n in counts.items()} if counts else {}

    def uncounted(self, counts: Mapping[str, int]) -> None:
        """Undo counts: called in the worker's loop with the counts for a task finished too late, which the hub has not added."""

    def tell(self, pace: Pace) -> None:
        """Tell the hub about a host at once: a Pace that is yielded is sent when the task is done. Thread-safe."""
        with self._counts_lock:
            self._paces.append(pace)

    def take_paces(self) -> list[Pace]:
        """Return and clear the facts told since the last call: the worker's side of `tell`."""
        if not self._paces:
            return []
        with self._counts_lock:
            paces, self._paces = self._paces, []
        return paces

    def take_counts(self) -> dict[str, int]:
        """Return and clear the counts since the last call: the worker's side of `count`."""
        with self._counts_lock:
            counts, self._counts = dict(self._counts), Counter()
        return counts
