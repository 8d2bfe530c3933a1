"""Stages that begin on many items and wait for none: `Stage.begin`, and what the worker makes of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import msgspec
import pytest

from crawler import Drop, GiveUp, Pace, Retry, Stage
from crawler.broker.contract import Politeness, QueueSpec
from crawler.items import New
from crawler.stage import Pending
from crawler.worker import loop
from crawler.worker.loop import StageHung
from tests.workshop import TIME, Now, Then, Told, Watched

QUEUES = (QueueSpec("in", polite=True, is_read=True), QueueSpec("out"), QueueSpec("urls", keyed=True))


REFUSALS = {"drop": Drop("no"), "retry": Retry("later", after=0), "give up": GiveUp("never")}


class Answers(Stage):
    """What it is asked waits until the test says that the answer is there, and then until it says to work on it."""

    overlap = 100

    def open(self) -> None:
        self.asked: SimpleQueue[tuple[str, Then]] = SimpleQueue()
        self.threads: set[str] = set()
        self.in_threads: list[str] = []

    def begin(self, item: str) -> Pending | None:
        if item.startswith("refuse"):
            raise REFUSALS[item.partition(" ")[2]]
        if item.startswith("wait"):
            return None
        return Told(lambda then: self.asks(item, then))

    def asks(self, item: str, then: Then) -> bool:
        if item.startswith("fail"):
            raise REFUSALS[item.partition(" ")[2]]
        if item.startswith("not yet"):
            return False
        self.asked.put((item, then))
        return True

    def process(self, item: str) -> str:
        self.in_threads.append(item)
        return f"{item}, in a thread"

    def next(self) -> tuple[str, Then]:
        return self.asked.get(timeout=TIME)

    def all(self, n: int) -> list[tuple[str, Then]]:
        return [self.next() for _ in range(n)]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "POLL", 0.05)
    monkeypatch.setattr(loop, "GRACE", 0.2)
    monkeypatch.setattr(loop, "CLOSING", 0.2)


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> Iterator[Watched]:
    broker = Watched(QUEUES, Politeness(per_host=6 if "introduced" in request.fixturenames else 2, delay=0.0))
    yield broker
    broker.close()


@pytest.fixture
def stage() -> Answers:
    stage: Answers = type("OfThisTest", (Answers,), {})()
    stage.open()
    stage.open = lambda: None  # type: ignore[method-assign]  # the test has opened it
    return stage


def put(broker: Watched, *items: str, host: str = "") -> None:
    broker.put([New("in", msgspec.msgpack.encode(item), host=host or item) for item in items])


@pytest.mark.slow
def test_many_are_in_process_and_none_has_a_thread(broker, work, stage):
    threads = threading.active_count()
    put(broker, *map(str, range(60)))
    work(stage)

    begun = stage.all(60)

    assert threading.active_count() <= threads + 2  # its loop and its heart
    assert broker.counts("in").leased == 60
    for item, then in begun:
        then(lambda item=item: item * 2)()
    assert sorted(broker.results(60)) == sorted(2 * str(n) for n in range(60))


@pytest.mark.slow
def test_no_more_are_begun_than_the_stage_or_the_user_says(broker, work, stage):
    put(broker, *map(str, range(10)))
    work(stage, concurrency=3)
    begun = stage.all(3)

    broker.wait_until(lambda: broker.steps[-1][1].leases == [])
    assert broker.counts("in").leased == 3
    begun[0][1](lambda: "x")()

    assert stage.next()
    assert broker.results(1) == ["x"]


@pytest.mark.slow
def test_a_host_is_free_once_its_page_is_there_and_before_it_is_worked_on(broker, work, stage):
    put(broker, "a", "b", "c", host="example.org")
    work(stage)
    first, second = stage.all(2)
    work_on_first = first[1](lambda: "first")

    third = stage.next()

    assert (first[0], second[0], third[0]) == ("a", "b", "c")
    assert broker.counts("in").leased == 3
    work_on_first()
    assert broker.results(1) == ["first"]


@pytest.mark.slow
def test_a_host_that_may_have_to_rest_waits_for_what_the_work_says(broker, work, stage):
    put(broker, "a", "b", "c", host="example.org")
    work(stage)
    first, _ = stage.all(2)
    work_on_first = first[1](lambda: Pace("example.org", rest=60.0), False)
    seen = len(broker.steps)
    broker.wait_until(lambda: len(broker.steps) > seen + 2)
    assert not any(step.arrived for step, _ in broker.steps)

    work_on_first()

    broker.wait_until(lambda: any(step.paces for step, _ in broker.steps))
    assert broker.hosts(["example.org"])[0].rest > 50
    assert stage.asked.empty()


@pytest.mark.slow
def test_what_was_taken_from_a_host_is_not_counted_twice(broker, work, stage):
    put(broker, *map(str, range(6)), host="example.org")
    work(stage)
    for item, then in stage.all(2):
        then(lambda item=item: item)()

    third, fourth = stage.all(2)

    assert sorted(broker.results(2)) == ["0", "1"]
    broker.wait_until(lambda: not broker.steps[-1][0].done)
    assert broker.hosts(["example.org"])[0].leased == 2
    assert stage.asked.empty()
    assert (third[0], fourth[0]) == ("2", "3")


@pytest.mark.slow
def test_more_is_asked_for_while_little_is_waiting_here_and_nothing_while_much_is(broker, work, stage, monkeypatch):
    monkeypatch.setattr(loop, "BEHIND", 0.0)  # then one is much
    put(broker, *map(str, range(8)))
    work(stage, concurrency=2)
    first, second = (then(lambda: "x") for _, then in stage.all(2))

    seen = len(broker.steps)
    broker.wait_until(lambda: len(broker.steps) > seen + 2)
    assert stage.asked.empty()
    first()
    second()

    assert {item for item, _ in stage.all(2)} == {"2", "3"}


@pytest.mark.parametrize("when", ["wait", "not yet"])
def test_what_has_to_wait_first_is_processed_in_a_thread(broker, work, stage, when):
    put(broker, f"{when} 1", f"{when} 2")
    work(stage)

    assert sorted(broker.results(2)) == [f"{when} 1, in a thread", f"{when} 2, in a thread"]


class Introduced(Stage):
    """It can begin on a host's items once it knows the host, which it learns in a thread, when the test says so, or else not."""

    overlap = 100

    def open(self) -> None:
        self.is_known = False
        self.begun: SimpleQueue[str] = SimpleQueue()
        self.go = threading.Semaphore(0)

    def begin(self, item: str) -> Pending | None:
        return Now(lambda: item) if self.is_known else None

    def process(self, item: str) -> str:
        self.begun.put(item)
        assert self.go.acquire(timeout=TIME)
        return f"{item}, in a thread"


