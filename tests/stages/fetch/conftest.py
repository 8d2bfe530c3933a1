from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import responses

from crawler import LocalShared
from crawler_stages.fetch import Fetch


@pytest.fixture
def web() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


@pytest.fixture
def make() -> Iterator[Callable[..., Fetch]]:
    made: list[Fetch] = []

    def fetch(shared: LocalShared | None = None, **options: Any) -> Fetch:
        # The client whose replies can be written down here; what they are like from the wire is the same for all clients.
        fixed = {"client": "requests", "pause_after_robots": 0}
        stage = Fetch(msgspec.convert({**fixed, **options}, Fetch.Options), shared)
        stage.open()
        made.append(stage)
        return stage

    yield fetch
    for stage in made:
        stage.close()


@pytest.fixture
def fetch(make: Callable[..., Fetch]) -> Fetch:
    return make(robots=False)
