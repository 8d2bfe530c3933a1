"""What every broker answers to those who look at it: counts, notes, life stories, and takes by hand."""

from __future__ import annotations

import pytest
from hands import Hand, counts, put, queue

from crawler.broker.base import Broker
from crawler.broker.clock import ManualClock
from crawler.items import New, Note


def test_take_is_lease_and_complete_at_once(broker: Broker) -> None:
    put(broker, "result", b"a", b"b", b"c")

    assert broker.take("result", 2) == [b"a", b"b"]
    assert broker.take("result", 2) == [b"c"]

    assert broker.take("result", 2) == broker.take("result", 0) == []
    assert counts(broker, "result") == (0, 0, 0, 0, 3)
    assert broker.stats().workers == []


@pytest.mark.slow
def test_one_answer_holds_no_more_than_a_frame_can_carry(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"." * (5 << 20))
    put(broker, "task", b"." * (5 << 20))

    assert len(hand.lease("task", 2)) == 1
    assert len(hand.lease("task", 2)) == 1


def test_a_note_is_read_by_who_has_an_older_version(broker: Broker, hand: Hand) -> None:
    broker.note([Note("other/a", b"1"), Note("seeds", b"x")])
    known = broker.notes("other/")[-1].version

    version = broker.note([Note("other/a", b"2"), Note("other/b", b"3")])

    assert [(note.name, note.value) for note in broker.notes("other/", known)] == [("other/a", b"2"), ("other/b", b"3")]
    assert broker.notes("other/", version) == []
    assert hand.step().notes == version


def test_a_note_that_says_nothing_new_is_no_change(broker: Broker) -> None:
    version = broker.note([Note("a", b"1")])

    assert broker.note([Note("a", b"1")]) == version


def test_why_tells_the_life_of_a_task(broker: Broker, hand: Hand, clock: ManualClock) -> None:
    parent, child = b"p" * 16, b"c" * 16
    broker.put([New("urls", b"/", key=parent)])
    hand.complete(hand.lease_one("urls"), New("urls", b"/a", key=child, depth=1, parent=parent), report="200")
    hand.fail(hand.lease_one("urls"), "timed out", after=10.0)
    clock.advance(4)

    story = broker.why("urls", child)

    assert story is not None
    assert (story.state, story.attempt, story.depth, [failure.reason for failure in story.failures], story.due) == (
        "delayed", 1, 1, ["timed out"], 6.0
    )
    assert (story.parent, story.parent_item) == (parent, b"/")
    finished = broker.why("urls", parent)
    assert finished is not None
    assert (finished.state, finished.report) == ("done", "200")
    assert broker.why("urls", b"never heard of it"[:16]) is None


def test_counts_add_up_at_every_moment_and_bytes_are_those_of_unfinished_tasks(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"aaaa", b"bb", b"c")
    put(broker, "task", b"dddddddd", delay=9.0)
    a, b, _ = hand.lease("task", 3)
    assert (counts(broker, "task"), queue(broker, "task").bytes) == ((0, 1, 3, 0, 0), 15)

    hand.complete(a)
    hand.fail(b, final=True)

    assert (counts(broker, "task"), queue(broker, "task").bytes) == ((0, 1, 1, 1, 1), 9)
    assert broker.stats().workers[0].leased == 1
