"""One child process as its parent sees it, and starting one by a new interpreter.

    spawn ──▶ python -m crawler ARGUMENTS ╮
                                          ├──▶ running ──▶ ended: its end is seen at once, and it is reaped by whoever asks
    fork  ──▶ a copy of this process ─────╯

Both have a session of their own, so that Ctrl-C reaches the parent alone, which ends them in order; and a pipe for standard
input, whose end tells them that the parent is gone, for whatever reason. The command passes in the function that makes a copy.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from crawler.worker.marks import MarkMemory

SAMPLE = 0.1  # s for which it is looked which thread of a process uses the CPU
PAUSE = 0.02  # s between looks where the system does not tell of an end
PATH = "CRAWLER_PARENT_PATH"  # variable in which a new interpreter finds its parent's module path: see `__main__`
SETTINGS = "CRAWLER_PARENT_SETTINGS"  # variable in which a process finds the settings of its parent: see `Config.packed`
WITH_SETTINGS = "--settings"  # among the arguments of a process to start: the value of that variable
ON_STDIN = "-"  # in the variable: the settings are the first line of standard input
LONGEST = 100_000  # characters of a variable; Linux takes 131,071 bytes
LONG = 3600.0  # s the system is asked to wait at most
CPU_CLOCK = 2  # of all threads of a process; the rest of such a clock's number is the process


class Process:
    """A child of this process, from its start until it has been reaped and closed."""

    def __init__(
        self, pid: int, stdin: IO[bytes], stderr: IO[bytes] | None, marks: MarkMemory, popen: subprocess.Popen[bytes] | None = None
    ) -> None:
        """stdin: our end of its standard input. stderr: our end of its standard error; None: it writes to ours.

        marks: where it marks what it works on. popen: what has started it, and must be told of its end.
        """
        self.pid = pid
        self.marks = marks
        self.stdin = stdin
        self.stderr = stderr
        self._popen = popen
        self._code: int | None = None
        self.ended = _pidfd(pid)  # descriptor that can be read once it has ended; None: the system has none

    def poll(self) -> int | None:
        """Return its exit code, or the negative number of the signal it died of; None while it runs."""
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # reaped by other code: how it ended is lost
                pid, status = self.pid, 0
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
                if self._popen is not None:
                    self._popen.returncode = self._code
        return self._code

    def wait(self, seconds: float) -> int | None:
        """Return how it ended, once it has, or None after `seconds`."""
        give_up = time.monotonic() + seconds
        while self.poll() is None and (left := give_up - time.monotonic()) > 0:
            wait_for_any([self], left)
        return self._code

    def cpu(self) -> float | None:
        """Return the s of CPU it has used, in all its threads; None if it has ended, or the system does not tell."""
        with suppress(OSError):
            return None if self.poll() is not None else cpu_clock(self.pid)
        return None

    def signal(self, number: int) -> None:
        """Send a signal, unless the process has ended: until it is reaped its number belongs to no other process."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def abort(self) -> None:
        """Have it write where it is, and end. The thread that uses the CPU is asked, if the system tells which that is."""
        busiest = self.pid
        with suppress(OSError, ValueError, IndexError):
            before = _thread_times(self.pid)
            time.sleep(SAMPLE)
            after = _thread_times(self.pid)
            busiest = max(after, key=lambda thread: after[thread] - before.get(thread, after[thread]))
        if self.poll() is None:
            os.kill(busiest, signal.SIGABRT)  # to the process, by way of this thread

    def close(self) -> None:
        """Close the descriptors of a process that has been reaped; its reader closes `stderr`."""
        self.stdin.close()
        self.marks.close()
        if self.ended is not None:
            os.close(self.ended)
            self.ended = None


class Bell:
    """Ends a wait, now or later: `ring` may be called from a signal handler, so it is there as long as this process."""

    def __init__(self) -> None:
        self.rung, self._rope = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK) if hasattr(os, "pipe2") else os.pipe()
        self.is_rung = False

    def ring(self) -> None:
        if not self.is_rung:
            self.is_rung = True
            os.write(self._rope, b"!")  # it is never read: once readable it ends every wait from now on


