"""Caches and bounds so small that every test runs into them: `pytest --bounds 1` (or 2, 3, 4).

Each of these numbers is about cost alone: whatever it is, the same is to come out. With the real ones no test holds enough to reach
most of them. Tests of what something costs are marked `cost` and left out.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import Final

import crawler
import crawler_stages

# module -> the names of its caches and bounds
BOUNDS: Final = {
    "crawler.broker.sqlite.callers": ["KNOWN"],  # callers in memory
    "crawler.broker.sqlite.inspection": ["DELAYED_READ"],  # tasks that are read at once
    "crawler.broker.sqlite.hand_in": ["PROMOTE"],  # tasks made ready in one transaction
    "crawler.broker.sqlite.lend": ["ROWS_READ"],
    "crawler.broker.sqlite.lane": ["AHEAD"],  # tasks of a host known by number
    "crawler.broker.sqlite.review": ["BATCH"],
    "crawler.broker.sqlite.schema": ["INLINE"],  # bytes of an item in its task's row
    "crawler.broker.sqlite.queues": ["LANES_KEPT"],
    "crawler.web.joins": ["_KEPT", "_KEPT_NEAR"],
    "crawler.web.scope": ["_REMEMBERED"],
    "crawler.web.targets": ["_REMEMBERED"],
    "crawler_stages.sinks.keyed": ["SCANNED"],  # rows indexed in one transaction
}


def shrink(to: int) -> None:
    """Set all of them to this number, in every module that has imported them."""
    for package in (crawler, crawler_stages):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    for source, names in BOUNDS.items():
        for name in names:
            assert isinstance(getattr(sys.modules[source], name), int), f"{source}.{name} is no bound"
            for module in _with(source, name):
                setattr(module, name, to)
    importlib.import_module("crawler.worker.known").Known.__init__.__defaults__ = (2 * to,)  # it keeps two halves


def _with(source: str, name: str) -> list[object]:
    """Return the modules whose code uses this name of that module: its own, and those that import it by name."""
    value = getattr(sys.modules[source], name)
    packages = ("crawler.", "crawler_stages.")
    ours = [module for module in sys.modules.values() if getattr(module, "__name__", "").startswith(packages)]
    return [sys.modules[source], *(module for module in ours if name in vars(module) and vars(module)[name] is value)]
