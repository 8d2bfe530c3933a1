"""The last call of each worker and producer, so that a repeated one is answered as before and an outdated one not at all.

Workers (who step) and producers (who put) are numbered apart, whatever they are called.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from msgspec import Struct

from crawler.errors import CallRefused
from crawler.items import Lease, Verdict

FORGET = 86_400.0         # s after which a caller's last call is not repeated any more


class LastCall(Struct, frozen=True):
    """What a caller's last call was answered."""

    call: int | None = None                # None: it never called
    verdicts: Sequence[Verdict] = ()
    first: int = 0                         # tokens of its leases, which are consecutive; 0: it got none
    last: int = 0


class Callers:
    """Table `caller`, inside the ledger's transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def last(self, name: str, call: int, *, is_worker: bool) -> LastCall:
        """This caller's last call. CallRefused if `call` is an older one: its answer went out long ago and nobody waits for it."""
        row = self._db.execute(
            "SELECT call, verdicts, first, last FROM caller WHERE name = ? AND is_worker = ?", (name, is_worker)
        ).fetchone()
        if row is None or row[0] is None:
            return LastCall()
        if call < row[0]:
            raise CallRefused(
                f"call {call} of {name!r} is out of date, call {row[0]} came before; calls count up, a name is for one process"
            )
        return LastCall(row[0], [Verdict(word) for word in row[1].split(",") if word], row[2], row[3])

    def remember(
        self, name: str, call: int, verdicts: Sequence[Verdict], now: float, *, is_worker: bool,
        leases: Sequence[Lease] = (), ttl: float = 0.0,
    ) -> None:  # fmt: skip
        """This call was answered so. Of the lease times it asked for the longest is kept: it says how often it is heard of."""
        first, last = (leases[0].token, leases[-1].token) if leases else (0, 0)
        self._db.execute(
            "INSERT INTO caller (name, is_worker, call, verdicts, first, last, ttl, seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (name, is_worker) DO UPDATE SET call = excluded.call, verdicts = excluded.verdicts, "
            "first = excluded.first, last = excluded.last, ttl = max(ttl, excluded.ttl), seen = excluded.seen",
            (name, is_worker, call, ",".join(verdicts), first, last, ttl if leases else 0.0, now),
        )

    def worker(self, name: str, now: float) -> int:
        """The id of a worker, made if it is new."""
        row = self._db.execute("SELECT id FROM caller WHERE name = ? AND is_worker = 1", (name,)).fetchone()
        if row is None:
            insert = "INSERT INTO caller (name, is_worker, seen) VALUES (?, 1, ?) RETURNING id"
            row = self._db.execute(insert, (name, now)).fetchone()
        return int(row[0])

    def touch(self, worker: str, now: float) -> None:
        """It was heard of."""
        self._db.execute("UPDATE caller SET seen = ? WHERE name = ? AND is_worker = 1", (now, worker))

    def workers(self, now: float) -> dict[str, float]:
        """s since each worker was heard of."""
        return dict(self._db.execute("SELECT name, ? - seen FROM caller WHERE is_worker", (now,)).fetchall())

    def forget(self, now: float) -> None:
        """Drop those not heard of for a day who hold nothing."""
        self._db.execute(
            "DELETE FROM caller WHERE seen < ? AND id NOT IN (SELECT holder FROM task WHERE state = 2)", (now - FORGET,)
        )
