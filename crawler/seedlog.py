"""Warnings for the URLs that a crawl begins from: a mistyped name is told at its first failure, and not after all attempts.

For each host the first failure and the end, for `TOLD` hosts of a process; what other URLs fail at is for DEBUG and the summary.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from crawler.counting import agree, counted
from crawler.items import Lease
from crawler.stage import Drop, Retry
from crawler.texts import about, words

log = logging.getLogger("crawler.worker")

TOLD: Final = 10          # hosts; of ten thousand seeds that fail nobody reads each


class SeedLog:
    """What became of seeds that failed. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._ended: set[str] = set()

    def retried(self, lease: Lease, item: Any, retry: Retry) -> None:
        """An attempt failed, and there may be others."""
        if self._is_news(lease, item, self._ended if lease.is_last else self._told):
            reason = words(str(retry.reason))
            if lease.is_last:
                log.warning("given up after %s: %s: %s", counted(lease.attempt, "attempt"), about(item), reason)
            else:
                log.warning("%s: %s; %s", about(item), reason, _again(lease, retry))
        elif log.isEnabledFor(logging.DEBUG):
            log.debug("%s: %s (attempt %d)", about(item), words(str(retry.reason)), lease.attempt)

    def dropped(self, lease: Lease, item: Any, drop: Drop) -> None:
        """It will not be fetched: robots.txt forbids it, for one."""
        if self._is_news(lease, item, self._told):
            log.warning("%s: not fetched: %s", about(item), words(str(drop.reason)))

    def _is_news(self, lease: Lease, item: Any, told: set[str]) -> bool:
        """It is a seed, of a host of which this has not been told, nor of too many others."""
        if not getattr(item, "is_seed", False):
            return False
        with self._lock:
            if lease.host in told or len(told) >= TOLD:
                return False
            told.add(lease.host)
            if len(told) == TOLD:
                log.warning("failures at more hosts are counted in the summary, and not told one by one")
        return True


def _again(lease: Lease, retry: Retry) -> str:
    """How often it is tried again, and when if that is known."""
    wait = max(retry.after or 0.0, retry.rest or 0.0)
    when = f", first in {wait:.0f} s or later" if wait >= 1.5 else ""
    return f"tried again {lease.left} more {agree(lease.left, 'time', 'times')}{when}"
