"""A stage that has been at one item for long is told of, once, with the line where it is."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from crawler import Page, Stage
from crawler.worker import stuck
from crawler.worker.chain import Chain
from crawler.worker.chain_link import Link

TIME = 10.0  # s until a test gives up


class Said(logging.Handler):
    """What the worker says, as it says it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self.changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self.changed:
            self.lines.append(record.getMessage())
            self.changed.notify_all()

    def wait(self, n: int) -> list[str]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.lines) >= n, TIME), self.lines
            return list(self.lines)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[Said]:
    monkeypatch.setattr(stuck, "LOOK", 0.0)
    monkeypatch.setattr(stuck, "NOTED", 0.0)
    said = Said()
    logging.getLogger("crawler.worker").addHandler(said)
    yield said
    logging.getLogger("crawler.worker").removeHandler(said)


class Waits(Stage):
    stuck = 0.01

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def process(self, item: Any) -> None:
        self.wait()

    def wait(self) -> None:
        self.go.wait(TIME)


@pytest.mark.slow
def test_a_stage_at_one_item_for_long_is_named_with_the_item_and_the_line(broker, work, said) -> None:
    stage = Waits()
    broker.fill("in", {"url": "http://a/"}, {"url": "http://b/"})
    running = work(stage, concurrency=2)

    lines = said.wait(2)
    looks = len(broker.steps)
    broker.wait_until(lambda: len(broker.steps) > looks + 3)  # it looks on, and says nothing more

    pattern = r"it has been at (http://./) for 0 s \(tests/worker/test_stuck\.py:\d+ in wait\); after 300 s it counts as hung"
    matches = [re.fullmatch(pattern, line) for line in lines]
    assert sorted(match[1] for match in matches if match) == ["http://a/", "http://b/"]
    assert said.lines == lines
    stage.go.set()
    running.stop()


def test_in_a_chain_the_link_is_named(broker, work, said) -> None:
    class First(Stage):
        stuck = 0.0  # it waits for others, as fetch does

        def process(self, item: str) -> Page:
            return Page.of(b"", url=item, status_code=200)

    class Second(Waits):
        def process(self, page: Page) -> None:
            self.wait()

    second = Second()
    broker.fill("in", "http://a/")
    running = work(Chain([Link("first", First(), ("middle",), "middle"), Link("second", second, (), "")]))

    (line,) = said.wait(1)

    assert re.match(r"second has been at http://a/ for 0 s \(tests/worker/test_stuck\.py:\d+ in wait\); after 300 s", line)
    broker.wait_until(lambda: broker.steps[-1][0].trouble)  # those who watch the crawl are told as well
    note = broker.steps[-1][0].trouble
    assert re.match(r"second has been at http://a/ for 0 s \(tests/worker/test_stuck\.py:\d+ in wait\)$", note)
    second.go.set()
    running.stop()


def test_a_batch_is_told_of_in_one_line(broker, work, said) -> None:
    class Batch(Waits):
        batch = 3

        def process(self, items: list[int]) -> None:
            self.wait()

    stage = Batch()
    broker.fill("in", 1, 2, 3)
    running = work(stage)

    (line,) = said.wait(1)

    assert line.startswith("it has been at 1 and 2 more for ")
    stage.go.set()
    running.stop()


def test_the_limits_of_the_stages_we_ship() -> None:
    from crawler_stages.fetch import Fetch
    from crawler_stages.parse import Parse

    assert (Fetch.stuck, Parse.stuck, Stage.stuck) == (0.0, 30.0, 30.0)
