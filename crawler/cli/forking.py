"""Copies of this process that run another command, as a new interpreter would, without its start and its imports.

    crawler run ──fork──▶ made clean: session, descriptors, signals, exit handlers, logging ──▶ main(["hub", …]) ──▶ gone
             │                          a name for ps and top: crawler:hub, crawler:fetch, …
             ╰──prepare─▶ made clean ──▶ imports, while we go on ──▶ waits to be told its command ──▶ main(["hub", …])

A copy is made only where that is safe: on Linux, while this process has one thread and nothing open but what it had at the
beginning - imported code may have opened or started something, and two processes must not share it.
"""

from __future__ import annotations

import atexit
import gc
import io
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, NoReturn

from crawler.cli.common import INTERNAL, OK
from crawler.run.processes.process import Process
from crawler.worker.marks import MarkMemory

FDS, THREADS = "/proc/self/fd", "/proc/self/task"
SETTLE: Final = 0.1  # s a thread that was joined may take to be gone
ENDING: Final = 1.0  # s a copy that was never told what to do may take to end
STANDARD = {0, 1, 2}

Command = tuple[list[str], dict[str, str], bool]
"""What a copy is to do: arguments, what its environment has besides ours, whether its parent reads its standard error."""


def descriptors() -> set[int]:
    """Return the open descriptors of this process."""
    found = {int(name) for name in os.listdir(FDS)}
    return {number for number in found if _is_open(number)}  # one was that of the listing itself


class Forks:
    """Maker of copies, a `crawler.run.processes.process.Fork`. Make it before importing modules to share, and foreign code with
    them."""

    def __init__(self, main: Callable[[Sequence[str]], int]) -> None:
        """main: what a copy runs; its result is the exit code."""
        self._main = main
        self._is_linux = sys.platform == "linux" and hasattr(os, "pidfd_open") and os.path.isdir(FDS)
        self._ours = descriptors() if self._is_linux else set()
        self._ready: dict[str, Process] = {}
        gc.disable()  # until all is imported: that stays, and looking through it again and again takes 15 ms

    def prepare(self, name: str, work: Callable[[], None]) -> None:
        """Make a copy that does this work, then waits for the command of that name: the command finds a process ready."""
        if self._is_safe():
            self._ready[name] = self._copy(True, lambda: _told(work))

    def __call__(self, arguments: Sequence[str], environment: Mapping[str, str], is_heard: bool) -> Process | None:
        command: Command = [*arguments], {**environment}, is_heard
        if ready := self._ready.pop(arguments[0], None):
            if self._tell(ready, command):
                return ready  # and what others need is still to be imported
            _end(ready)
        gc.enable()
        return self._copy(is_heard, lambda: command) if self._is_safe() else None

    def close(self) -> None:
        """End the copies that were prepared and never used."""
        gc.enable()
        while self._ready:
            _end(self._ready.popitem()[1])

    def _copy(self, is_heard: bool, command: Callable[[], Command | None]) -> Process:
        stdin, our_stdin = os.pipe()
        our_stderr, stderr = os.pipe() if is_heard else (None, None)
        gc.freeze()  # objects made so far stay: a collection in a copy would write to all of the shared memory, and
        _flush()  # close by their numbers descriptors that mean something else there
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # none is to meet our handlers in the copy
        marks = MarkMemory()
        environment = marks.environment
        pid = os.fork()
        if pid == 0:
            os.environ.update(environment)
            _become(self._main, command, stdin, stderr, blocked)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        os.close(stdin)
        if stderr is not None:
            os.close(stderr)
        heard = None if our_stderr is None else os.fdopen(our_stderr, "rb")
        process = Process(pid, os.fdopen(our_stdin, "wb", 0), heard, marks)
        self._ours |= marks.descriptors | {number for number in (our_stdin, our_stderr, process.ended) if number is not None}
        return process

    def _tell(self, ready: Process, command: Command) -> bool:
        """Send a prepared copy its command. Returns False if the copy is gone."""
        try:
            ready.stdin.write(json.dumps(command).encode() + b"\n")
        except BrokenPipeError:
            return False
        if not command[2] and ready.stderr is not None:
            self._ours.discard(ready.stderr.fileno())
            ready.stderr.close()
            ready.stderr = None
        return True

    def _is_safe(self) -> bool:
        if not self._is_linux or not self._ours >= STANDARD or not descriptors() <= self._ours:
            return False
        give_up = time.monotonic() + SETTLE
        while len(os.listdir(THREADS)) > 1:
            if threading.active_count() > 1 or time.monotonic() > give_up:
                return False
            time.sleep(0.001)
        return True


def _told(work: Callable[[], None]) -> Command | None:
    """Do the work and read the command, in the copy; None: there will be none."""
    with suppress(Exception):  # the command will meet the same error, and report it
        work()
    line = b""
    while not line.endswith(b"\n"):
        if not (part := os.read(0, 1 << 16)):
            return None
        line += part
    arguments, environment, is_heard = json.loads(line)
    gc.enable()
    return arguments, environment, is_heard


def _end(ready: Process) -> None:
    """End a prepared copy: it ends by itself when its standard input does."""
    ready.stdin.close()
    if ready.wait(ENDING) is None:
        ready.signal(signal.SIGKILL)
        ready.wait(ENDING)
    ready.close()
    if ready.stderr is not None:
        ready.stderr.close()


def _become(
    main: Callable[[Sequence[str]], int], command: Callable[[], Command | None], stdin: int, stderr: int | None, mask: set[int]
) -> NoReturn:  # fmt: skip
    """Run, in the copy, as if newly started, and exit."""
    code = INTERNAL
    try:
        os.setsid()
        os.dup2(stdin, 0)
        for number in descriptors() - STANDARD - {stderr}:
            os.close(number)
        _forget_signals()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        atexit._clear()  # they are our parent's: its temporary directories, for one, are not ours to remove
        logging.root.handlers.clear()  # the command starts logging by itself
        sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
        code = _obey(main, command(), stderr)
    finally:
        os._exit(code)  # not sys.exit: what our parent was in the middle of is not ours to finish


def _obey(main: Callable[[Sequence[str]], int], command: Command | None, stderr: int | None) -> int:
    if command is None:
        return OK
    arguments, environment, is_heard = command
    if stderr is not None:
        if is_heard:
            os.dup2(stderr, 2)
        os.close(stderr)
    sys.argv = ["crawler", *arguments]
    os.environ.update(environment)
    return _run(main, arguments)


def _forget_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _run(main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Run a command and end as an interpreter does: the exit code, other threads waited for, exit handlers run."""
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else OK if end.code is None else INTERNAL
    except BaseException:  # noqa: BLE001  there is no caller left to catch it
        traceback.print_exc()
        code = INTERNAL
    threading._shutdown()  # type: ignore[attr-defined]  # as multiprocessing does in its own copies
    atexit._run_exitfuncs()
    _flush()
    return code


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or never there
            stream.flush()


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
