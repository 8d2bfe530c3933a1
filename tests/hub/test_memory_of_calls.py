"""Nothing holds what was sent in a call once it is answered, nor the frame it came in while it waits.

The garbage collector counts objects and not their bytes, so that a few large calls held by cycles would fill the memory.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType

import pytest
from memory_broker import KEY

from crawler.broker.contract import QueueSpec, Quota
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.broker.sqlite.calls import Call
from crawler.errors import CrawlerError
from crawler.hub.client import HubClient
from crawler.hub.server import HubServer
from crawler.items import Done, Failed, New, Note, Pace, Step

QUEUES = (QueueSpec("task", is_read=True), QueueSpec("urls", keyed=True, polite=True, is_read=True), QueueSpec("result"))
PRODUCER = b"p" * 64
LARGE = 100_000  # bytes
BODY = b"x" * LARGE


@pytest.fixture
def broker() -> Iterator[SqliteBroker]:
    broker = SqliteBroker(":memory:", QUEUES)
    yield broker
    broker.close()


@pytest.fixture
def client(broker: SqliteBroker) -> Iterator[Callable[..., HubClient]]:
    server = HubServer(broker, QUEUES, "127.0.0.1:0", KEY, role_keys={"producer": PRODUCER}, quota=Quota(queue_bytes=1_000))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    clients: list[HubClient] = []

    def connect(key: bytes = KEY) -> HubClient:
        clients.append(HubClient(str(server.place), key, patience=0.0))
        return clients[-1]

    yield connect
    for each in clients:
        each.close()
    server.stop()
    thread.join(10)


CALLS: dict[str, tuple[bytes, Callable[[HubClient], object]]] = {
    "put": (KEY, lambda hub: hub.put([New("task", BODY)])),
    "put on an unknown queue": (KEY, lambda hub: hub.put([New("nope", BODY)])),
    "put of impossible delays": (KEY, lambda hub: hub.put([New("task", BODY, delay=1e300)])),
    "put over the quota": (PRODUCER, lambda hub: hub.put([New("result", BODY)])),
    "step": (KEY, lambda hub: hub.step(Step("w", 1, done=[Done(1, [New("task", BODY)])]))),
    "step with failures": (KEY, lambda hub: hub.step(Step("w", 1, failed=[Failed(1, "r", trace="t" * LARGE)]))),
    "step for an unknown queue": (KEY, lambda hub: hub.step(Step("w", 1, "nope", 1))),
    "step that waits in vain": (KEY, lambda hub: hub.step(Step("w", 1, "task", 1, wait=0.01))),
    "step of an old number": (KEY, lambda hub: [hub.step(Step("w", 5 - n)) for n in range(2)]),
    "step twice": (KEY, lambda hub: [hub.step(Step("w", 5)) for _ in range(2)]),
    "take in vain": (KEY, lambda hub: hub.take("task", 1, 0.01)),
    "end of the queues": (KEY, lambda hub: hub.drained(["task"], 0.01)),
    "pace": (KEY, lambda hub: hub.pace([Pace("h" * 8_000, rest=1.0)] * 10)),
    "note": (KEY, lambda hub: hub.note([Note("n", BODY)])),
    "notes": (KEY, lambda hub: hub.notes("n")),
    "stats": (KEY, lambda hub: hub.stats()),
    "hosts": (KEY, lambda hub: hub.hosts(["h"] * 100)),
    "extend": (KEY, lambda hub: hub.extend("w", [1] * 100, 1.0)),
    "expire": (KEY, lambda hub: hub.expire("w", "reason", [1] * 100)),
    "revive": (KEY, lambda hub: hub.revive(list(range(1_000)))),
    "why of an unknown queue": (KEY, lambda hub: hub.why("nope", b"k" * 16)),
}  # fmt: skip


@pytest.mark.parametrize("what", CALLS)
def test_an_answered_call_is_gone_without_a_garbage_collector(client: Callable[..., HubClient], what: str) -> None:
    key, call = CALLS[what]
    hub = client(key)
    hub.drained(["task"])
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            with suppress(CrawlerError):
                call(hub)
        hub.drained(["task"])  # after its answer the thread of the connection has left the call before

        assert [each for each in gc.get_objects() if isinstance(each, Call) and each.is_settled][1:] == []
    finally:
        gc.enable()


def test_no_frame_is_held_while_a_call_waits_nor_between_calls(client: Callable[..., HubClient], broker: SqliteBroker) -> None:
    waits, idle = client(), client()
    step = Step("w", 1, "task", 1, wait=20.0, counters={f"{n:0>5000}": 1 for n in range(50)})
    idle.put([New("result", BODY * 10)])
    parked = threading.Event()
    empty = broker._writer._clock.patience

    def patience(pause: float) -> float:
        parked.set()
        return empty(pause)

    broker._writer._clock.patience = patience  # type: ignore[method-assign]  # called once a call has been kept for later
    waiting = threading.Thread(target=waits.step, args=(step,))
    waiting.start()
    assert parked.wait(20)

    held = [name for frame in list(sys._current_frames().values()) for name in large_bytes(frame)]

    broker.put([New("task", b"")])
    waiting.join(20)
    assert held == []


def large_bytes(frame: FrameType | None) -> Iterator[str]:
    """Yield the functions of the server on a stack, with the names of their variables, that hold a frame as it was received."""
    while frame is not None:
        for name, value in list(frame.f_locals.items()):
            if isinstance(value, bytearray) and len(value) > LARGE and frame.f_globals["__name__"] == HubServer.__module__:
                yield f"{frame.f_code.co_name}: {name}"
        frame = frame.f_back
