from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from crawler import Drop, Report, Retry, Stage, To, pool, worker
from crawler.errors import HubLost, StorageError, StorageFull
from crawler.items import New, Step, Stepped, Verdict
from crawler.shared import SharedNotes
from crawler.worker import StageHung, Worker
from tests.workshop import TIME, Running, Watched, workers


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "POLL", 0.05)


@pytest.fixture
def broker() -> Iterator[Watched]:
    broker = Watched()
    yield broker
    broker.close()


@pytest.fixture
def work(broker: Watched) -> Iterator[Callable[..., Running]]:
    with workers(broker) as start:
        yield start


class Double(Stage):
    is_closed = False

    def process(self, number: int) -> int:
        self.count("doubled")
        return number * 2

    def close(self) -> None:
        self.is_closed = True


class Held(Stage):
    """Keeps every item until the test lets go of it."""

    is_closed = False

    def open(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()

    def process(self, item: str) -> str:
        self.begun.release()
        assert self.go.wait(TIME)
        return item.upper()

    def close(self) -> None:
        self.is_closed = True


def held(**attributes: Any) -> Held:
    stage = type("Held", (Held,), attributes)()
    stage.open()
    stage.open = lambda: None
    assert isinstance(stage, Held)
    return stage


def test_items_go_through_and_counters_arrive_with_the_steps(broker, work):
    broker.fill("in", 1, 2, 3)
    stage = Double()
    running = work(stage)

    assert sorted(broker.results(3)) == [2, 4, 6]

    running.stop()
    assert stage.is_closed
    assert broker.counts("in").done == 3
    assert broker.stats().counters == {"it/doubled": 3}


def test_a_thousand_quick_tasks_take_far_fewer_round_trips(broker, work):
    broker.fill("in", *range(1000))
    running = work(Double())

    assert sorted(broker.results(1000)) == list(range(0, 2000, 2))

    running.stop()
    assert len(broker.steps) < 100


class Witness(Stage):
    """Sees how many tasks would lose an attempt if it died of the one in hand."""

    prefetch = 16

    def __init__(self, broker: Watched) -> None:
        super().__init__()
        self.broker = broker
        self.at_risk: list[int] = []

    def process(self, item: Any) -> None:
        self.at_risk.append(self.broker.counts("in").leased)


class WitnessOfMany(Witness):
    batch = 8

    def process(self, item: list[Any]) -> None:
        super().process(item)


class WitnessOfMuch(Witness):
    concurrency = 4


@pytest.mark.parametrize(("kind", "deaths"), [(Witness, 1), (WitnessOfMany, 1), (WitnessOfMuch, 4)])
def test_what_a_worker_may_have_died_of_is_begun_alone(broker, work, kind, deaths):
    broker.fill("in", *range(8))
    for death in range(deaths):
        assert len(broker.step(Step("dead", death + 1, "in", 8)).leases) == 8
        broker.expire("dead")
    witness = kind(broker)

    work(witness)
    broker.wait_until(lambda: broker.counts("in").done == 8)

    assert witness.at_risk == [1] * 8


def test_what_has_a_host_is_not_hoarded(broker, work):
    broker.fill("in", *range(20))
    polite = [msgspec.structs.replace(lease, host="example.org") for lease in broker.step(Step("x", 1, "in", 20)).leases]
    tempo = worker.Tempo(1)
    for lease in polite:
        tempo.note([lease], 0.0)

    assert tempo.ahead() == 0


@pytest.mark.slow
def test_quick_tasks_that_become_slow_are_given_back_for_others_to_do(broker, work, monkeypatch):
    monkeypatch.setattr(pool, "AHEAD", 0.02)

    class Moody(Stage):
        def process(self, seconds: float) -> None:
            time.sleep(seconds)

    broker.fill("in", *[0.0] * 200, *[0.03] * 30)

    running = work(Moody())
    broker.wait_until(lambda: broker.drained(["in"]))

    running.stop()
    assert any(len(step.released) > 10 for step, _ in broker.steps)
    assert broker.counts("in").done == 230


def test_an_async_stage_works_on_several_at_once(broker, work):
    class Meeting(Stage):
        concurrency = 2

        def open(self) -> None:
            self.arrived: list[int] = []
            self.all_here = asyncio.Event()

        async def process(self, number: int) -> AsyncIterator[int]:
            self.arrived.append(number)
            if len(self.arrived) == 2:                   # neither ends before the other has begun
                self.all_here.set()
            await self.all_here.wait()
            yield number
            yield -number

    broker.fill("in", 1, 2)
    work(Meeting())

    assert sorted(broker.results(4)) == [-2, -1, 1, 2]


def test_one_poisonous_item_of_a_batch_is_dead_and_the_others_are_done(broker, work):
    class Sum(Stage):
        batch = 10

        def process(self, numbers: list[int]) -> Iterator[int]:
            if 13 in numbers:
                raise ValueError("unlucky")
            yield sum(numbers)

    broker.fill("in", 1, 13, 2)
    work(Sum())
    broker.wait_until(lambda: broker.counts("in").dead)

    assert broker.results(2) == [1, 2]
    assert [(task.attempt, task.reason) for task in broker.dead()] == [(5, "ValueError: unlucky")]


def test_a_retry_is_an_attempt_and_the_last_one_is_the_end(broker, work):
    class Never(Stage):
        def process(self, item: str) -> None:
            raise Retry("not yet", after=0.0)

    broker.fill("in", "a")
    work(Never())
    broker.wait_until(lambda: broker.counts("in").dead)

    assert [(task.attempt, task.reason) for task in broker.dead()] == [(5, "not yet")]
    assert broker.stats().counters == {"it/retried": 5}


def test_what_does_not_fit_the_annotation_is_dead_at_once_and_says_why(broker, work):
    broker.fill("in", "three")
    broker.put([New("in", b"\xa1\xff")])                 # text that is no UTF-8: not an error of msgpack's own kind
    work(Double())
    broker.wait_until(lambda: broker.counts("in").dead == 2)

    first, second = broker.dead()
    assert first.reason == "not an item of this stage: Expected `int`, got `str`"
    assert first.attempt == second.attempt == 1


def test_report_and_drop_are_in_the_life_story(broker, work):
    class Teller(Stage):
        def process(self, item: str) -> Iterator[Report]:
            if item == "bad":
                raise Drop("of no use")
            yield Report("seen\nand done")

    broker.put([New("seen", msgspec.msgpack.encode(item), key=item.encode()) for item in ("good", "bad")])
    work(Teller(), input="seen")
    broker.wait_until(lambda: broker.counts("seen").done == 2)

    stories = [broker.why("seen", key) for key in (b"good", b"bad")]
    assert [story.report for story in stories if story] == ["seen\\nand done", "dropped: of no use"]


def test_stop_finishes_what_is_in_process_and_gives_back_the_rest_uncounted(broker, work):
    stage = held(prefetch=2)
    broker.fill("in", "a", "b", "c")
    running = work(stage)
    stage.begun.acquire(timeout=TIME)
    broker.wait_until(lambda: broker.counts("in").leased == 3)

    running.worker.stop()
    broker.wait_until(lambda: broker.counts("in").ready == 2)
    stage.go.set()

    assert running.ends() is None
    assert broker.results(1) == ["A"]
    assert stage.is_closed
    assert [lease.attempt for lease in broker.step(Step("w2", 1, "in", 2)).leases] == [1, 1]


def test_what_does_not_end_within_the_grace_is_given_back(broker, work, monkeypatch):
    monkeypatch.setattr(worker, "GRACE", 0.05)
    monkeypatch.setattr(worker, "CLOSING", 0.05)
    stage = held()
    broker.fill("in", "a")
    running = work(stage)
    stage.begun.acquire(timeout=TIME)

    running.stop()

    assert running.worker.has_leftovers
    assert not stage.is_closed                       # its thread is still at work with what close() would take away
    assert broker.counts("in").ready == 1
    stage.go.set()


def test_a_stop_before_the_start_opens_and_closes(broker):
    stage = Double()
    ready = Worker("it", stage, int, False, broker=broker, side=broker, input="in", outputs=(), gatekeepers={},
                   shared=SharedNotes(broker), worker="w")  # fmt: skip
    ready.stop()

    ready.run()

    assert stage.is_closed
    assert not broker.steps


def test_a_stage_that_cannot_open_leaves_no_thread(broker, work):
    class Broken(Stage):
        def open(self) -> None:
            raise StorageError("no disk")

        async def process(self, item: int) -> int:
            return item

    before = threading.active_count()

    running = work(Broken())

    assert isinstance(running.ends(), StorageError)
    assert threading.active_count() == before


class Cramped(Stage):
    """Opens once there is room."""

    tries = 0
    needed = 3

    def open(self) -> None:
        self.tries += 1
        if self.tries < self.needed:
            raise StorageFull("no room")

    def process(self, item: int) -> int:
        return item


def test_a_stage_that_has_no_room_to_open_is_opened_once_there_is(broker, work, monkeypatch, caplog):
    monkeypatch.setattr(worker, "ROOM", 0.01)
    broker.fill("in", 7)
    stage = Cramped()

    work(stage)

    assert broker.results(1) == [7]
    assert stage.tries == stage.needed
    assert "this worker waits for room: no room" in caplog.text


def test_one_that_waits_for_room_to_open_can_be_stopped(broker, work, monkeypatch):
    monkeypatch.setattr(worker, "ROOM", 0.01)
    stage = Cramped()
    stage.needed = 10**9

    work(stage).stop()

    assert not broker.steps


def test_a_worker_that_lost_its_lease_writes_nothing_twice(broker, work):
    first, second = held(), held()
    broker.fill("in", "a")
    work(first, "w1")
    first.begun.acquire(timeout=TIME)
    broker.expire("w1")
    work(second, "w2")
    second.begun.acquire(timeout=TIME)

    first.go.set()
    broker.wait_until(lambda: any(Verdict.STALE in answer.verdicts for _, answer in broker.steps))
    second.go.set()

    assert broker.results(1) == ["A"]
    assert broker.counts("in").done == 1
    assert broker.counts("out").accepted == 1


@pytest.mark.slow
def test_heart_beats_keep_a_long_task(broker, work):
    stage = held()
    broker.fill("in", "a")
    work(stage, lease=0.3)
    stage.begun.acquire(timeout=TIME)

    broker.wait_until(lambda: broker.beats == 5)         # one every 0.1 s: the lease is over without them
    stage.go.set()

    assert broker.results(1) == ["A"]
    assert len(broker.leased()) == 1


class Faulty:
    """A side connection whose first heart-beats fail."""

    def __init__(self, broker: Watched, *errors: Exception) -> None:
        self._broker = broker
        self._errors = list(errors)

    def extend(self, worker: str, tokens: Sequence[int], ttl: float) -> list[bool]:
        if self._errors:
            raise self._errors.pop()
        return self._broker.extend(worker, tokens, ttl)


def test_a_heart_beat_that_fails_is_not_the_last(broker, work):
    stage = held()
    broker.fill("in", "a")
    work(stage, lease=0.09, side=Faulty(broker, StorageError("full"), HubLost("here")))
    stage.begun.acquire(timeout=TIME)

    broker.wait_until(lambda: broker.beats)

    stage.go.set()


def test_a_hung_task_fails_the_others_are_given_back_and_the_worker_ends(broker, work, monkeypatch):
    monkeypatch.setattr(worker, "CLOSING", 0.05)
    stage = held(prefetch=3, hang=0.01)
    broker.fill("in", "a", "b")

    error = work(stage).ends()

    assert isinstance(error, StageHung)
    assert not stage.is_closed
    step, answer = broker.steps[-2]
    assert [failed.reason for failed in step.failed] == ["still in process after 0.01 s"]
    assert list(answer.verdicts) == [Verdict.RETRY]
    assert sorted(lease.attempt for lease in broker.step(Step("w2", 1, "in", 2)).leases) == [1, 2]
    stage.go.set()


def test_a_disk_that_fails_ends_the_worker_and_costs_no_attempt(broker, work):
    class Full(Stage):
        batch = 2
        is_closed = False

        def process(self, items: list[str]) -> None:
            raise StorageError("no space for 'out.jsonl'")

        def close(self) -> None:
            self.is_closed = True

    broker.fill("in", "a", "b", "c")
    stage = Full()

    error = work(stage).ends()

    assert str(error) == "no space for 'out.jsonl'"
    assert stage.is_closed
    assert broker.counts("in").ready == 3
    assert {lease.attempt for lease in broker.step(Step("w2", 1, "in", 3)).leases} == {1}


def test_what_a_stage_gives_that_cannot_be_stored_is_one_tasks_fault(broker, work):
    class Careless(Stage):
        def process(self, item: str) -> Iterator[Any]:
            if item == "key":
                yield To("", "x", key="text")             # type: ignore[arg-type]
            elif item == "wait":
                raise Retry("later", after=float("nan"))
            elif item == "words":
                raise ValueError("\ud800\x1b[2J")
            yield item

    broker.fill("in", "key", "wait", "words", "good")
    running = work(Careless())
    broker.wait_until(lambda: broker.counts("in").dead == 3)

    assert broker.results(1) == ["good"]
    running.stop()
    assert [task.reason for task in broker.dead()] == [
        "ValueError: To(key='text'): a key is bytes, 16 of them, or None",
        "ValueError: Retry with an after of nan is not possible; give a number of seconds up to 1000000000",
        "ValueError: \\ud800\\x1b[2J",
    ]


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


def test_a_key_is_known_once_the_hub_accepted_it_and_not_before(broker, work):
    stage = Linker()
    broker.fill("in", "a")
    running = work(stage, gatekeepers={"urls": admit})
    broker.wait_until(lambda: broker.leased())
    stage.begun.acquire(timeout=TIME)
    broker.expire("w1")
    stage.go.release(3)

    broker.wait_until(lambda: broker.drained(["in"]))    # the late one, and the same again
    broker.wait_until(lambda: broker.steps[-1][1].durable >= max(answer.commit for step, answer in broker.steps if step.done))
    broker.fill("in", "b")
    broker.wait_until(lambda: broker.counts("in").done == 2)

    running.stop()
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
    assert fresh.leased()[0].token == broker.leased()[0].token     # both stores count from one
    stage.gates["old"].set()
    seen = len(fresh.steps)
    fresh.wait_until(lambda: len(fresh.steps) > seen + 2)
    stage.gates["new"].set()

    assert fresh.results(1) == ["new"]
    running.stop()
    assert fresh.counts("out").accepted == fresh.counts("urls").accepted == 1
    fresh.close()


# ---- a disk that is full


class Full(Watched):
    """A hub whose disk has no room for the first so many steps that hand something in."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.refused: list[Step] = []
        self.times = times

    def step(self, step: Step) -> Stepped:
        if (step.done or step.released) and len(self.refused) < self.times:
            self.refused.append(step)
            raise StorageFull("no room")
        return super().step(step)


def test_a_full_disk_of_the_hub_is_waited_for_with_the_same_call(work, monkeypatch, caplog):
    monkeypatch.setattr(worker, "ROOM", 0.01)
    broker = Full(times=3)
    broker.fill("in", 1, 2)

    running = work(Double(), broker=broker, side=broker, shared=SharedNotes(broker))

    assert sorted(broker.results(2)) == [2, 4]
    assert {step.call for step in broker.refused} == {broker.refused[0].call}
    assert caplog.messages.count("this worker waits for room: no room") == 1
    running.stop()
    broker.close()


def test_a_worker_that_is_to_stop_does_not_wait_for_room_for_ever(work, monkeypatch):
    monkeypatch.setattr(worker, "ROOM", 0.01)
    monkeypatch.setattr(worker, "GRACE", 0.1)
    broker = Full(times=1_000_000)
    broker.fill("in", 1)
    running = work(Double(), broker=broker, side=broker, shared=SharedNotes(broker))
    while not broker.refused:
        threading.Event().wait(0.001)

    running.worker.stop()

    assert isinstance(running.ends(), StorageFull)
    broker.close()


def test_what_a_stage_has_no_room_for_is_given_back_and_costs_no_attempt(work, broker, monkeypatch):
    class Sink(Stage):
        tries = 0

        def process(self, number: int) -> int:
            self.tries += 1
            if self.tries < 8:                   # more often than a task has attempts
                raise StorageFull("no room")
            return number

    monkeypatch.setattr(worker, "ROOM", 0.01)
    broker.fill("in", 7)

    work(Sink())

    assert broker.results(1) == [7]
    assert {lease.attempt for lease in broker.leased()} == {1}
