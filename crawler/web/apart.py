"""Evaluate a selector in a process of its own, which the system ends if it takes too much CPU. Its memory is limited too.

    field ──source, selector, seconds──▶ python -m crawler.web.apart ──values──▶ field
                                              │ so many seconds of CPU are over: SIGPROF
                                              ├──▶ error, and the next question starts another process
                                              │ more memory than a page may take (see `memory`): MemoryError
                                              └──▶ error, and the process goes on

For selectors that could take long on a page (see `xpath_cost`): a call into C in our own process cannot be interrupted and would
stop all of it. One such process serves all threads, one question at a time, and ends with the process it belongs to. It has neither
our settings nor our keys.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from time import process_time
from typing import IO, Final, Literal

from msgspec import MsgspecError, Struct, msgpack
from msgspec.structs import replace

from crawler.errors import PageTooCostly
from crawler.web.html import Html
from crawler.web.memory import limited

_WALL: Final = 120.0  # s of wall-clock time for one question, on a machine that is busy with other things
_LEAST: Final = 0.001  # s; a timer of 0 would be none
_ENDING: Final = 1.0  # s for its end
_SIZE: Final = struct.Struct("!Q")
_LONGEST: Final = 64 << 20  # bytes of an answer; the values have 4 million characters at most


Kind = Literal["css", "xpath"]


class Question(Struct, frozen=True):
    source: bytes | None  # None: the page of the previous question
    content_type: str
    kind: Kind
    selector: str
    most: int
    most_values: int
    most_chars: int
    seconds: float  # of CPU that it may take, with the start of the process and reading the page


class Answer(Struct, frozen=True):
    values: list[str | None] = []
    is_cut: bool = False
    error: str = ""  # why there are no values: what the selector cannot do on this page, or that it takes too much
    cpu: float = 0.0  # s that it took


class _Apart:
    """Holder of the process, and of the page that the process has."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._page: Html | None = None

    def ask(self, html: Html, question: Question) -> Answer:
        with self._lock:
            if self._owner != os.getpid():  # a copy of the process that started it: its pipes are not ours
                self._process, self._page, self._owner = None, None, os.getpid()
            if self._process is None:
                self._process, self._page = _started(), None
            pipe = self._process
            new = html is not self._page
            try:
                _write(pipe.stdin, msgpack.encode(question if new else _without_source(question)))
                self._page = html
                return msgpack.decode(_read(pipe.stdout), type=Answer)
            except (OSError, EOFError, MsgspecError):
                code = self._end()
                reason = f"the process that evaluates it ended with code {code}"
                if code in (-signal.SIGPROF, -signal.SIGKILL):
                    reason = f"it takes more than {question.seconds:.2g} s of CPU on this page"
                return Answer(error=reason, cpu=question.seconds)

    def close(self) -> None:
        if self._owner == os.getpid():
            self._end()

    def _end(self) -> int:
        """End the process; return its exit status, also if it had ended before."""
        process, self._process, self._page = self._process, None, None
        if process is None:
            return 0
        with suppress(OSError):  # closing flushes
            for pipe in (process.stdout, process.stdin):
                if pipe is not None:
                    pipe.close()
        try:
            return process.wait(_ENDING)  # without input it ends, unless it is at work
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def values(html: Html, kind: Kind, selector: str, most: int, most_values: int, most_chars: int, seconds: float) -> Answer:
    """Return the values that a selector finds on a page, or why there are none.

    They are limited in number, to `most` characters each and `most_chars` together, and to so many seconds of CPU.
    """
    source, content_type = html.source, html.content_type
    if isinstance(source, str):
        source, content_type = source.encode("utf-8", "replace"), "text/html; charset=utf-8"
    return _apart.ask(html, Question(source, content_type, kind, selector, most, most_values, most_chars, seconds))


def _without_source(question: Question) -> Question:
    return Question(None, *(getattr(question, name) for name in question.__struct_fields__[1:]))


def _started() -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CRAWLER_")}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    return subprocess.Popen(
        [sys.executable, "-m", "crawler.web.apart"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, env=environment,
    )  # fmt: skip


def _write(pipe: IO[bytes] | None, message: bytes) -> None:
    if pipe is not None:
        pipe.write(_SIZE.pack(len(message)) + message)
        pipe.flush()


def _read(pipe: IO[bytes] | None) -> bytes:
    """Return the next message. Raises EOFError if there is none, or none in time."""
    if pipe is None or not select.select([pipe], [], [], _WALL)[0]:
        raise EOFError
    head = pipe.read(_SIZE.size)
    size = _SIZE.unpack(head)[0] if len(head) == _SIZE.size else _LONGEST + 1
    if size > _LONGEST:
        raise EOFError
    message = pipe.read(size)
    if len(message) < size:
        raise EOFError
    return message


def _serve() -> None:
    """Answer questions until there are none."""
    html = Html("")
    questions = msgpack.Decoder(Question)
    begun = 0.0  # CPU time of this process at the start of the question; the first one counts its own start
    while head := sys.stdin.buffer.read(_SIZE.size):
        question = questions.decode(sys.stdin.buffer.read(_SIZE.unpack(head)[0]))
        # The system ends this process once so much CPU is used.
        signal.setitimer(signal.ITIMER_PROF, max(question.seconds - (process_time() - begun), _LEAST))
        try:
            if question.source is not None:
                html = Html(question.source, content_type=question.content_type)
            answer = _limited_answer(html, question)
        except Exception as error:  # noqa: BLE001 - whatever a selector meets on a page is the answer
            answer = Answer(error=str(error).removeprefix("xpath: ") or type(error).__name__)
        now = process_time()
        _write(sys.stdout.buffer, msgpack.encode(replace(answer, cpu=now - begun)))
        signal.setitimer(signal.ITIMER_PROF, 0)
        begun = now


def _limited_answer(html: Html, question: Question) -> Answer:
    """Answer within the memory that reading the page may take: XPath keeps what it finds on the way, and axes such as
    `following` find the same nodes again from each element."""
    _ = html.document  # made before, with a limit of its own
    try:
        return limited(len(html.source), lambda: _answer(html, question))
    except PageTooCostly as error:
        return Answer(error=f"it takes more than {error.room >> 20} MiB of memory on this page")


def _answer(html: Html, question: Question) -> Answer:
    from crawler.web.selectors import Css
    from crawler.web.xpaths import XPath

    cut: list[bool] = []
    find = Css(question.selector) if question.kind == "css" else XPath(question.selector)
    found: list[str | None] = []
    chars = 0
    texts: Iterator[str | None] = find(html.document, question.most, lambda: cut.append(True), only_first=question.most_values == 1)
    for text in texts:
        if len(found) == question.most_values or chars > question.most_chars:
            break
        found.append(text if text is None else text[: question.most])
        chars += len(text or "")
    return Answer([text and text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for text in found], bool(cut))


_apart: Final = _Apart()

if __name__ == "__main__":
    _serve()
else:
    atexit.register(_apart.close)
