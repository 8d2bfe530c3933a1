"""A host of a polite queue: its row of table `lane` in memory, and when it may be asked again.

open ──granted n──▶ up to per_host leased ──ended, or its page has arrived──▶ open again at max(next, now + delay)
"""

from __future__ import annotations

from crawler.broker.contract import Politeness

AHEAD = 4  # tasks of a lane known by number beside those that are lent next: 0.2 kB


class Lane:
    """One host of a polite queue; its row of table `lane` in memory."""

    __slots__ = (
        "accepted", "ahead", "delay", "fixed", "floor", "id", "last", "leased", "name", "next", "paused", "polite", "queue",
        "ready", "undo",
    )  # fmt: skip

    def __init__(
        self, id: int, queue: int, name: str, polite: Politeness, accepted: int = 0, ready: int = 0, leased: int = 0,
        next: float = 0.0, delay: float | None = None, fixed: float | None = None, paused: bool = False,
    ) -> None:  # fmt: skip
        self.id = id
        self.queue = queue
        self.name = name
        self.polite = polite
        self.floor: tuple[int, int] | None = None  # see `queues.Floor`
        self.ahead: list[int] | None = None if ready else []  # the first tasks READY and not leased, in order; None: not known
        self.last = 0  # the priority of the last of these
        self.accepted = accepted  # tasks of this host, ever
        self.ready = ready
        self.leased = leased  # slots in use: leased tasks but those that have arrived
        self.next = next  # hub time before which nothing is granted
        self.delay = delay  # s the host asked for (Crawl-delay); None: nothing
        self.fixed = fixed  # s set by hand; None: not set
        self.paused = paused
        # The tokens of the last lend and `next` before it, as long as nothing else has moved it; not stored.
        self.undo: tuple[range, float] | None = None

    @property
    def is_open(self) -> bool:
        """Return whether a task can be granted once `next` is reached."""
        return self.ready > 0 and not self.paused and self.room() > 0

    @property
    def is_unused(self) -> bool:
        """Return whether the lane has never had a task or a setting."""
        return not (self.accepted or self.next or self.paused) and self.delay is self.fixed is None

    def gap(self) -> float:
        """s between the end of one task and the start of the next. A host may ask for more than our own delay, not for less."""
        if self.fixed is not None:
            return self.fixed
        return max(self.polite.delay, self.delay or 0.0)

    def gap_by(self) -> str:
        """The origin of the gap between requests: see `HostStats.delay_by`."""
        if self.fixed is not None:
            return "hand"
        return "host" if (self.delay or 0.0) > self.polite.delay else self.polite.source

    def room(self) -> int:
        """Tasks that may be granted at once. With a gap it is one: starts are a gap apart as well."""
        free = self.polite.per_host - self.leased
        return min(free, 1) if self.gap() > 0 else free

    def put(self, id: int, priority: int) -> None:
        """Note a READY task that comes after all others."""
        if self.floor is not None and priority > self.floor[0]:
            self.floor = None
        if self.ahead is not None:
            if self.ahead and priority > self.last:
                self.ahead = None  # it comes before some of them
            elif len(self.ahead) == self.ready < AHEAD:  # these are all there are
                self.ahead.append(id)
                self.last = priority
        self.ready += 1

    def returned(self) -> None:
        """Note that an earlier task is READY again, perhaps before some that are leased."""
        self.ready += 1
        self.floor = self.ahead = None

    def granted(self, tokens: range, now: float) -> None:
        """Lend the first of those ahead, one for each token."""
        assert self.ahead is not None  # noqa: S101  they were found there
        del self.ahead[: len(tokens)]
        self.ready -= len(tokens)
        self.granted_apart(tokens, now)

    def granted_apart(self, tokens: range, now: float) -> None:
        """Lend tasks that stand outside the lane."""
        self.leased += len(tokens)
        undo = tokens, self.next
        self.rest(now + self.gap())
        self.undo = undo

    def ended(self, now: float) -> None:
        """Take back one whose host was asked or may have been, or that needs its host no longer."""
        self.leased -= 1
        self.rest(now + self.gap())

    def untouched(self, token: int) -> None:
        """Take back one whose host was never asked: unless something else has moved the host's clock since, it is set back."""
        self.leased -= 1
        if self.undo is not None and token in self.undo[0]:
            self.next = self.undo[1]

    def rest(self, until: float) -> None:
        """Grant nothing before this hub time."""
        self.next = max(self.next, until)
        self.undo = None
