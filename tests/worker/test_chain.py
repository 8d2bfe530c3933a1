"""Stages in one process: together they do what they do apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from crawler import Page, Visit, Visits
from crawler.errors import StorageError
from crawler.items import New, Tried
from crawler.stage import Drop, Facts, GiveUp, Pace, Pending, Report, Retry, Stage, To
from crawler.worker.chain import Chain
from crawler.worker.chain_link import Link
from crawler.worker.routing import MAX_GIVEN, Incomplete, Misgiven
from tests.workshop import Now, ended


class Double(Stage):
    def process(self, number: int) -> Iterator[Any]:
        self.count("seen")
        yield number * 2
        yield To("aside", number, delay=3.0)
        yield Report("doubled")


class Minus(Stage):
    def process(self, number: int) -> int | None:
        self.count("seen")
        if number == 4:
            raise Drop("four")
        return number - 1 if number else None


def pair() -> Chain:
    return Chain([Link("double", Double(), ("doubled", "aside"), "doubled"), Link("minus", Minus(), ("result",), "")])


def given(taken: Iterable[Any]) -> list[Any]:
    """What goes to the hub, its items as they are read there, without the lines about items that were put back."""
    return [
        (one.queue, msgspec.msgpack.decode(one.item), one.delay) if isinstance(one, New) else one
        for one in taken
        if not is_of_put_back(one)
    ]


def is_of_put_back(one: Any) -> bool:
    return isinstance(one, Report) and re.search(r": (given up|failed, put back|put) on \w+[:,] ", one.text) is not None


def tried(taken: Iterable[Any]) -> list[Tried | None]:
    """What goes to the hub as tried once."""
    return [one.tried for one in taken if isinstance(one, New)]


def test_what_the_first_gives_for_the_second_goes_straight_to_it() -> None:
    assert given(pair().process(5)) == [("result", 9, 0.0), ("aside", 5, 3.0), Report("doubled")]


def test_nothing_from_the_second_is_nothing_from_the_chain() -> None:
    assert given(pair().process(0)) == [None, ("aside", 0, 3.0), Report("doubled")]


def test_what_the_second_drops_is_dropped_and_what_the_first_gave_beside_it_is_not() -> None:
    chain = pair()

    assert given(chain.process(2)) == [Report("minus: dropped: four"), ("aside", 2, 3.0), Report("doubled")]
    assert chain.counters("double+minus") == {"double/seen": 1, "minus/seen": 1, "minus/dropped": 1, "minus/dropped/four": 1}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (GiveUp("never"), "breaks: given up on doubled: never"),
        (Retry("later"), "breaks: failed, put back on doubled: later"),
    ],
)
def test_the_story_of_a_task_tells_what_became_of_its_items_in_later_links(error: BaseException, says: str) -> None:
    assert Report(says) in list(broken(error).process(5))


def test_a_report_of_a_later_link_names_it() -> None:
    assert Report("second: read") in list(after(Gives(1), Gives(Report("read"))).process(0))


class Breaks(Stage):
    """Gives something, and then fails."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def process(self, number: int) -> Iterator[Any]:
        yield number
        raise self.error


def test_visits_are_given_to_the_next_one_by_one() -> None:
    class Leads(Stage):
        def process(self, url: str) -> To:
            return To("urls", Visits([f"{url}a", f"{url}b"], 2, url))

    class Sees(Stage):
        def process(self, visit: Visit) -> str:
            return f"{visit.url} from {visit.referrer} at {visit.depth}"

    chain = Chain([Link("leads", Leads(), ("urls",), "urls"), Link("sees", Sees(), ("result",), "")])

    assert [item for _, item, _ in given(chain.process("/"))] == ["/a from / at 2", "/b from / at 2"]


def broken(error: BaseException) -> Chain:
    return Chain([Link("double", Double(), ("doubled", "aside"), "doubled"), Link("breaks", Breaks(error), ("result",), "")])


@pytest.mark.parametrize("error", [ValueError("odd"), GiveUp("never"), Retry("later"), SystemExit(1)])
def test_what_the_second_fails_at_goes_to_its_queue_and_nothing_it_gave_before(error: BaseException) -> None:
    chain = broken(error)

    assert given(chain.process(5)) == [("doubled", 10, 0.0), ("aside", 5, 3.0), Report("doubled")]
    counter = "breaks/failed" if isinstance(error, GiveUp) else "breaks/put back"
    assert chain.counters("double+breaks") == {"double/seen": 1, counter: 1}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (GiveUp("never"), Tried("never", final=True)),
        (Retry("busy", after=60.0), Tried("busy", 60.0)),
        (Retry("busy"), Tried("busy")),
    ],
)
def test_what_the_second_fails_at_has_had_its_first_attempt(error: BaseException, expected: Tried) -> None:
    assert tried(broken(error).process(5)) == [expected, None]


