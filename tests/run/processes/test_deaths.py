"""Reports to the hub by the parent of a worker process that has died."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from crawler.broker.contract import QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.errors import CallRefused
from crawler.items import New, Step
from crawler.run.processes.deaths import report_death

PID = 4321
OURS = f"fetch@{socket.gethostname()}:{PID}:abc"
OTHERS = f"fetch@{socket.gethostname()}:{PID}:def"  # of a container that has the same name


class Partly(SqliteBroker):
    """A hub in which the names of some workers are those of others."""

    def held(self, worker: str, tokens: Any = ()) -> list[str]:
        if worker == OTHERS:
            raise CallRefused("the name belongs to another process")
        return super().held(worker, tokens)


@pytest.fixture
def hub() -> Iterator[SqliteBroker]:
    hub = Partly(":memory:", (QueueSpec("urls", is_read=True),))
    hub.put([New("urls", msgspec.msgpack.encode({"url": f"http://a.test/{n}"})) for n in range(4)])
    yield hub
    hub.close()


def child(begun: list[int], at_work: list[int]) -> Any:
    return SimpleNamespace(ending="was killed by SIGKILL", begun=begun, at_work=at_work)


@pytest.mark.parametrize(
    ("begun", "at_work", "at"),
    [
        ([0, 1, 2], [1], "http://a.test/1"),
        ([0, 1, 2], [1, 2], "http://a.test/1 and 1 other task"),
        ([1, 2], [], "http://a.test/1 and 1 other task"),
        ([], [], "http://a.test/0 and 2 other tasks"),
    ],
)
def test_what_a_worker_was_at_is_named_as_closely_as_it_is_known(
    hub: SqliteBroker, begun: list[int], at_work: list[int], at: str
) -> None:
    tokens = [lease.token for lease in hub.step(Step(OURS, 1, "urls", 3)).leases]

    told = report_death(hub, child([tokens[n] for n in begun], [tokens[n] for n in at_work]), PID)

    assert told == at
    assert hub.expire(OURS) == 0


def test_a_worker_that_held_nothing_was_at_nothing(hub: SqliteBroker) -> None:
    hub.step(Step(OURS, 1))

    assert report_death(hub, child([], []), PID) is None


def test_a_worker_of_somebody_else_with_the_same_number_is_left_alone(hub: SqliteBroker) -> None:
    hub.step(Step(OTHERS, 1, "urls", 1))
    hub.step(Step(OURS, 1, "urls", 1))

    assert report_death(hub, child([], []), PID) == "http://a.test/1"
    assert hub.expire(OTHERS) == 1
