"""The notes that all workers of a hub share, as a stage sees them: read once, and again when the hub says that they changed."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Mapping

from crawler.broker.contract import Broker
from crawler.items import Note

CRAWL_NOTE = "crawl"  # name of the note that holds the crawl's id


def new_id() -> str:
    """Return a name for a crawl that no other has: its date, for people, and a random part."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"


class SharedNotes:
    """`stage.Shared` over a broker. Thread-safe; asks the broker only when something changed since the last answer."""

    def __init__(self, broker: Broker) -> None:
        """broker: a connection of its own, so that no note waits behind a long poll."""
        self._broker = broker
        self._lock = threading.Lock()
        self._era = 0  # one more each time the hub turns out to be another
        self._version = 0  # of the last change the hub told us of
        self._found: dict[str, tuple[int, dict[str, bytes]]] = {}  # by prefix: version asked at, values

    def advance(self, version: int) -> None:
        """Note the hub's current version."""
        with self._lock:
            self._version = max(self._version, version)

    def clear(self) -> None:
        """Forget the notes read: a new hub may have others."""
        with self._lock:
            self._era += 1
            self._version = 0
            self._found.clear()

    def get(self, name: str) -> bytes | None:
        first_page = self._broker.notes(name, 0, "")  # in the order of names: no more, others may begin with this one
        return next((note.value for note in first_page[:1] if note.name == name), None)

    def set(self, name: str, value: bytes) -> None:
        era = self._era
        version = self._broker.note([Note(name, value)])
        with self._lock:
            if era == self._era:  # else it is another hub's count, and ours would run ahead
                self._version = max(self._version, version)

    def counted(self, name: str) -> int | None:
        return sum(n for full, n in self._broker.stats().counters.items() if full.partition("/")[2] == name)

    def find(self, prefix: str) -> Mapping[str, bytes]:
        with self._lock:
            era, wanted = self._era, self._version
            asked, values = self._found.get(prefix, (-1, {}))
        if asked >= wanted:
            return values
        changed = self._broker.notes(prefix, max(asked, 0))
        if changed:
            values = values | {note.name: note.value for note in changed}  # a new mapping: who holds the old one keeps it
        with self._lock:
            if era == self._era:
                self._found[prefix] = (max([wanted, *(note.version for note in changed)]), values)
        return values
