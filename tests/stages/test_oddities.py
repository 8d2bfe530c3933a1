"""Every row of the server of misbehaviours, through fetch, parse and frontier as a crawl goes through them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crawler import Drop, GiveUp, LocalShared, New, Page, Record, Retry, To, Visit, Visits
from crawler.config.settings import FrontierSettings
from crawler.web.frontier import Frontier
from crawler_stages.fetch import Fetch
from crawler_stages.parse import Parse
from tests import cases
from tests.oddities import DEAD, FAILED, SHORT, SKIPPED, Oddities, Row, rows
from tests.stages.begun import given

pytestmark = pytest.mark.slow  # hundreds of rows, each a crawl of its own

ATTEMPTS = 3
CLIENTS = ["requests", "curl", "curl begun"]
ROWS = {row.id: row for row in rows()}

# Where a row is not served by the one server of this file.
ELSEWHERE = {
    "head_body": "not applicable: only GET is ever sent",
    "head_405": "not applicable: only GET is ever sent",
    "robots_slow": "tests/stages/fetch and test_robots_files.py: a host of its own, whose robots.txt does not come",
    "ipv6": "test_the_same_server_at_an_ipv6_address, below",
    "tls_bad": "tests/stages/clients/test_tls.py: certificates are made there",
    "slow_many": "tests/broker/test_politeness.py: who is asked when is the hub's business",
    "host_ports": "tests/stages/fetch/test_robots_files.py: a robots.txt is of scheme, host and port",
}

# Where we do otherwise than the conformance set says, or leave something to others.
DEVIATIONS = {
    "redirect_300": "a choice is left to people: recorded with its status, followed nowhere (the set: may be followed)",
    "refresh_header": "read by no crawler of note, and sent by no site of note (the set: optional)",
    "soft_404": "each is a record; equal sha256 tells them, nothing is left out (the set: marks duplicates)",
    "session_ids": "a session in the query is no other page with frontier.drop_params; one in the path is bounded by max_pages",
    "status_206_unasked": "a record whose status says what it is, and its links lead on (the set: not as a complete page)",
    "dns_fail": "what is no name is given up at once; a name without address is tried again: resolvers err (the set: at once)",
}


@pytest.fixture
def server() -> Iterator[Oddities]:
    with Oddities() as server:
        yield server


class Crawl:
    """A crawl of one row in this thread: what the pipeline does, less the processes, the waiting and the politeness."""

    def __init__(self, server: Oddities, row: Row, **fetch: Any) -> None:
        self._prefix = server.url(row.id)
        self.outcomes: dict[str, int | str] = {}
        self.contents: dict[str, bytes] = {}
        self.rests: list[float] = []  # s, that hosts are left alone
        shared = LocalShared()
        options = {"pause_after_robots": 0, "timeout": 10, **row.fetch, **fetch}
        client, _, is_begun = str(options.get("client", "auto")).partition(" ")
        self._given = given if is_begun else lambda stage, visit: list(stage.process(visit))
        self._fetch = Fetch(msgspec.convert({**options, "client": client}, Fetch.Options), shared)
        self._parse = Parse(None, shared)
        self._frontier = Frontier(msgspec.convert(dict(row.frontier), FrontierSettings), shared)
        self._waiting: list[Visit] = []
        self._known: set[bytes | None] = set()
        self._fetch.open()
        self._parse.open()
        try:
            for start in row.starts:
                self._put(self._frontier.seed(server.url(row.id, start)))
            while self._waiting:
                self._visit(self._waiting.pop(0))
        finally:
            self._fetch.close()

    def _put(self, new: New | str) -> None:
        if isinstance(new, New) and new.key not in self._known:
            self._known.add(new.key)
            self._waiting.append(msgspec.msgpack.decode(new.item, type=Visit))

    def _visit(self, visit: Visit) -> None:
        path = visit.url.removeprefix(self._prefix)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                items = self._given(self._fetch, visit)
            except Retry as retry:
                self.rests.append(retry.rest or 0.0)
                self.outcomes[path] = FAILED
            except GiveUp:
                self.outcomes[path] = DEAD
                return
            except Drop:
                self.outcomes[path] = SKIPPED
                return
            else:
                self._hand_on(visit, path, attempt, items)
                return

    def _hand_on(self, visit: Visit, path: str, attempt: int, items: list[Any]) -> None:
        if not any(isinstance(item, Page) for item in items):  # a redirect to itself: its page is still to come
            self._put_all(visit, items)
            return
        (page,) = [item for item in items if isinstance(item, Page)]
        travelled = msgspec.msgpack.decode(msgspec.msgpack.encode(page.packed()), type=Page)
        read = list(self._parse.process(travelled))
        (record,) = [item for item in read if isinstance(item, Record)]
        self.outcomes[path] = record["status"] if attempt == 1 else f"{record['status']} after {attempt}"
        self.contents[path] = page.content
        self._put_all(visit, [*items, *read])

    def _put_all(self, visit: Visit, items: list[Any]) -> None:
        for item in items:
            if isinstance(item, To):
                for found in item.item if isinstance(item.item, Visits) else [item.item]:
                    self._put(self._frontier.admit(found, visit))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("id", [pytest.param(id, marks=pytest.mark.slow) if row.fetch == SHORT else id for id, row in ROWS.items()])
def test_each_url_of_a_row_ends_as_the_row_says(server: Oddities, id: str, client: str) -> None:
    assert Crawl(server, ROWS[id], client=client).outcomes == ROWS[id].expected


def test_every_behaviour_of_the_set_has_its_row_or_its_reason() -> None:
    ids = [case["id"] for case in cases.load("behaviours.json", "the list of servers' misbehaviours")["cases"]]

    assert len(ids) > 100
    assert set(ids) == {*ROWS, *ELSEWHERE}
    assert not set(ROWS) & set(ELSEWHERE)
    assert set(DEVIATIONS) <= set(ROWS)
    assert set(ELSEWHERE) <= set(ids)


@pytest.mark.parametrize(
    ("id", "least", "most"), [("retry_429", 1, 1), ("retry_503_date", 990, 1000), ("retry_after_odd", 0, 3600)]
)
def test_a_host_is_left_alone_as_long_as_it_asks_for_within_reason(server: Oddities, id: str, least: float, most: float) -> None:
    rests = Crawl(server, ROWS[id]).rests

    assert rests
    assert all(least <= rest <= most for rest in rests), rests


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("id", "path", "content"),
    [
        ("te_and_cl", "next", b"fine"), ("chunked_trailers", "next", b"fine"), ("cl_too_short", "next", b"fine"),
        ("pipelined_garbage", "next", b"fine"), ("stale_conn", "next", b"fine"), ("cl_garbage", "list", b"hello"),
        ("status_204_body", "", b""), ("gzip_double", "next", b"fine"),
        ("redirect_body_links", "", b""), ("ct_lie_html", "png", b""),
    ],
)  # fmt: skip
def test_no_byte_of_one_reply_is_taken_for_anothers(server: Oddities, id: str, path: str, content: bytes, client: str) -> None:
    assert Crawl(server, ROWS[id], client=client).contents[path] == content


def test_a_page_that_has_not_changed_is_not_sent_again_and_its_links_lead_on(server: Oddities, tmp_path: Path) -> None:
    keep = {"revalidate": True, "state": str(tmp_path)}

    first, second = Crawl(server, ROWS["etag_304"], **keep), Crawl(server, ROWS["etag_304"], **keep)

    assert first.outcomes == {"": 200, "next": 200}
    assert second.outcomes == {"": 304, "next": 200}
    assert second.contents == first.contents


def test_the_same_server_at_an_ipv6_address() -> None:
    try:
        server = Oddities("::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with server:
        assert Crawl(server, ROWS["trailing_slash"]).outcomes == ROWS["trailing_slash"].expected