class Gives(Stage):
    """Gives these things, whatever it is asked."""

    def __init__(self, *things: Any) -> None:
        super().__init__()
        self.things = things
        self.calls = 0

    def process(self, item: Any) -> Iterator[Any]:
        self.calls += 1
        yield from self.things


def after(first: Stage, second: Stage, outputs: tuple[str, ...] = ("result",)) -> Chain:
    return Chain([Link("first", first, ("middle", "aside"), "middle"), Link("second", second, outputs, "")])


@pytest.mark.parametrize(
    ("gives", "words"),
    [
        (To("reslt", 1), "stage 'second' sent an item to 'reslt'; its outputs are result: did you mean 'result'"),
        (To("nowhere", 1), "its outputs are result: add it to stages.second.outputs"),
        (To("", 1, key="text"), "a key is bytes"),  # type: ignore[arg-type]  # wrong on purpose
        (Pace(3), "a Pace for 3; its host is text"),  # type: ignore[arg-type]  # wrong on purpose
    ],
)
def test_what_the_second_may_not_give_is_its_own_failure(gives: Any, words: str, caplog: pytest.LogCaptureFixture) -> None:
    chain = after(Gives({"url": "http://a/"}), Gives(0, gives))

    taken = list(chain.process(1))

    assert given(taken) == [("middle", {"url": "http://a/"}, 0.0)]
    assert [one and one.final for one in tried(taken)] == [True]  # no other attempt would end better
    (line,) = caplog.messages
    assert line.startswith("second failed at http://a/ (attempt 1, given up)")
    assert re.search(words, line)
    assert re.search(r"\(at tests/worker/test_chain.py:\d+ in process\)$", line)


