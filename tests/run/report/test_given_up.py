from __future__ import annotations

import msgspec
import pytest

from crawler.broker.sqlite.broker import SqliteBroker
from crawler.items import Dead
from crawler.run.report import given_up


def dead(url: str, reason: str, id: int = 1) -> Dead:
    host = url.split("/")[2]
    return Dead(id, "urls", 5, reason, msgspec.msgpack.encode({"url": url}), b"k", host, 0.0)


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("robots.txt: exmaple.invalid: Name or service not known", "name not found"),
        ("exmaple.invalid: Could not resolve host: exmaple.invalid", "name not found"),
        ("robots.txt: 127.0.0.1:1: Connection refused", "connection refused"),
        ("no connection to example.org within 10 s; see stages.fetch.connect_timeout", "timed out"),
        ("a body of 20971520 bytes; see stages.fetch.max_bytes", "larger than stages.fetch.max_bytes"),
        ("robots.txt: status 503", "robots.txt: status 503"),
        ("status 429, Retry-After 120 s", "status 429"),
        ("example.org: self-signed certificate", "certificate not accepted, see stages.fetch.verify"),
        ("robots.txt: a:1: does not speak TLS; if it speaks plain HTTP, write http:// instead", "no TLS there, perhaps plain HTTP"),
        ("robots.txt: a:1: the server closed the connection during TLS", "connection closed"),
        ("example.org: certificate verify failed: certificate has expired", "certificate not accepted, see stages.fetch.verify"),
        ("a:1: [SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] sslv3 alert handshake failure", "TLS failed"),
        ("KeyError: 'ttle' at enrich.py:18 in process", "KeyError: 'ttle' at enrich.py:18 in process"),
        ("ValueError: 17 of 300 at example.org/a", "ValueError: N of N at HOST/a"),
        ("the lease ran out: worker parse@a:1:x died, hung or was cut off", "the worker died or hung"),
        ("", "no reason given"),
    ],
)
def test_a_reason_has_the_same_short_name_for_all_hosts_and_numbers(reason: str, kind: str) -> None:
    assert given_up.kind(reason, "example.org") == kind


def test_ten_thousand_refusals_are_one_line_with_three_examples() -> None:
    tasks = [dead(f"http://h{n}.example:{n}/", f"h{n}.example:{n}: Connection refused", n) for n in range(10_000)]

    groups = given_up.grouped([*tasks, dead("http://a.invalid/", "a.invalid: Name or service not known")])

    assert [(group.reason, group.count) for group in groups] == [("connection refused", 10_000), ("name not found", 1)]
    assert groups[0].examples == ["http://h0.example:0/", "http://h1.example:1/", "http://h2.example:2/"]


def test_the_reason_of_one_task_is_told_with_its_numbers() -> None:
    one, other = dead("http://a.example/", "ValueError: 17 of 300"), dead("http://b.example/", "ValueError: 8 of 9", 2)
    [alone] = given_up.grouped([one])
    [both] = given_up.grouped([one, other])

    assert (alone.reason, both.reason) == ("ValueError: 17 of 300", "ValueError: N of N")


PLACE = " at enrich.py:18 in process"


@pytest.mark.parametrize(
    ("reasons", "shown"),
    [
        (["ValueError: 17 of 300", "ValueError: 17 of 300"], ["ValueError: 17 of 300"]),
        (["ValueError: 17 of 300", "ValueError: 5 of 9"], ["ValueError: N of N"]),
        (["ValueError: " + "x" * 300 + PLACE], ["ValueError: " + "x" * (99 - 12 - len(PLACE)) + "…" + PLACE]),
        (["y" * 101], ["y" * 99 + "…"]),
        (["ValueError: " + "x" * 200 + PLACE, "ValueError: " + "x" * 200 + PLACE.replace("18", "19")], 2),
        (["", ""], ["no reason given"]),
        (["http://a.example/: status 503", "status 503"], ["status 503"]),
        (["robots.txt: status 500", "robots.txt: status 500"], ["robots.txt: status 500"]),
    ],
)  # fmt: skip
def test_a_group_has_its_reason_as_written_and_keeps_the_place(reasons: list[str], shown: list[str] | int) -> None:
    found = [group.reason for group in given_up.grouped(dead("http://h.example/", reason) for reason in reasons)]

    assert (len(found) if isinstance(shown, int) else found) == shown
    assert all(len(reason) <= given_up.LONGEST for reason in found)


@pytest.mark.parametrize(("item", "shown"), [("5", '"5"'), (5, "5"), ("true", '"true"'), ("", '""'), ("three", "three")])
def test_a_text_that_looks_like_another_value_has_quotes(item: object, shown: str) -> None:
    assert given_up.brief(Dead(1, "task", 1, "", msgspec.msgpack.encode(item), None, "", 0.0)) == shown


def test_of_very_many_dead_tasks_some_are_looked_at_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Many(SqliteBroker):
        def __init__(self) -> None:
            self.asked = 0

        def dead(self, queue: str | None = None, limit: int = 100, after: int = 0) -> list[Dead]:
            self.asked += 1
            return [dead("http://a.example/", "status 500", id) for id in range(after + 1, after + 1 + limit)]

    broker = Many()

    groups = given_up.given_up(broker, total=1_000_000)

    assert [(group.reason, group.count) for group in groups] == [
        ("status 500", given_up.LOOKED_AT), (given_up.NOT_LOOKED_AT, 1_000_000 - given_up.LOOKED_AT)
    ]  # fmt: skip
    assert broker.asked <= given_up.LOOKED_AT // given_up.PAGE + 1


def test_an_item_that_is_no_url_is_shown_as_it_is_and_one_that_cannot_be_read_by_its_size() -> None:
    assert given_up.brief(Dead(1, "task", 1, "", msgspec.msgpack.encode("three"), None, "", 0.0)) == "three"
    assert given_up.brief(Dead(1, "task", 1, "", b"\xc1", None, "", 0.0)) == "1 bytes that are not msgpack"
