"""What a process really asked of its disk, recorded by strace, and what a power cut at any moment of it may leave behind.

    pwrite64 ─┬─ before a sync of the file that came back before the cut ──▶ it is there
              └─ after that ──▶ it may be there, or not, or half of it, and in any order
    unlink ───┬─ before a sync of the directory that came back before the cut ──▶ the file is gone
              └─ after that ──▶ it may be there

That is what POSIX promises and no more; real disks and file systems do better most of the time.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

CALLS = "pwrite64,write,fdatasync,fsync,ftruncate,unlink"
OPTIONS = ("-f", "-qq", "-y", "-ttt", "-xx", "-s", "200000", "--seccomp-bpf", "-e", f"trace={CALLS}")
SECTOR = 512  # bytes that a disk writes together
STDOUT = 1

_LINE = re.compile(r"(\d+) +([\d.]+) (?:<\.\.\. )?(\w+)(?: resumed>)?(.*)")
_FILE = re.compile(r"\((\d+)<([^>]*)>(?:, (.*))?")
_UNLINKED = re.compile(r'\("([^"]*)"\)')
_WRITE = re.compile(r'"([^"]*)", \d+(?:, (\d+))?')


class Leaves(StrEnum):
    """What a cut leaves of the writes that no sync has covered."""

    NOTHING = "nothing"
    ALL = "all"
    FIRST = "the first of them, the last one torn"
    SOME = "any sectors"


class Event(NamedTuple):
    at: float  # s, when the call began
    kind: str  # write, truncate, sync, unlink, says
    file: str  # its path
    offset: int = 0  # or the new length
    data: bytes = b""
    done: int = -1  # of a sync: number of events that had begun when it came back


def record(victim: str, arguments: Sequence[str], recording: Path, *path: Path) -> list[Event]:
    """Run a Python program and return what it asked of its disk. path: folders where it finds modules, beside ours."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("optional: install strace to record what a process asks of its disk")
    environ = os.environ | {"PYTHONPATH": os.pathsep.join([*map(str, path), *sys.path])}
    words = [strace, *OPTIONS, "-o", str(recording), sys.executable, "-c", victim, *arguments]
    done = subprocess.run(words, capture_output=True, text=True, env=environ, timeout=100, check=False)
    if "ptrace" in done.stderr:
        pytest.skip(f"strace is not allowed here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return read(recording)


def read(recording: Path) -> list[Event]:
    """The calls in the order they began; a sync stands where it began and knows where it came back."""
    events: list[Event] = []
    unfinished: dict[str, int] = {}
    for line in recording.read_text("ascii").splitlines():
        parsed = _LINE.match(line)
        if parsed is None:
            continue
        thread, at, call, rest = parsed.groups()
        if "resumed>" in line:
            if thread in unfinished:
                n = unfinished.pop(thread)
                events[n] = events[n]._replace(done=len(events))
            continue
        if call == "unlink":
            if unlinked := _UNLINKED.match(rest):
                events.append(Event(float(at), "unlink", _text(unlinked[1]).decode()))
            continue
        target = _FILE.match(rest)
        if target is None:
            continue
        number, name, more = target.groups()
        file = _text(name).decode()
        if call in ("fdatasync", "fsync"):
            if "unfinished" in rest:
                unfinished[thread] = len(events)
            events.append(Event(float(at), "sync", file, done=-1 if "unfinished" in rest else len(events)))
        elif call == "ftruncate":
            events.append(Event(float(at), "truncate", file, int((more or "").split(")")[0].split(" ")[0])))
        elif written := _WRITE.match(more or ""):
            kind = "says" if int(number) == STDOUT else "write"
            events.append(Event(float(at), kind, file, int(written[2] or 0), _text(written[1])))
    return events


def cut(events: Sequence[Event], n: int, leaves: Leaves, random: Random) -> dict[str, bytes]:
    """The files, by path, after the power went when the first n calls had begun."""
    synced: dict[str, int] = defaultdict(int)
    for number, event in enumerate(events[:n]):
        if event.kind == "sync" and 0 <= event.done <= n:
            synced[event.file] = number
    unsynced: dict[str, list[Event]] = defaultdict(list)
    files: dict[str, bytearray] = defaultdict(bytearray)
    last = {event.file: number for number, event in enumerate(events[:n])}
    for number, event in enumerate(events[:n]):
        if event.kind == "unlink":
            is_sure = number < synced[str(Path(event.file).parent)] or last[event.file] > number  # or there is a new one
            if is_sure or leaves == Leaves.ALL or (leaves != Leaves.NOTHING and random.random() < 0.5):
                files.pop(event.file, None)
                unsynced.pop(event.file, None)
        elif event.kind in ("write", "truncate"):
            if number < synced[event.file]:
                _apply(files[event.file], event)
            else:
                unsynced[event.file].append(event)
    for file, lost in unsynced.items():
        for event in _survivors(lost, leaves, random):
            _apply(files[file], event)
    return {file: bytes(content) for file, content in files.items()}


def _survivors(lost: Sequence[Event], leaves: Leaves, random: Random) -> Iterator[Event]:
    if leaves == Leaves.ALL:
        yield from lost
    elif leaves == Leaves.FIRST:
        kept = random.randrange(len(lost) + 1)
        yield from lost[:kept]
        if kept < len(lost) and lost[kept].kind == "write":
            torn = lost[kept]
            yield torn._replace(data=torn.data[: random.randrange(len(torn.data))])
    elif leaves == Leaves.SOME:
        for event in lost:
            if event.kind != "write":
                yield event  # the length of a file is the file system's own affair, and journaled
                continue
            for start in range(0, len(event.data), SECTOR):
                if random.random() < 0.5:
                    yield event._replace(offset=event.offset + start, data=event.data[start : start + SECTOR])


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        del content[event.offset :]
        return
    end = event.offset + len(event.data)
    content.extend(bytes(max(0, end - len(content))))
    content[event.offset : end] = event.data


def _text(escaped: str) -> bytes:
    return bytes.fromhex(escaped.replace("\\x", ""))
