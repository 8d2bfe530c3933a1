"""Every fault of the plan, done to real processes, and what came of it as a table.

python -m tests.faults quick                 20 rounds of what the full run does 200 of: 2 minutes
python -m tests.faults full -o tests/faults/RESULTS.md
python -m tests.faults full --only R1 S2     these rows
python -m tests.faults soak --minutes 60
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.faults import attacks, kills, links, soak, suites, table, tutorial, wide, workers
from tests.faults.table import Row

Scenario = Callable[[Path], Row]
CLEAN, BROKEN, TERMINATED = 0, 1, 143


def scenarios(*, is_full: bool) -> dict[str, Scenario]:
    """The rows, in the order in which they are run: last those that take long and tell no times."""
    rounds, pages = (200, 2000) if is_full else (20, 400)
    return {
        "R1": lambda work: kills.kill_hub(work, rounds, pages),
        "R2": lambda work: kills.kill_workers(work, rounds, pages),
        "R3": lambda work: workers.tell_to_end(work, 30 if is_full else 6, 6 * pages, is_full=is_full),
        "R4": lambda work: workers.freeze(work, 20 if is_full else 2),
        "R5": lambda work: links.break_network(work, 10 if is_full else 2, 6 * pages, is_full=is_full),
        "R6": lambda work: links.lose_answers(work, 5000 if is_full else 500),
        "R11": lambda work: links.deliver_twice(work, pages),
        "R12": lambda work: workers.poison(work, 200 if is_full else 20),
        "R13": lambda work: workers.fill(work, 1_000_000 if is_full else 50_000),
        "S1": lambda work: attacks.stay_silent(work, 1000),
        "S2": lambda work: attacks.talk_garbage(work, 100_000 if is_full else 2000),
        "S3": lambda work: attacks.guess_keys(work, 1000 if is_full else 100),
        "S4": lambda work: attacks.betray(work, 50 if is_full else 2),
        "S5": lambda work: attacks.exhaust_files(work, 200),
        "S6": attacks.open_twice,
        "R17": lambda work: wide.survive(work, *(wide.FULL if is_full else wide.QUICK)),
        **{name: partial(suites.run, name, is_full=is_full) for name in suites.SUITES},
    }


BESIDE: dict[str, Callable[[], str]] = {
    "R1": tutorial.kill_hub,
    "R2": tutorial.kill_worker,
    "S1": lambda: tutorial.stay_silent(1000),
    "S5": lambda: tutorial.exhaust_files(200),
}
"""What the tutorial's hub does on the same test, measured in the same run."""


def run(name: str, scenario: Scenario, work: Path, *, is_full: bool) -> Row:
    began = time.monotonic()
    try:
        row = scenario(work)
    except Exception as error:  # noqa: BLE001 - one row that cannot be had keeps nobody from the others
        row = Row(name, "could not be measured", "-", broken=[f"{type(error).__name__}: {error}"])
    row.seconds = time.monotonic() - began
    if is_full and name in BESIDE:
        row.others = f"{row.others}; {BESIDE[name]()}"
    print(table.short(row), flush=True)
    return row


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("quick", "full", "soak"), nargs="?", default="quick")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the table there, in Markdown")
    parser.add_argument("--only", nargs="+", metavar="ROW", default=[], help="these rows and no others")
    parser.add_argument("--minutes", type=float, default=60.0, help="of a soak (default 60)")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))  # as Ctrl-C: what was started is ended
    is_full = args.what == "full"
    every: dict[str, Scenario] = (
        {"L": lambda work: soak.soak(work, args.minutes)} if args.what == "soak" else scenarios(is_full=is_full)
    )
    if unknown := [name for name in args.only if name not in every]:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(every)}")
    with tempfile.TemporaryDirectory(prefix="crawler-faults-") as directory:
        rows = [
            run(name, scenario, Path(directory), is_full=is_full)
            for name, scenario in every.items()
            if not args.only or name in args.only
        ]  # fmt: skip
    if args.output is not None:
        rows.sort(key=lambda row: ("RSPL".index(row.id[0]), int(row.id[1:] or 0)))
        args.output.write_text(table.document(rows, f"python -m tests.faults {args.what}"), "utf-8")
    return BROKEN if any(row.failures for row in rows) else CLEAN


if __name__ == "__main__":
    sys.exit(main())
