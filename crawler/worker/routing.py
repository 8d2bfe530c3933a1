"""Turn the items a stage yields into tasks for a queue.

    item, To(queue, item) ──encode, or ask the queue's gatekeeper──▶ New, or skipped with a reason
    Many items in one   ──less those known, ask the gate──────────▶ Admitted: New …, and how many skipped for which reason

A gatekeeper decides what a queue takes (for `urls` it is the frontier: scope, limits, canonical form); a stage yields items and
need not know. Keys the hub has answered for are remembered, within bounds, and not sent again. Items are validated here: a
rejected call would fail every task in the batch.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from functools import partial
from types import GeneratorType
from typing import Any, Final, Protocol, runtime_checkable

import msgspec

from crawler.broker.arguments import LARGEST, LONGEST
from crawler.broker.contract import MAX_BODY
from crawler.codec.bodies import encode, encode_row
from crawler.codec.values import REPLACED, Count, ignored
from crawler.errors import CrawlerError
from crawler.items import Admitted, New, Pace, Unknown
from crawler.limits import HOST_CHARS, KEY_BYTES
from crawler.stage import Many, Report, To
from crawler.wording import places
from crawler.wording.texts import BRIEF, about, words
from crawler.worker.known import Known

log = logging.getLogger(__name__)

_LIST_ITERATOR: Final[type] = type(iter([]))


@runtime_checkable
class Gate(Protocol):
    """Gatekeeper that takes many items at once as well."""

    def admit(self, found: Any, /) -> New | str:
        """Return an item as a task, or in stable words why it is not taken."""
        ...

    def admit_all(self, items: Any, unknown: Unknown, /) -> Admitted:
        """Admit each item as `admit` does, without tasks for names that are known."""
        ...


Gatekeeper = Gate | Callable[[Any], New | str]  # or what `Gate.admit` is, alone


Taken = New | Admitted | Pace | Report | str | None  # the result of routing one thing that a stage gave: see `Routes.take`

_ROWS = (dict, Mapping, msgspec.Struct)  # nearly all are the first, which is the quickest to tell
MAX_GIVEN = 24 << 20  # bytes handed in at once: one body of any size fits, and the rest of a message to the hub (32 MiB) too
CHILD_BYTES = 256  # size of a task without its body: key, parent, host, queue


class TooMuch(CrawlerError):
    """Output of a task too large to store; another attempt would end the same."""


class TooBig(TooMuch):
    """One item is over the limit of a queue."""


class Misgiven(CrawlerError):
    """Raised for output of a stage that is not allowed or cannot be sent. The message names the line that gave it."""

    def __init__(self, error: Exception, where: str) -> None:
        super().__init__(error, where)
        self.is_final = isinstance(error, _OURS)  # the same code would give the same
        self.is_of_item = isinstance(error, Unsendable | TooBig)  # other items of the same task are not concerned
        self._error = error
        self._where = where

    def __str__(self) -> str:
        what = str(self._error) if isinstance(self._error, _OURS) else places.said(self._error)
        return f"{what} (at {self._where})"


class Routes(Protocol):
    """Turns a stage's output for an item into tasks and messages for the hub."""

    name: str  # of the stage that takes the items
    outputs: tuple[str, ...]  # queues that the stage may put to, its own output first
    later: tuple[str, ...]  # later stages of the same chain, whose reports begin with their names
    known: Known

    def take(self, item: Any) -> Taken:
        """Return a task; a short reason if the item is not taken; None if the hub is known to have it. Many give an Admitted.

        A Pace or Report is returned after a check. Raises ValueError if the stage may not put there or not with this delivery data,
        TypeError if the item cannot be encoded, TooMuch if it is too big.
        """
        ...


