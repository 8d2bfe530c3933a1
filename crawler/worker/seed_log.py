"""Warn about the start URLs of a crawl: a mistyped name is reported at its first failure, not after all attempts.

It warns once per host of the first failure and of the end, for `TOLD` hosts of a process. The rest is for DEBUG and the summary.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from crawler.items import Lease
from crawler.stage import Drop, Retry
from crawler.wording.counting import agree, counted
from crawler.wording.texts import about, words

log = logging.getLogger(__name__)

TOLD: Final = 10  # hosts; enough to read of ten thousand failed seeds


class SeedLog:
    """Logs the failures of seeds. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._ended: set[str] = set()

    def retried(self, lease: Lease, item: Any, retry: Retry) -> None:
        """Report a failed attempt; there may be further ones."""
        if self._is_news(lease, item, self._ended if lease.is_last else self._told):
            reason = words(str(retry.reason))
            if lease.is_last:
                log.warning("given up after %s: %s: %s", counted(lease.attempt, "attempt"), about(item), reason)
            else:
                log.warning("%s: %s; %s", about(item), reason, _again(lease, retry))
        elif log.isEnabledFor(logging.DEBUG):
            log.debug("%s: %s (attempt %d)", about(item), words(str(retry.reason)), lease.attempt)

    def dropped(self, lease: Lease, item: Any, drop: Drop) -> None:
        """Report that it will not be fetched, for example because of robots.txt."""
        if self._is_news(lease, item, self._told):
            log.warning("%s: not fetched: %s", about(item), words(str(drop.reason)))

    def _is_news(self, lease: Lease, item: Any, told: set[str]) -> bool:
        """Tell whether to warn: it is a seed, its host has not been reported, and not too many hosts have."""
        if not getattr(item, "is_seed", False):
            return False
        with self._lock:
            if lease.host in told or len(told) >= TOLD:
                return False
            told.add(lease.host)
            if len(told) == TOLD:
                log.warning("failures at further hosts are only counted in the summary")
        return True


def _again(lease: Lease, retry: Retry) -> str:
    """Return how often it is tried again and, if known, when."""
    wait = max(retry.after or 0.0, retry.rest or 0.0)
    when = f", next in {wait:.0f} s" if wait >= 1.5 else ""
    return f"will be tried up to {lease.left} more {agree(lease.left, 'time', 'times')}{when}"
