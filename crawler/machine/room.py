"""A worker's waits for room on a full disk, the hub's or an output's: logged once when it begins, and once when it is over."""

from __future__ import annotations

import logging
import time
from typing import Final

from crawler.errors import StorageFull
from crawler.wording.texts import words

log = logging.getLogger(__name__)
LOG_HUB = logging.getLogger(f"{__name__}.hub")
# Loggers that a process silences where its parent reports instead.
OF_SHORTAGES: Final = ("crawler.machine", "crawler.worker.strain")
OF_HUB: Final = (LOG_HUB.name,)
NO_NETWORK: Final = "has no network"
LACKS: Final = ("is short of ", NO_NETWORK)  # how `MachineShort.lack` begins
PLACES: Final = "places are held by "  # in the note of `stage.Slow`: no trouble, but worth knowing
AT_WORK: Final = " has been at "  # in the note of `stuck.Watch`: as above
SHORT_SAFE: Final = "until then it makes fewer requests at once; nothing is lost, and no host is blamed"
SAFE: Final = "nothing is lost, and it goes on by itself once there is"


class Room:
    """One disk, as a stage meets it."""

    def __init__(self, name: str, log: logging.Logger = log) -> None:
        """name: of the stage. log: `LOG_HUB` for the disk of the hub."""
        self._name = name
        self._log = log
        self._since: float | None = None  # monotonic time
        self.trouble = ""  # the disk that is full, while the stage waits for it

    def is_full(self, error: StorageFull) -> None:
        """Log that there is no room, unless that is known."""
        self.trouble = f"waits for room: {in_short(error)}"
        if self._since is None:
            self._since = time.monotonic()
            self._log.warning("%s %s; %s", self._name, self.trouble, SAFE)

    def is_there(self) -> None:
        """Log that there is room, if there was none."""
        if self._since is not None:
            self._log.info("%s goes on: there is room again after %.0f s", self._name, time.monotonic() - self._since)
            self._since, self.trouble = None, ""


def is_note(text: str) -> bool:
    """Tell whether a worker's message about itself is only a note: worth knowing, but nothing that stops its work."""
    return PLACES in text or AT_WORK in text


def in_short(full: StorageFull) -> str:
    """Name the file without room and the reason, without advice: `p.jsonl: No space left on device`."""
    return words(str(full).partition(";")[0].removeprefix("cannot write to "))
