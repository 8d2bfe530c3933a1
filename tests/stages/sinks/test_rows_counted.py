"""The rows of a crawl are counted exactly, wherever its store is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from crawler import LocalShared
from crawler_stages.store import Store
from tests.stages.test_store import record, store_all

URLS = [f"http://a.example/{number}" for number in range(30)]
BATCHES = [[record(url) for url in URLS[start : start + 6]] for start in range(0, 30, 6)]
BATCHES[2].append(record(URLS[0]))  # one row that is a duplicate for good
ATTEMPTS = 2
WAYS = (lambda chance: (chance.randrange(1, 2500), -1), lambda chance: (-1, chance.randrange(1, 3)))


class Hub(LocalShared):
    """What a hub knows: the notes, the counters, and how many batches were acknowledged."""

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__({name: value.encode() for name, value in state.get("notes", {}).items()})
        self.counters = Counter[str](state.get("counters", {}))
        self.done: int = state.get("done", 0)

    def counted(self, name: str) -> int | None:
        return self.counters[name]

    def keep(self, path: Path) -> None:
        """Commit: all of it or nothing."""
        notes = {name: value.decode() for name, value in self._values.items()}
        state = {"notes": notes, "counters": self.counters, "done": self.done}
        path.with_suffix(".new").write_text(json.dumps(state))
        path.with_suffix(".new").rename(path)


def work(output: Path, hub_file: Path, lines: int, batches: int) -> None:
    """Store what is left, and die by SIGKILL after so many lines of the store and its sinks, or when so many batches are written
    and the last is not acknowledged; -1: never."""

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        if "/stages/" not in frame.f_code.co_filename or "/tests/" in frame.f_code.co_filename:
            return None
        if event == "line":
            lines -= 1
            if lines == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    hub = Hub(json.loads(hub_file.read_text()) if hub_file.exists() else {})
    store = Store(Store.Options(output=str(output), state=str(hub_file.parent / "state")), hub)
    sys.settrace(trace)
    store.open()
    hub.keep(hub_file)
    for batch in BATCHES[hub.done :]:
        store.process(batch)
        batches -= 1
        if batches == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        hub.counters.update(store.take_counts())
        hub.done += 1
        hub.keep(hub_file)
    store.close()
    sys.settrace(None)
    hub.keep(hub_file)


def in_a_process(*arguments: Any) -> int:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work(*arguments)
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r.jsonl", "r.csv", "r.sqlite"])
@pytest.mark.parametrize("older", [0, 10])
def test_wherever_a_store_is_killed(tmp_path: Path, name: str, older: int) -> None:
    chance = random.Random(7)
    for attempt in range(ATTEMPTS):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        output, hub_file = folder / name, folder / "hub.json"
        if older:
            store_all(output, [record(url, title="before") for url in URLS[:older]], state=str(folder / "state"))

        deaths = 0
        while deaths < 10 and in_a_process(output, hub_file, *chance.choice(WAYS)(chance)) == signal.SIGKILL:
            deaths += 1
        assert in_a_process(output, hub_file, -1, -1) == 0

        hub = Hub(json.loads(hub_file.read_text()))
        assert (hub.counters["rows"], hub.counters[f"rows in {output}"], hub.counters["duplicates"]) == (30, 30, 1), deaths
        assert json.loads(hub.get(f"rows/{output}") or b"")["rows"] == 30
