"""A hub that is just being started is waited for, and one that refuses us is not."""

from __future__ import annotations

import pytest
from memory_broker import KEY

from crawler.errors import CallRefused, HubUnreachable, KeyRefused
from crawler.hub.client import HubClient
from crawler.hub.ready import wait_for


def test_a_hub_that_comes_later_is_waited_for(serve, tmp_path):
    address = f"unix:{tmp_path}/hub.sock"
    tries = []

    def look():
        tries.append(1)
        if len(tries) == 3:
            serve(address)

    with HubClient(address, KEY, patience=7.0) as hub:
        wait_for(hub, ["urls"], 10.0, look)

        assert len(tries) >= 3
        assert hub.patience == 7.0


def test_one_that_does_not_come_is_unreachable(tmp_path):
    with HubClient(f"unix:{tmp_path}/hub.sock", KEY) as hub, pytest.raises(HubUnreachable):
        wait_for(hub, [], 0.02)


def test_what_it_refuses_is_told_at_once(serve, tmp_path):
    address = f"unix:{tmp_path}/hub.sock"
    serve(address)

    with HubClient(address, b"another" * 8) as hub, pytest.raises(KeyRefused):
        wait_for(hub, [], 60.0)
    with HubClient(address, KEY) as hub, pytest.raises(CallRefused):
        wait_for(hub, ["no-such-queue"], 60.0)
