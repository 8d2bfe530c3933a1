"""Who used how much of the machine: a tree of processes, looked at through /proc while it runs.

The total is exact (what the kernel hands over when a child is reaped); the split by process is as of the last look, and what
came after it, or in processes too short-lived to be seen, is the `rest`.
"""

from __future__ import annotations

import os
import platform
import select
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from crawler.errors import UsageError

LOOK = 0.1  # s between looks: 1 % of a core, 3 % while memory grows
RISE = 1.02  # times what a process had, at which memory is weighed again: the kernel walks all pages for that
Run = TypeVar("Run")

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")  # of /proc's CPU times, 1/s
PAGE = os.sysconf("SC_PAGE_SIZE")  # bytes
COMM = 15 - len("crawler:")  # characters of its name a process can show; the kernel cuts the rest
CUT = ("fetch+parse",)  # names of this pipeline that are longer


class Usage(Struct, frozen=True):
    """What processes of one name used."""

    cpu: float  # s, user and system
    peak_rss: int  # bytes; of several processes the sum of their peaks
    peak_pss: int  # bytes; the same with each page shared out among the processes that have it


class TreeUsage(Struct, frozen=True):
    """What a command and all it started used."""

    seconds: float
    exit_code: int
    cpu: float  # s, user and system, all processes
    peak_rss: int  # bytes; the largest sum at one moment, shared pages counted in each
    peak_pss: int  # bytes; the largest sum at one moment, shared pages counted once
    by_name: dict[str, Usage]


def require_proc() -> None:
    """Raises UsageError where there is nothing to look through."""
    if not (PROC / "self" / "smaps_rollup").exists():
        raise UsageError(
            f"crawler bench reads {PROC}/PID/smaps_rollup, which {platform.system()} {platform.release()} does not have; "
            "run it on Linux 4.14 or later"
        )


