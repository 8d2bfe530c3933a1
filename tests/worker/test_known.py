"""What a worker knows the hub to have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from crawler import Stage, To
from crawler.items import New, Note, Step, Stepped, Verdict
from crawler.worker.shared_notes import SharedNotes
from tests.workshop import TIME, Watched


class Linker(Stage):
    """Every item links to one and the same URL."""

    def open(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def process(self, item: str) -> To:
        self.begun.release()
        assert self.go.acquire(timeout=TIME)
        return To("urls", "u")


def admit(item: str) -> New:
    return New("urls", item.encode(), key=item.encode())


def children(broker: Watched) -> list[int]:
    return [len(done.children) for step, _ in broker.steps for done in step.done]


def wait_until_trusted(broker: Watched) -> None:
    """Wait until the worker has heard that the commits of all it has handed in are durable, and has called again after that."""
    last = max(answer.commit for step, answer in broker.steps if step.done)
    broker.wait_until(lambda: len(broker.steps) > 1 and broker.steps[-2][1].durable >= last)


def test_a_key_is_known_once_the_hub_accepted_it_and_not_before(broker, work):
    stage = Linker()
    broker.fill("in", "a")
    running = work(stage, gatekeepers={"urls": admit})
    broker.wait_until(lambda: broker.leased())
    stage.begun.acquire(timeout=TIME)
    broker.expire("w1")
    stage.go.release()

    broker.wait_until(lambda: children(broker))  # the late one
    stage.begun.acquire(timeout=TIME)  # the same again, in process until whatever the first has told is trusted
    wait_until_trusted(broker)
    stage.go.release()
    broker.wait_until(lambda: broker.drained(["in"]))
    wait_until_trusted(broker)
    broker.fill("in", "b")
    stage.go.release()
    broker.wait_until(lambda: broker.counts("in").done == 2)

    running.stop()
    assert [verdict for _, answer in broker.steps for verdict in answer.verdicts] == [Verdict.STALE, Verdict.DONE, Verdict.DONE]
    assert children(broker) == [1, 1, 0]
    assert broker.counts("urls").accepted == 1


class Relay:
    """A connection to whatever hub is at the address."""

    def __init__(self, broker: Watched) -> None:
        self.broker = broker

    def __getattr__(self, name: str) -> Any:
        return getattr(self.broker, name)


class Unsynced(Relay):
    """A hub whose disk has not taken anything yet."""

    def step(self, step: Step) -> Stepped:
        return msgspec.structs.replace(self.broker.step(step), durable=0)


def test_a_key_that_a_power_cut_might_undo_is_sent_again(broker, work):
    stage = Linker()
    stage.open = lambda: None
    stage.begun, stage.go = threading.Semaphore(0), threading.Semaphore(2)
    broker.fill("in", "a")
    running = work(stage, gatekeepers={"urls": admit}, broker=Unsynced(broker))
    broker.wait_until(lambda: broker.counts("in").done == 1)

    broker.fill("in", "b")
    broker.wait_until(lambda: broker.counts("in").done == 2)

    running.stop()
    assert children(broker) == [1, 1]
    assert broker.counts("urls").accepted == 1


class Undone(Relay):
    """A hub that a power cut has set back: its notes count from a lower number, and one of them is another."""

    has_lost = False

    def step(self, step: Step) -> Stepped:
        answer = self.broker.step(step)
        return msgspec.structs.replace(answer, epoch=answer.epoch + 1, notes=1) if self.has_lost else answer

    def notes(self, prefix: str, since: int = 0, after: str | None = None) -> list[Note]:
        if not self.has_lost:
            return self.broker.notes(prefix, since, after)
        return [Note("word", b"new", 1)] if since < 1 else []


def test_notes_that_a_power_cut_has_set_back_are_read_again(broker, work):
    class Reader(Stage):
        def process(self, item: str) -> str:
            return self.shared.find("word")["word"].decode()

    relay = Undone(broker)
    broker.note([Note("other", b"1")])
    broker.note([Note("word", b"old")])
    stage = Reader()
    stage.shared = SharedNotes(relay)
    running = work(stage, broker=relay, side=relay, shared=stage.shared)
    broker.fill("in", "a")
    assert broker.results(1) == ["old"]

    relay.has_lost = True
    seen = len(broker.steps)
    broker.wait_until(lambda: len(broker.steps) > seen + 1)
    broker.fill("in", "b")

    assert broker.results(1) == ["new"]
    running.stop()


@pytest.mark.slow
def test_a_store_that_was_replaced_under_the_worker_gets_nothing_of_the_old_one(broker, work):
    class Gated(Stage):
        concurrency = 3

        def open(self) -> None:
            self.gates = {"old": threading.Event(), "new": threading.Event()}
            self.begun = {"old": threading.Event(), "new": threading.Event()}

        def process(self, item: str) -> Iterator[To]:
            self.begun[item].set()
            assert self.gates[item].wait(TIME)
            yield To("out", item)
            yield To("urls", item)

    stage, fresh, relay = Gated(), Watched(), Relay(broker)
    broker.fill("in", "old")
    fresh.fill("in", "new")
    running = work(stage, broker=relay, side=relay, gatekeepers={"urls": admit})
    broker.wait_until(lambda: broker.leased())
    assert stage.begun["old"].wait(TIME)

    relay.broker = fresh
    assert stage.begun["new"].wait(TIME)
    assert fresh.leased()[0].token == broker.leased()[0].token  # both stores count from one
    stage.gates["old"].set()
    seen = len(fresh.steps)
    fresh.wait_until(lambda: len(fresh.steps) > seen + 2)
    stage.gates["new"].set()

    assert fresh.results(1) == ["new"]
    running.stop()
    assert fresh.counts("out").accepted == fresh.counts("urls").accepted == 1
    fresh.close()
