"""R14 to R16: hostile sites, addresses, robots.txt. These are in the normal tests, row by row; here they are run and counted."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults.processes import ROOT
from tests.faults.table import Row


def run(row: Row, work: Path, files: Sequence[str]) -> Row:
    """The tests in these files; every one is a round."""
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--basetemp", str(work / row.id), *files], cwd=ROOT, capture_output=True, text=True
    ).stdout  # fmt: skip
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error|skipped)", said.strip().rpartition("\n")[2])}
    row.rounds = sum(counts.values())
    row.expect(counts.get("passed", 0) > 0 and not counts.get("failed") and not counts.get("error"), said[-1000:])
    row.notes.append(f"{', '.join(f'{n} {word}' for word, n in counts.items())}: {', '.join(files)}")
    return row


def hostile_sites(work: Path) -> Row:
    """R14"""
    row = Row(
        "R14", "pages made to exhaust a crawler",
        "no process over 512 MiB, each page within its limits, the rest of the crawl unaffected",
        others="Scrapy by default reads 1 GiB for 180 s (its settings)",
    )  # fmt: skip
    return run(row, work, ["tests/e2e/test_hostile.py", "tests/stages/test_oddities.py"])


def addresses(work: Path) -> Row:
    """R15"""
    row = Row(
        "R15", "links, redirects and names that lead to private addresses", "a canary at a private address is never asked",
        others="Scrapy and Crawlee ask it (their source)",
    )  # fmt: skip
    return run(row, work, ["tests/e2e/test_guard.py", "tests/web/test_addresses.py", "tests/stages/test_clients_and_networks.py"])


def robots(work: Path) -> Row:
    """R16"""
    row = Row(
        "R16", "robots.txt that is missing, forbidden, late, huge, redirected", "RFC 9309, case by case",
        others="Scrapy allows all on a 5xx or a timeout (its source)",
    )  # fmt: skip
    return run(row, work, ["tests/web/test_robots.py", "tests/stages/test_robots_files.py"])