@pytest.mark.parametrize(
    ("gives", "words"),
    [
        (object(), "stage 'second' gave an item that cannot be sent: an object of type object; give plain data"),
        ({"p": 1j}, "stage 'second' gave an item that cannot be sent: at key 'p': an object of type complex (1j); give plain data"),
        (b"x" * (17 << 20), "an item of 17825797 bytes for queue 'result'"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_item_that_cannot_be_packed_costs_the_link_its_item_and_none_of_the_others(
    gives: Any, words: str, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    things: list[Any] = [{"n": 1}, {"n": 2}]
    things.insert(place, gives)
    first = Gives({"url": "http://a/"})
    chain = after(first, Gives(*things))

    taken = list(chain.process(1))

    assert given(taken) == [("result", {"n": 1}, 0.0), ("result", {"n": 2}, 0.0), ("middle", {"url": "http://a/"}, 0.0)]
    assert first.calls == 1
    (dead,) = [one for one in tried(taken) if one]
    assert dead.final
    assert dead.reason.startswith(words)
    assert re.search(r"\(at tests/worker/test_chain.py:\d+ in process\)$", dead.reason)
    assert len(caplog.messages) == 1


def test_what_the_first_cannot_pack_is_its_failure_and_the_others_are_kept_with_it() -> None:
    chain = after(Gives({"n": 1}, object(), {"n": 2}), Gives("kept"))

    with pytest.raises(Incomplete) as caught:
        list(chain.process(1))

    assert given(caught.value.taken) == [("result", "kept", 0.0), ("result", "kept", 0.0)]
    assert caught.value.error.is_final


class YieldsAndReturns(Stage):
    def process(self, item: Any) -> Iterator[Any]:
        yield 1
        return {"lost": item}


def test_an_item_that_a_generator_returns_is_not_lost_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    (failed,) = tried(after(Gives(0), YieldsAndReturns()).process(1))

    assert failed is not None
    assert failed.final
    assert failed.reason.startswith("process yields and also returns an item; yield it (at tests/worker/test_chain.py:")


def test_an_item_for_which_a_link_gave_nothing_is_counted() -> None:
    chain = pair()

    list(chain.process(0))
    list(chain.process(5))

    assert chain.counters("double+minus") == {"double/seen": 2, "minus/seen": 2, "minus/gave nothing": 1}


def test_an_item_that_does_not_fit_the_second_goes_to_its_queue_and_is_never_processed(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Any] = []

    class Reads(Stage):
        def process(self, item: int) -> None:
            seen.append(item)

    chain = after(Gives("three", 3), Reads())

    taken = list(chain.process(1))

    assert given(taken) == [("middle", "three", 0.0), None]
    assert tried(taken) == [
        Tried("not an item of stage 'second': Expected `int`, got `str`; the annotation of process says what it takes", final=True)
    ]
    assert seen == [3]
    assert "second cannot take 'three': not an item of stage 'second': Expected `int`, got `str`" in caplog.text


def test_what_the_first_may_not_give_is_its_failure_and_nobody_sees_it() -> None:
    second = Gives(1)

    with pytest.raises(Misgiven, match=r"stage 'first' sent an item to 'midle'; .* did you mean 'middle'\?"):
        list(after(Gives(1, To("midle", 2)), second).process(0))

    assert second.calls == 0  # the first fails as a whole, and will give its items again


def test_the_first_failure_of_a_link_is_a_warning_and_the_others_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "crawler.worker")
    chain = after(Gives(1, 2, 3), Breaks(KeyError("ttle")))

    assert len(given(chain.process(0))) == 3
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "INFO"]
    assert "second failed at 1 (attempt 1): KeyError: 'ttle' at tests/worker/test_chain.py:" in caplog.messages[0]
    assert caplog.messages[2].endswith("(3 so far)")


def test_a_time_that_cannot_be_is_a_failure_like_any_other() -> None:
    (failed,) = tried(after(Gives(1), Breaks(Retry("busy", after=float("nan")))).process(0))

    assert failed is not None
    assert failed.after is None
    assert failed.reason.startswith("Retry with an after of nan is not possible; give a number of seconds up to 1000000000 (at ")


@pytest.mark.parametrize("to", [To("middle", 1, delay=5.0), To("middle", 1, priority=3), To("middle", 1, key=b"k" * 16)])
def test_what_has_delivery_data_of_its_own_goes_through_the_hub(to: To) -> None:
    second = Gives(1)

    (new,) = after(Gives(to), second).process(0)

    assert second.calls == 0
    assert isinstance(new, New)
    assert (new.queue, new.delay, new.priority, new.key) == ("middle", to.delay, to.priority, to.key)


def test_a_step_has_room_for_what_the_first_gives_however_much_the_second_makes_of_it() -> None:
    large = b"x" * (5 << 20)

    taken = [one for one in after(Gives(1, 2, 3, 4), Gives(large)).process(0) if isinstance(one, New)]

    assert [(one.queue, one.tried) for one in taken] == [("result", None), ("result", None), ("middle", None), ("middle", None)]
    assert sum(len(one.item) for one in taken) < MAX_GIVEN


def test_a_link_that_gives_more_than_a_step_holds_is_refused_as_it_would_be_alone() -> None:
    large = b"x" * (9 << 20)

    with pytest.raises(Misgiven, match="bytes in 3 items; at most") as caught:
        list(after(Gives(large, large, large), Gives(1)).process(0))
    assert caught.value.is_final

    links = Link("a", Gives(1), ("b",), "b"), Link("b", Gives(large, large, large), ("c",), "c"), Link("c", Gives(1), (), "")
    chain = Chain(links)
    assert given(chain.process(0)) == [("b", 1, 0.0)]


def test_a_page_is_handed_over_as_it_is_and_put_back_as_it_travels() -> None:
    seen: list[Page] = []

    class Reads(Stage):
        def process(self, page: Page) -> None:
            seen.append(page)
            if page.depth:
                raise ValueError

    pages = [Page.of(b"x" * 10_000, url="http://a/", status_code=200, depth=depth) for depth in (0, 1)]
    _, back, story = after(Gives(*pages), Reads()).process(0)

    assert story == Report(f"second: failed, put back on middle: {back.tried.reason}")
    assert [one is page for one, page in zip(seen, pages, strict=True)] == [True, True]
    assert isinstance(back, New)
    assert msgspec.msgpack.decode(back.item, type=Page).content == pages[1].content
    assert len(back.item) < 1_000


def test_a_disk_that_fails_is_no_fault_of_the_item() -> None:
    with pytest.raises(StorageError):
        list(broken(StorageError("full")).process(5))


def test_what_the_first_begins_the_second_goes_on_with() -> None:
    class Begins(Double):
        overlap = 5

        def begin(self, number: int) -> Pending | None:
            return Now(lambda: self.process(number)) if number else None

    chain = Chain([Link("double", Begins(), ("doubled", "aside"), "doubled"), Link("minus", Minus(), ("result",), "")])

    assert chain.facts.overlap == 5
    assert given(ended(chain.begin(5))) == [("result", 9, 0.0), ("aside", 5, 3.0), Report("doubled")]
    assert chain.begin(0) is None


def test_a_chain_has_the_facts_of_its_first_link_and_the_time_of_all_to_hang() -> None:
    class First(Double):
        concurrency, prefetch, stuck, hang, grace = 4, 3, 5.0, 60.0, 2.0

        def open(self) -> None:
            self.overlap = 9

    class Second(Minus):
        concurrency, prefetch, stuck, hang, grace = 1, 8, 7.0, 40.0, 11.0

    chain = Chain([Link("double", First(), ("doubled", "aside"), "doubled"), Link("minus", Second(), ("result",), "")])
    before = chain.facts
    chain.open()

    assert before == Facts(
        concurrency=4, prefetch=3, batch=0, overlap=0, is_single=False, makes_rows=False,
        stuck=5.0, hang=100.0, hang_at_work=40.0, grace=2.0,
    )  # fmt: skip
    assert chain.facts == replace(before, overlap=9)


def test_each_counts_under_its_own_name() -> None:
    chain = pair()
    list(chain.process(1))

    assert chain.counters("double+minus") == {"double/seen": 1, "minus/seen": 1}
