"""A broker of every kind: a test that asks for `broker` holds for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hands import Hand, House, house

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Broker

KINDS = ("memory", "file", "wire")
DURABLE = ("file", "wire")  # those that can be closed and opened again


@pytest.fixture(params=KINDS)
def any_house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    """A house whose broker the test opens itself."""
    kept = house(request.param, tmp_path)
    yield kept
    kept.close()


@pytest.fixture(params=DURABLE)
def durable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    kept = house(request.param, tmp_path)
    yield kept
    kept.close()


@pytest.fixture
def broker(any_house: House) -> Broker:
    return any_house.open()


@pytest.fixture
def clock(any_house: House) -> ManualClock:
    return any_house.clock


@pytest.fixture
def hand(broker: Broker) -> Hand:
    return Hand(broker)


@pytest.fixture
def other(broker: Broker) -> Hand:
    return Hand(broker, "other")
