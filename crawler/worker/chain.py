"""Stages that run one after another in one process: items for the next stage never cross the hub.

    urls: Visit ──▶ [ fetch ──Page──▶ parse ] ──▶ records: Record
                                        └──────▶ urls: Visit

To the worker a chain is one stage, so all promises hold: one task, one step, one transaction. A link gets the same item as from the
hub: encoded, decoded and checked against its annotation. Only a Page for a stage that takes a Page is passed on unchanged. What a
link gives is routed at once, so that an error is assigned to the link's own item. If a later link fails at an item, the item is put
on that link's queue with its first attempt counted, and the stage alone tries it again: no page is fetched twice because it cannot
be parsed. Only what ends the process counts as an attempt of the whole chain.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from crawler.errors import StorageError
from crawler.items import Admitted, New, Pace
from crawler.machine.shortage import machine_short
from crawler.stage import At, Drop, Facts, Over, Pending, Report, Slow, Stage
from crawler.wording.texts import words
from crawler.worker import forked
from crawler.worker.chain_link import Handed, Joint, Link, Room
from crawler.worker.given import NOTHING, is_item
from crawler.worker.known import Known
from crawler.worker.opening import closing, opening
from crawler.worker.routing import (
    CHILD_BYTES,
    MAX_GIVEN,
    Gatekeeper,
    Incomplete,
    Misgiven,
    Router,
    Routes,
    Taken,
    TooMuch,
    many,
    misgiven,
    refuse_too_much,
    size,
)
from crawler.worker.speaker import speaker

if TYPE_CHECKING:
    from crawler.worker.hooked import Hooks

SIGN = "+"  # between the names of a chain's stages, as in fetch+parse
ROOM = MAX_GIVEN // 2  # bytes of a step for what later links give; the rest is kept free to put their items back


class Chain(Stage):
    """Several stages that act as one. Each link decides about its items as it would if it ran alone."""

    def __init__(
        self, links: Sequence[Link], gatekeepers: Mapping[str, Gatekeeper] = MappingProxyType({}), hooks: Hooks | None = None
    ) -> None:
        """hooks: told of the items of later links; the worker tells them of the first one's."""
        super().__init__(shared=links[0].stage.shared)
        self._hooks = hooks
        known = Known()
        self.router: Routes = _Routed([link.name for link in links], known)
        routers = [
            Router(link.name, link.outputs, gatekeepers, known, input=link.input, stored=link.stored, count=link.stage.count)
            for link in links
        ]  # fmt: skip
        self._joints = [Joint(link, router) for link, router in zip(links, routers, strict=True)]
        self._joints[0].is_first = True
        for one, following in itertools.pairwise(self._joints):
            one.before(following)
        self.at: dict[int, At] = {}  # threads in a link after the first
        self.at_work: dict[int, float] = {}  # as above

    @property
    def first(self) -> Stage:
        """The stage that takes the items of the chain's input."""
        return self._joints[0].stage

    def open(self) -> None:
        with ExitStack() as undo:
            for joint in self._joints:
                speaker.stage = joint.name
                with opening(joint.name):
                    joint.stage.open()
                undo.callback(self._close, joint)
            undo.pop_all()

    def close(self) -> None:
        with ExitStack() as rest:  # a stage that fails to close must not keep the others open
            for joint in reversed(self._joints):
                rest.callback(self._close, joint)

    @staticmethod
    def _close(joint: Joint) -> None:
        speaker.stage = joint.name
        with closing(joint.name):
            joint.stage.close()

    def interrupt(self) -> None:
        self.first.interrupt()

    @property
    def facts(self) -> Facts:
        """Return the first link's facts, with the time of all links to hang. Later links have the worker's whole grace."""
        at_work = sum(joint.stage.facts.hang for joint in self._joints[1:])
        first = self.first.facts
        return replace(first, hang=first.hang + at_work, hang_at_work=at_work)

    def process(self, item: Any) -> Iterator[Taken]:
        speaker.stage = self._joints[0].name
        return iter(self._through(0, self.first.process(item), Room()))

    def begin(self, item: Any) -> Pending | None:
        """Begin an item with the first link; the other links process its output."""
        pending = self.first.begin(item)
        return None if pending is None else _Led(self, pending)

    def prepare(self, item: Any) -> bool:
        return self.first.prepare(item)

    def slow(self) -> Slow:
        return self.first.slow()

    def counters(self, name: str) -> dict[str, int]:
        """Return the counters of all links, each under its own stage's name."""
        return {counter: n for joint in self._joints for counter, n in joint.stage.counters(joint.name).items()}

    def counted(self, name: str, of_task: Mapping[int, Mapping[str, int]]) -> dict[str, int]:
        return {
            counter: n for joint in self._joints if id(joint.stage) in of_task
            for counter, n in joint.stage.counted(joint.name, of_task).items()
        }  # fmt: skip

    def take_paces(self) -> list[Pace]:
        return [pace for joint in self._joints for pace in joint.stage.take_paces()]

    def _through(self, place: int, result: Any, room: Room) -> list[Taken]:
        """Return the output of the links from this place on for one item. result: what `process` of this link returned.

        Raises Incomplete if this link gave items that cannot be put: the others are not lost with them.
        The next link starts only after this one has finished: it must not see an item of an attempt that fails.
        """
        joint = self._joints[place]
        given: list[Taken | Handed] = []
        refused: Misgiven | None = None
        has_given = not joint.has_outputs
        for item in many(result, joint.stage.process):
            has_given = has_given or is_item(item)
            try:
                given += joint.take(item, result)
            except Misgiven as error:
                if not error.is_of_item:
                    raise
                refused = refused or error
        if not has_given:
            joint.stage.count(NOTHING)
        kept = passed_on = 0  # bytes
        has_handed = False
        for one in given:
            if type(one) is New:
                kept += len(one.item) + CHILD_BYTES
            elif type(one) is Handed:
                has_handed = True
                passed_on += one.size
            elif type(one) is Admitted:
                kept += size(one.tasks)
        try:
            if kept + passed_on > MAX_GIVEN:
                refuse_too_much(kept + passed_on, len(given))
            room.keep(kept, ROOM if place else MAX_GIVEN)
            if not has_handed:
                taken: list[Taken] = given  # type: ignore[assignment]  # nothing in it is Handed
            else:
                taken = []
                for one in given:
                    taken += self._by_next(place + 1, one, room) if isinstance(one, Handed) else (one,)
        except TooMuch as error:
            raise misgiven(error, result, joint.stage.process) from error
        if refused is not None:
            raise Incomplete(taken, refused) if taken else refused
        return taken

    def _by_next(self, place: int, handed: Handed, room: Room) -> list[Taken]:
        """Return the output of the links from this place on for an item; if that fails, the item itself for this link's queue.

        Raises TooMuch if there is no room for the item: then the previous link gave too much.
        """
        joint = self._joints[place]
        used, began, thread = room.used, time.monotonic(), threading.get_ident()
        is_first = self.at_work.setdefault(thread, began) == began
        if is_first:
            self.on_work(True)
        before, speaker.stage = speaker.stage, joint.name
        try:
            item = joint.item(handed)
            self.at[thread] = At(joint.name, item, began, joint.stage.stuck)
            if self._hooks is None:
                return self._through(place, joint.stage.process(item), room)
            return self._hooked(self._hooks, place, item, room)
        except Drop as drop:
            for name, n in joint.drops.counters(drop.reason).items():
                joint.stage.count(name, n)
            return [Report(words(f"{joint.name}: dropped: {drop.reason}"))]
        except StorageError:
            raise
        except Incomplete as rest:
            return [*rest.taken, *self._put_back(place, handed, rest.error, room)]
        except BaseException as error:
            forked.end_if_copy(joint.name)
            if machine_short(error) is not None:
                raise
            room.used = used
            return self._put_back(place, handed, error, room)
        finally:
            forked.end_if_copy(joint.name)
            speaker.stage = before
            self.at.pop(thread, None)
            if is_first:
                self.at_work.pop(thread, None)
                self.on_work(False)

    def _hooked(self, hooks: Hooks, place: int, item: Any, room: Room) -> list[Taken]:
        """Return the output of the links from this place on for an item, which hooks are told of."""
        joint = self._joints[place]
        return hooks.around(joint.name, joint.input, item, lambda: self._through(place, joint.stage.process(item), room))

    def _put_back(self, place: int, handed: Handed, error: BaseException, room: Room) -> list[Taken]:
        """Return an item that this link failed at as a task for the link's queue, with a line for its life story."""
        task = handed.task or self._joints[place - 1].task(handed.item)
        if not isinstance(task, New):
            return [task]
        room.keep(size([task]), MAX_GIVEN)
        back = self._joints[place].put_back(task, handed, error)
        return [back, self._joints[place].story(back)]


class _Led(Pending):
    """An item that the first link has begun, and the other links go on with."""

    __slots__ = ("_chain", "_pending")

    def __init__(self, chain: Chain, pending: Pending) -> None:
        self._chain = chain
        self._pending = pending

    def start(self, over: Over) -> bool:
        return self._pending.start(over)

    def finish(self) -> Iterator[Taken]:
        return iter(self._chain._through(0, self._pending.finish(), Room()))


class _Routed:
    """Router of a chain. It passes everything on, because the links have already routed their output."""

    def __init__(self, names: Sequence[str], known: Known) -> None:
        self.name = names[0]
        self.later = tuple(names[1:])
        self.outputs: tuple[str, ...] = ()  # what the links give is counted by them
        self.known = known

    def take(self, item: Taken) -> Taken:
        return item
