"""Delay before a failed task is tried again, the same for every engine."""

from __future__ import annotations

from random import Random

BACKOFF_BASE = 1.0  # s; bound of the first wait, doubled with each further attempt
BACKOFF_CAP = 3600.0  # s; no longer than an hour: most outages are over by then


def backoff(attempt: int, random: Random) -> float:
    """Seconds until attempt `attempt + 1`: exponential with full jitter, so that what failed together is not retried together."""
    return random.uniform(0, min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(attempt - 1, 60)))
