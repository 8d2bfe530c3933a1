"""Children of a large step: stored with it in one transaction, put on their queues in slices between other calls."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hands import Hand, House, counts, put, queue, until

from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite import inbox, insert
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.peek import peek
from crawler.broker.sqlite.state import Ledger
from crawler.items import New, Verdict

SPECS = (QueueSpec("urls", keyed=True, polite=True, is_read=True, limit=40), QueueSpec("pages", is_read=True))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "AT_ONCE", 5)
    monkeypatch.setattr(inbox, "SLICE", 3)


def children(numbers: Sequence[int], name: str = "urls") -> list[New]:
    return [New(name, b"%d" % n, host=f"h{n % 7}", parent=b"page".ljust(16)) for n in numbers]


def stored(path: Path) -> SqliteBroker:
    return SqliteBroker(str(path), SPECS, Politeness(delay=0.0, per_host=100))


def hold(broker: SqliteBroker, *, is_short: bool) -> None:
    """Keep what is in the inbox there, as a full disk does, or let it go on."""
    broker._writer._disk.is_short = is_short


def test_all_children_reach_their_queues_once_and_those_over_a_limit_are_counted(any_house: House) -> None:
    broker = any_house.open(SPECS, Politeness(delay=0.0, per_host=100))
    hand = Hand(broker)
    put(broker, "pages", b"p")
    lease = hand.lease_one("pages")

    verdict = hand.complete(lease, *children([*range(30), *range(10), *range(30, 50)]), *children(range(8), "pages"))

    until(lambda: broker.stats().counters.get("urls/skipped/over the limit") == 10)
    until(lambda: queue(broker, "pages").ready == 8)
    assert verdict == Verdict.DONE
    assert counts(broker, "urls") == (40, 0, 0, 0, 0)
    assert counts(broker, "pages") == (8, 0, 0, 0, 1)


def test_what_is_in_the_inbox_counts_as_waiting_and_outlives_the_hub(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    broker = stored(path)
    hand = Hand(broker)
    put(broker, "pages", b"p")
    lease = hand.lease_one("pages")
    hold(broker, is_short=True)

    assert hand.complete(lease, *children(range(20))) == Verdict.DONE
    assert counts(broker, "urls") == (20, 0, 0, 0, 0)
    assert not broker.drained()
    assert hand.lease("urls", 20) == []
    broker.close()
    assert peek(path).queues["urls"].unfinished == 20

    with closing(stored(path)) as again:
        until(lambda: len(again.hosts()) == 7)  # nobody has to call for it, but this is a call
        until(lambda: sum(host.ready for host in again.hosts()) == 20)
        assert counts(again, "urls") == (20, 0, 0, 0, 0)
        assert again.put(children(range(20))) == [Verdict.DUPLICATE] * 20


def test_a_full_disk_keeps_the_inbox_until_there_is_room(tmp_path: Path) -> None:
    with closing(stored(tmp_path / "hub.sqlite3")) as broker:
        hand = Hand(broker)
        put(broker, "pages", b"p")
        lease = hand.lease_one("pages")
        hold(broker, is_short=True)
        hand.complete(lease, *children(range(20)))
        assert broker.hosts() == []

        hold(broker, is_short=False)

        until(lambda: sum(host.ready for host in broker.hosts()) == 20)


def test_a_step_with_a_token_of_old_brings_nothing(any_house: House) -> None:
    broker = any_house.open(SPECS, Politeness(delay=0.0))
    hand = Hand(broker)
    put(broker, "pages", b"p")
    lease = hand.lease_one("pages")
    hand.complete(lease)

    assert hand.complete(lease, *children(range(20))) == Verdict.STALE
    assert counts(broker, "urls") == (0, 0, 0, 0, 0)


def test_no_turn_puts_more_children_on_their_queues_than_fit_between_other_calls(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put_at_once: list[int] = []
    whole = insert.insert

    def counting(ledger: Ledger, items: Sequence[New], origins: Sequence[int | None] = ()) -> list[Verdict]:
        put_at_once.append(len(items))
        return whole(ledger, items, origins)

    monkeypatch.setattr(insert, "insert", counting)
    with closing(SqliteBroker(str(tmp_path / "hub.sqlite3"), (QueueSpec("pages", is_read=True),))) as broker:
        hand = Hand(broker)
        put(broker, "pages", b"p")
        hand.complete(hand.lease_one("pages"), *children(range(200), "pages"))
        until(lambda: sum(put_at_once) == 201)

    assert max(put_at_once) <= 5


def test_a_full_inbox_is_emptied_by_who_brings_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(inbox, "MOST", 0)
    with closing(stored(tmp_path / "hub.sqlite3")) as broker:
        hand = Hand(broker)
        put(broker, "pages", b"p")
        hand.complete(hand.lease_one("pages"), *children(range(20)))

        assert sum(host.ready for host in broker.hosts()) == 20


def test_a_store_without_an_inbox_gets_one(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    stored(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE inbox")
        db.commit()

    with closing(stored(path)) as broker:
        assert broker.drained()
