"""From what a stage yields to what goes on a queue.

    item, To(queue, item) ──encode, or ask the queue's gatekeeper──▶ New, or skipped with a reason
    Visits: many in one ──less those known, ask the gate──────────▶ Admitted: New …, and how many skipped for which reason

A gatekeeper decides what a queue takes (for `urls` it is the frontier: scope, limits, canonical form); a stage yields items and
need not know. What the hub has answered for is remembered, within bounds, and not sent again. What the hub could not take is
refused here, where it is one task's fault: a call that the hub refuses is every task's in it.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import filterfalse
from typing import Any, Protocol, TypeVar, runtime_checkable

import msgspec

from crawler.broker.base import MAX_BODY
from crawler.broker.checks import LARGEST, LONGEST
from crawler.codec import encode
from crawler.errors import CrawlerError
from crawler.items import Admitted, Name, New, Pace, Unknown
from crawler.stage import To
from crawler.web.page import Visits

KNOWN = 200_000                             # names remembered: some 20 MB, a second for the hub to be asked again


@runtime_checkable
class Gate(Protocol):
    """A gatekeeper that takes many at once as well."""

    def admit(self, found: Any, /) -> New | str:
        """An item as a task, or in stable words why it is not taken."""
        ...

    def admit_all(self, visits: Visits, unknown: Unknown, /) -> Admitted:
        """The same of each, less a task for those whose name is known."""
        ...


_Some = TypeVar("_Some", bound=Name)
Gatekeeper = Gate | Callable[[Any], New | str]     # or what `Gate.admit` is, alone


_NONE: frozenset[Name] = frozenset()


class TooMuch(CrawlerError):
    """What a stage made of a task cannot be stored; no other attempt would end better."""


class Known:
    """What a keyed queue has of late, by name: two generations, so that forgetting costs nothing and half is always kept."""

    def __init__(self, limit: int = KNOWN) -> None:
        self._limit = limit // 2
        self._heard: deque[tuple[int, Iterable[tuple[str, Name]]]] = deque()   # of steps that a power cut might undo
        self._young: dict[str, set[Name]] = {}     # by queue
        self._old: dict[str, set[Name]] = {}

    def __contains__(self, one: tuple[str, Name]) -> bool:
        queue, name = one
        return name in self._young.get(queue, ()) or name in self._old.get(queue, ())

    def unknown(self, queue: str, names: Sequence[_Some]) -> Sequence[_Some]:
        """Those of these names that are not known, in their order. Of a page whose links are all known it costs next to nothing."""
        young, old = self._young.get(queue, _NONE), self._old.get(queue, _NONE)
        return list(filterfalse(old.__contains__, filterfalse(young.__contains__, names)))

    def learn(self, names: Iterable[tuple[str, Name]], at: int) -> None:
        """The hub said in this commit that it has these. They count once it is sure that it keeps them: see `trust`."""
        self._heard.append((at, names))

    def trust(self, until: int) -> None:
        """What was learned up to this commit stays, whatever becomes of the hub's machine.

        Else a page could be finished without links that went with another, and that one be undone by a power cut and fail."""
        while self._heard and self._heard[0][0] <= until:
            for queue, name in self._heard.popleft()[1]:
                self._young.setdefault(queue, set()).add(name)
        if sum(map(len, self._young.values())) > self._limit:
            self._young, self._old = {}, self._young

    def clear(self) -> None:
        """It is another hub's memory: what was known is not."""
        self._heard.clear()
        self._young, self._old = {}, {}


