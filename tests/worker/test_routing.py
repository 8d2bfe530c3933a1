from __future__ import annotations

import math

import msgspec
import pytest

from crawler import LocalShared, Page, To, Visit, Visits
from crawler.broker.contract import MAX_BODY
from crawler.codec import values
from crawler.config.settings import FrontierSettings
from crawler.items import Admitted, New
from crawler.web.frontier import Frontier
from crawler.worker.known import Known
from crawler.worker.routing import Router, TooMuch, Unsendable


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
    sent = router("records").route(To("records", 1, key=b"k" * 16, priority=3, delay=1))

    assert sent == New("records", b"\x01", b"k" * 16, priority=3, delay=1.0)


def test_a_gatekeeper_makes_the_task_or_says_why_not():
    gate = router("records", "urls")

    assert gate.route(To("urls", "a", priority=5)) == New("urls", b"a", b"a", "example.org", priority=5, depth=2)
    assert gate.route(To("urls", "http://b")) == "out of scope"


HOST = "http://example.org/"


def crawl(**settings) -> Router:
    """A router to a frontier of one host."""
    frontier = Frontier(msgspec.convert(settings, FrontierSettings), LocalShared())
    frontier.seed(HOST)
    return Router("parse", ("records", "urls"), {"urls": frontier})


def visits(*paths: str, depth: int = 1) -> Visits:
    return Visits([HOST + path for path in paths], depth, HOST)


def known(gate: Router, admitted: Admitted) -> None:
    """The hub accepts a step that hands these in, and is sure to keep it."""
    gate.known.learn([(admitted.queue, name) for name in admitted.names], at=1)
    gate.known.trust(until=1)


def test_where_nobody_keeps_the_gate_visits_are_an_item_each():
    routed = router("links").route(To("links", visits("a", "b"), priority=2, delay=1))

    assert routed == Admitted("links", [
        New("links", msgspec.msgpack.encode(Visit(HOST + path, 1, HOST)), priority=2, delay=1.0) for path in "ab"
    ], [], {})  # fmt: skip


def test_a_gatekeeper_that_knows_only_single_items_is_asked_of_each_visit():
    gate = Router("parse", ("urls",), {"urls": lambda visit: admit(visit.url.removeprefix(HOST))})

    assert gate.route(visits("a", "http://b", "c", "http://d")) == Admitted(
        "urls", [New("urls", name, name, "example.org", depth=2) for name in (b"a", b"c")], [b"a", b"c"], {"out of scope": 2}
    )


def test_visits_become_the_tasks_that_they_would_become_one_by_one():
    gate, one = crawl(deny=["zip"], order="depth"), crawl(deny=["zip"], order="depth")
    paths = ["a", "b.zip", "c?x=1", "%zz", "../d#e", "b.zip", "//[", "f.zip"]

    many = gate.route(To("urls", visits(*paths), delay=2))
    each = [one.route(To("urls", visit, delay=2)) for visit in visits(*paths)]

    assert isinstance(many, Admitted)
    assert many.tasks == [new for new in each if isinstance(new, New)]
    assert many.skipped == {"denied by pattern": 3} == {"denied by pattern": each.count("denied by pattern")}
    with pytest.raises(ValueError, match="one key would make one task of all of them"):
        gate.route(To("urls", visits("a"), key=b"k" * 16))


def test_visits_that_the_hub_is_known_to_have_are_not_sent_again_and_the_others_keep_their_order():
    gate = crawl()
    first = gate.route(To("urls", visits("b", "a")))
    assert isinstance(first, Admitted)
    gate.known.learn([("urls", name) for name in first.names], at=5)

    gate.known.trust(until=4)
    assert len(gate.route(To("urls", visits("a", "b"))).tasks) == 2
    gate.known.trust(until=5)
    assert gate.route(To("urls", visits("a", "b"))) == Admitted("urls", [], [], {})
    assert [new.item for new in gate.route(To("urls", visits("z", "a", "y"))).tasks] == [
        msgspec.msgpack.encode(Visit(HOST + path, 1, HOST)) for path in "zy"
    ]
    gate.known.clear()
    assert len(gate.route(To("urls", visits("a", "b"))).tasks) == 2


