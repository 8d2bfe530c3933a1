"""Notice a stage that gives nothing, most likely because its author has forgotten a `return`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crawler.items import Pace
from crawler.stage import Report

MESSAGES: Final = (Pace, Report)  # to the hub
NOTHING: Final = "gave nothing"  # counter: items for which a stage with outputs gave none, and dropped none


def is_item(given: Any) -> bool:
    """Tell whether it is an item, and not None or a message to the hub."""
    return not (given is None or isinstance(given, MESSAGES))


def nothing(counters: Mapping[str, int]) -> dict[str, int]:
    """Return the number of items for which stages gave nothing, by stage. counters: of a whole crawl.

    Pages that say noindex are left out: the parse stage rightly gives nothing for them.
    """
    stages = {name.removesuffix(f"/{NOTHING}"): n for name, n in counters.items() if name.endswith(f"/{NOTHING}")}
    left = {stage: n - counters.get(f"{stage}/skipped/noindex", 0) for stage, n in stages.items()}
    return {stage: n for stage, n in left.items() if n > 0}
