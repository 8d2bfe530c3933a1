"""The end of a worker that is told to stop: it does not wait for a hub that is gone, and not long for one that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

from crawler.hub.client import HubClient

LEAVING: Final = 2.0  # s to look for a lost hub once we must stop: tasks that are not handed in are leased out again
HANGING: Final = 18.0  # s after which calls without an answer are broken off: a stage promises to end within 20 s
LOOK: Final = 0.5  # s between checks whether we must stop


class Parting:
    """Ends the waits of these clients in time once the worker stops."""

    def __init__(self, *clients: HubClient) -> None:
        self._clients: Sequence[HubClient] = clients
        self._stop_at: float | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._watch, name="parting", daemon=True).start()

    def begin(self) -> None:
        """Note that the worker must stop. May be called from a signal handler."""
        if self._stop_at is None:
            self._stop_at = time.monotonic()
            for client in self._clients:
                client.cut(LEAVING)

    def give_up(self) -> None:
        """End the waits of calls for a hub that is gone for good."""
        for client in self._clients:
            client.cut(0.0)

    def end(self) -> None:
        """Note that the worker has ended."""
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK):
            if self._stop_at is not None and time.monotonic() - self._stop_at > HANGING:
                for client in self._clients:
                    client.close()
                return
