"""Tell the hub that a worker process has died, and what it was doing."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from crawler.broker.contract import Broker
from crawler.errors import CallRefused
from crawler.wording.counting import counted
from crawler.wording.texts import BRIEF, words

if TYPE_CHECKING:
    from crawler.hub.client import HubClient
    from crawler.run.processes.supervisor import Child


def workers_in(hub: Broker, pids: Iterable[int]) -> list[str]:
    """Return the names of the workers in these processes of this machine."""
    marks = [f"@{socket.gethostname()}:{pid}:" for pid in pids]
    return [worker.name for worker in hub.stats().workers if any(mark in worker.name for mark in marks)]


def claim_workers(hub: HubClient, pid: int) -> None:
    """Let a client speak for the workers in a child process: a child has the secret of its parent."""
    for name in workers_in(hub, [pid]):
        with suppress(CallRefused):  # a worker of another crawl, whose name looks like one of ours
            hub.claim(name)


def report_death(hub: Broker, child: Child, pid: int) -> str | None:
    """Release the tasks of a dead worker. Returns the URLs of the tasks it worked on in words; None if there were none.

    Raises HubError and StorageError.
    """
    at: str | None = None
    for name in workers_in(hub, [pid]):
        with suppress(CallRefused):  # as above; with the key of an admin nothing is refused
            urls = hub.held(name, child.at_work or child.begun)
            if n := hub.expire(name, child.ending, child.begun, child.at_work):
                at = _named(urls, len(child.at_work or child.begun) or n)
    return at


def _named(urls: Sequence[str], n: int) -> str:
    """Name n tasks by the URL of the first; "" if it has none."""
    first = words(urls[0], BRIEF) if urls else ""
    return first + (f" and {counted(n - 1, 'other task')}" if first and n > 1 else "")
