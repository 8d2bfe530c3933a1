"""Limit warnings about failed items: only some of each kind, because a mistake met on every page need not be reported for each.

KeyError at enrich.py:3 ──▶ warning, warning, … (`TOLD` times, the last says so) ──▶ INFO; all are counted in the summary
"""

from __future__ import annotations

import logging
import threading
from typing import Final

from crawler.stage import GiveUp
from crawler.wording import places

TOLD: Final = 5  # failures of one kind that become warnings
KINDS: Final = 1_000  # kinds that are told apart; an exception's type and place have few values
REST: Final = "; more like this are counted in the summary, and shown with -v"


class FailureLog:
    """Decides which failures are warnings. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told: dict[str, int] = {}

    def level(self, error: BaseException, what: str = "") -> tuple[int, str]:
        """Return the log level for a failure, and the text to append to its line.

        what: separates failures with the same error, such as those of a last attempt.
        """
        kind = f"{what} {type(error).__name__} {'' if isinstance(error, GiveUp) else places.place(error)}"
        with self._lock:
            if kind not in self._told and len(self._told) >= KINDS:
                return logging.INFO, ""
            n = self._told[kind] = self._told.get(kind, 0) + 1
        return logging.WARNING if n <= TOLD else logging.INFO, REST if n == TOLD else ""
