"""Reaction of a worker to a machine that lacks something: fewer tasks, and more again later. Logged once at each end.

short ──▶ a pause, then fewer tasks at once ──calm──▶ a few more each second ──▶ as many as before: over
      └─ no network: one task at a time, after longer and longer pauses ──an answer──▶ twice as many each second
"""

from __future__ import annotations

import logging
import time
from typing import Final

from crawler.errors import MachineShort
from crawler.machine.room import NO_NETWORK, SHORT_SAFE
from crawler.wording.texts import words

PAUSE: Final = 0.5  # s without new tasks after a shortage: tasks in flight end, and free what they use
LONGEST: Final = 15.0  # s; without a network the pause doubles up to this
GROWTH: Final = 1.0  # s between two looks whether it may hold more
LEAST: Final = 2  # tasks
SETTLED: Final = 3.0  # s the same after a lack of network
CALM: Final = 10.0  # s without a shortage, at full size, after which it is over
WAITS: Final = "until then it waits; nothing is lost, and no host is blamed"

log = logging.getLogger(__name__)


class Strain:
    """A bound on the tasks that a worker holds while its machine lacks something."""

    def __init__(self, name: str) -> None:
        """name: of the stage."""
        self._name = name
        self._short: MachineShort | None = None
        self._since = 0.0  # monotonic time of the first of these shortages
        self._last = 0.0  # of the last one
        self._grown = 0.0  # of the last change of `size`
        self._pause = PAUSE
        self._has_answer = False  # since the last shortage
        self.size = 0  # tasks; meaningless while `is_on` is False

    @property
    def is_on(self) -> bool:
        return self._short is not None

    @property
    def trouble(self) -> str:
        """Return what is lacking and what to do about it, for people; "" if nothing is."""
        return "" if self._short is None else words(f"{self._short.lack}: {self._short.cause}; {self._short.advice}")

    def is_pausing(self) -> bool:
        return self._short is not None and time.monotonic() < self._last + self._pause

    def met(self, short: MachineShort, held: int) -> None:
        """Something is lacking. held: tasks in the worker's hands when that showed."""
        now = time.monotonic()
        is_new = self._short is None
        was_pausing = self.is_pausing()
        if self._short is None:
            self._since, self.size = now, max(held, 1)
        is_cut_off = short.lack == NO_NETWORK and (is_new or not self._has_answer)  # else some hosts can be reached
        if is_new or not was_pausing:  # what fails together is one shortage
            self.size = 1 if is_cut_off else max(min(self.size, held) * 3 // 4, LEAST)
            self._pause = min(self._pause * 2, LONGEST) if is_cut_off and not is_new else PAUSE
            self._last = self._grown = now
        self._short, self._has_answer = short, False
        if is_new:
            log.warning("%s %s; %s", self._name, self.trouble, WAITS if is_cut_off else SHORT_SAFE)

    def see(self, full: int, *, has_answer: bool) -> None:
        """Look whether more may be held. full: tasks without a shortage; has_answer: some task has come to an end."""
        now = time.monotonic()
        self._has_answer = self._has_answer or has_answer
        if self._short is None or now < max(self._last + self._pause, self._grown) + GROWTH:
            return
        self._grown = now
        if not self._has_answer:
            return
        self._pause = PAUSE
        if self.size < full:
            self.size += self.size if self._short.lack == NO_NETWORK else max(self.size // 8, 1)
        elif now > self._last + (SETTLED if self._short.lack == NO_NETWORK else CALM):
            log.info("%s goes on as before: what this machine lacked for %.0f s is there again", self._name, now - self._since)
            self._short = None
