"""What must hold at each commit, and of each answer. It sees what anybody could see: the tables, the requests and the answers.

commit ──▶ counts · attempts · children · hosts · tokens        answer ──▶ fencing · the same again · after its commit
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from crawler.broker.sqlite.schema import DEAD, DELAYED, DONE, LEASED, READY, STATES
from crawler.items import Step, Verdict

LATE = 1e-6  # s of rounding
UNFINISHED = (READY, DELAYED, LEASED)


class Violation(AssertionError):
    """A promise was broken."""


class Grant(Struct, frozen=True):
    """A lease as the table has it."""

    task: int
    queue: str
    host: str
    attempt: int
    worker: str


class Site(Struct, frozen=True):
    """The web that is crawled: pages are numbers below 128, so that an item is one byte."""

    links: Mapping[int, Sequence[int]]
    trouble: Mapping[int, str]  # what happens to who fetches a page
    seeds: Sequence[int]


class Referee:
    """Holds a run to its promises; the first that is broken ends it."""

    def __init__(self, site: Site, delay: float, max_attempts: int, clock: Callable[[], float]) -> None:
        self._site = site
        self._delay = delay
        self._max_attempts = max_attempts
        self._clock = clock
        self.violation: str = ""
        self.lines: list[str] = []
        self.sink: set[int] = set()
        self.acked: set[int] = set()  # seeds that the hub said it has
        self.is_drained = False
        self.dead: dict[str, set[int]] = {}
        self._tokens: set[int] = set()  # every one ever seen
        self._asked: dict[tuple[str, int], frozenset[int]] = {}  # by call: what its worker held when it first came in
        self._accepted: dict[int, tuple[str, int]] = {}  # by token: the call that was heard on it
        self._arrived: set[int] = set()  # tokens of which their worker said so
        self._untouched: set[int] = set()  # tokens that were given back without a request to their hosts
        self._freed: set[int] = set()  # tokens whose host was free of them at some commit
        self.lost_power()

    def lost_power(self) -> None:
        """What was committed last may be undone: what was seen of it is no measure any more, but tokens are."""
        self._leased: dict[int, Grant] | None = None
        self._hub_time = 0.0
        self._ends: dict[str, float] = {}
        self._said: dict[tuple[str, int], list[Verdict]] = {}
        self.note("what was not synced is gone")

    def forget_calls(self) -> None:
        """The hub's clock went a day ahead: calls made before that are no longer answered as they were."""
        self._said = {}

    def note(self, line: str) -> None:
        self.lines.append(f"{self._clock():10.4f}  {line}")

    def fail(self, line: str) -> None:
        if not self.violation:
            self.note(f"VIOLATION  {line}")
            self.violation = line

    def must(self, holds: bool, line: str) -> None:
        if not holds:
            self.fail(line)

    # ---- at each commit

    def committed(self, db: sqlite3.Connection) -> None:
        queues = {row[0]: row for row in sqlite3.Connection.execute(
            db, f"SELECT id, name, accepted, {', '.join(STATES)} FROM tally"  # noqa: S608  (column names of the schema)
        )}  # fmt: skip
        if not queues:
            return  # the tables were made
        (now,) = sqlite3.Connection.execute(db, "SELECT now FROM head").fetchone()
        self.must(now >= self._hub_time, f"the hub's time went back from {self._hub_time} to {now}")
        self._hub_time = now
        self._check_counts(db, queues)
        self._check_leases(db, now)
        self._check_children(db, {row[1]: row for row in queues.values()})

    def _check_counts(self, db: sqlite3.Connection, queues: Mapping[int, Any]) -> None:
        found: dict[tuple[int, int], int] = {}
        wrong = 0
        for queue, state, n, odd in sqlite3.Connection.execute(
            db, "SELECT queue, state, count(*), sum(attempt != length(failures) - length(replace(failures, char(10), '')) "
            "+ (state IN (2, 4))) FROM life GROUP BY queue, state"
        ):  # fmt: skip
            found[queue, state] = n
            wrong += odd
        self.must(not wrong, f"{wrong} task(s) have another number of attempts than deliveries that were not given back")
        for id, name, accepted, *counts in queues.values():
            self.must(accepted == sum(counts), f"{name}: {accepted} accepted, {counts} accounted for")
            for state in (*UNFINISHED, DEAD):
                self.must(counts[state] == found.get((id, state), 0), f"{name}: {counts[state]} {STATES[state]} by its count")
        self.is_drained = not any(row[3 + state] for row in queues.values() for state in UNFINISHED)

    def _check_leases(self, db: sqlite3.Connection, now: float) -> None:
        rows = sqlite3.Connection.execute(
            db, "SELECT token, life.id, queue.name, lane.name, attempt, caller.name FROM life JOIN lane ON lane.id = lane "
            "JOIN queue ON queue.id = life.queue LEFT JOIN caller ON caller.id = holder WHERE state = 2"
        )  # fmt: skip
        leased = {token: Grant(*row) for token, *row in rows}
        hosts = [grant.host for token, grant in leased.items() if grant.queue == "urls" and token not in self._arrived]
        self.must(len(hosts) == len(set(hosts)), f"two leases of one host: {sorted(hosts)}")
        self._check_slots(db, Counter(hosts), Counter(grant.host for grant in leased.values() if grant.queue == "urls"))
        before = self._leased
        if before is None:  # the first commit after a power cut: where we begin
            fresh = {token: leased[token] for token in leased if token in self._tokens}
            self.must(all(token in self._tokens for token in leased), "a lease that nobody saw made")
            before = fresh
        for token, grant in before.items():
            if grant.queue == "urls" and (token not in leased or token in self._arrived) and token not in self._freed:
                if token in leased or token not in self._untouched:
                    self._ends[grant.host] = now
                self._freed.add(token)
        for token in sorted(leased.keys() - before.keys()):
            self._check_grant(token, leased[token], now)
        self._leased = leased

    def _check_slots(self, db: sqlite3.Connection, asking: Counter[str], leased: Counter[str]) -> None:
        """Each task that still asks something of its host takes a slot, and nothing does that is not leased."""
        rows = sqlite3.Connection.execute(db, "SELECT lane.name, lane.leased FROM lane JOIN queue ON queue.id = queue WHERE polite")
        for host, slots in rows:
            self.must(asking[host] <= slots <= leased[host], f"{host}: {slots} slots for {asking[host]} of {leased[host]} tasks")

    def _check_grant(self, token: int, grant: Grant, now: float) -> None:
        self.note(f"hub: lends {grant.queue} {grant.task} to {grant.worker}, attempt {grant.attempt}, token {token:x}")
        self.must(token not in self._tokens, f"token {token:x} was given out twice")
        self.must(grant.attempt <= self._max_attempts, f"task {grant.task}: attempt {grant.attempt}")
        self._tokens.add(token)
        if grant.queue == "urls":
            rest = self._ends.get(grant.host, -self._delay) + self._delay - now
            self.must(rest <= LATE, f"{grant.host} is asked {rest} s too early")

    def _check_children(self, db: sqlite3.Connection, queues: Mapping[str, Any]) -> None:
        """Each url that is done gave one page, and each page that is done one record and its links."""
        done = {name: row[3 + DONE] for name, row in queues.items()}
        for parent, child in (("urls", "pages"), ("pages", "records")):
            accepted = queues[child][2]
            self.must(accepted == done[parent], f"{done[parent]} {parent} are done and {accepted} {child} were accepted")
        tasks: dict[str, dict[int, int]] = {name: {} for name in queues}
        for name, item, state, attempt in sqlite3.Connection.execute(
            db, "SELECT name, item, state, attempt FROM life JOIN queue ON queue.id = queue"
        ):
            self.must(item[0] not in tasks[name], f"{item[0]} is twice on {name}")
            tasks[name][item[0]] = state
            if state == DEAD:
                was_told = self._site.trouble.get(item[0]) == "gone"
                self.must(attempt == self._max_attempts or was_told, f"{item[0]} on {name} is dead after {attempt} attempts")
        parsed = {n for n, state in tasks["urls"].items() if state == DONE} - tasks["pages"].keys()
        linked = {link for n in parsed for link in self._site.links[n]}
        self.must(linked <= tasks["urls"].keys(), f"links that were lost: {linked - tasks['urls'].keys()}")
        unkept = parsed - tasks["records"].keys() - self.sink
        self.must(not unkept, f"records that were lost: {unkept}")
        self.must(self.acked <= tasks["urls"].keys(), f"seeds that were acknowledged and lost: {self.acked - tasks['urls'].keys()}")
        self.dead = {name: {n for n, state in found.items() if state == DEAD} for name, found in tasks.items()}

    # ---- of each answer

    def asked(self, verb: str, arguments: list[Any]) -> None:
        if verb == "step":
            step: Step = arguments[0]
            self._asked.setdefault((step.worker, step.call), self._held_by(step.worker))
            self._arrived |= self._held_by(step.worker) & set(step.arrived)
            self._untouched |= self._held_by(step.worker) & set(step.returned)

    def _held_by(self, worker: str) -> frozenset[int]:
        """Before its first commit after a power cut we know nothing: then whatever was given out may be held."""
        if self._leased is None:
            return frozenset(self._tokens)
        return frozenset(token for token, grant in self._leased.items() if grant.worker == worker)

    def answered(self, verb: str, arguments: list[Any], result: Any) -> None:
        if verb == "put":
            self.acked |= {new.item[0] for new in arguments[0]}
        if verb != "step":
            return
        step: Step = arguments[0]
        name = (step.worker, step.call)
        tokens = [each.token for each in step.done] + [each.token for each in step.failed] + [*step.released, *step.returned]
        verdicts = list(result.verdicts)
        if tokens:
            words = ", ".join(f"{token:x} {verdict}" for token, verdict in zip(tokens, verdicts, strict=False))
            self.note(f"hub: {step.worker}, call {step.call}: {words}")
        self.must(len(tokens) == len(verdicts), f"{len(verdicts)} verdicts on {len(tokens)} tokens")
        said = self._said.setdefault(name, verdicts)
        self.must(said == verdicts, f"{name} was answered {said} and then {verdicts}")
        for token, verdict in zip(tokens, verdicts, strict=False):
            if verdict != Verdict.STALE:
                self.must(token in self._asked[name], f"{name} was not to be heard on {token:x}, and was told {verdict}")
                first = self._accepted.setdefault(token, name)
                self.must(first == name, f"{token:x} was accepted from {first} and from {name}")
        for lease in result.leases:
            self.must(lease.token in self._tokens, f"lease {lease.token:x} was told of before it was kept")

    # ---- at the end

    def finish(self) -> None:
        """Everything that can be reached is stored, but for what is dead."""
        reached, new = set[int](), set(self.acked)
        no_links = self.dead["urls"] | self.dead["pages"]
        while new:
            reached |= new
            new = {link for n in new - no_links for link in self._site.links[n]} - reached
        dead = no_links | self.dead["records"]
        self.must(reached - dead <= self.sink, f"never stored: {reached - dead - self.sink}")
        self.must(self.sink <= reached, f"stored and never linked to: {self.sink - reached}")
        self.must(set(self._site.seeds) == self.acked, "not all seeds were taken")
        gone = {n for n, kind in self._site.trouble.items() if kind in ("gone", "poison")} & reached
        self.must(gone <= self.dead["urls"], f"not dead: {gone - self.dead['urls']}")
