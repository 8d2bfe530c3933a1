from __future__ import annotations

import pytest
from msgspec import structs

from crawler.items import QueueStats, Stats, WorkerStats
from crawler.run.follow import Outlook, stopping

EMPTY = QueueStats("urls", **dict.fromkeys(("accepted", "ready", "delayed", "leased", "dead", "done", "bytes"), 0),
                   keyed=True, polite=True, is_read=True)  # fmt: skip


def stats(**urls: int | str) -> Stats:
    unread = structs.replace(EMPTY, name="result", ready=7)
    return Stats(1.0, 2.0, [structs.replace(EMPTY, **urls), unread], [], [], 0, {}, is_drained=False)


@pytest.mark.parametrize(
    ("first", "then", "is_near"),
    [
        ({"done": 100, "ready": 900}, {"done": 200, "ready": 800}, False),
        ({"done": 100, "ready": 300}, {"done": 200, "ready": 200}, True),
        ({"done": 100, "delayed": 1}, {"done": 100, "delayed": 1}, False),  # it waits for something
        ({"done": 100, "leased": 2}, {"done": 101, "leased": 1}, True),
    ],
)
def test_the_end_is_near_when_it_may_come_before_the_next_counts(first, then, is_near):
    outlook = Outlook(["urls"])
    assert outlook.is_near  # nothing is known yet
    outlook.see(stats(**first))
    assert outlook.is_near  # nor of how fast it goes

    outlook.see(stats(**then))

    assert outlook.is_near == is_near
    assert not outlook.is_over


def test_it_is_over_when_nothing_is_left_that_a_stage_reads():
    outlook = Outlook(["urls"])

    outlook.see(stats(done=3, dead=1))

    assert (outlook.is_over, outlook.ready) == (True, [])


@pytest.mark.parametrize(("leased", "is_over"), [(1, False), (0, True)])
def test_it_is_over_when_a_limit_is_reached_and_nothing_is_in_process(leased, is_over):
    outlook = Outlook(["urls"])

    outlook.see(stats(done=3, ready=7, delayed=1, leased=leased, spent="frontier.max_time = 5"))

    assert outlook.is_over is is_over


def test_queues_with_something_to_do_are_named():
    outlook = Outlook(["urls"])

    outlook.see(stats(ready=1))

    assert outlook.ready == ["urls"]


def test_a_stop_names_the_stage_that_it_waits_for() -> None:
    at = "enrich has been at http://a/ for 12 s (enrich.py:4 in process)"
    slow = (WorkerStats("fetch+enrich@here:9:cd", 1, 1.0, "urls", at),)

    def said(*workers: WorkerStats) -> str:
        return stopping(structs.replace(stats(leased=1), workers=workers))

    assert said(*slow) == f"stopping: {at}; Ctrl-C again stops at once"
    assert said() == "stopping: waiting for 1 request (Ctrl-C again stops at once)"
    assert stopping(None) == "stopping (Ctrl-C again stops at once)"
