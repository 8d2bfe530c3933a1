"""Why a stage drops items, counted by reason: `dropped/no title`. Bounded, because each reason is a counter that the hub keeps."""

from __future__ import annotations

import re
from typing import Final

from crawler.texts import words

KINDS: Final = 5          # reasons of a stage in a process that are counted apart; more are in the total alone
LONGEST: Final = 60       # characters of one
_NUMBER = re.compile(r"\d+")


class Drops:
    """The reasons that one stage has given so far."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def counters(self, reason: object) -> dict[str, int]:
        """What to count for one item that was dropped for this reason. Numbers in it make no new reason."""
        kind = _NUMBER.sub("N", words(str(reason), LONGEST)).strip()
        if not kind or (kind not in self._known and len(self._known) >= KINDS):
            return {"dropped": 1}
        self._known.add(kind)
        return {"dropped": 1, f"dropped/{kind}": 1}
