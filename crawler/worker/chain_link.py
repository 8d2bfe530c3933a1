"""Link of a chain: it takes items as if from the hub, and makes their outcomes itself.

task or page ──item──▶ [ the stage's process ] ──take──▶ routed, or handed to the next link
                 └── anything fails ──put_back──▶ the task for this link's queue
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Collection
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from crawler.codec.bodies import Unfit, decoder, unfit
from crawler.errors import CrawlerError, StorageError
from crawler.items import Admitted, New, Tried
from crawler.pipeline.plugins import item_schema
from crawler.stage import Direct, GiveUp, Many, Report, Retry, Stage, To
from crawler.wording import places
from crawler.wording.texts import about, about_body, words
from crawler.worker.drops import Drops
from crawler.worker.failure_log import FailureLog
from crawler.worker.given import MESSAGES
from crawler.worker.handler import reason
from crawler.worker.routing import MAX_GIVEN, Misgiven, Router, Taken, is_plain, misgiven, refuse_too_much, seconds, size

log = logging.getLogger(__name__)


class Link(Struct, frozen=True):
    """One stage of a chain, and the queues it may put to, its own output first."""

    name: str
    stage: Stage
    outputs: tuple[str, ...]
    feeds: str  # the queue whose items go straight to the next link; "" for the last
    input: str = ""  # as for `Router`
    stored: Collection[str] = ()  # as above


class Handed(Struct, frozen=True):
    """An item for the next link: encoded as for a queue, or unchanged."""

    task: New | None = None
    item: Any = None

    @property
    def size(self) -> int:
        """Return its bytes in a message; 0 for an unchanged item, whose size was limited when it was made."""
        return 0 if self.task is None else size([self.task])

    def __str__(self) -> str:
        return about(self.item) if self.task is None else about_body(self.task.item)


class Joint:
    """A link with its router and the decoder of its items."""

    def __init__(self, link: Link, router: Router) -> None:
        self.name = link.name
        self.stage = link.stage
        self.input = link.input
        self._feeds = link.feeds
        self._router = router
        schema = self._schema = item_schema(type(link.stage))[0]
        self._decode: Callable[[bytes], Any] = decoder(schema).decode
        self.drops = Drops()
        self.has_outputs = bool(link.outputs)
        self._failures = itertools.count(1)
        self._log = FailureLog()
        # The type of items that need no conversion: exactly the annotation, and nothing derived from it. None: there is none.
        self.takes: type | None = schema if isinstance(schema, type) and issubclass(schema, Direct) else None
        self._next_takes: type | None = None
        self._hands_on: type | None = None  # the same, if what this one puts to its own output goes there too
        self.is_first = False  # of its chain: the task is its own, so its reports need no name

    def take(self, item: Any, result: Any) -> list[Taken | Handed]:
        """Route one thing that this link gave: see `Routes.take`. Raises Misgiven.

        result: what `process` returned. An item with a key, a priority or a delay goes to the hub, which applies these.
        """
        try:
            if type(item) is self._hands_on:
                return [Handed(item=item)]
            if item is None or isinstance(item, MESSAGES):
                taken = self._router.take(item)
                if isinstance(taken, Report) and not self.is_first:
                    taken = Report(words(f"{self.name}: {taken.text}"))
                return [taken]
            if not self._feeds:
                return [self._router.route(item)]
            to = item if isinstance(item, To) else To("", item)
            if self._router.queue(to.queue) != self._feeds or not is_plain(to):
                return [self._router.route(to)]
            return [self._handed(one) for one in (to.item if isinstance(to.item, Many) else (to.item,))]
        except StorageError:
            raise
        except Exception as error:
            raise misgiven(error, result, self.stage.process) from error

    def before(self, following: Joint) -> None:
        """Hand on what this link gives to the following one."""
        self._next_takes = following.takes
        self._hands_on = following.takes if self._router.outputs[:1] == (self._feeds,) else None

    def task(self, item: Any) -> New | Admitted | str | None:
        """Return an item for the next link as a task for that link's queue."""
        return self._router.route(To(self._feeds, item))

    def item(self, handed: Handed) -> Any:
        """Return the item that this link is to process. Raises Unfit if it does not fit the annotation."""
        if handed.task is None:
            return handed.item
        try:
            return self._decode(handed.task.item)
        except Exception as error:
            raise unfit(error, self.name, self._schema, handed.task.item) from error

    def put_back(self, task: New, handed: Handed, error: BaseException) -> New:
        """Return the task for this link's queue with its first attempt counted. It is tried again there, or dead at once."""
        if isinstance(error, NoRoom):
            self.stage.count("put back")
            log.debug("%s leaves %s to another step: %s", self.name, handed, error)
            return task
        tried = self._tried(error)
        self.stage.count("failed" if tried.final else "put back")
        if not isinstance(error, Retry):
            self._tell(handed, tried, task.queue, error)
        return replace(task, tried=tried)

    def story(self, back: New) -> Report:
        """Return the line that the task's life story has about an item that was put back."""
        if back.tried is None:
            return Report(words(f"{self.name}: put on {back.queue}, because there was no room for what it gives"))
        what = f"given up on {back.queue}" if back.tried.final else f"failed, put back on {back.queue}"
        return Report(words(f"{self.name}: {what}: {back.tried.reason}"))

    def _tell(self, handed: Handed, tried: Tried, queue: str, error: BaseException) -> None:
        """Warn about each dead item and the first one that is put back; the later ones are logged with their count."""
        if isinstance(error, Unfit):
            level, rest = self._log.level(error.__cause__ or error)
            log.log(level, "%s cannot take %s: %s%s", self.name, handed, tried.reason, rest)
            return
        n = 0 if tried.final else next(self._failures)
        level, rest = self._log.level(error) if tried.final else (logging.INFO if n > 1 else logging.WARNING, "")
        log.log(
            level, "%s failed at %s (attempt 1%s): %s%s",
            self.name, handed, ", given up" if tried.final else "", tried.reason,
            f"; it is put back on {queue}, for {self.name} alone ({n} so far)" if n else rest,
            exc_info=error if log.isEnabledFor(logging.DEBUG) else None,
        )  # fmt: skip

    @staticmethod
    def _tried(error: BaseException) -> Tried:
        """Return the attempt with the decision that `Handler` would make."""
        if isinstance(error, Unfit):
            return Tried(words(str(error)), final=True)
        after: float | None = None
        if isinstance(error, Retry):
            try:
                after = seconds("Retry with an after", error.after)
            except ValueError as wrong:
                error = Misgiven(wrong, places.place(error))
        is_final = isinstance(error, GiveUp) or (isinstance(error, Misgiven) and error.is_final)
        return Tried(reason(error), after, final=is_final)

    def _handed(self, item: Any) -> Taken | Handed:
        if type(item) is self._next_takes:
            return Handed(item=item)
        task = self.task(item)
        return Handed(task=task) if isinstance(task, New) else task


class NoRoom(CrawlerError):
    """The results of a later link do not fit into the step."""


class Room:
    """The bytes of one step, shared by the links of a chain."""

    def __init__(self) -> None:
        self.used = 0

    def keep(self, bytes: int, most: int) -> None:
        """Count these bytes. Raises NoRoom if they do not fit, TooMuch if even an empty step could not hold them."""
        if self.used + bytes > most:
            if most == MAX_GIVEN:
                refuse_too_much(self.used + bytes, 1)
            raise NoRoom(f"this step has no room for {bytes} bytes more")
        self.used += bytes
