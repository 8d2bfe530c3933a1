"""Between workers and hub: requests and answers that are late, lost or there twice, under the package's own client.

HubClient ──request──▶ [late · lost · twice] ──▶ hub ──answer──▶ [late · lost] ──▶ HubClient
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from crawler.errors import HubLost
from crawler.hub import verbs
from crawler.hub.client import HubClient
from crawler.items import Step, Stepped
from tests.simulation.machine import Hub
from tests.simulation.scheduler import Scheduler, Waiter

ANSWER_TIME = 5.0  # s a client waits for an answer, beyond what the call itself waits
PATIENCE = 20.0  # s a client keeps trying
ARRIVES = 0.3  # of the pages in process: their worker says so with its next step
ADDRESS = "127.0.0.1:1"  # nobody connects to it


class Odds(Struct):
    """What goes wrong with a message, by probability."""

    lost_request: float = 0.0
    lost_answer: float = 0.0
    twice: float = 0.0
    late: float = 0.0  # a request arrives long after its sender gave the connection up
    silent: float = 0.0  # of what is lost: nobody is told, and the client waits in vain
    latency: float = 0.002  # s at most, each way


class Network:
    def __init__(self, scheduler: Scheduler, hub: Hub) -> None:
        self._scheduler = scheduler
        self._hub = hub
        self.odds = Odds()

    def exchange(self, body: bytes, wait: float) -> bytes | None:
        """One request and its answer; None: the connection broke, or nobody answered in time."""
        scheduler, random, odds = self._scheduler, self._scheduler.random, self.odds
        caller = scheduler.process
        waiters: list[Waiter] = []
        answers: list[bytes | None] = []

        def hear(answer: bytes | None) -> None:
            answers.append(answer)
            scheduler.wake(waiters)

        def lose() -> None:
            if random.random() >= odds.silent:
                scheduler.at(self._latency(), partial(hear, None))

        def carry_back(answer: bytes | None) -> None:
            if random.random() < odds.lost_answer:
                lose()
            else:
                scheduler.at(self._latency(), partial(hear, answer))

        deliver = partial(self._hub.receive, body, caller, carry_back)
        if random.random() < odds.lost_request:
            lose()
        elif random.random() < odds.late:
            lose()
            scheduler.at(random.uniform(0, 30), deliver)
        else:
            scheduler.at(self._latency(), deliver)
            if random.random() < odds.twice:
                again = partial(self._hub.receive, body, caller, lambda _: None)
                scheduler.at(random.choice([0.001, 0.1, 10.0]) * random.random(), again)
        scheduler.wait(wait + ANSWER_TIME, waiters)
        return answers[0] if answers else None

    def is_chosen(self, odds: float) -> bool:
        return self._scheduler.random.random() < odds

    def _latency(self) -> float:
        return self._scheduler.random.uniform(0, self.odds.latency)


class Client(HubClient):
    """The package's client, without sockets below it."""

    def __init__(self, network: Network, worker: str = "") -> None:
        super().__init__(ADDRESS, b"", worker, patience=PATIENCE)
        self._network = network
        self._fetching: list[int] = []  # tokens of tasks whose hosts are waited for, or were until they ended

    def step(self, step: Step) -> Stepped:
        """Its worker's, and what a chained one says besides: pages that have arrived, some of them handed in by now."""
        arrived = [token for token in self._fetching if self._network.is_chosen(ARRIVES)]
        self._fetching = [token for token in self._fetching if token not in arrived]
        stepped = super().step(replace(step, arrived=[*step.arrived, *arrived]))
        self._fetching += [lease.token for lease in stepped.leases if lease.queue == "urls"]
        return stepped

    @contextmanager
    def _borrow(self) -> Iterator[Any]:
        yield SimpleNamespace(names=set())

    def _introduce(self, connection: Any, verb: str, name: str) -> None:
        """Do nothing: the hub of a simulation speaks with the broker at once, and takes every name for claimed."""

    def _exchange(self, connection: Any, number: int, frame: bytearray, wait: float) -> verbs.Reply:
        answer = self._network.exchange(bytes(frame[4:]), wait)
        if answer is None:
            raise HubLost(ADDRESS)
        return verbs.read_reply(bytearray(answer))
