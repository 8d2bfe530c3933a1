"""The embedded engine against a plain model of it: any order of calls, crashes and restarts in between.

After each step the counts are those of the model (nothing lost, nothing twice), a lease is only what the model would lend,
and what is handed in with an old token changes nothing. HYPOTHESIS_PROFILE=thorough looks for longer.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hands import Longest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from model import DELAY, HIGH_WATER, MAX_ATTEMPTS, PER_HOST, Model

from crawler.broker.backoff import backoff
from crawler.broker.clock import ManualClock
from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.items import Done, Failed, New, Pace, Step, Stepped, Verdict

QUEUES = (
    QueueSpec("urls", keyed=True, polite=True, is_read=True, feeds=("out",), max_attempts=MAX_ATTEMPTS),
    QueueSpec("work", is_read=True, feeds=("out",), max_attempts=MAX_ATTEMPTS),
    QueueSpec("out", is_read=True, high_water=HIGH_WATER, max_attempts=MAX_ATTEMPTS),
)
WORKERS = st.sampled_from(["one", "two"])
NEW = st.tuples(
    st.sampled_from(["urls", "urls", "work", "out"]), st.integers(0, 9), st.sampled_from(["a", "b"]),
    st.integers(0, 1), st.sampled_from([0.0, 0.0, 3.0]),
)  # fmt: skip
SECONDS = st.sampled_from([0.5, 1.5, 6.0, 11.0, 40.0])
PICK = st.lists(st.integers(0, 30), max_size=3)  # which of the tokens ever given out


class BrokerAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="model-"))
        self.path = self.folder / "0.sqlite3"
        self.clock = ManualClock()
        self.bodies = 0
        self.calls = {"one": 0, "two": 0, "producer": 0}
        self.steps: dict[str, tuple[Step, list[Verdict]]] = {}
        self.puts: tuple[list[New], list[Verdict]] = ([], [])

    @initialize()
    def start(self) -> None:
        self.model = Model(self.clock.wall)
        self._open()

    def _open(self) -> None:
        self.broker = SqliteBroker(str(self.path), QUEUES, Politeness(PER_HOST, DELAY), clock=self.clock, random=Longest())

    def _new(self, drawn: tuple[str, int, str, int, float]) -> New:
        queue, key, host, priority, delay = drawn
        self.bodies += 1
        is_keyed = queue == "urls"
        return New(queue, b"%d" % self.bodies, b"%016d" % key if is_keyed else None, host if is_keyed else "", priority, delay)

    def _token(self, n: int) -> int:
        """The n-th last that was given out, current or not."""
        given = self.model.tokens
        return given[-1 - n % len(given)] if given else n

    # ---- calls

    @rule(drawn=st.lists(NEW, min_size=1, max_size=4))
    def put(self, drawn: list[tuple[str, int, str, int, float]]) -> None:
        items = [self._new(each) for each in drawn]
        self.calls["producer"] += 1
        verdicts = self.broker.put(items, "producer", self.calls["producer"])
        assert verdicts == [self.model.put(new) for new in items]
        self.puts = (items, verdicts)

    @precondition(lambda self: self.puts[0])
    @rule()
    def repeat_put(self) -> None:
        items, verdicts = self.puts
        assert self.broker.put(items, "producer", self.calls["producer"]) == verdicts

    @rule(
        worker=WORKERS, queue=st.sampled_from(["", "urls", "work", "out"]), want=st.integers(0, 4), done=PICK, failed=PICK,
        released=PICK, returned=PICK, children=st.lists(NEW, max_size=2), after=st.sampled_from([None, 0.0, 5.0]),
        final=st.booleans(), ttl=st.sampled_from([5.0, 30.0]), rest=st.sampled_from([None, None, 4.0]), arrived=PICK,
        is_probe=st.sampled_from([False, False, True]),
    )  # fmt: skip
    def step(
        self, worker: str, queue: str, want: int, done: list[int], failed: list[int], released: list[int],
        returned: list[int], children: list[tuple[str, int, str, int, float]], after: float | None, final: bool, ttl: float,
        rest: float | None, arrived: list[int], is_probe: bool,
    ) -> None:  # fmt: skip
        self.calls[worker] += 1
        step = Step(
            worker, self.calls[worker], queue, want, ttl,
            done=[Done(self._token(n), [self._new(child) for child in children]) for n in done],
            failed=[Failed(self._token(n), "failed", after, final) for n in failed],
            released=[self._token(n) for n in released],
            returned=[self._token(n) for n in returned],
            arrived=[self._token(n) for n in arrived],
            paces=[] if rest is None else [Pace("a", rest=rest)],
            is_probe=is_probe,
        )  # fmt: skip
        answer = self.broker.step(step)

        model = self.model
        for token in step.arrived:
            model.arrived(worker, token)
        verdicts = [model.done(worker, each) for each in step.done]
        for each in step.failed:
            verdicts.append(model.failed(worker, each, lambda attempt: backoff(attempt, Longest())))
        verdicts += [model.released(worker, token) for token in step.released]
        verdicts += [model.returned(worker, token) for token in step.returned]
        if rest is not None:
            model.rest("a", rest)
        assert list(answer.verdicts) == verdicts
        model.lent(worker, queue, want, ttl, answer.leases, is_probe=is_probe)
        model.heard(worker)
        self.steps[worker] = (step, verdicts)

    @rule(worker=WORKERS)
    def repeat_step(self, worker: str) -> None:
        if worker not in self.steps:
            return
        step, verdicts = self.steps[worker]
        answer: Stepped = self.broker.step(step)
        assert list(answer.verdicts) == verdicts
        self.model.lent_again(worker, step.queue, step.want, step.ttl, answer.leases, is_probe=step.is_probe)
        self.model.heard(worker)

    @rule(worker=WORKERS, ttl=st.sampled_from([3.0, 30.0]))
    def extend(self, worker: str, ttl: float) -> None:
        tokens = self.model.tokens[-5:]
        self.model.heard(worker)
        assert self.broker.extend(worker, tokens, ttl) == [self.model.extend(worker, token, ttl) for token in tokens]

    @rule(worker=st.sampled_from(["one", "two", None]))
    def expire(self, worker: str | None) -> None:
        assert self.broker.expire(worker) == self.model.expire(worker)

    @rule(queue=st.sampled_from(["work", "out"]), n=st.integers(1, 3))
    def take(self, queue: str, n: int) -> None:
        self.model.taken(queue, n, self.broker.take(queue, n))

    @rule(revives=st.booleans(), n=st.integers(1, 3))
    def revive_or_drop(self, revives: bool, n: int) -> None:
        dead = self.broker.dead(limit=n)
        assert {each.item for each in dead} <= self.model.in_state("dead")
        ids = [each.id for each in dead]
        assert (self.broker.revive(ids) if revives else self.broker.drop(ids)) == len(ids)
        for each in dead:
            self.model.undertake(each.item, "ready" if revives else "done")

    # ---- what happens to a hub

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.broker.stats()  # so that what is due happens now: the model knows no other moment
        self.model.tick()

    @rule()
    def restart(self) -> None:
        self.broker.close()
        self._open()
        self.model.restarted()

    @rule()
    def crash(self) -> None:
        """What a `kill -9` leaves: the files as they are."""
        after = self.folder / f"{int(self.path.stem) + 1}.sqlite3"
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{self.path}{suffix}", f"{after}{suffix}")
        self.broker.close()
        self.path = after
        self._open()
        self.model.restarted()

    # ---- what holds after each of them

    @invariant()
    def counts_are_those_of_the_model(self) -> None:
        stats = self.broker.stats()
        self.model.tick()
        for queue in stats.queues:
            found = {state: getattr(queue, state) for state in ("ready", "delayed", "leased", "dead", "done")}
            assert found == self.model.counts(queue.name)
            assert queue.accepted == sum(found.values())
            assert queue.bytes == self.model.size(queue.name)
        in_use = {host.name: host.leased for host in self.broker.hosts() if host.leased}
        assert in_use == {host: n for host, n in self.model.slots().items() if host}
        assert stats.is_drained == self.model.is_drained()
        assert {worker.name: worker.leased for worker in stats.workers if worker.leased} == self.model.holders()

    def teardown(self) -> None:
        if hasattr(self, "broker"):
            for key, state in self.model.keys().items():
                story = self.broker.why("urls", key)
                assert story is not None
                assert story.state == state
            self.broker.close()
        shutil.rmtree(self.folder)


def _settings(**more: Any) -> settings:
    return settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), **more)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_engine_does_what_its_model_does() -> None:
    if os.environ.get("HYPOTHESIS_PROFILE") == "thorough":
        chosen = _settings(max_examples=2_000, stateful_step_count=50)
    else:
        chosen = _settings(max_examples=30, stateful_step_count=40, derandomize=True)
    run_state_machine_as_test(BrokerAgainstModel, settings=chosen)
