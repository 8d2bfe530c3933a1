"""The last call of each worker and producer, so that a repeated one is answered as before and an outdated one not at all; and
what each holds.

Workers (who step) and producers (who put) are numbered apart, whatever they are called.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from hmac import compare_digest
from itertools import groupby

from msgspec import Struct, json

from crawler.errors import CallRefused
from crawler.items import Lease, Verdict
from crawler.limits import CALLERS, IDLE

FORGET = 86_400.0  # s after which a caller's last call is not repeated any more
TROUBLE = 300  # characters kept of what a worker waits for
KNOWN = 10_000  # callers in memory; more are read again when they call


class LastCall(Struct, frozen=True):
    """Answer to a caller's last call."""

    call: int | None = None  # None: it never called
    short: str = ""  # the verdicts: see `shortened`
    first: int = 0  # tokens of its leases, which are consecutive; 0: it got none
    last: int = 0

    @property
    def verdicts(self) -> list[Verdict]:
        return lengthened(self.short)


NO_CALL = LastCall()
_LETTERS = {verdict: chr(ord("a") + place) for place, verdict in enumerate(Verdict)}  # stored: new ones go at the end
_VERDICTS = {letter: verdict for verdict, letter in _LETTERS.items()}
_RUN = re.compile(r"([0-9]*)([a-z])")


def shortened(verdicts: Sequence[Verdict]) -> str:
    """Write verdicts in a few bytes, since they are kept of each caller: ":5f2j" is DONE five times and STALE twice."""
    if not verdicts:
        return ""
    if verdicts.count(verdicts[0]) == len(verdicts):  # as nearly always
        return f":{len(verdicts)}{_LETTERS[verdicts[0]]}"
    runs = [(verdict, len(list(same))) for verdict, same in groupby(verdicts)]
    return ":" + "".join([_LETTERS[verdict] if n == 1 else f"{n}{_LETTERS[verdict]}" for verdict, n in runs])


def lengthened(text: str) -> list[Verdict]:
    """Read what `shortened` wrote, or the words of an older version."""
    if not text.startswith(":"):
        return [Verdict(word) for word in text.split(",") if word]
    return [verdict for n, letter in _RUN.findall(text) for verdict in [_VERDICTS[letter]] * int(n or 1)]


class Caller:
    """One caller; its row of table `caller`."""

    __slots__ = ("batches", "claim", "id", "is_here", "is_stored", "last", "name", "queue", "seen", "trouble", "ttl")

    def __init__(
        self, id: int, name: tuple[str, bool], last: LastCall, ttl: float, seen: float, is_stored: bool, claim: bytes | None = None
    ) -> None:  # fmt: skip
        self.id = id
        self.name = name  # and whether it is a worker
        self.last = last
        self.ttl = ttl  # s, the longest lease it asked for: it says how often it is heard of
        self.seen = seen  # hub time
        self.batches: dict[int, Batch] = {}  # by their first tokens
        self.is_stored = is_stored
        self.claim = claim  # digest of the secret of its process; None: the name is not claimed
        self.is_here = False  # whether it has called since the store was opened
        self.trouble = ""  # what it waits for before it can go on, if anything
        self.queue = ""  # the queue that it last asked for work since then


class Batch:
    """Tasks leased by one call."""

    __slots__ = ("caller", "first", "left", "tasks")

    def __init__(self, first: int, caller: Caller | None, tasks: list[int]) -> None:
        self.first = first
        self.caller = caller  # None: not to be stored, it ends in the same transaction
        self.tasks = tasks  # ids by token, from the first; 0: given back
        self.left = 0  # still leased
        if caller is not None:
            caller.batches[first] = self


