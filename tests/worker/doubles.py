"""Stages of these tests."""

from __future__ import annotations

import threading
from typing import Any

from crawler import Stage
from tests.workshop import TIME


class Double(Stage):
    is_closed = False

    def process(self, number: int) -> int:
        self.count("doubled")
        return number * 2

    def close(self) -> None:
        self.is_closed = True


class Held(Stage):
    """Keeps every item until the test lets go of it."""

    is_closed = False

    def open(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go = threading.Event()

    def process(self, item: str) -> str:
        self.begun.release()
        assert self.go.wait(TIME)
        return item.upper()

    def close(self) -> None:
        self.is_closed = True


def held(**attributes: Any) -> Held:
    stage = type("Held", (Held,), attributes)()
    stage.open()
    stage.open = lambda: None
    assert isinstance(stage, Held)
    return stage
