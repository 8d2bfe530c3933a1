"""Shared notes: who may write which, and what readers make of notes that cannot be read."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
from memory_broker import KEY

from crawler import notes
from crawler.broker.contract import QueueSpec
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.calls import Kind
from crawler.config.settings import FrontierSettings
from crawler.errors import CallRefused
from crawler.hub.client import HubClient
from crawler.hub.server import HubServer
from crawler.items import Note
from crawler.notes import DAY, RobotsNote, hosts, kind, read_robots, read_rows
from crawler.run import obeyed
from crawler.run.report import outputs
from crawler.run.resume import definition as definitions
from crawler.web import frontier, names, scope
from crawler.web.fields import FIELD_NOTE
from crawler.worker.shared_notes import CRAWL_NOTE, SharedNotes

KEYS = {"admin": KEY, "worker": b"w" * 64, "producer": b"p" * 64}
QUEUES = (QueueSpec("task", is_read=True), QueueSpec("result"))
NOW = time.time()
ALL = {"admin", "producer", "worker"}


def robots(expires: float = NOW + DAY, status: int = 200, body: bytes = b"User-agent: *") -> bytes:
    return msgspec.msgpack.encode(RobotsNote(expires, status, body))


@pytest.fixture
def broker() -> Iterator[SqliteBroker]:
    broker = SqliteBroker(":memory:", QUEUES)
    broker.note([
        Note("root/www.example.org", b"seed"), Note("root/127.0.0.1:8000", b"seed"), Note("root/moved.example.org", b"redirect"),
        Note("root/left.example.org", b""),
    ])  # fmt: skip
    yield broker
    broker.close()


@pytest.fixture
def client(broker: SqliteBroker) -> Iterator[Callable[[str], HubClient]]:
    server = HubServer(broker, QUEUES, "127.0.0.1:0", KEY, role_keys={"worker": KEYS["worker"], "producer": KEYS["producer"]})
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    clients = {role: HubClient(str(server.place), key, patience=0.0) for role, key in KEYS.items()}
    yield clients.__getitem__
    for each in clients.values():
        each.close()
    server.stop()
    thread.join(10)


WRITTEN: list[tuple[str, bytes, set[str]]] = [
    # hosts in scope
    ("root/new.org", b"seed", {"admin", "producer"}),
    ("root/127.0.0.1:24229", b"seed", {"admin", "producer"}),
    ("root/169.254.169.254", b"redirect", {"admin"}),
    ("root/127.0.0.1:9000", b"redirect", {"admin", "worker"}),             # the host of a seed, at another port: it opens nothing
    ("root/shop.example.org", b"redirect", {"admin", "worker"}),
    ("root/example.org.evil.org", b"redirect", {"admin"}),
    ("root/other.org", b"redirect", {"admin"}),
    ("root/www.example.org", b"redirect", {"admin"}),                       # a seed's
    ("root/www.example.org", b"", {"admin"}),
    ("root/new.org", b"anything", set()),
    ("root/", b"seed", set()),
    ("root/a b", b"seed", set()),
    ("root/[x", b"seed", set()),
    ("root/a/b", b"seed", set()),
    ("root/http://a", b"seed", set()),
    ("root/a\x00", b"seed", set()),
    ("root/[::1]:80", b"seed", {"admin", "producer"}),
    ("root/bücher.example:8080", b"seed", {"admin", "producer"}),
    ("below/www.example.org/docs/", b"seed", {"admin", "producer", "worker"}),
    ("below/moved.example.org/docs/", b"seed", {"admin", "producer", "worker"}),
    ("below/other.org/docs/", b"seed", {"admin", "producer"}),
    ("below/left.example.org/docs/", b"seed", {"admin", "producer"}),
    ("below/www.example.org/docs", b"seed", set()),
    ("below/www.example.org", b"seed", set()),
    ("below/www.example.org/docs/", b"", {"admin"}),
    # what fetchers learn
    ("robots/https://example.org", robots(), {"admin", "worker"}),
    ("robots/https://example.org", robots(status=404, body=b""), {"admin", "worker"}),
    ("robots/https://example.org", robots(status=404), set()),
    ("robots/https://example.org", robots(expires=1e12), set()),
    ("robots/https://example.org", robots(expires=NOW + 2 * DAY), set()),
    ("robots/https://example.org", robots(expires=float("nan")), set()),
    ("robots/https://example.org", robots(expires=float("inf")), set()),
    ("robots/https://example.org", robots(status=7), set()),
    ("robots/https://example.org", robots(body=b"x" * ((500 << 10) + 1)), set()),
    ("robots/https://example.org", b"\xc1", set()),
    ("robots/https://example.org", b"", set()),
    ("robots/https://example.org", b"\x81" * 20_000, set()),
    ("robots/example.org", robots(), set()),
    ("robots/https://example.org/", robots(), set()),
    ("bare/example.org", b"", {"admin", "worker"}),
    ("bare/www.example.org", b"", set()),
    ("bare/example.org", b"x", set()),
    # passwords, and what a crawl is
    ("auth/https://example.org", b"me:word", {"admin", "producer"}),
    ("auth/nowhere", b"me:word", set()),
    ("auth/https://example.org", b"x" * 5_000, set()),
    ("crawl", b"id", {"admin"}),
    ("definition", b"{}", {"admin"}),
    ("hub/settings", b"{}", {"admin"}),
    ("hub/other", b"{}", {"admin"}),
    # what stages share
    ("rows/a.jsonl", b'{"was_empty": true, "rows": 7, "base": {"id": "x", "rows": 0}}', {"admin", "worker"}),
    ("rows/a.jsonl", b'{"was_empty": true, "rows": -7}', set()),
    ("rows/a.jsonl", b'{"was_empty": true, "rows": 1e300}', set()),
    ("rows/a.jsonl", b"[[[[", set()),
    ("field/price", b"failed \xff", {"admin", "worker"}),
    ("field/price", b"x" * 5_000, set()),
    ("crawls", b"x", ALL),
    ("mine", b"x" * (1 << 20), ALL),
    ("mine", b"x" * ((1 << 20) + 1), set()),
]  # fmt: skip


@pytest.mark.parametrize("role", KEYS)
@pytest.mark.parametrize(("name", "value", "writers"), WRITTEN)
def test_a_note_is_written_by_the_roles_that_may(
    client: Callable[[str], HubClient], broker: SqliteBroker, role: str, name: str, value: bytes, writers: set[str]
) -> None:
    before = {note.name: note.value for note in broker.notes("")}

    if role in writers:
        client(role).note([Note(name, value)])
        assert {note.name: note.value for note in broker.notes("")} == before | {name: value}
    else:
        with pytest.raises(CallRefused, match=r"refused|may not write|at most"):
            client(role).note([Note("own", b"1"), Note(name, value)])
        assert {note.name: note.value for note in broker.notes("")} == before


def test_a_hub_whose_seeds_may_redirect_anywhere_takes_every_site_but_no_seed(broker: SqliteBroker) -> None:
    gate = notes.Gate(broker, is_any_site=True)

    gate.check("worker", [Note("root/other.org", b"redirect")])
    with pytest.raises(CallRefused, match="only a producer or an admin may put seeds"):
        gate.check("worker", [Note("root/other.org", b"seed")])


def test_seeds_that_come_later_count_as_well(broker: SqliteBroker) -> None:
    gate = notes.Gate(broker)
    with pytest.raises(CallRefused, match=r"no seed is of its site \(see frontier\.seed_redirects\)"):
        gate.check("worker", [Note("root/a.later.org", b"redirect")])

    broker.note([Note("root/later.org", b"seed")])

    gate.check("worker", [Note("root/a.later.org", b"redirect")])


def test_a_stage_goes_on_where_the_hub_does_not_take_a_redirect_into_scope(client: Callable[[str], HubClient]) -> None:
    """The stage was started with seed_redirects = "any", and the hub was not."""
    here = scope.Scope(FrontierSettings(seed_redirects="any"), SharedNotes(client("worker")))

    assert here.refusal("http://www.example.org/", "http://other.org/", "other.org") == scope.ANOTHER_SITE
    assert here.refusal("http://www.example.org/", "http://b.example.org/", "b.example.org") == ""


def test_the_table_knows_the_names_that_the_modules_use() -> None:
    used = [scope.ROOT, scope.BELOW, frontier.AUTH, names.BARE, outputs.ROWS, FIELD_NOTE]

    assert [kind(f"{prefix}x").prefix for prefix in used] == used
    assert [kind(name).writers for name in (CRAWL_NOTE, definitions.NOTE, obeyed.NOTE)] == [notes.ADMIN] * 3


GARBAGE = (
    b"", b"\xc1", b"\x81" * 20_000, b"[" * 20_000, b"null", b"{}", b"\xff\xfe", msgspec.msgpack.encode({"expires": "x"}), b"\x80",
)  # fmt: skip


@pytest.mark.parametrize("value", GARBAGE)
def test_a_note_that_cannot_be_read_is_none(value: bytes) -> None:
    assert read_robots(value, NOW) is None
    assert read_rows(value) is None
    assert hosts({f"root/{place}": value for place in ("a.org", "[x", "")}, "root/") == []
    assert outputs.rows_by_output(["a.jsonl"], {"rows/a.jsonl": value}, {}, "/")["/a.jsonl"].rows == 0


def test_hosts_that_cannot_be_read_are_left_out() -> None:
    noted = {"root/a.org": b"seed", "root/[x": b"seed", "root/": b"seed", "root/b.org:80": b"redirect", "root/c.org": b"x"}

    assert hosts(noted, "root/") == ["a.org", "b.org:80"]


@pytest.mark.parametrize(("role", "name", "value", "waits"), [
    ("worker", "robots/https://example.org", robots(), False),
    ("worker", "rows/pages.jsonl", b'{"was_empty":true,"rows":1}', False),
    ("worker", "field/price", b"dear", False),
    ("worker", "bare/example.org", b"", False),
    ("worker", "root/shop.example.org", b"redirect", True),
    ("producer", "auth/https://example.org", b"me:word", True),
    ("admin", "definition", b"{}", True),
    ("worker", "mine", b"x", True),
])  # fmt: skip
def test_only_a_note_that_is_found_out_again_is_answered_before_it_is_on_disk(
    broker: SqliteBroker, client: Callable[[str], HubClient], monkeypatch: pytest.MonkeyPatch, role: str, name: str, value: bytes,
    waits: bool,
) -> None:  # fmt: skip
    kinds: list[Kind] = []
    call = broker._call
    monkeypatch.setattr(broker, "_call", lambda run, kind=Kind.STEPS: (kinds.append(kind), call(run, kind))[1])
    client(role).note([Note(name, value)])

    assert kinds[-1] == (Kind.KEEPS if waits else Kind.STEPS)


@pytest.mark.parametrize(
    ("names", "are_remade"),
    [
        (["robots/https://a.test"], True), (["robots/https://a.test", "bare/a.test", "rows/x", "field/x"], True),
        (["root/a.test"], False), (["robots/https://a.test", "root/a.test"], False), (["mine", "robots/https://a.test"], False),
    ],
)  # fmt: skip
def test_only_what_is_found_out_again_does_not_wait_for_the_disk(names: list[str], are_remade: bool) -> None:
    assert notes.are_remade([Note(name, b"") for name in names]) is are_remade


def test_sites_of_all_seeds_count_whenever_they_came(broker: SqliteBroker, client: Callable[[str], HubClient]) -> None:
    worker = client("worker")
    worker.note([Note("root/en.example.org", b"redirect")])
    client("producer").note([Note("root/www.example.net", b"seed")])

    assert worker.note([Note("root/en.example.net", b"redirect")])
    assert worker.note([Note("root/de.example.org", b"redirect")])