class Callers:
    """Table `caller`, inside the ledger's transaction; in memory those of it that hold something or called lately."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._next_id = 1
        self._known: dict[tuple[str, bool], Caller] = {}
        self._changed: dict[int, Caller] = {}
        self._counts = {False: 0, True: 0}  # rows, of producers and of workers

    def read(self) -> Iterator[Caller]:
        """Read the callers with leases from the table, which may have changed since it was last read."""
        self._known, self._changed = {}, {}
        total, workers = self._db.execute("SELECT count(*), ifnull(sum(is_worker), 0) FROM caller").fetchone()
        self._counts = {False: total - workers, True: workers}
        (self._next_id,) = self._db.execute("SELECT ifnull(max(id), 0) + 1 FROM caller").fetchone()
        for name in self._db.execute("SELECT name, is_worker FROM caller WHERE lent != '{}' ORDER BY id").fetchall():
            caller = self._find((name[0], bool(name[1])))
            if caller is not None:
                yield caller

    def last(self, name: str, call: int, *, is_worker: bool) -> LastCall:
        """Return this caller's last call. Raises CallRefused if `call` is older: its answer was sent long ago and nobody expects
        another."""
        known = self._find((name, is_worker))
        if known is None or known.last.call is None:
            return NO_CALL
        if call < known.last.call:
            raise CallRefused(
                f"call {call} of {name!r} is out of date, call {known.last.call} came before; calls count up, a name is for one "
                "process"
            )
        return known.last

    def remember(
        self, name: str, call: int, verdicts: Sequence[Verdict], now: float, *, is_worker: bool,
        leases: Sequence[Lease] = (), ttl: float = 0.0, queue: str = "",
    ) -> None:  # fmt: skip
        """Store the answer to this call. queue: the one that a worker asked for work."""
        known = self._get((name, is_worker), now)
        if leases:
            known.last = LastCall(call, shortened(verdicts), leases[0].token, leases[-1].token)
            known.ttl = max(known.ttl, ttl)
        else:
            known.last = LastCall(call, shortened(verdicts))
        known.seen = now
        known.is_here = True
        if queue:
            known.queue = queue

    def worker(self, name: str, now: float) -> Caller:
        """Return a worker that is going to lease tasks, created if new."""
        return self._get((name, True), now)

    def claim(self, worker: str, digest: bytes, now: float) -> bool:
        """Store a digest for a worker's name, unless there is one. Returns False if there is another."""
        known = self._get((worker, True), now)
        if known.claim is None:
            known.claim = digest
        known.seen = max(known.seen, now)
        return compare_digest(known.claim, digest)

    def changed(self, batch: Batch) -> None:
        """Mark a batch's caller as changed, because some of its tasks were given back."""
        if batch.caller is not None:
            self._changed[batch.caller.id] = batch.caller

    def let_go(self, batch: Batch) -> None:
        """Drop a batch of which its caller holds no task any more."""
        if batch.caller is not None:
            del batch.caller.batches[batch.first]
            self._changed[batch.caller.id] = batch.caller

    def touch(self, worker: str, now: float) -> None:
        """Note that a known worker was heard of now."""
        if self._find((worker, True)) is not None:
            known = self._get((worker, True), now)
            known.seen = now
            known.is_here = True

    def set_trouble(self, worker: str, trouble: str) -> None:
        """Keep in memory what a known worker waits for; "": nothing."""
        known = self._known.get((worker, True))
        if known is not None:
            known.trouble = trouble[:TROUBLE]

    def leave(self, worker: str) -> None:
        """Do not count a worker any more that has said that it ends."""
        known = self._known.get((worker, True))
        if known is not None:
            known.is_here = False

    def workers(self, now: float) -> dict[str, tuple[float, str, str]]:
        """Return, for each worker that has called since the store was opened: s since then, the queue it asked, trouble."""
        return {
            caller.name[0]: (now - caller.seen, caller.queue, caller.trouble)
            for caller in self._known.values() if caller.is_here and caller.name[1]
        }  # fmt: skip

    def forget(self, now: float) -> None:
        """Drop those not heard of for a day who hold nothing."""
        self._db.execute("DELETE FROM caller WHERE seen < ? AND lent = '{}'", (now - FORGET,))

    def flush(self) -> None:
        """Write what changed."""
        if not self._changed:
            return
        changed = self._changed.values()
        self._db.executemany(
            "UPDATE caller SET call = ?, verdicts = ?, first = ?, last = ?, ttl = ?, seen = ?, lent = ?, claim = ? WHERE id = ?",
            [(*_columns(caller), caller.id) for caller in changed if caller.is_stored],
        )
        new = [(caller.id, *caller.name, *_columns(caller)) for caller in changed if not caller.is_stored]
        if new:
            self._db.executemany(
                "INSERT INTO caller (id, name, is_worker, call, verdicts, first, last, ttl, seen, lent, claim) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", new,
            )  # fmt: skip
            for caller in changed:
                caller.is_stored = True
        self._changed = {}
        if len(self._known) > KNOWN:
            self._known = {name: caller for name, caller in self._known.items() if caller.batches}

    def _get(self, name: tuple[str, bool], now: float) -> Caller:
        """Return this caller, created if new, and mark it as changed."""
        known = self._find(name)
        if known is None:
            self._make_room(name[1], now)
            known = self._known[name] = Caller(self._next_id, name, NO_CALL, 0.0, now, False)
            self._next_id += 1
        self._changed[known.id] = known
        return known

    def _make_room(self, is_worker: bool, now: float) -> None:
        """Count one more caller. If there are too many, those without leases and not waiting are forgotten."""
        if self._counts[is_worker] >= CALLERS:
            self.flush()
            gone = self._db.execute("DELETE FROM caller WHERE seen < ? AND lent = '{}' AND is_worker = ?", (now - IDLE, is_worker))
            self._counts[is_worker] -= gone.rowcount
            self._known = {name: each for name, each in self._known.items() if each.batches or each.seen >= now - IDLE}
        if self._counts[is_worker] >= CALLERS:
            who = "workers" if is_worker else "producers"
            raise CallRefused(f"the hub knows {CALLERS} {who} of the last {IDLE:.0f} s; try again later")
        self._counts[is_worker] += 1

    def _find(self, name: tuple[str, bool]) -> Caller | None:
        known = self._known.get(name)
        if known is None:
            row = self._db.execute(
                "SELECT id, call, verdicts, first, last, ttl, seen, lent, claim FROM caller WHERE name = ? AND is_worker = ?", name
            ).fetchone()
            if row is not None:
                id, call, verdicts, first, last, ttl, seen, lent, claim = row
                known = self._known[name] = Caller(id, name, LastCall(call, verdicts, first, last), ttl, seen, True, claim)
                for token, tasks in json.decode(lent, type=dict[int, list[int]]).items():
                    Batch(token, known, tasks)
        return known


def _columns(caller: Caller) -> tuple[object, ...]:
    last, batches = caller.last, caller.batches
    lent = json.encode({first: batch.tasks for first, batch in batches.items()}).decode() if batches else "{}"
    return last.call, last.short, last.first, last.last, caller.ttl, caller.seen, lent, caller.claim