@pytest.fixture
def introduced(broker: Watched) -> Introduced:
    put(broker, *map(str, range(6)), host="example.org")
    return Introduced()


def all_wait(broker: Watched) -> None:
    """All six are in the worker's hands, and it has come round since."""
    broker.wait_until(lambda: broker.counts("in").leased == 6)
    seen = len(broker.steps)
    broker.wait_until(lambda: len(broker.steps) > seen + 2)


@pytest.mark.slow
def test_one_thread_learns_of_a_host_and_the_others_wait_without_one(broker, work, introduced):
    running = work(introduced)
    assert introduced.begun.get(timeout=TIME) == "0"
    all_wait(broker)

    introduced.is_known = True  # before the one with the thread is through

    assert sorted(broker.results(5)) == ["1", "2", "3", "4", "5"]
    assert introduced.begun.empty()
    introduced.go.release()
    assert broker.results(1) == ["0, in a thread"]
    running.stop()


@pytest.mark.slow
def test_where_one_could_learn_nothing_all_get_threads(broker, work, introduced):
    work(introduced, concurrency=6)
    assert introduced.begun.get(timeout=TIME) == "0"
    all_wait(broker)
    assert introduced.begun.empty()

    introduced.go.release()

    assert sorted(introduced.begun.get(timeout=TIME) for _ in range(5)) == ["1", "2", "3", "4", "5"]
    introduced.go.release(5)
    assert len(broker.results(6)) == 6


@pytest.mark.slow
def test_what_waits_for_another_to_learn_of_its_host_is_given_back_at_a_stop(broker, work, introduced):
    running = work(introduced)
    introduced.begun.get(timeout=TIME)
    broker.wait_until(lambda: broker.counts("in").leased == 6)

    running.worker.stop()

    broker.wait_until(lambda: sum(len(step.returned) for step, _ in broker.steps) == 5)
    introduced.go.release()
    assert broker.results(1) == ["0, in a thread"]


