"""What is begun and not waited for, waited for all the same: so that the tests of what is asked for to the end go for it too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any

from crawler import Stage, Url
from crawler_stages.clients.contract import Reply, Wants
from crawler_stages.clients.curl.client import CurlClient
from crawler_stages.clients.curl.setup import peer_of
from crawler_stages.clients.sockets import Attempt

TIME = 60.0  # s after which a test that waits has failed


class Begun:
    """Somebody who waits until begun work is over."""

    def __init__(self) -> None:
        self._ends: SimpleQueue[tuple[Any, BaseException | None, bool]] = SimpleQueue()

    def then(self, finish: Callable[[], Any] | None, _: int = 0) -> Callable[[], None]:
        def work() -> None:
            try:
                self._ends.put((finish() if finish else None, None, finish is not None))
            except BaseException as error:  # noqa: BLE001  raised again by who waits
                self._ends.put((None, error, True))

        return work

    def end(self, instead: Callable[[], Any]) -> Any:
        """What came of it; of what needs a thread after all, what is done `instead`."""
        value, error, is_ended = self._ends.get(timeout=TIME)
        if error is not None:
            raise error
        return value if is_ended else instead()


class BegunClient(CurlClient):
    """libcurl's transfers, begun without waiting for them where that can be."""

    def get(self, url: str, headers: Mapping[str, str], cut: int = 0, wants: Wants | None = None) -> Reply:
        parts, begun = Url.parse(url), Begun()
        if cut:
            return super().get(url, headers, cut, wants)
        if parts.scheme not in self._proxies:
            self._names.addresses(Attempt(parts, self._limits, self._guard), *peer_of(parts))
        if not self.start(parts, headers, wants or (lambda *_: True), begun.then):
            return super().get(url, headers, cut, wants)
        reply: Reply = begun.end(lambda: super(BegunClient, self).get(url, headers, cut, wants))
        return reply


def given(stage: Stage, item: Any) -> list[Any]:
    """What a stage gives for an item that it begins, or processes where it has to wait first."""
    begun = Begun()
    pending = stage.begin(item) if stage.overlap else None

    def over(can_finish: bool = True, is_free: bool = True) -> Callable[[], None]:
        return begun.then((lambda: list(pending.finish())) if can_finish and pending else None)

    if pending is None or not pending.start(over):
        return list(stage.process(item))
    found: list[Any] = begun.end(lambda: list(stage.process(item)))
    return found
