"""Disk under a store: syncs the log, and handles a full disk.

    room ──a commit finds none──▶ short: the ballast is given up, tasks from outside are refused, keyed queues lend nothing
      ▲                             │          what is in process is still handed in, what lies behind it is still done
      └──── the ballast is back ────┘

A full disk is waited for. A disk that fails in any other way is not trusted again: see `commits`.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time

from crawler.broker.sqlite.ballast import MARGIN, SIZE, Ballast
from crawler.errors import StorageFull

log = logging.getLogger(__name__)  # of its own: the hub of `crawler run` reports when there is room again

LOOK = 1.0  # s between looks whether there is room again
NEEDED = (SIZE + MARGIN) >> 20  # MiB that are free before a disk counts as having room again
LOG_LIMIT = 64 << 20  # bytes of a log that is cut: it is moved into the database at 16 MiB, unless that has failed


class Disk:
    """Disk of one store: its connection is used by the thread that has the turn alone, `sync` by any thread."""

    def __init__(self, db: sqlite3.Connection, path: str, log_file: int | None, ballast: Ballast | None) -> None:
        """log_file: descriptor of the write-ahead log, closed by `close`; None, as ballast, for a store in memory."""
        self._db = db
        self._path = path
        self._log_file = log_file
        self._ballast = ballast
        self.commits = 0  # since it was opened
        self.durable = 0  # number of these, the first ones, that are safe from a power cut
        self._synced = 0  # how many of them were to be put on disk
        self._look_at = 0.0  # monotonic time
        self._has_run_out = False  # and it has been said
        self._full_at = 0.0  # monotonic time of the first of both
        self.is_short = False  # the ballast was given up, for there was no room

    def record_start(self) -> None:
        """Have some room in hand, and this start on disk: tokens are drawn from its number, and no token may come twice, not even
        after a power cut. Raises OSError when the disk failed."""
        self.sync()
        if self._ballast is None:
            return
        try:
            self._ballast.make()
        except OSError as error:
            log.warning("no %d MiB are kept in hand beside %s: %s; if the disk fills up, nothing at all can be stored", SIZE >> 20,
                        self._path, error.strerror)  # fmt: skip

    # ---- the log

    def sync(self) -> None:
        """Put the log on disk. The descriptor is of the log alone: closing one of the database would drop its lock."""
        upto = self._synced = self.commits  # a commit made meanwhile may be in it or not
        if self._log_file is not None:
            os.fdatasync(self._log_file)
        self.durable = max(self.durable, upto)

    def sync_late(self) -> None:
        """Sync as `sync` does, unless nothing was committed since."""
        if self._synced < self.commits:
            self.sync()

    def committed(self) -> None:
        """Note a commit: the log has grown."""
        self.commits += 1
        if self._ballast is None or self._ballast.is_there:  # else `look` says when there is room
            self._has_run_out = False

    def tidy(self) -> None:
        """SQLite moves the log into the database by itself, and says nothing when that fails. A log that grows and grows tells;
        doing it here says why. Raises sqlite3.Error."""
        if self._log_file is not None and os.fstat(self._log_file).st_size > LOG_LIMIT:
            self._cut_log()

    def close(self) -> None:
        """Write everything to disk and drop the ballast. Raises OSError if the disk failed."""
        if self._log_file is None:
            return
        try:
            self.sync()
        finally:
            os.close(self._log_file)
        if self._ballast is not None:
            self._ballast.release()

    # ---- room

    def make_room(self) -> bool:
        """Free disk space by giving up the ballast and cutting the log. Returns False if neither was possible."""
        has_given = self._ballast is not None and self._ballast.release()
        if has_given:
            self._begins()
            self.is_short = True
            log.warning(
                "the disk of %s is full. Nothing is lost: results of tasks in process are stored in a reserve of %d MiB. No other "
                "task is started and new ones are refused until %d MiB are free; then all goes on by itself",
                os.path.abspath(self._path), SIZE >> 20, NEEDED,
            )  # fmt: skip
        try:
            self._cut_log()
        except sqlite3.Error as error:
            log.debug("the log of %s cannot be cut: %s", self._path, error)
            return has_given
        return True

    def ran_out(self, error: sqlite3.Error) -> StorageFull:
        """Return the error for callers whose call cannot be stored even so."""
        if not self._has_run_out:
            self._begins()
            self._has_run_out = True
            log.warning("%s, nothing more can be stored (%s). Nothing is lost: workers keep their results until there is room",
                        self._full(), error)  # fmt: skip
        return self.refusal()

    def _begins(self) -> None:
        self._look_at = time.monotonic() + LOOK
        if not (self.is_short or self._has_run_out):
            self._full_at = time.monotonic()

    def _full(self) -> str:
        """Say which disk is full, and how full."""
        path = os.path.abspath(self._path)
        try:
            free = f" ({shutil.disk_usage(os.path.dirname(path)).free >> 20} MiB free, {NEEDED} needed)"
        except OSError:
            free = ""
        return f"the disk of {path} is full{free}"

    def look(self) -> None:
        """Restore the ballast, at intervals, once the disk has room again."""
        if self._ballast is None or self._ballast.is_there or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK
        try:
            self._ballast.make()
        except OSError as error:
            log.debug("still no room on the disk of %s: %s", self._path, error)
            return
        if self.is_short or self._has_run_out:
            self.is_short = self._has_run_out = False
            log.info("there is room again on the disk of %s after %.0f s: everything goes on", os.path.abspath(self._path),
                     time.monotonic() - self._full_at)  # fmt: skip

    def patience(self, pause: float | None) -> float | None:
        """Seconds until `look` must be called, if that is sooner than `pause`."""
        if self._ballast is None or self._ballast.is_there:
            return pause
        return LOOK if pause is None else min(pause, LOOK)

    def refusal(self) -> StorageFull:
        return StorageFull(f"{self._full()}; this call stored nothing, what is stored is safe: make room there and repeat it")

    def _cut_log(self) -> None:
        """Move the log into the database and cut it: it may hold much that is twice there."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
