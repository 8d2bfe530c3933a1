"""Copies of pages, so that a server need not send again what has not changed (RFC 9110 §13, RFC 9111 §4.3).

    reply with ETag or Last-Modified ──keep──▶ file ──find──▶ If-None-Match, If-Modified-Since
    304 ───────────────────────────────────▶ the copy: its links lead on, its record is whole

The page is kept, not its validators alone: a new crawl knows only the seed of a site, and would end at the first page that had not
changed. It is a cache: a copy that cannot be read or kept is fetched again, with a warning.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from crawler_stages.clients.contract import Reply
from crawler_stages.sinks.files import make_private

FILE: Final = "fetched.sqlite"
_PATIENCE: Final = 30.0  # s to wait for another worker that writes
# Nothing is lost with this file but time, so no page waits for a disk.
_SET_UP: Final = """
    PRAGMA synchronous = OFF;
    CREATE TABLE IF NOT EXISTS copy (url TEXT PRIMARY KEY, headers BLOB NOT NULL, content BLOB NOT NULL) WITHOUT ROWID;
"""
_ABOUT_THE_BODY: Final = frozenset({"content-length", "content-encoding", "transfer-encoding", "content-range", "connection"})

log = logging.getLogger(__name__)


class Copy(Struct, frozen=True):
    """Kept copy of a page."""

    headers: list[tuple[str, str]]
    content: bytes

    def conditions(self) -> dict[str, str]:
        """Return the headers of a request that wants the page only if it has changed."""
        found = {"If-None-Match": _value(self.headers, "etag"), "If-Modified-Since": _value(self.headers, "last-modified")}
        return {name: value for name, value in found.items() if value}

    def confirmed(self, reply: Reply) -> Reply:
        """Return the same page with the header updated by a 304 (RFC 9111 §3.2)."""
        news = [(name, value) for name, value in reply.headers if name.lower() not in _ABOUT_THE_BODY]
        renewed = {name.lower() for name, _ in news}
        headers = [*((name, value) for name, value in self.headers if name.lower() not in renewed), *news]
        return msgspec.structs.replace(reply, headers=headers, content=self.content)


class Copies:
    """One file for all workers of a machine. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        """Raises OSError, sqlite3.Error: no such file can be kept there."""
        make_private(directory / FILE)
        self._lock = threading.Lock()
        self._file = sqlite3.connect(directory / FILE, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            self._file.executescript(_SET_UP)
        except sqlite3.Error:
            self._file.close()
            raise

    def find(self, url: str) -> Copy | None:
        try:
            with self._lock:
                row = self._file.execute("SELECT headers, content FROM copy WHERE url = ?", (url,)).fetchone()
            return Copy(msgspec.msgpack.decode(row[0], type=list[tuple[str, str]]), row[1]) if row else None
        except (sqlite3.Error, msgspec.DecodeError) as error:
            log.warning("no copy of %s can be read: %s", url, error)
            return None

    def keep(self, url: str, reply: Reply) -> None:
        """Keep a page if a server can be asked for changes to it, and it may be kept; if not, delete its copy."""
        can = reply.status == 200 and bool(_value(reply.headers, "etag") or _value(reply.headers, "last-modified"))
        try:
            with self._lock:
                if can and "no-store" not in _value(reply.headers, "cache-control").lower():
                    row = (url, msgspec.msgpack.encode(reply.headers), reply.content)
                    self._file.execute("INSERT OR REPLACE INTO copy VALUES (?, ?, ?)", row)
                else:
                    self._file.execute("DELETE FROM copy WHERE url = ?", (url,))
        except sqlite3.Error as error:
            log.warning("no copy of %s can be kept: %s", url, error)

    def close(self) -> None:
        self._file.close()


def _value(headers: list[tuple[str, str]], name: str) -> str:
    return next((value for key, value in headers if key.lower() == name), "")