def test_another_spelling_of_what_is_known_is_known():
    gate = crawl(drop_params=["utm_*"])
    known(gate, gate.route(To("urls", visits("a?utm_x=1"))))

    assert gate.route(To("urls", visits("a?utm_x=2", "a", "./a"))) == Admitted("urls", [], [], {})


def test_reasons_are_counted_each_time_also_of_what_is_known():
    gate = crawl(max_depth=2)
    known(gate, gate.route(To("urls", visits("a"))))

    for _ in range(2):
        routed = gate.route(To("urls", Visits([HOST + "a", "http://example.net/", "mailto:x", "http://example.net/b"], 2, HOST)))
        assert routed == Admitted("urls", [], [], {"out of scope": 2, "not http": 1})
        routed = gate.route(To("urls", Visits([HOST + "a", HOST + "b", "http://example.net/", "mailto:x"], 3, HOST)))
        assert routed == Admitted("urls", [], [], {"too deep": 3, "not http": 1})


def test_a_url_with_a_password_is_the_same_as_without():
    gate = crawl()
    first = gate.route(To("urls", Visits(["http://me:word@example.org/a"], 1, HOST)))
    known(gate, first)

    assert [msgspec.msgpack.decode(new.item)["url"] for new in first.tasks] == [HOST + "a"]
    assert gate.route(To("urls", Visits(["http://me:word@example.org/a", HOST + "a"], 1, HOST))).tasks == []


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


@pytest.mark.parametrize("item", [object(), 1j, {"a": [print]}, Exception("x"), iter([1])])
def test_what_cannot_be_encoded_is_refused(item):
    with pytest.raises(Unsendable, match="that cannot be sent"):
        router("records").route(item)


def test_what_a_queue_cannot_carry_is_replaced_and_counted_under_the_stages_name():
    counted: list[str] = []
    between = Router("it", ("parsed",), {}, stored=("records",), count=counted.append)
    last = Router("it", ("records",), {}, stored=("records",), count=counted.append)
    item = {"half": "a\ud83d", "big": 1 << 70, "none": math.nan, "at": {3: 1}}

    sent, kept = (msgspec.msgpack.decode(one.route(item).item) for one in (between, last))

    assert repr(sent) == repr({"half": "a\ufffd", "big": str(1 << 70), "none": math.nan, "at": {3: 1}})
    assert kept == {"half": "a\ufffd", "big": str(1 << 70), "none": None, "at": {"3": 1}}
    assert counted == [f"replaced/{what}" for what in (values.TEXT, values.INTEGER, values.TEXT, values.INTEGER, values.NUMBER)]


def test_a_body_over_the_limit_is_too_much():
    with pytest.raises(TooMuch, match="at most 16777216 bytes"):
        router("records").route(b"x" * MAX_BODY)


def test_a_key_the_hub_keeps_is_not_sent_again_until_all_is_forgotten():
    gate = router("urls")
    gate.known.learn([("urls", b"a")], at=5)

    gate.known.trust(until=4)
    assert isinstance(gate.route("a"), New)
    gate.known.trust(until=5)
    assert gate.route("a") is None
    assert isinstance(gate.route("b"), New)
    gate.known.learn([("urls", b"c")], at=6)
    gate.known.clear()
    gate.known.trust(until=7)
    assert isinstance(gate.route("a"), New)
    assert isinstance(gate.route("c"), New)


def test_what_is_known_is_bounded_and_the_latest_half_is_kept():
    known = Known(limit=10)

    for n in range(100):
        known.learn([("urls", bytes([n]))], at=n)
        known.trust(until=n)

    assert all(("urls", bytes([n])) in known for n in range(95, 100))
    assert sum(("urls", bytes([n])) in known for n in range(100)) <= 12


@pytest.mark.parametrize("item", [ValueError, object(), lambda: 1, [object()], (each for each in "ab")])
def test_of_an_item_that_is_refused_nothing_is_said_as_if_it_were_stored(caplog, item):
    with pytest.raises(Unsendable):
        Router("it", ("records",), {}, stored=("records",)).take(item)

    assert caplog.messages == []


@pytest.mark.parametrize("item", [True, 1, "a", [1], None])
def test_of_an_item_that_is_stored_as_one_value_it_is_said_once(caplog, item):
    router = Router("it", ("records",), {}, stored=("records",))

    for _ in range(2):
        router.take(item)

    assert len([line for line in caplog.messages if "is stored as" in line]) == (item is not None)
