"""The names a worker remembers of keyed queues, so that links the hub already has are not sent again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import filterfalse
from typing import TypeVar

from crawler.items import Name

KNOWN = 200_000  # names remembered: some 20 MB; the hub checks as many again in a second

_Some = TypeVar("_Some", bound=Name)
_NONE: frozenset[Name] = frozenset()


class Known:
    """Recent names of keyed queues, in two generations: dropping the older one is cheap, and half of the names always stay."""

    def __init__(self, limit: int = KNOWN) -> None:
        self._limit = limit // 2
        self._heard: deque[tuple[int, Iterable[tuple[str, Name]]]] = deque()  # from steps that a power cut might undo
        self._young: dict[str, set[Name]] = {}  # by queue
        self._old: dict[str, set[Name]] = {}

    def __contains__(self, one: tuple[str, Name]) -> bool:
        queue, name = one
        return name in self._young.get(queue, ()) or name in self._old.get(queue, ())

    def unknown(self, queue: str, names: Sequence[_Some]) -> Sequence[_Some]:
        """Return the names that are not known, in their order. Cheap for a page whose links are all known."""
        young, old = self._young.get(queue, _NONE), self._old.get(queue, _NONE)
        return list(filterfalse(old.__contains__, filterfalse(young.__contains__, names)))

    def learn(self, names: Iterable[tuple[str, Name]], at: int) -> None:
        """Remember names that the hub has according to this commit. They count after the hub has made it durable: see `trust`."""
        self._heard.append((at, names))

    def trust(self, until: int) -> None:
        """Use the names learned up to this commit: they now survive a crash of the hub's machine.

        Otherwise a page could finish without links that another page had put, and a power cut could undo that other page.
        """
        while self._heard and self._heard[0][0] <= until:
            for queue, name in self._heard.popleft()[1]:
                self._young.setdefault(queue, set()).add(name)
        if sum(map(len, self._young.values())) > self._limit:
            self._young, self._old = {}, self._young

    def clear(self) -> None:
        """Forget everything: the hub has another store now."""
        self._heard.clear()
        self._young, self._old = {}, {}
