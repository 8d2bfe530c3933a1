"""Count dropped items by reason: `dropped/no title`. The number of reasons is bounded: each is a counter that the hub stores."""

from __future__ import annotations

import re
from typing import Final

from crawler.wording.texts import words

KINDS: Final = 5  # reasons per stage and process that are counted separately; further ones count only in the total
LONGEST: Final = 60  # characters of a reason
NO_REASON: Final = "no reason given"
_NUMBER = re.compile(r"\d+")


class Drops:
    """The reasons that one stage has given so far."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def counters(self, reason: object) -> dict[str, int]:
        """Return what to count for one item dropped for this reason. Reasons that differ only in numbers are counted as one."""
        kind = _NUMBER.sub("N", words(str(reason), LONGEST)).strip() or NO_REASON
        if kind not in self._known and len(self._known) >= KINDS:
            return {"dropped": 1}
        self._known.add(kind)
        return {"dropped": 1, f"dropped/{kind}": 1}
