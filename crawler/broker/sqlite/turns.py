"""Turns at the store: one thread uses it at a time, and a call that finds it free runs in the thread that made it.

    caller ──▶ free? ──yes──▶ its turn: [ its call, and all that came meanwhile ] ──▶ the next in line has the turn
                 │ no                                                                        ▲
                 ╰──────▶ in line: waits for its answer, or for its turn ────────────────────╯

A call that finds no other is not handed to another thread: that would cost more than most calls. When something is due by
the clock and no call comes, a thread of our own takes the turn.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from crawler.broker.sqlite.calls import Call
from crawler.errors import StorageError

BATCH = 256  # calls in one turn at most
NEVER = float("inf")
T = TypeVar("T")


class Turns:
    """Runs `take` with the calls of each turn, never two at once, from `start` to `close`."""

    def __init__(self, take: Callable[[list[Call[Any]]], float | None]) -> None:
        """take: settles each of the calls, or keeps it for later; returns the s after which it has to be called again, without
        calls if need be; None: with the next call."""
        self._take = take
        self._changed = threading.Condition()
        self._line: list[Call[Any]] = []
        self._is_taken = False
        self._is_closed = False
        self._is_poked = False
        self._due = NEVER  # monotonic time at which a thread has to take a turn
        self._sleeps_until = NEVER  # monotonic time at which our thread looks at that by itself
        self._timekeeper = threading.Thread(target=self._keep_time, name="broker", daemon=True)

    def start(self, pause: float | None) -> None:
        """pause: s until the first turn, if no call comes before; None: it waits for one."""
        self._due = NEVER if pause is None else time.monotonic() + pause
        self._timekeeper.start()

    def ask(self, call: Call[T], closed: Callable[[], StorageError]) -> T:
        """Run a call and return its answer. closed: the error raised after `close`."""
        with self._changed:
            if self._is_closed:
                raise closed()
            self._line.append(call)
            is_ours = not self._is_taken
            self._is_taken = True
            if not is_ours:
                call.turn = threading.Event()
        while True:
            if is_ours:
                self._have_turn(call)
            if call.is_settled:
                return call.result()
            assert call.turn is not None  # noqa: S101  set for each call that is in line, or kept for later
            try:
                call.turn.wait()
            except BaseException:
                self._leave(call)
                raise
            is_ours = not call.is_settled

    def poke(self) -> None:
        """Somebody has to look at the clock."""
        with self._changed:
            self._is_poked = True
            self._changed.notify_all()

    def close(self) -> bool:
        """Run the calls in line and end all turns. Returns False if it was closed before."""
        with self._changed:
            if self._is_closed:
                return False
            self._is_closed = True
            self._changed.notify_all()
            while self._is_taken:
                self._changed.wait()
            self._is_taken = True
        self._timekeeper.join()
        return True

    def _leave(self, call: Call[Any]) -> None:
        """Remove a call from the line, because its thread was interrupted and no turn must wait for it."""
        with self._changed:
            if call in self._line:
                has_turn = call is self._line[0] and call.turn is not None and call.turn.is_set()
                self._line.remove(call)
                if has_turn:
                    self._pass_on(0.0)

    def _have_turn(self, ours: Call[Any] | None) -> None:
        """Run the calls in line, and give the turn to the next thread in line."""
        pause: float | None = 0.0
        try:
            with self._changed:
                calls, self._line = self._line[:BATCH], self._line[BATCH:]
                self._is_poked = False  # before the clock is looked at: who pokes from now on means the next turn
            pause = self._take(calls)
        finally:
            with self._changed:
                if ours is not None and not ours.is_settled:
                    ours.turn = threading.Event()
                self._pass_on(pause)

    def _pass_on(self, pause: float | None) -> None:
        self._due = NEVER if pause is None else time.monotonic() + pause
        if self._line:
            turn = self._line[0].turn
            assert turn is not None  # noqa: S101  each thread in line waits for it
            turn.set()
            return
        self._is_taken = False
        if self._is_poked or self._is_closed or self._due < self._sleeps_until:
            self._changed.notify_all()

    def _keep_time(self) -> None:
        while self._wait_until_due():
            self._have_turn(None)

    def _wait_until_due(self) -> bool:
        """Block until our turn comes. Returns False if there will be no more turns."""
        with self._changed:
            while not self._is_closed:
                left = self._due - time.monotonic()
                if (self._is_poked or left <= 0) and not self._is_taken:
                    self._is_taken = True
                    return True
                if self._is_taken or self._due == NEVER:
                    self._sleeps_until = NEVER
                    self._changed.wait()
                else:
                    self._sleeps_until = self._due
                    self._changed.wait(left)
        return False
