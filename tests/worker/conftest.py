"""A hub in memory that keeps what it is asked, and workers on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from crawler.worker import loop
from tests.workshop import Running, Watched, workers


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "POLL", 0.05)


@pytest.fixture
def broker() -> Iterator[Watched]:
    broker = Watched()
    yield broker
    broker.close()


@pytest.fixture
def work(broker: Watched) -> Iterator[Callable[..., Running]]:
    with workers(broker) as start:
        yield start
