"""What a worker remembers of a keyed queue, so that links the hub already has are not sent to it again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import filterfalse
from typing import TypeVar

from crawler.items import Name

KNOWN = 200_000                             # names remembered: some 20 MB, a second for the hub to be asked again

_Some = TypeVar("_Some", bound=Name)
_NONE: frozenset[Name] = frozenset()


class Known:
    """What a keyed queue has of late, by name: two generations, so that forgetting costs nothing and half is always kept."""

    def __init__(self, limit: int = KNOWN) -> None:
        self._limit = limit // 2
        self._heard: deque[tuple[int, Iterable[tuple[str, Name]]]] = deque()   # of steps that a power cut might undo
        self._young: dict[str, set[Name]] = {}     # by queue
        self._old: dict[str, set[Name]] = {}

    def __contains__(self, one: tuple[str, Name]) -> bool:
        queue, name = one
        return name in self._young.get(queue, ()) or name in self._old.get(queue, ())

    def unknown(self, queue: str, names: Sequence[_Some]) -> Sequence[_Some]:
        """Those of these names that are not known, in their order. Of a page whose links are all known it costs next to nothing."""
        young, old = self._young.get(queue, _NONE), self._old.get(queue, _NONE)
        return list(filterfalse(old.__contains__, filterfalse(young.__contains__, names)))

    def learn(self, names: Iterable[tuple[str, Name]], at: int) -> None:
        """The hub said in this commit that it has these. They count once it is sure that it keeps them: see `trust`."""
        self._heard.append((at, names))

    def trust(self, until: int) -> None:
        """What was learned up to this commit stays, whatever becomes of the hub's machine.

        Else a page could be finished without links that went with another, and that one be undone by a power cut and fail."""
        while self._heard and self._heard[0][0] <= until:
            for queue, name in self._heard.popleft()[1]:
                self._young.setdefault(queue, set()).add(name)
        if sum(map(len, self._young.values())) > self._limit:
            self._young, self._old = {}, self._young

    def clear(self) -> None:
        """It is another hub's memory: what was known is not."""
        self._heard.clear()
        self._young, self._old = {}, {}
