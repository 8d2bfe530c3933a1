"""The project's processes on a bench: started by their commands, looked at through /proc, killed when it is their turn.

with Bench(directory) as bench:
    bench.start_hub()
    bench.start_stage("fetch")
    bench.kill("fetch")
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from crawler.errors import HubError
from crawler.hub.client import HubClient
from crawler_bench.processes import PAGE, cpu_seconds, role

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # s anything may take before it is taken for hung
LOOK = 0.01  # s between two looks at something
ENDING = 30.0  # s a process has to end: its own grace of 20 s and some

Found = TypeVar("Found")


def until(question: Callable[[], Found], what: str, patience: float = PATIENCE) -> Found:
    """The first true answer. Raises AssertionError when there is none in time."""
    give_up = time.monotonic() + patience
    while not (answer := question()):
        if time.monotonic() > give_up:
            raise AssertionError(f"{what}: not within {patience:g} s")
        time.sleep(LOOK)
    return answer


def free_port() -> int:
    """One that was free a moment ago, for what has to come back at the same address."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Look:
    """A process at one moment."""

    rss: int  # bytes
    threads: int
    files: int  # descriptors
    cpu: float  # s so far


def look(pid: int) -> Look | None:
    """None: it is gone."""
    try:
        place = Path(f"/proc/{pid}")
        fields = (place / "stat").read_text().rpartition(")")[2].split()
        rss = int((place / "statm").read_text().split()[1]) * PAGE
        return Look(rss, int(fields[17]), len(os.listdir(place / "fd")), cpu_seconds(pid))
    except (FileNotFoundError, ProcessLookupError):
        return None


class Gauge:
    """Looks at a process that may be another from one moment to the next, in a thread of its own, as long as the block lasts."""

    def __init__(self, pid: Callable[[], int | None], pause: float = 0.05) -> None:
        self._pid = pid
        self._pause = pause
        self._ended = threading.Event()
        self._cpu: dict[int, float] = {}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.rss = self.threads = self.files = 0

    @property
    def cpu(self) -> float:
        """s, of all of them, as far as they were seen."""
        return sum(self._cpu.values())

    def __enter__(self) -> Gauge:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._pause):
            pid = self._pid()
            seen = look(pid) if pid is not None else None
            if pid is None or seen is None:
                continue
            self._cpu[pid] = seen.cpu
            self.rss, self.threads, self.files = (
                max(self.rss, seen.rss),
                max(self.threads, seen.threads),
                max(self.files, seen.files),
            )


class Bench:
    """A directory and the processes that work in it, under names; what they say goes to NAME.log there."""

    def __init__(self, directory: Path, settings: Sequence[str] = ()) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.data = directory / "data"
        self._settings = [word for setting in settings for word in ("-s", setting)]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._starts: dict[str, Callable[[], object]] = {}
        self._clients: list[HubClient] = []
        self.port = free_port()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def key(self) -> bytes:
        return (self.data / "authkey").read_bytes().strip()

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "crawler", *words, "--data", str(self.data), *self._settings]

    def start(self, name: str, *words: str, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """A command under a name. prefix: a program that starts it, as prlimit does."""
        environment = {variable: value for variable, value in os.environ.items() if not variable.startswith("CRAWLER_")}
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*prefix, *self.command(*words)], cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**environment, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        self._processes[name] = process
        self._starts[name] = lambda: self.start(name, *words, prefix=prefix)
        return process

    def start_hub(self, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """A hub that answers."""
        process = self.start("hub", "hub", "--address", self.address, prefix=prefix)
        self.wait_for_hub()
        return process

    def start_stage(self, stage: str, *words: str, name: str = "", hub: str = "") -> subprocess.Popen[bytes]:
        """hub: an address to reach it at, if not its own."""
        return self.start(name or stage, "stage", stage, "--hub", hub or self.address, *words)

    def wait_for_hub(self) -> None:
        until((self.data / "authkey").exists, "the hub makes its key")
        client = self.client(patience=PATIENCE)
        client.drained([])
        client.close()

    def client(self, worker: str = "", patience: float = PATIENCE, hub: str = "") -> HubClient:
        """Closed with the bench, at the latest."""
        self._clients.append(HubClient(hub or self.address, self.key, worker, patience=patience))
        return self._clients[-1]

    def process(self, name: str) -> subprocess.Popen[bytes]:
        return self._processes[name]

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def worker(self, name: str) -> int:
        """The process in which a stage works, looked after by the one that was started; 0: there is none yet."""
        children = child_pids(self.pid(name))
        return children[0] if children else 0

    def running(self) -> list[str]:
        return [name for name, process in self._processes.items() if process.poll() is None]

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text("utf-8", "replace")

    def kill(self, name: str) -> None:
        """-9, and it is gone when this returns."""
        self._processes[name].kill()
        self._processes[name].wait()

    def restart(self, name: str) -> None:
        """Start it again as it was started."""
        self._starts[name]()

    def terminate(self, name: str) -> int:
        """Ask it to end; its exit code."""
        self._processes[name].send_signal(signal.SIGTERM)
        return self._processes[name].wait(ENDING)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The hub goes last: the others hand in what they have."""
        for client in self._clients:
            client.close()
        for name in sorted(self._processes, key=lambda name: name == "hub"):
            process = self._processes[name]
            if process.poll() is not None:
                continue
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(ENDING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def children(pid: int) -> dict[str, int]:
    """Pids by role (hub, fetch, …) of what `crawler run` has started."""
    found = {}
    for child in child_pids(pid):
        try:
            found[role(child)] = child
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def child_pids(pid: int) -> list[int]:
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return found
    return found


def answers(client: HubClient) -> bool:
    """The hub answered a call just now."""
    try:
        client.drained([])
    except HubError:
        return False
    return True
