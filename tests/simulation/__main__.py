"""`python -m tests.simulation --seeds 10000` looks for a broken promise; `--seed N -v` shows one run line by line."""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulation.world import BAD_BOOTS, outcome, replay


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="run this one alone")
    parser.add_argument("--seeds", type=int, default=300, help="how many to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="at once")
    parser.add_argument("--bad-boots", type=float, default=BAD_BOOTS, metavar="P", help="how often a start ends in a power cut")
    parser.add_argument("-v", "--verbose", action="store_true", help="show what happened")
    asked = parser.parse_args()
    if asked.seed is not None:
        lines, failure = replay(asked.seed, asked.bad_boots)
        print("\n".join(lines if asked.verbose else lines[-1:]))
        return _verdict([failure] if failure else [], 1, 0.0)
    seeds = range(asked.first, asked.first + asked.seeds)
    began = time.monotonic()
    with ProcessPoolExecutor(asked.processes) as processes:
        outcomes = processes.map(partial(outcome, bad_boots=asked.bad_boots), seeds, chunksize=20)
        failures = [failure for failure in outcomes if failure]
    return _verdict(failures, len(seeds), time.monotonic() - began)


def _verdict(failures: list[str], runs: int, seconds: float) -> int:
    print("\n".join(failures[:20]))
    print(f"{runs} run(s) in {seconds:.1f} s, {len(failures)} with a broken promise")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
