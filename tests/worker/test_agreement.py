"""For every annotation and every item: a stage behind another in one process gets what it would get from the hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler import Page, Record, Stage, Visit
from crawler.codec.bodies import NOT_AN_ITEM
from crawler.items import Lease, New
from crawler.pipeline.plugins import item_schema
from crawler.worker.chain import Chain
from crawler.worker.chain_link import Link
from crawler.worker.handler import Handler
from crawler.worker.routing import Misgiven, Router
from tests.codec.test_codec import RECORD


class Product(msgspec.Struct):
    url: str
    price: float | None = None
    more: Any = None


@dataclass
class Point:
    url: str
    price: float


class Row(TypedDict):
    url: str


ANNOTATIONS: list[Any] = [
    dict, dict[str, Any], dict[str, int], Mapping[str, Any], Record, Page, Visit, Product, Point, Row, str, int, float, bool, bytes,
    list, list[int], tuple[int, ...], set[str], Any, object, None, int | str, dict[str, Any] | str, Product | None, Record | None,
    str | list[str] | None,
]  # fmt: skip

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False) | st.text(max_size=5)
    | st.binary(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(0, 3), inner, max_size=3)
    | st.tuples(inner, inner),
    max_leaves=6,
)  # fmt: skip
ITEMS = st.one_of(
    PLAIN,
    st.dictionaries(st.sampled_from(["title", "price", "status", "url"]), PLAIN, max_size=3).map(lambda more: RECORD | more),
    st.dictionaries(st.sampled_from(["price", "status", "url"]), PLAIN, max_size=3).map(lambda more: Record({**RECORD, **more})),
    st.binary(max_size=2_000).map(lambda body: Page.of(body, url="http://a/", status_code=200)),
    st.builds(Product, st.text(max_size=3), st.none() | st.floats(allow_nan=False), PLAIN),
    st.builds(Point, st.text(max_size=3), st.floats(allow_nan=False)),
    st.builds(Visit, st.text(max_size=3), st.integers(0, 3)),
    st.sets(st.text(max_size=3)), st.just(object()), st.just(Stage),
).filter(lambda item: item is not None)  # fmt: skip


def takes(annotation: Any) -> Stage:
    """A stage whose argument has this annotation; it keeps what it gets in `seen`."""

    class Takes(Stage):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[Any] = []

        def process(self, item: Any) -> None:
            self.seen.append(item)

    Takes.process.__annotations__["item"] = annotation
    return Takes()


class Gives(Stage):
    def process(self, item: Any) -> Iterator[Any]:
        yield item


def by_wire(item: Any, annotation: Any) -> tuple[list[Any], str]:
    """What the stage got from the hub, and why it got nothing."""
    stage: Any = takes(annotation)
    (new,) = [Router("gives", ("middle",), {}).route(item)]
    assert isinstance(new, New)
    handler = Handler(stage, item_schema(type(stage))[0], Router("takes", (), {}))
    (outcome,) = handler.handle([Lease(1, 1, 1, "middle", new.item, None, "", 0)])
    return stage.seen, outcome.failed.reason if outcome.failed is not None else ""


def by_chain(item: Any, annotation: Any) -> tuple[list[Any], str]:
    stage: Any = takes(annotation)
    chain = Chain([Link("gives", Gives(), ("middle",), "middle"), Link("takes", stage, (), "")])
    taken, *_ = chain.process(item)  # and a line for the task's story
    if taken is None:
        return stage.seen, ""
    assert isinstance(taken, New)
    assert taken.tried is not None
    assert taken.tried.final
    return stage.seen, taken.tried.reason


def typed(value: Any) -> Any:
    """A value with the types of all its parts."""
    if isinstance(value, Mapping):
        return type(value), [(typed(key), typed(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [typed(each) for each in value]
    return type(value), value


def sends(item: Any) -> bool:
    try:
        Router("gives", ("middle",), {}).route(item)
    except (TypeError, ValueError):
        return False
    return True


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(ITEMS, st.sampled_from(ANNOTATIONS))
def test_a_chain_hands_over_what_the_hub_would_or_refuses_it_with_the_same_words(item: Any, annotation: Any) -> None:
    if not sends(item):
        with pytest.raises(Misgiven, match="cannot be sent"):
            by_chain(item, annotation)
        return

    (seen, why), (seen_in_chain, why_in_chain) = by_wire(item, annotation), by_chain(item, annotation)

    assert why_in_chain == why
    assert typed(seen_in_chain) == typed(seen)
    assert bool(seen) != bool(why)
    assert not why or why.startswith(NOT_AN_ITEM)


def test_a_page_is_the_same_object_and_all_else_is_the_next_links_own() -> None:
    page = Page.of(b"x" * 1_000, url="http://a/", status_code=200)
    record = Record(RECORD)

    assert by_chain(page, Page)[0][0] is page
    assert by_chain(record, Record)[0][0] is not record
