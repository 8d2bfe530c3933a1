from __future__ import annotations

from collections.abc import Iterator

import pytest

from crawler.broker.contract import QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.items import Note
from crawler.worker.shared_notes import SharedNotes, new_id


class Counting(SqliteBroker):
    asked = 0

    def notes(self, prefix: str, since: int = 0, after: str | None = None) -> list[Note]:
        self.asked += 1
        return super().notes(prefix, since, after)


@pytest.fixture
def broker() -> Iterator[Counting]:
    broker = Counting(":memory:", [QueueSpec("in")])
    yield broker
    broker.close()


def test_what_is_set_can_be_read_here_and_there(broker):
    here, there = SharedNotes(broker), SharedNotes(broker)

    here.set("root/a", b"seed")

    assert here.find("root/") == there.find("root/") == {"root/a": b"seed"}
    assert there.get("root/a") == b"seed"
    assert there.get("root/") is None


def test_the_hub_is_asked_again_only_when_something_changed(broker):
    notes = SharedNotes(broker)
    broker.note([Note("root/a", b"1")])
    notes.find("root/")
    asked = broker.asked

    for _ in range(100):
        notes.find("root/")
    assert broker.asked == asked

    notes.advance(broker.note([Note("root/b", b"2")]))
    assert notes.find("root/") == {"root/a": b"1", "root/b": b"2"}
    assert broker.asked == asked + 1


def test_an_older_mapping_stays_as_it_was(broker):
    notes = SharedNotes(broker)
    notes.set("a/1", b"x")
    before = notes.find("a/")

    notes.set("a/2", b"y")

    assert len(notes.find("a/")) == 2
    assert len(before) == 1


def test_nothing_of_another_hub_survives(broker):
    notes = SharedNotes(broker)
    notes.set("root/old", b"1")
    notes.find("root/")
    notes.advance(1_000)
    fresh = Counting(":memory:", [QueueSpec("in")])
    notes._broker = fresh  # as when another hub answers at the address

    notes.clear()
    notes.advance(fresh.note([Note("root/new", b"2")]))

    assert notes.find("root/") == {"root/new": b"2"}
    fresh.close()


def test_an_answer_that_comes_after_the_change_of_hubs_is_not_kept(broker):
    notes = SharedNotes(broker)

    class Changing(Counting):
        """The hub is found to be another while a question is on its way."""

        def notes(self, prefix: str, since: int = 0, after: str | None = None) -> list[Note]:
            notes.clear()
            return [Note("root/old", b"1", version=1_000)]

        def note(self, given: list[Note]) -> int:  # type: ignore[override]  # narrower on purpose
            notes.clear()
            return 1_000

    changing = Changing(":memory:", [QueueSpec("in")])
    notes._broker = changing
    notes.find("root/")
    notes.set("root/late", b"1")
    notes._broker = broker
    notes.advance(broker.note([Note("root/new", b"2")]))

    assert notes.find("root/") == {"root/new": b"2"}
    changing.close()


def test_no_two_crawls_have_one_name():
    assert len({new_id() for _ in range(100)}) == 100
