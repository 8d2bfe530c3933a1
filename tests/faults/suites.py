"""R7 to R10, R14 to R16, P1 and P2: disks, clocks, hostile sites, the model. These are in the normal tests, case by case; here they
are run, some of them for longer, and counted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.processes import ROOT
from tests.faults.table import Row


@dataclass(frozen=True)
class Suite:
    """Tests of which every one is a round."""

    what: str
    holds: str
    others: str
    words: tuple[str, ...]  # for pytest: files, and which of their tests
    longer: tuple[str, ...] = ()  # the same in a full run
    environment: Mapping[str, str] = field(default_factory=dict)  # of a full run


SUITES = {
    "R7": Suite(
        "the disk of the hub or of the output fills up, and is emptied again",
        "nothing acknowledged is lost, work from outside is refused, the crawl goes on unaided",
        "with SQLite alone a lease fails as well (measured); Redis refuses every write once it could not save (documentation)",
        ("tests/broker/sqlite/test_disk.py", "tests/e2e/test_storage_faults.py", "-k", "test_disk or full or room"),
    ),
    "R8": Suite(
        "the disk fails: EIO of write and fdatasync",
        "nothing is acknowledged that is not kept, the hub ends with 75, the next one goes on",
        "with the plain SQLite schema the same: rows and acknowledgements agree (measured)",
        ("tests/broker/sqlite/test_sqlite_faults.py", "tests/e2e/test_storage_faults.py", "-k", "fails or sync or damaged"),
    ),
    "R9": Suite(
        "the power goes: of what was not synced all, nothing, the first part or any sectors are left",
        "the store opens, is a state it was in, and has every put that was acknowledged",
        "NATS may lose 2 minutes, Faktory 120 s, beanstalkd 50 ms by default (their documentation)",
        ("tests/broker/sqlite/test_power.py", "tests/simulation/test_power_cut.py"),
        ("-m", "slow or soak"),
    ),
    "R10": Suite(
        "the clock jumps an hour, or ten years, forth or back",
        "no lease ends early or never, no host is asked early or never",
        "",
        ("tests/broker/test_politeness.py", "-k", "wall_clock or while_the_hub_was_down"),
    ),
    "R14": Suite(
        "pages made to exhaust a crawler",
        "no process over 512 MiB, each page within its limits, the rest of the crawl unaffected",
        "Scrapy by default reads 1 GiB for 180 s (its settings)",
        ("tests/e2e/test_hostile.py", "tests/stages/test_oddities.py"),
    ),
    "R15": Suite(
        "links, redirects and names that lead to private addresses",
        "a canary at a private address is never asked",
        "Scrapy and Crawlee ask it (their source)",
        ("tests/e2e/test_guard.py", "tests/web/test_addresses.py", "tests/stages/clients/test_clients_and_networks.py"),
    ),
    "R16": Suite(
        "robots.txt that is missing, forbidden, late, huge, redirected",
        "RFC 9309, case by case",
        "Scrapy allows all on a 5xx or a timeout (its source)",
        ("tests/web/test_robots.py", "tests/stages/fetch/test_robots_files.py"),
    ),
    "P1": Suite(
        "any calls in any order, with crashes, against a model of the broker",
        "the broker does what the model does; in a full run 2,000 lives of 50 calls",
        "",
        ("tests/broker/test_model.py",),
        environment={"HYPOTHESIS_PROFILE": "thorough"},
    ),
    "P2": Suite(
        "hub, clients and workers in virtual time, faults by a seed",
        "no promise is broken, and all ends once faults do; in a full run 10,000 seeds",
        "",
        ("tests/simulation/test_simulation.py",),
        ("-m", "slow or soak"),
    ),
}  # fmt: skip


def run(name: str, work: Path, *, is_full: bool) -> Row:
    suite = SUITES[name]
    row = Row(name, suite.what, suite.holds, others=suite.others)
    words = [*suite.words, *(suite.longer if is_full else ())]
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--basetemp", str(work / name), *words],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **(suite.environment if is_full else {})},
    ).stdout  # fmt: skip
    counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|error|skipped)", said.strip().rpartition("\n")[2])}
    row.rounds = sum(counts.values())
    row.expect(counts.get("passed", 0) > 0 and not counts.get("failed") and not counts.get("error"), said[-1000:])
    files = [word for word in suite.words if word.endswith(".py")]
    row.notes.append(f"{', '.join(f'{n} {word}' for word, n in counts.items())}: {', '.join(files)}")
    return row
