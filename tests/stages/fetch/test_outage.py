"""A network that is out of order is told from hosts that are, by whether all of them fail."""

from __future__ import annotations

from crawler_stages.fetch.failures import ANEW, ENOUGH, PATIENCE, Outage


def outage(clock: list[float], *, resolves: bool = False) -> Outage:
    return Outage(lambda: clock[0], lambda name: resolves)


def test_a_few_hosts_that_cannot_be_reached_are_at_fault_themselves():
    seen = outage([0.0])
    seen.answered("well.example")

    assert [seen.failed(f"host{n}.example", "x") for n in range(ENOUGH - 1)] == [None] * (ENOUGH - 1)
    assert seen.failed("host0.example", "x") is None  # the same again is no further host


def test_that_all_hosts_fail_since_the_last_answer_is_the_network():
    seen = outage([0.0])
    seen.answered("well.example")
    found = [seen.failed(f"host{n}.example", "host: Temporary failure in name resolution") for n in range(ENOUGH + 3)]

    assert [each is None for each in found] == [True] * (ENOUGH - 1) + [False] * 4
    assert "has no network: no host can be reached, the last one host: Temporary failure" in str(found[-1])
    seen.answered("well.example")
    assert seen.failed("host1.example", "x") is None


def test_hosts_are_at_fault_where_one_that_answered_still_has_an_address():
    clock = [0.0]
    asked: list[str] = []
    seen = Outage(lambda: clock[0], lambda name: not asked.append(name))
    seen.answered("well.example")

    assert not any(seen.failed(f"host{n}.example", "x") for n in range(ENOUGH + 10))
    assert asked == ["well.example"]
    clock[0] += ANEW
    seen.failed("host1.example", "x")
    assert len(asked) == 2


def test_where_no_host_has_ever_answered_they_are_waited_for_some_time_only():
    clock = [0.0]
    seen = outage(clock)
    for n in range(ENOUGH):
        seen.failed(f"host{n}.example", "x")

    assert seen.failed("host1.example", "x") is not None
    clock[0] += PATIENCE + 1
    assert seen.failed("host1.example", "x") is None
