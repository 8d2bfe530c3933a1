"""Warn of a stage that has worked on one item for long: it may be stuck, and nothing else would show it.

enrich has been at https://example.org/x for 30 s (enrich.py:7 in process); after 300 s it counts as hung
"""

from __future__ import annotations

import logging
import threading

from crawler.items import Lease
from crawler.machine.room import AT_WORK
from crawler.stage import Stage
from crawler.wording import places
from crawler.wording.texts import about, about_body
from crawler.worker.held import Held

log = logging.getLogger(__name__)

LOOK = 1.0  # s between two checks
NOTED = 3.0  # s at one item after which those who watch a crawl are told


class Watch:
    """Checks the items in process from time to time, and reports each slow one once."""

    def __init__(self, name: str, stage: Stage, is_async: bool, held: Held) -> None:
        self._name = name
        self._stage = stage
        self.facts = stage.facts  # the worker sets it again once the stage is open
        self._held = held
        self._has_threads = not is_async  # the threads of an async stage are in the event loop: their places say nothing
        self._next = 0.0  # monotonic time, s

    def look(self, now: float) -> None:
        """Warn of slow items if a check is due. now: monotonic time, s."""
        if now < self._next:
            return
        self._next = now + LOOK
        at = self._stage.at
        for thread, one in list(at.items()):
            if one.stuck and not one.is_told and now - one.since > one.stuck:
                one.is_told = True
                self._say(one.stage, about(one.item), now - one.since, thread, self.facts.hang_at_work)
        if self.facts.stuck and not self.facts.overlap:  # overlapping items mostly wait for others
            for leases, thread, since in self._held.slow(self.facts.stuck, in_batches=self.facts.batch > 0):
                if thread not in at:  # otherwise it is reported above, under the later link's name
                    what = about_body(leases[0].item) + (f" and {len(leases) - 1} more" if len(leases) > 1 else "")
                    self._say(self._name, what, now - since, thread, self.facts.hang)

    def note(self, now: float) -> str:
        """Return which stage of a chain has been at which item for more than NOTED s, for people who watch; mostly "".

        now: monotonic time, s.
        """
        at = self._stage.at
        if not at:
            return ""
        thread, one = min(list(at.items()), key=lambda each: each[1].since, default=(0, None))
        if one is None or now - one.since < NOTED:
            return ""
        place = self._place(thread)
        return f"{one.stage}{AT_WORK}{about(one.item)} for {now - one.since:.0f} s" + (f" ({place})" if place else "")

    def where(self, lease: Lease) -> str:
        """Return where the thread of a task is, as the end of a sentence; "" if it is not known. Call it in the worker's thread."""
        thread = self._held.thread(lease)
        if thread == threading.get_ident():  # the worker's own: the item was begun in it, and waits in no thread
            return ""
        at = self._stage.at.get(thread)
        place = self._place(thread)
        return (f" in {at.stage}" if at is not None else "") + (f" at {place}" if place else "")

    def _say(self, name: str, what: str, seconds: float, thread: int, hang: float) -> None:
        place = self._place(thread)
        where = f" ({place})" if place else ""
        log.warning("%s has been at %s for %.0f s%s; after %g s it counts as hung", name, what, seconds, where, hang)

    def _place(self, thread: int) -> str:
        return places.current(thread) if self._has_threads else ""
