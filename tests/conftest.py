"""For all tests: what they are called, and that a part that is missing is a skip on a laptop and a failure in CI."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

# Not ours to install: sets of cases that lie beside a checkout, other crawlers, and what the machine itself has not.
FREE = ("CRAWLER_CASES", "[bench]", "IPv6")

# The directory for compiled modules of processes that tests start, where Python is told to write none (as many containers do).
BYTECODE = "TESTS_BYTECODE"
QUICK_FOLDERS = pytest.StashKey[dict[Path, bool]]()  # see `quick_folders`
WAITING = 2  # test processes more than processors: slow tests mostly wait, for processes and clocks


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bounds", type=int, metavar="N", help="set caches and bounds to N, 1 to 4: see tests/bounds.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return processors + (0 if config.option.markexpr == "quick" else WAITING)


def pytest_configure(config: pytest.Config) -> None:
    """Let the processes that tests start compile each module once: a crawl takes half the CPU time then."""
    config.stash[QUICK_FOLDERS] = defaultdict(bool)
    if small := config.getoption("bounds"):
        from tests.bounds import shrink  # here, because it imports all modules there are

        shrink(small)
    if not hasattr(config, "workerinput") and "PYTHONDONTWRITEBYTECODE" in os.environ:
        os.environ[BYTECODE] = tempfile.mkdtemp(prefix="crawler-tests-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(BYTECODE)))
    if BYTECODE in os.environ and (hasattr(config, "workerinput") or not config.getoption("numprocesses", None)):
        os.environ["PYTHONPYCACHEPREFIX"] = os.environ[BYTECODE]
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `pytest -m quick` runs. A slow test is among it only by a mark of its own."""
    if items and items[0].config.getoption("bounds"):
        items[:] = [item for item in items if not item.get_closest_marker("cost")]
    for item in items:
        if not any(item.get_closest_marker(name) for name in ("slow", "soak")):
            item.add_marker("quick")
        folder = item.path.parent
        item.config.stash[QUICK_FOLDERS][folder] |= item.get_closest_marker("quick") is not None


@pytest.fixture
def quick_folders(pytestconfig: pytest.Config) -> dict[Path, bool]:
    """The folders in which tests were collected, and whether one of these is quick."""
    return pytestconfig.stash[QUICK_FOLDERS]


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