@pytest.mark.slow
def test_what_is_just_handed_in_is_no_room_for_more(broker, work, stage):
    put(broker, *map(str, range(30)))
    work(stage, concurrency=4)

    for _ in range(5):
        begun = stage.all(4)
        for _, then in begun:
            then(lambda: "x")()
        broker.results(4)

    assert max(step.want for step, _ in broker.steps) == 4
    broker.wait_until(lambda: broker.counts("in").leased == 4)


def test_what_turns_out_to_need_a_thread_gets_one(broker, work, stage):
    put(broker, "a")
    work(stage)
    _, then = stage.next()

    then(None)()

    assert broker.results(1) == ["a, in a thread"]
    assert broker.counts("in").done == 1


@pytest.mark.parametrize("when", ["refuse", "fail"])
@pytest.mark.parametrize(("how", "state"), [("drop", "done"), ("give up", "dead")])
def test_what_is_raised_at_the_beginning_is_the_verdict(broker, work, stage, when, how, state):
    put(broker, f"{when} {how}")
    work(stage)

    broker.wait_until(lambda: any(step.done or step.failed for step, _ in broker.steps))
    assert getattr(broker.counts("in"), state) == 1


@pytest.mark.parametrize("when", ["refuse", "fail"])
def test_a_retry_at_the_beginning_counts_attempts(broker, work, stage, when):
    put(broker, f"{when} retry")
    work(stage)

    broker.wait_until(lambda: sum(len(step.failed) for step, _ in broker.steps) == 5)
    assert broker.dead("in")[0].attempt == 5


@pytest.mark.slow
@pytest.mark.parametrize("error", [ValueError("odd"), SystemExit(3)])
def test_what_is_raised_at_the_end_is_a_failed_attempt(broker, work, stage, error):
    put(broker, "a")
    work(stage)
    _, then = stage.next()

    def fail() -> Any:
        raise error

    then(fail)()

    broker.wait_until(lambda: any(step.failed for step, _ in broker.steps))
    (failed,) = next(step.failed for step, _ in broker.steps if step.failed)
    assert failed.reason.startswith(type(error).__name__)


def test_what_cannot_be_read_is_dead_and_never_begun(broker, work, stage):
    class Numbers(Answers):
        def begin(self, item: int) -> Pending | None:
            raise AssertionError

        def process(self, item: int) -> None:
            raise AssertionError

    broker.put([New("in", b"\xc1")])
    numbers = Numbers()
    numbers.open()
    work(numbers)

    broker.wait_until(lambda: any(step.failed for step, _ in broker.steps))
    assert broker.counts("in").dead == 1


@pytest.mark.slow
def test_work_that_hangs_is_a_failed_attempt_and_who_waits_for_it_is_given_back(broker, work, stage):
    type(stage).hang_at_work = 0.2
    put(broker, "hangs", "stays")
    running = work(stage)
    begun = dict(stage.all(2))
    go = threading.Event()
    threading.Thread(target=begun["hangs"](lambda: go.wait(TIME)), daemon=True).start()

    assert isinstance(running.ends(), StageHung)
    go.set()

    (reason,) = [item.reason for step, _ in broker.steps for item in step.failed]
    assert reason.startswith("still in process after 0.2 s at tests/worker/test_overlap.py:")
    assert broker.counts("in").ready + broker.counts("in").delayed == 2


@pytest.mark.slow
def test_a_begun_task_that_hangs_is_named_by_its_item_and_by_no_place(broker, work, stage):
    type(stage).hang = 0.2
    put(broker, "never comes")
    running = work(stage)
    stage.next()

    error = running.ends()

    assert isinstance(error, StageHung)
    assert str(error).startswith("1 task of stage 'it', the first 'never comes', still in process after 0.2 s; this worker ends")
    (reason,) = [item.reason for step, _ in broker.steps for item in step.failed]
    assert reason == "still in process after 0.2 s"


@pytest.mark.slow
def test_stopping_waits_for_what_is_begun_and_gives_back_what_does_not_come(broker, work, stage):
    put(broker, "quick", "never")
    running = work(stage)
    begun = dict(stage.all(2))

    running.worker.stop()
    begun["quick"](lambda: "done")()

    assert running.ends() is None
    assert broker.results(1) == ["done"]
    assert broker.counts("in").ready == 1
    assert running.worker.has_leftovers


@pytest.mark.slow
def test_what_came_back_after_it_was_given_back_changes_nothing(broker, work, stage):
    put(broker, "late")
    running = work(stage)
    _, then = stage.next()
    running.worker.stop()
    assert running.ends() is None

    then(lambda: "late")()

    assert broker.counts("out").accepted == 0
    assert broker.counts("in").ready == 1