class Router:
    """Turns what one stage yields into tasks. Thread-safe."""

    later: tuple[str, ...] = ()

    def __init__(
        self, stage: str, outputs: Iterable[str], gatekeepers: Mapping[str, Gatekeeper], known: Known | None = None, *,
        input: str = "", stored: Collection[str] = (), count: Count = ignored,
    ) -> None:  # fmt: skip
        """outputs: the queues this stage may put to, its own output first. known: shared with the other routers of this process.

        input: the queue that the stage reads. stored: the queues whose items the store makes rows of. count: adds to a counter
        of the stage.
        """
        self._count = count
        self.name = stage
        self._input = input
        self._stored = frozenset(stored)
        self._told: set[type] = set()  # of items that make no good row, those a warning has been given for
        self.outputs = tuple(outputs)
        self._gates = {queue: gate for queue, gate in gatekeepers.items() if isinstance(gate, Gate)}
        self._admit = {queue: gate.admit if isinstance(gate, Gate) else gate for queue, gate in gatekeepers.items()}
        self.known = Known() if known is None else known

    def take(self, item: Any) -> Taken:
        if item is None:
            return None
        if isinstance(item, Pace):
            return pace(item)
        return Report(words(str(item.text))) if isinstance(item, Report) else self.route(item)

    def route(self, item: Any) -> New | Admitted | str | None:
        """Route an item for a queue: as `take`, without Pace and Report."""
        to = item if isinstance(item, To) else To("", item)
        queue = self.queue(to.queue)
        return self._all(to, queue, to.item) if isinstance(to.item, Many) else self._one(to, queue, to.item)

    def _one(self, to: To, queue: str, item: Any) -> New | str | None:
        admit = self._admit.get(queue)
        if admit is None:
            is_row = queue in self._stored
            body = self._encoded(item, is_row=is_row)
            if is_row and not isinstance(item, _ROWS):
                self._look_at_row(item)
            return _sized(_delivered(to, New(queue, body)))
        new = admit(item)
        if isinstance(new, str):
            return new
        if new.key is not None and (queue, new.key) in self.known:
            return None
        return self._ready(to, queue, new)

    def _all(self, to: To, queue: str, items: Many) -> Admitted:
        if to.key is not None:
            what = f"To(key={to.key!r}) of {type(items).__name__}"
            raise Refused(f"{what}: one key would make one task of all of them; put each by itself")
        gate = self._gates.get(queue)
        if gate is not None:
            admitted = gate.admit_all(items, partial(self.known.unknown, queue))
            if admitted.queue == queue and is_plain(to):
                for new in admitted.tasks:
                    _sized(new)
                return admitted
            tasks = [self._ready(to, queue, new) for new in admitted.tasks]
            return Admitted(queue, tasks, admitted.names, admitted.skipped)
        routed = [self._one(to, queue, one) for one in items]
        tasks = [new for new in routed if isinstance(new, New)]
        reasons = Counter(reason for reason in routed if isinstance(reason, str))
        return Admitted(queue, tasks, [new.key for new in tasks if new.key is not None], reasons)

    def _ready(self, to: To, queue: str, new: New) -> New:
        if new.queue != queue:
            new = msgspec.structs.replace(new, queue=queue)
        return _sized(_delivered(to, new))

    def _encoded(self, item: Any, *, is_row: bool) -> bytes:
        try:
            return encode_row(item, self._replaced) if is_row else encode(item, self._replaced)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            from crawler.codec.unsendable import why  # here, because only mistakes need it

            raise Unsendable(f"stage {self.name!r} gave an item that cannot be sent: {why(item, error)}") from error

    def _replaced(self, what: str) -> None:
        self._count(f"{REPLACED}{what}")

    def _look_at_row(self, item: Any) -> None:
        """Warn once per type of an item that will be a row with the one column "value". Raises Refused for a list of records."""
        if is_dataclass(item):
            return
        if isinstance(item, list | tuple) and any(isinstance(each, Mapping | msgspec.Struct) for each in item):
            raise Refused(f"stage {self.name!r} gave a list of {len(item)}, which is one item: yield each of them")
        if type(item) not in self._told:
            self._told.add(type(item))
            log.warning('%s gave %s, which is stored as {"value": …}; give a dict for a row with columns', self.name, about(item))

    def queue(self, name: str) -> str:
        """Return the queue that a stage means: "" is its own output. Raises ValueError if it may not put there."""
        if not self.outputs:
            raise Refused(f"stage {self.name!r} gave an item but has no output; set stages.{self.name}.outputs")
        if not name:
            return self.outputs[0]
        if name not in self.outputs:
            if name == self._input:
                raise Refused(
                    f"stage {self.name!r} sent an item to {name!r}, which it reads itself; raise Retry to have the item again, "
                    "or give it to another queue"
                )
            from crawler.wording.spelling import nearest  # here, because only mistakes need it

            near = nearest(str(name), self.outputs)
            raise Refused(
                f"stage {self.name!r} sent an item to {name!r}; its outputs are {', '.join(self.outputs)}: "
                + (f"did you mean {near!r}? otherwise " if near else "")
                + f"add it to stages.{self.name}.outputs"
            )
        return name


