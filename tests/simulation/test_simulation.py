"""Broker, workers and client on one seeded scheduler, with faults: nothing is lost, and everything ends.

What is proved of the simulation itself: a seed is a run, and a broker that is broken on purpose is found out.
`python -m tests.simulation --seeds 10000` looks for longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.broker import clock
from crawler.broker.sqlite import callers, hand_in, leases, state
from crawler.broker.sqlite import lane as policy
from crawler.items import Step
from crawler.worker.known import Known
from tests.simulation.machine import Disk
from tests.simulation.world import outcome, replay

ROOT = Path(__file__).parents[2]
SEEDS = 100  # in the default suite; each run is another crawl with other faults
BUNCH = 25  # seeds in one test: what fails is named by its seed all the same
MOST = 150  # seeds in which each broken broker is to be found


@pytest.mark.slow
@pytest.mark.parametrize("first", [pytest.param(0, marks=pytest.mark.quick), *range(BUNCH, SEEDS, BUNCH)])
def test_nothing_is_lost_and_everything_ends_whatever_goes_wrong(first: int) -> None:
    failures = [failure for seed in range(first, first + BUNCH) if (failure := outcome(seed))]

    assert not failures, "\n".join(failures)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_ten_thousand_seeds_hold() -> None:
    ended = subprocess.run([sys.executable, "-m", "tests.simulation", "--seeds", "10000"], cwd=ROOT, capture_output=True, text=True)

    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.slow
def test_a_seed_is_a_run_in_any_process() -> None:
    lines, _ = replay(7)
    environ = os.environ | {"PYTHONHASHSEED": "77"}

    shown = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seed", "7", "-v"], cwd=ROOT, env=environ, capture_output=True, text=True
    )

    assert shown.stdout.splitlines()[: len(lines)] == lines


# ---- a broker that is broken on purpose

Break = Callable[[pytest.MonkeyPatch], None]


def accept_late_answers(patch: pytest.MonkeyPatch) -> None:
    end, ended = leases.OpenLeases.end, dict[int, leases.OpenLease]()

    def remember(self: leases.OpenLeases, token: int, worker: str) -> leases.OpenLease | None:
        lease = end(self, token, worker) or ended.get(token)
        if lease is not None:
            ended[token] = lease
        return lease

    patch.setattr(leases.OpenLeases, "end", remember)


def count_what_was_given_back(patch: pytest.MonkeyPatch) -> None:
    release = hand_in._release

    def counted(ledger: state.Ledger, worker: str, token: int, **more: Any) -> Any:
        lease = next((lease for lease in ledger.leases.of(worker) if lease.token == token), None)
        verdict = release(ledger, worker, token, **more)
        if lease is not None:
            ledger.db.execute("UPDATE task SET attempt = attempt + 1 WHERE id = ?", (lease.task,))
        return verdict

    patch.setattr(hand_in, "_release", counted)


def forget_the_delay_of_what_ran_out(patch: pytest.MonkeyPatch) -> None:
    expire = hand_in.expire

    def hasty(ledger: state.Ledger, over: Any, *more: Any) -> int:
        over = list(over)
        lanes = [ledger.lanes.numbered(lease.queue, lease.lane) for lease in over]
        before = [lane.next for lane in lanes]
        n = expire(ledger, over, *more)
        for lane, next_ in zip(lanes, before, strict=True):
            lane.next = next_
        return n

    patch.setattr(hand_in, "expire", hasty)


def store_the_children_of_the_first_alone(patch: pytest.MonkeyPatch) -> None:
    accept = hand_in.hand_in

    def careless(ledger: state.Ledger, step: Step) -> Any:
        done = [each if not n else type(each)(each.token, (), each.report) for n, each in enumerate(step.done)]
        more = {"failed": step.failed, "released": step.released, "returned": step.returned}
        return accept(ledger, Step(step.worker, step.call, done=done, **more))

    patch.setattr(hand_in, "hand_in", careless)


def answer_no_call_as_before(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(callers.Callers, "last", lambda *_, **__: callers.LastCall())


def begin_tokens_anew_at_each_start(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(state, "EPOCH_SHIFT", 0)


def forget_what_is_leased_at_a_restart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(state.Ledger, "_read_leases", lambda self, _: leases.OpenLeases(self.callers))


def go_by_the_wall_clock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(clock.HubTime, "now", lambda self: self._clock.wall())


def say_ok_before_it_is_on_disk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Disk, "fdatasync", lambda *_: None)


def lend_a_host_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(policy.Lane, "room", lambda _: 1)


def free_a_host_again_when_what_arrived_ends(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leases.OpenLease, "has_arrived", property(lambda _: False, lambda *_: None))


def remember_slots_over_a_restart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(state.Ledger, "_recount_lanes", lambda _: None)


def remember_what_a_power_cut_undid(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Known, "clear", lambda _: None)


def try_for_ever(patch: pytest.MonkeyPatch) -> None:
    fail = hand_in._fail

    def patient(ledger: state.Ledger, lease: leases.OpenLease, *why: Any) -> Any:
        lease.attempt = min(lease.attempt, 1)
        return fail(ledger, lease, *why)

    patch.setattr(hand_in, "_fail", patient)


def promote_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(hand_in, "_promote", lambda _: None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("break_it", "first"),
    [
        (accept_late_answers, 4),
        (count_what_was_given_back, 0),
        (forget_the_delay_of_what_ran_out, 0),
        (store_the_children_of_the_first_alone, 4),
        (answer_no_call_as_before, 2),
        (begin_tokens_anew_at_each_start, 0),
        (forget_what_is_leased_at_a_restart, 0),
        (go_by_the_wall_clock, 2),
        (say_ok_before_it_is_on_disk, 0),
        (lend_a_host_twice, 0),
        (free_a_host_again_when_what_arrived_ends, 0),
        (remember_slots_over_a_restart, 0),
        (remember_what_a_power_cut_undid, 32),
        (try_for_ever, 79),
        (promote_nothing, 0),
    ],
)
def test_a_broken_promise_is_found(break_it: Break, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """first: a seed that finds it today, to save time; from there on any may."""
    break_it(monkeypatch)

    assert any(outcome(seed) for seed in range(first, first + MOST))