class Router:
    """Turns what one stage yields into tasks. Thread-safe."""

    def __init__(self, stage: str, outputs: Iterable[str], gatekeepers: Mapping[str, Gatekeeper]) -> None:
        """outputs: the queues this stage may put to, its own output first."""
        self._stage = stage
        self._outputs = tuple(outputs)
        self._gates = {queue: gate for queue, gate in gatekeepers.items() if isinstance(gate, Gate)}
        self._admit = {queue: gate.admit if isinstance(gate, Gate) else gate for queue, gate in gatekeepers.items()}
        self.known = Known()

    def route(self, item: Any) -> New | Admitted | str | None:
        """A task, why there is none in a word or two, or None for one the hub is known to have; of `Visits` what became of all.

        Raises ValueError if the stage may not put there or not so, TypeError if the item cannot be encoded, TooMuch if it is
        too big.
        """
        to = item if isinstance(item, To) else To("", item)
        queue = self._queue(to.queue)
        return self._all(to, queue, to.item) if isinstance(to.item, Visits) else self._one(to, queue, to.item)

    def _one(self, to: To, queue: str, item: Any) -> New | str | None:
        admit = self._admit.get(queue)
        if admit is None:
            return _sized(_delivered(to, New(queue, encode(item))))
        new = admit(item)
        if isinstance(new, str):
            return new
        if new.key is not None and (queue, new.key) in self.known:
            return None
        return self._ready(to, queue, new)

    def _all(self, to: To, queue: str, visits: Visits) -> Admitted:
        if to.key is not None:
            raise ValueError(f"To(key={to.key!r}) of Visits: one key would make one task of all of them; put each by itself")
        gate = self._gates.get(queue)
        if gate is not None:
            admitted = gate.admit_all(visits, partial(self.known.unknown, queue))
            if admitted.queue == queue and _is_plain(to):
                for new in admitted.tasks:
                    _sized(new)
                return admitted
            tasks = [self._ready(to, queue, new) for new in admitted.tasks]
            return Admitted(queue, tasks, admitted.names, admitted.skipped)
        routed = [self._one(to, queue, visit) for visit in visits]
        tasks = [new for new in routed if isinstance(new, New)]
        reasons = Counter(reason for reason in routed if isinstance(reason, str))
        return Admitted(queue, tasks, [new.key for new in tasks if new.key is not None], reasons)

    def _ready(self, to: To, queue: str, new: New) -> New:
        if new.queue != queue:
            new = msgspec.structs.replace(new, queue=queue)
        return _sized(_delivered(to, new))

    def _queue(self, name: str) -> str:
        if not self._outputs:
            raise ValueError(f"stage {self._stage!r} gave an item and has no output; set stages.{self._stage}.outputs")
        if not name:
            return self._outputs[0]
        if name not in self._outputs:
            raise ValueError(
                f"stage {self._stage!r} sent an item to {name!r}; its outputs are {', '.join(self._outputs)}: "
                f"add it to stages.{self._stage}.outputs"
            )
        return name


def seconds(what: str, value: Any) -> float | None:
    """A time that a stage gave. Raises ValueError."""
    try:
        number = None if value is None else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if number is not None and not -LONGEST <= number <= LONGEST:      # not a number is in no range
        raise ValueError(f"{what} of {value!r} is not possible; give a number of seconds up to {LONGEST:.0f}")
    return number


def pace(given: Pace) -> Pace:
    """What a stage says of a host, as the hub takes it. Raises ValueError."""
    if not isinstance(given.host, str):
        raise ValueError(f"a Pace for {given.host!r}; its host is text, as in Lease.host")  # noqa: TRY004  as the others here
    times = {name: seconds(f"a Pace with {name}", getattr(given, name)) for name in ("rest", "delay", "fixed")}
    return msgspec.structs.replace(given, paused=None if given.paused is None else bool(given.paused), **times)


def _is_plain(to: To) -> bool:
    return to.key is None and to.priority == 0 and to.delay == 0


def _delivered(to: To, new: New) -> New:
    """The task with the delivery data that the stage asked for. A gatekeeper's key is its own."""
    if _is_plain(to):
        return new
    if not isinstance(to.key, bytes | None):
        raise ValueError(f"To(key={to.key!r}): a key is bytes, 16 of them, or None")  # noqa: TRY004  as the others here
    if not (isinstance(to.priority, int) and abs(to.priority) <= LARGEST):
        raise ValueError(f"To(priority={to.priority!r}): a priority is a whole number up to 2**53")
    delay = seconds("To with a delay", to.delay) or 0.0
    return msgspec.structs.replace(new, key=new.key or to.key, priority=int(to.priority), delay=delay)


def _sized(new: New) -> New:
    if len(new.item) > MAX_BODY:
        raise TooMuch(f"an item of {len(new.item)} bytes for queue {new.queue!r}; at most {MAX_BODY} bytes fit on a queue")
    return new
