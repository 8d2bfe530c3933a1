"""For all tests: what they are called, and that a part that is missing is a skip on a laptop and a failure in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

# Not ours to install: sets of cases that lie beside a checkout, other crawlers, and what the machine itself has not.
FREE = ("CRAWLER_CASES", "[bench]", "IPv6")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `pytest -m quick` runs. A slow test is among it only by a mark of its own."""
    for item in items:
        if not any(item.get_closest_marker(name) for name in ("slow", "soak")):
            item.add_marker("quick")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes that nobody can read are no name; what gzip makes even has the time in it, and each process that runs tests has to
    find the same ones."""
    return argname if isinstance(val, bytes) and not (val.isascii() and val.decode().isprintable()) else None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()
    if not (report.skipped and os.environ.get("CI")) or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not any(word in reason for word in FREE):
        report.outcome = "failed"
        report.longrepr = f"in CI nothing is left out: {reason}"
