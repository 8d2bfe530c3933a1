"""Waiting for a hub that is just being started."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from crawler.errors import HubLost, HubUnreachable
from crawler.hub.client import HubClient

PAUSE = 0.005  # s between tries: a start takes some 30 ms, and the caller has nothing else to do
SOON = 1.0  # s after which it is in no such hurry
LATER = 0.1  # s between tries then


def wait_for(hub: HubClient, queues: Sequence[str], seconds: float, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Wait until the hub answers a question about these queues. meanwhile: called before each try.

    Raises the error of the last try if it does not answer in time, and at once the refusal of a hub that does answer.
    """
    patience, hub.patience = hub.patience, 0.0
    began = time.monotonic()
    try:
        while True:
            meanwhile()
            try:
                hub.drained(queues)
            except (HubUnreachable, HubLost):
                waited = time.monotonic() - began
                if waited > seconds:
                    raise
                time.sleep(PAUSE if waited < SOON else LATER)
            else:
                return
    finally:
        hub.patience = patience
