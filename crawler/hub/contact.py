"""What the connections of one process know of their hub: whether it can be reached, said once when that changes."""

from __future__ import annotations

import logging
import threading
import time

log = logging.getLogger("crawler.hub.contact")      # a logger of its own: a process whose parent speaks for it silences it


class Contact:
    """Logs one warning when the hub is lost and one line when it is back, however many connections notice. Thread-safe."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._lost_at: float | None = None          # monotonic time

    @property
    def is_lost(self) -> bool:
        return self._lost_at is not None

    def lost(self, patience: float) -> None:
        """A call found no hub, and neither did its second try: one connection that breaks is no loss.

        patience: s for which the call is tried again.
        """
        with self._lock:
            if self._lost_at is not None:
                return
            self._lost_at = time.monotonic()
        log.warning("the hub at %s is gone; trying again for %.0f s", self._address, patience)

    def answered(self, asked_at: float) -> None:
        """The hub answered a call that was made at this monotonic time. An answer to a call from before the loss says nothing."""
        with self._lock:
            if self._lost_at is None or asked_at < self._lost_at:
                return
            gone = time.monotonic() - self._lost_at
            self._lost_at = None
        log.info("the hub at %s is back after %.0f s", self._address, gone)
