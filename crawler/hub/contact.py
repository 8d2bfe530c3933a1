"""The connection of a process to its hub: logs once when the hub is lost, and once when it is back."""

from __future__ import annotations

import logging
import threading
import time

log = logging.getLogger(__name__)  # a logger of its own, which a process silences if its parent reports instead


class Contact:
    """Logs one warning when the hub is lost and one line when it is back, however many connections notice. Thread-safe."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._lost_at: float | None = None  # monotonic time

    @property
    def is_lost(self) -> bool:
        return self._lost_at is not None

    @property
    def trouble(self) -> str:
        """Say how long the hub has been gone; "" while it is there."""
        lost_at = self._lost_at
        return "" if lost_at is None else f"the hub at {self._address} has been gone for {time.monotonic() - lost_at:.0f} s"

    def lost(self, patience: float) -> None:
        """Record that a call found no hub, nor did its second try. One broken connection is not a loss.

        patience: s during which the call is tried again.
        """
        with self._lock:
            if self._lost_at is not None:
                return
            self._lost_at = time.monotonic()
        log.warning("the hub at %s is gone; trying again for %.0f s", self._address, patience)

    def answered(self, asked_at: float) -> None:
        """Record that the hub answered a call made at this monotonic time. Answers to calls from before the loss are ignored."""
        with self._lock:
            if self._lost_at is None or asked_at < self._lost_at:
                return
            gone = time.monotonic() - self._lost_at
            self._lost_at = None
        log.info("the hub at %s is back after %.0f s", self._address, gone)
