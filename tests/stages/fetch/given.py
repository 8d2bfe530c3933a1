"""What the tests of fetch share."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

from crawler.demo.loopback import Loopback, Request, Response

URL = "http://example.org/a"
ROBOTS = "http://example.org/robots.txt"
T = TypeVar("T")


def only(kind: type[T], items: list[Any]) -> T:
    (found,) = [item for item in items if isinstance(item, kind)]
    return found


class Shop(Loopback):
    """Holds robots.txt back until told otherwise, and counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def answer(self, request: Request) -> Response:
        self.asked.append(request.target)
        if request.target == "/robots.txt":
            self.is_asked.set()
            self.may_answer.wait()
        return Response(body=b"ok" if request.target != "/robots.txt" else b"")