def environment() -> dict[str, str]:
    """Ours without the crawler's variables: what is measured are the defaults."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CRAWLER_")}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, its children not counted."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_rss(pid: int) -> int:
    """Bytes of memory that a process had at most so far."""
    (line,) = [line for line in (PROC / str(pid) / "status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) << 10


class Memory(Struct, frozen=True):
    """What a process has, or several have, in bytes. Forked processes share what they do not change."""

    rss: int = 0  # with all that is shared
    pss: int = 0  # with its share of what is shared

    def __add__(self, other: Memory) -> Memory:
        return Memory(self.rss + other.rss, self.pss + other.pss)

    def __or__(self, other: Memory) -> Memory:
        """The larger of both, each for itself."""
        return Memory(max(self.rss, other.rss), max(self.pss, other.pss))


class Tree:
    """A process and all that come from it, as seen so far."""

    def __init__(self, root: int) -> None:
        self.peak = Memory()
        self._resident: dict[int, int] = {}  # bytes, when memory was last weighed
        self._names = {root: "run"}
        self._strangers = set(_pids()) - {root}  # what was there before us is none of ours
        self._cpu: dict[int, float] = {}
        self._memory: dict[int, Memory] = {}

    def look(self) -> None:
        self._find()
        resident: dict[int, int] = {}
        for pid in self._names:
            try:
                self._cpu[pid] = cpu_seconds(pid)
                self._names[pid] = role(pid) or self._names[pid]  # it looks like its parent until it has its name
                resident[pid] = int((PROC / str(pid) / "statm").read_text().split()[1]) * PAGE
            except (FileNotFoundError, ProcessLookupError):  # it has ended: what was seen of it stays
                continue
        if any(size > self._resident.get(pid, 0) * RISE for pid, size in resident.items()):
            self._resident = resident
            self._weigh()

    def _weigh(self) -> None:
        together = Memory()
        for pid in self._resident:
            try:
                memory = _memory(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
            self._memory[pid] = self._memory.get(pid, Memory()) | memory
            together += memory
        self.peak |= together

    def by_name(self, cpu: float) -> dict[str, Usage]:
        """The split; cpu: the exact total, of which what nobody was seen using is the rest."""
        times: dict[str, float] = {}
        peaks: dict[str, Memory] = {}
        for pid, name in self._names.items():
            times[name] = times.get(name, 0.0) + self._cpu.get(pid, 0.0)
            peaks[name] = peaks.get(name, Memory()) + self._memory.get(pid, Memory())
        times["rest"] = max(cpu - sum(times.values()), 0.0)
        return {name: Usage(time, peaks.get(name, Memory()).rss, peaks.get(name, Memory()).pss) for name, time in times.items()}

    def _find(self) -> None:
        """Parents have the lower number or were found in an earlier look, except once in a wrap of all numbers."""
        for pid in sorted(_pids() - self._names.keys() - self._strangers):
            try:
                parent = int(_stat(pid)[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent in self._names:
                self._names[pid] = self._names[parent]
            else:
                self._strangers.add(pid)


def measure(command: list[str], directory: Path, log: Path, limit: float) -> TreeUsage:
    """Run a command in a directory to its end, what it says on either stream going to `log`.

    limit: s after which it is told to end.
    """
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=directory, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )  # fmt: skip
    tree = Tree(process.pid)
    ended = os.pidfd_open(process.pid)
    try:
        while not select.select([ended], [], [], LOOK)[0]:
            tree.look()
            if time.perf_counter() - began > limit:
                process.terminate()
                limit = float("inf")
    except BaseException:
        process.terminate()
        raise
    finally:
        os.close(ended)
        _, status, used = os.wait4(process.pid, 0)  # not Popen.wait: it keeps the usage to itself
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    cpu = used.ru_utime + used.ru_stime
    return TreeUsage(seconds, process.returncode, cpu, tree.peak.rss, tree.peak.pss, tree.by_name(cpu))


def _pids() -> set[int]:
    return {int(entry) for entry in os.listdir(PROC) if entry.isdecimal()}


def _stat(pid: int) -> list[str]:
    """From the state on: the name before it may have blanks and brackets of its own (proc(5))."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _memory(pid: int) -> Memory:
    """A zombie's is nothing."""
    lines = (line.split() for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines())
    sizes = {line[0]: int(line[1]) << 10 for line in lines if line[0] in ("Rss:", "Pss:")}
    return Memory(sizes.get("Rss:", 0), sizes.get("Pss:", 0))


def role(pid: int) -> str:
    """run, hub, or the name of a stage: what a process calls itself, as `crawler:hub` does, or else what stands on its command
    line behind `crawler`, which forked processes have from their parent."""
    kind, _, named = (PROC / str(pid) / "comm").read_text("utf-8", "replace").rstrip("\n").partition(":")
    if kind == "crawler" and named:
        return next((name for name in CUT if len(named) == COMM and name.startswith(named)), named)
    words = (PROC / str(pid) / "cmdline").read_bytes().decode("utf-8", "replace").replace("\0", " ")
    _, _, mine = words.partition(" -m crawler ")
    command, _, rest = mine.partition(" ")
    return rest.partition(" ")[0] if command == "stage" else command


def median(runs: list[Run], key: Callable[[Run], float]) -> Run:
    """The run in the middle, whole: figures of one run belong together. Of an even number the slower of the two."""
    return sorted(runs, key=key)[(len(runs) - 1) // 2]


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    cpus = [line.partition(":")[2].strip() for line in (PROC / "cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = int((PROC / "meminfo").read_text().split()[1]) / (1 << 20)
    parts = ("crawler", "turbohtml", "requests", "ada-url", "msgspec", "zstandard")
    return {
        "cpu": f"{len(os.sched_getaffinity(0))} cores, {cpus[0] if cpus else platform.machine()}",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": ", ".join(f"{part} {metadata.version(part)}" for part in parts),
    }
