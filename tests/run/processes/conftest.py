"""A supervisor for tests, whose children run a script of the test."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

import crawler
from crawler.run.processes import supervisor as supervising
from crawler.run.processes.supervisor import Child, Supervisor

TIME = 10.0  # s after which a test that waits has failed


class Stand:
    """A supervisor whose children run a script of the test in place of the `crawler` command."""

    def __init__(self, directory: Path) -> None:
        self.lines: SimpleQueue[str] = SimpleQueue()
        self.deaths: list[tuple[str, int, int]] = []
        self.supervisor = Supervisor(self._died, self.lines.put)
        self._directory = directory
        (directory / "crawler").mkdir()
        (directory / "crawler" / "__init__.py").write_text(f"__path__.append({str(Path(crawler.__file__).parent)!r})\n")

    def script(self, text: str) -> None:
        (self._directory / "crawler" / "__main__.py").write_text("import os, signal, sys, time\n" + text)

    def start(self, name: str = "it", *, is_endless: bool = False) -> Child:
        return self.supervisor.start(name, [name], {"PYTHONPATH": str(self._directory)}, is_endless=is_endless)

    def line(self) -> str:
        return self.lines.get(timeout=TIME)

    def watch_until(self, holds: Callable[[], object]) -> None:
        for _ in range(int(TIME / 0.01)):
            self.supervisor.watch()
            if holds():
                return
            threading.Event().wait(0.01)
        raise AssertionError("it did not come to pass")

    def _died(self, child: Child, pid: int) -> None:
        self.deaths.append((child.name, pid, child.starts))


def ended(child: Child) -> None:
    """Wait until a process is dead and leave it to its parent to notice."""
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(supervising, "PAUSE", 0.0)
    stand = Stand(tmp_path)
    yield stand
    stand.supervisor.stop(within=1.0)