class Refused(ValueError):
    """An item, a time or a host that a stage may not give; the message says what is allowed."""


class Unsendable(TypeError):
    """An item that is not plain data."""


_OURS = (Refused, Unsendable, TooMuch)  # their messages are clear without the name of the class


def misgiven(error: Exception, given: Any, process: Callable[..., Any]) -> Misgiven:
    """Return the error with the place that gave the item. given: what `process` returned; a generator is still at that line."""
    return Misgiven(error, places.giving(given, process))


class Incomplete(Exception):
    """Some items could not be put. Raised by a chain, with the result for the others and the first error."""

    def __init__(self, taken: Sequence[Taken], error: Misgiven) -> None:
        super().__init__(taken, error)
        self.taken = taken
        self.error = error


def many(result: Any, process: Callable[..., Any]) -> Iterable[Any]:
    """Iterate over a stage's output. Raises Misgiven at the end of a generator that also returned an item, which would be lost.

    process: the method whose result this is, for the place in the message.
    """
    kind = type(result)
    if kind is GeneratorType:
        return _all_of(result, process)
    if kind is _LIST_ITERATOR:  # what a chain gives: `Iterator` would ask its class
        return result  # type: ignore[no-any-return]  # a list's iterator
    return result if isinstance(result, Iterator) else (result,)


def _all_of(given: GeneratorType[Any, Any, Any], process: Callable[..., Any]) -> Iterator[Any]:
    returned = yield from given
    if returned is not None:
        raise Misgiven(Unsendable(f"process yields and also returns {_shown(returned)}; yield it"), places.giving(given, process))


def _shown(item: Any) -> str:
    return "an item" if isinstance(item, Mapping) else words(about(item), 80)


def size(tasks: Sequence[New]) -> int:
    """Return about how many bytes these tasks take in a message."""
    return sum([len(task.item) for task in tasks]) + CHILD_BYTES * len(tasks)


def refuse_too_much(bytes: int, n: int) -> None:
    """Raise TooMuch if the bytes that one task gave, in n items, cannot be handed in together."""
    if bytes > MAX_GIVEN:
        raise TooMuch(
            f"{bytes} bytes in {n} items; at most {MAX_GIVEN} can be handed in at once: give fewer or smaller items for one task"
        )


def seconds(what: str, value: Any) -> float | None:
    """A time that a stage gave. Raises ValueError."""
    try:
        number = None if value is None else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if number is not None and not -LONGEST <= number <= LONGEST:  # not a number is in no range
        raise Refused(f"{what} of {value!r} is not possible; give a number of seconds up to {LONGEST:.0f}")
    return number


def pace(given: Pace) -> Pace:
    """Return a stage's Pace in the form the hub takes. Raises ValueError."""
    if not isinstance(given.host, str) or not given.host.isprintable():  # a lone surrogate is not printable either
        raise Refused(f"a Pace for {given.host!r}; its host is text, as in Lease.host")
    if len(given.host) > HOST_CHARS:
        raise Refused(f"a Pace for {given.host[:BRIEF]!r}…; a host has {HOST_CHARS} characters at most")
    times = {name: seconds(f"a Pace with {name}", getattr(given, name)) for name in ("rest", "delay", "fixed", "held")}
    return msgspec.structs.replace(given, paused=None if given.paused is None else bool(given.paused), **times)


def is_plain(to: To) -> bool:
    """Tell whether it has no delivery data of its own."""
    return to.key is None and to.priority == 0 and to.delay == 0


def _delivered(to: To, new: New) -> New:
    """The task with the delivery data that the stage asked for. A gatekeeper's key is its own."""
    if is_plain(to):
        return new
    if to.key is not None and not (isinstance(to.key, bytes) and len(to.key) == KEY_BYTES):
        raise Refused(f"To(key={to.key!r}): a key is bytes, 16 of them, or None")
    if not (isinstance(to.priority, int) and abs(to.priority) <= LARGEST):
        raise Refused(f"To(priority={to.priority!r}): a priority is a whole number up to 2**53")
    delay = seconds("To with a delay", to.delay) or 0.0
    return msgspec.structs.replace(new, key=new.key or to.key, priority=int(to.priority), delay=delay)


def _sized(new: New) -> New:
    if len(new.item) > MAX_BODY:
        raise TooBig(f"an item of {len(new.item)} bytes for queue {new.queue!r}; at most {MAX_BODY} bytes fit on a queue")
    return new
