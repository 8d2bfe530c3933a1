"""Marks of what a worker has begun can be read after its death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from crawler.run.processes.process import spawn
from crawler.worker import marks
from crawler.worker.marks import MarkMemory, Marks, given

linux = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="there is such memory on Linux only")
DIES = """
import os, signal
from crawler.worker.marks import Marks, given
found = Marks(given().words)
for token in (1, 2, 3, 1 << 61):
    found.begin(token, is_work=False)
found.work(3)
found.over(2)
os.kill(os.getpid(), signal.SIGKILL)
"""


@linux
def test_what_a_killed_process_had_begun_and_was_at_work_on_is_known() -> None:
    memory = MarkMemory()
    done = subprocess.run([sys.executable, "-c", DIES], env={**os.environ, **memory.environment}, check=False)

    assert done.returncode == -signal.SIGKILL
    begun, at_work = memory.read()
    assert (sorted(begun), at_work) == ([1, 3, 1 << 61], [3])
    memory.close()


@pytest.mark.slow
@linux
def test_the_next_process_of_a_child_begins_with_empty_memory() -> None:
    process = spawn(["settings"], {}, is_heard=False)
    process.wait(30)

    assert process.marks.read() == ([], [])
    process.close()
    assert process.marks.read() == ([], []), "closed: nothing is known"


@linux
def test_the_memory_is_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MarkMemory()
    for name, value in memory.environment.items():
        monkeypatch.setenv(name, value)

    assert given() is not None
    assert given() is None
    memory.close()


def pair(monkeypatch: pytest.MonkeyPatch) -> tuple[MarkMemory, Marks]:
    """Return the parent's end of the marks and the worker's."""
    memory = MarkMemory()
    for name, value in memory.environment.items():
        monkeypatch.setenv(name, value)
    memory_given = given()
    assert memory_given is not None
    return memory, Marks(memory_given.words)


@pytest.mark.parametrize("value", ["", "/proc/self/fd/999999", "/etc/passwd", "/proc/self/status", "junk"])
def test_what_is_no_such_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(marks.VARIABLE, value)

    assert given() is None


def test_where_more_is_begun_than_there_is_room_for_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, written = pair(monkeypatch)
    for token in range(1, marks.SLOTS + 2):
        written.begin(token, is_work=True)

    assert memory.read() == ([], [])
    memory.close()


@linux
def test_the_places_of_tasks_that_are_over_are_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, written = pair(monkeypatch)
    for token in range(1, marks.SLOTS + 2):
        written.begin(token, is_work=True)
        written.over(token)
    written.begin(7, is_work=True)

    assert memory.read() == ([7], [7])
    memory.close()


@linux
def test_a_task_that_waits_again_is_not_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, written = pair(monkeypatch)
    written.begin(7, is_work=True)
    written.work(7, is_work=False)
    written.begin(8, is_work=False)
    written.begin(8, is_work=True)
    written.over(9)

    assert memory.read() == ([7, 8], [8])
    memory.close()


THREADS = """
import ctypes, resource, threading, sys
from crawler.worker import pulse
from crawler.worker.marks import Marks, given
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
memory = given()
pulse.start(memory)
found = Marks(memory.words)
both = threading.Barrier(2)
def work(token):
    found.begin(token, is_work=True)
    both.wait()
    if token == 2:
        ctypes.string_at(0)
    threading.Event().wait()
for token in (1, 2):
    threading.Thread(target=work, args=(token,), daemon=True).start()
threading.Event().wait()
"""


@linux
def test_of_the_threads_at_work_the_one_that_crashed_is_known() -> None:
    memory = MarkMemory()
    done = subprocess.run([sys.executable, "-c", THREADS], env={**os.environ, **memory.environment}, check=False)

    assert done.returncode == -signal.SIGSEGV
    begun, at_work = memory.read()
    assert (sorted(begun), at_work) == ([1, 2], [2])
    memory.close()
