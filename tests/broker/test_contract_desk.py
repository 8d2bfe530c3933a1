"""What every broker answers to those who look at it: counts, notes, life stories, and takes by hand."""

from __future__ import annotations

import pytest
from hands import Hand, counts, put, queue

from crawler.broker.clock import ManualClock
from crawler.broker.contract import Broker
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
        "delayed",
        1,
        1,
        ["timed out"],
        6.0,
    )
    assert (story.parent, story.parent_item) == (parent, b"/")
    finished = broker.why("urls", parent)
    assert finished is not None
    assert (finished.state, finished.report) == ("done", "200")
    assert broker.why("urls", b"never heard of it"[:16]) is None


def test_a_report_on_a_task_that_is_forgotten_is_in_the_story_of_the_one_it_came_from(broker: Broker, hand: Hand) -> None:
    key, other = b"k" * 16, b"o" * 16
    broker.put([New("urls", b"/", key=key), New("urls", b"/other", key=other), New("pages", b"by hand")])
    hand.complete(hand.lease_one("pages"), New("task", b"from nowhere"), report="parse: of no URL")
    for body in (b"page", b"page of another"):
        hand.complete(hand.lease_one("urls"), New("urls", b"/known", key=key), New("pages", body), report="200")

    page, another = hand.lease("pages", 2)
    hand.release(page)
    hand.complete(another)  # nothing to tell
    hand.complete(hand.lease_one("pages"), New("task", b"record"), report="parse: one\nparse: two")
    for lease in hand.lease("task", 2):
        hand.complete(lease, report=f"enrich: {lease.item.decode()}")

    assert report(broker, key) == "200\nparse: one\nparse: two\nenrich: record"
    assert report(broker, other) == "200"


def test_a_story_grows_only_so_long(broker: Broker, hand: Hand) -> None:
    key = b"k" * 16
    broker.put([New("urls", b"/", key=key)])
    hand.complete(hand.lease_one("urls"), *(New("pages", b"%d" % n) for n in range(50)), report="200")

    for lease in hand.lease("pages", 50):
        hand.complete(lease, report="x" * 500)

    assert report(broker, key) == "\n".join(["200", *["x" * 500] * 4])


def report(broker: Broker, key: bytes) -> str:
    story = broker.why("urls", key)
    assert story is not None
    return story.report


def test_counts_add_up_at_every_moment_and_bytes_are_those_of_unfinished_tasks(broker: Broker, hand: Hand) -> None:
    put(broker, "task", b"aaaa", b"bb", b"c")
    put(broker, "task", b"dddddddd", delay=9.0)
    a, b, _ = hand.lease("task", 3)
    assert (counts(broker, "task"), queue(broker, "task").bytes) == ((0, 1, 3, 0, 0), 15)

    hand.complete(a)
    hand.fail(b, final=True)

    assert (counts(broker, "task"), queue(broker, "task").bytes) == ((0, 1, 1, 1, 1), 9)
    assert broker.stats().workers[0].leased == 1