Fork = Callable[[Sequence[str], Mapping[str, str], bool], Process | None]
"""Starts a copy of this process that runs a command: its arguments, what its environment has besides ours, whether its standard
error is to be read by us. None: this process cannot be copied safely now."""


def cpu_clock(pid: int) -> float:
    """s of CPU that a process that is alive has used, to the nanosecond: clock_getcpuclockid(3), which Python does not have.

    Raises OSError where there is no such process, or no such clock.
    """
    return time.clock_gettime(~pid << 3 | CPU_CLOCK)


def spawn(arguments: Sequence[str], environment: Mapping[str, str], is_heard: bool) -> Process:
    """A new interpreter that runs the command. is_heard: we read its standard error."""
    marks = MarkMemory()
    line = ""
    if len(environment.get(SETTINGS, "")) > LONGEST:
        line, environment = environment[SETTINGS], {**environment, SETTINGS: ON_STDIN}
    variables = {**os.environ, **environment, **marks.environment}
    try:
        popen = subprocess.Popen(  # noqa: S603  (our own interpreter and our own arguments)
            [sys.executable, "-P", "-m", "crawler", *arguments],       # -P: no file of the working directory hides a module
            stdin=subprocess.PIPE, stderr=subprocess.PIPE if is_heard else None,
            start_new_session=True, env=variables | _module_path(variables.get("PYTHONPATH", "")),
        )  # fmt: skip
    except OSError:
        marks.close()
        raise
    assert popen.stdin is not None  # noqa: S101  (it was asked for)
    if line:
        with suppress(BrokenPipeError):  # it has ended, which is seen like any other end
            popen.stdin.write(line.encode() + b"\n")
            popen.stdin.flush()
    return Process(popen.pid, popen.stdin, popen.stderr, marks, popen)


def private(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return arguments that anybody on this machine may see, and variables for the settings, of which some may be secret."""
    if WITH_SETTINGS not in arguments:
        return list(arguments), {}
    place = arguments.index(WITH_SETTINGS)
    return [*arguments[:place], *arguments[place + 2 :]], {SETTINGS: arguments[place + 1]}


def settings_of_parent() -> str:
    """Return the settings that the parent process passed on, once; "" if there are none."""
    packed = os.environ.pop(SETTINGS, "")  # they are not meant for processes that a stage starts
    if packed != ON_STDIN:
        return packed
    line = b""
    while not line.endswith(b"\n") and (part := os.read(0, 1 << 16)):
        line += part
    return line.rstrip(b"\n").decode()


def wait_for_any(processes: Sequence[Process], seconds: float, bell: Bell | None = None) -> None:
    """Wait until one of these ends or had ended before, or the bell is rung, or the time is over."""
    poll = select.poll()  # not select(): descriptors may have any number
    is_told = True
    for descriptor in [process.ended for process in processes] + ([] if bell is None else [bell.rung]):
        if descriptor is None:
            is_told = False
        else:
            poll.register(descriptor, select.POLLIN)
    poll.poll(max(min(seconds, LONG if is_told else PAUSE), 0.0) * 1000)


def _thread_times(pid: int) -> dict[int, int]:
    """Return the CPU time that each thread of a process has used, in ticks (proc(5)). Raises OSError where there is no /proc."""
    times = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        fields = Path(f"/proc/{pid}/task/{thread}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        times[int(thread)] = int(fields[11]) + int(fields[12])
    return times


def _pidfd(pid: int) -> int | None:
    if hasattr(os, "pidfd_open"):
        with suppress(OSError):  # a system before Linux 5.3, or no descriptors left
            return os.pidfd_open(pid)
    return None


def _module_path(python_path: str) -> dict[str, str]:
    """Return variables that let a new interpreter look for modules where this process does, as a copy of it would.

    python_path: PYTHONPATH as the child will see it in the end; until then it also leads to this package. The working directory
    is never searched first, however this process was started.
    """
    path = [entry for entry in sys.path if entry]
    if len(path) < len(sys.path) and (here := str(Path.cwd())) not in path:
        path.append(here)
    handed = json.dumps({"path": path, "PYTHONPATH": python_path})
    return {PATH: handed, "PYTHONPATH": os.pathsep.join([*filter(None, [python_path]), *path])}
