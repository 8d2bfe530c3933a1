"""Numbers of a call that cannot be meant or stored, refused before the call reaches the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crawler.errors import CallRefused
from crawler.items import Failed, New, Pace, Step

LONGEST = 1e9  # s, some thirty years: what a clock, a timer and a table can all hold
TOKENS = 1 << 63  # of a lease are below this
LARGEST = 1 << 53  # of any count, sum or order: exact in every language and table


def seconds(what: str, value: float | None) -> None:
    """NaN is refused as well; a negative time is one that has passed."""
    if value is not None and not -LONGEST <= value <= LONGEST:
        raise CallRefused(f"{what} of {value} s is not possible; give a number of seconds up to {LONGEST:.0f}")


def whole(what: str, value: int) -> None:
    if not -LARGEST <= value <= LARGEST:
        raise CallRefused(f"{what} of {value} is not possible; give a whole number between -2**53 and 2**53")


def lifetime(ttl: float) -> None:
    if not 0 < ttl <= LONGEST:
        raise CallRefused(f"a lease of {ttl} s is not possible; give a ttl above 0")


def tasks(items: Iterable[New]) -> None:
    for new in items:
        if new.delay:
            seconds("a delay", new.delay)
        if new.priority:
            whole("a priority", new.priority)
        if new.depth:
            whole("a depth", new.depth)
        if new.tried is not None:
            seconds("a wait before the next attempt", new.tried.after)


def paces(asked: Iterable[Pace]) -> None:
    for pace in asked:
        seconds(f"a rest for {pace.host!r}", pace.rest)
        seconds(f"a delay for {pace.host!r}", pace.delay)
        seconds(f"a delay for {pace.host!r}", pace.fixed)
        seconds(f"a wait for {pace.host!r}", pace.held)


def failures(failed: Sequence[Failed]) -> None:
    for each in failed:
        seconds("a wait before the next attempt", each.after)


def tokens(given: Iterable[int]) -> None:
    """Check tokens. An expired token is no error; one that no hub can give out is."""
    for token in given:
        if not isinstance(token, int) or not 0 <= token < TOKENS:
            raise CallRefused(f"a token of {token!r} is not possible; give those of your leases")


def step(step: Step) -> None:
    if not step.worker:
        raise CallRefused("a worker without a name cannot lease; give it one that no other worker of the hub has")
    whole("a call number", step.call)
    whole("a number of tasks wanted", step.want)
    lifetime(step.ttl)
    seconds("a wait", step.wait)
    for done in step.done:
        tasks(done.children)
    failures(step.failed)
    tokens(step.arrived)
    tokens(step.returned)
    paces(step.paces)
    for name, n in step.counters.items():
        whole(f"a count for {name!r}", n)
