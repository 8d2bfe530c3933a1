from __future__ import annotations

import msgspec
import pytest

from crawler import Page, To
from crawler.broker.base import MAX_BODY
from crawler.items import New
from crawler.routing import Known, Router, TooMuch


def admit(item: str) -> New | str:
    return "out of scope" if item.startswith("http:") else New("urls", item.encode(), item.encode(), "example.org", depth=2)


def router(*outputs: str) -> Router:
    return Router("parse", outputs, {"urls": admit})


def test_a_plain_item_goes_to_the_first_output():
    assert router("records", "urls").route({"a": 1}) == New("records", msgspec.msgpack.encode({"a": 1}))


def test_a_page_is_packed_to_travel():
    page = Page.of(b"<p>steam</p>" * 500, url="http://h/", status_code=200)

    new = router("pages").route(page)

    assert isinstance(new, New)
    assert len(new.item) < 500
    assert msgspec.msgpack.decode(new.item, type=Page).content == page.content


def test_delivery_data_travels_with_the_item():
    sent = router("records").route(To("records", 1, key=b"k", priority=3, delay=1))

    assert sent == New("records", b"\x01", b"k", priority=3, delay=1.0)


def test_a_gatekeeper_makes_the_task_or_says_why_not():
    gate = router("records", "urls")

    assert gate.route(To("urls", "a", priority=5)) == New("urls", b"a", b"a", "example.org", priority=5, depth=2)
    assert gate.route(To("urls", "http://b")) == "out of scope"


def test_a_stage_without_outputs_that_gives_something_is_told_the_setting():
    with pytest.raises(ValueError, match=r"has no output; set stages\.parse\.outputs"):
        router().route(1)


@pytest.mark.parametrize(
    "to",
    [
        To("pages", 1), To(7, 1), To("records", 1, key="text"), To("records", 1, priority=1 << 60), To("records", 1, priority=0.5),
        To("records", 1, delay=float("nan")), To("records", 1, delay="1 s"),
    ],
)  # fmt: skip
def test_what_the_hub_would_refuse_is_refused_here(to):
    with pytest.raises(ValueError, match=r"its outputs are|a key is|a priority is|give a number of seconds"):
        router("records").route(to)


@pytest.mark.parametrize("item", [object(), 1 << 70, "\ud800"])
def test_what_cannot_be_encoded_is_refused(item):
    with pytest.raises((TypeError, OverflowError, UnicodeEncodeError)):
        router("records").route(item)


def test_a_body_over_the_limit_is_too_much():
    with pytest.raises(TooMuch, match="at most 16777216 bytes"):
        router("records").route(b"x" * MAX_BODY)


def test_a_key_the_hub_keeps_is_not_sent_again_until_all_is_forgotten():
    gate = router("urls")
    gate.known.learn([("urls", b"a")], at=5.0)

    gate.known.trust(until=4.9)
    assert isinstance(gate.route("a"), New)
    gate.known.trust(until=5.0)
    assert gate.route("a") is None
    assert isinstance(gate.route("b"), New)
    gate.known.learn([("urls", b"c")], at=6.0)
    gate.known.clear()
    gate.known.trust(until=7.0)
    assert isinstance(gate.route("a"), New)
    assert isinstance(gate.route("c"), New)


def test_what_is_known_is_bounded_and_the_latest_half_is_kept():
    known = Known(limit=10)

    for n in range(100):
        known.learn([("urls", bytes([n]))], at=n)
        known.trust(until=n)

    assert all(("urls", bytes([n])) in known for n in range(95, 100))
    assert sum(("urls", bytes([n])) in known for n in range(100)) <= 12
