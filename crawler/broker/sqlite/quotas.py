"""Limits on tasks put by producers: the rest of the disk is kept for the crawl and its admins."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence

from crawler.broker.contract import Quota
from crawler.broker.sqlite.queues import Queue
from crawler.broker.sqlite.schema import DEAD, DONE, MEMORY
from crawler.errors import QueueFull
from crawler.items import New

TASK_BYTES = 200  # of a task beside its item: its row and its place in the indexes
LARGEST_PART = 10  # at most one LARGEST_PART-th of a disk is kept free: small disks are used too


def check(queues: Mapping[str, Queue], items: Sequence[New], quota: Quota, path: str) -> None:
    """Raise QueueFull if these tasks, put from outside, would pass the quota. path: of the store."""
    if quota.queue_bytes:
        new = Counter[str]()
        for item in items:
            new[item.queue] += len(item.item) + TASK_BYTES
        for name, more in new.items():
            there = waiting_bytes(queues[name])
            if there + more > quota.queue_bytes:
                raise QueueFull(
                    f"queue {name!r} is full: {there:,} bytes wait there, and with {more:,} more it would be over the "
                    f"{quota.queue_bytes:,} of hub.producer_bytes; take some off it, or have an admin raise that"
                )
    if quota.free and path != MEMORY:
        disk = shutil.disk_usage(os.path.dirname(os.path.abspath(path)))
        kept = min(quota.free, disk.total // LARGEST_PART)
        if disk.free < kept:
            raise QueueFull(
                f"the hub's disk is nearly full: {disk.free:,} bytes are free, and {kept:,} are kept for the crawl and its admins "
                "(hub.producer_free); have an admin make room there"
            )


def waiting_bytes(queue: Queue) -> int:
    """Return how many bytes of the store the unfinished tasks of a queue take, roughly."""
    unfinished = sum(queue.counts) - queue.counts[DEAD] - queue.counts[DONE]
    return queue.bytes + unfinished * TASK_BYTES
