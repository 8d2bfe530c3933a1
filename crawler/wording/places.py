"""Find the place in an author's code where a failure arose, or where a thread is now: `enrich.py:3 in process`.

The place is the innermost frame outside this project, the standard library and installed packages or, if there is none, the
innermost frame of all. All returned text is printable, because it can contain foreign text (a message, a function's name).
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from inspect import unwrap
from pathlib import Path
from types import CodeType, FrameType, GeneratorType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from crawler.wording.texts import words

if TYPE_CHECKING:
    from traceback import FrameSummary

TRACE_LENGTH: Final = 4_000  # characters of a traceback stored with a task
FRAMES: Final = 20  # innermost frames of a traceback that are stored

_ROOT: Final = Path(__file__).parents[2]  # the folder of crawler/: a checkout, or that of installed packages
_OURS: Final = tuple(f"{_ROOT / name}{os.sep}" for name in ("crawler", "crawler_stages", "stages/crawler_stages"))
_LIBRARY: Final = f"{Path(os.__file__).parent}{os.sep}"  # the standard library
_FRAME: Final = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)
_PACKAGES: Final = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


def told(error: BaseException) -> str:
    """Return a failure in one line: `KeyError: 'ttle' at enrich.py:3 in process`."""
    where = place(error)
    return f"{said(error)} at {where}" if where else said(error)


def said(error: BaseException) -> str:
    """Return the type and message of an exception in one line."""
    try:
        text = str(error.msg) if isinstance(error, SyntaxError) and error.filename else str(error)
    except Exception:  # noqa: BLE001  the exception's own __str__ fails
        text = ""
    return words(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def place(error: BaseException) -> str:
    """Return where an exception was raised; "" if it never was."""
    if isinstance(error, SyntaxError) and error.filename:  # raised by the compiler: it names the line, the frames do not
        return words(f"{_short(error.filename)}:{error.lineno}")
    return _innermost((one.tb_frame.f_code, one.tb_lineno) for one in _chain(error.__traceback__))


def current(thread: int) -> str:
    """Return where a thread is at this moment; "" if it has ended."""
    frames: list[tuple[CodeType, int]] = []
    frame: FrameType | None = sys._current_frames().get(thread)
    while frame is not None:
        frames.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return _innermost(reversed(frames))


def in_dump(text: str) -> str:
    """Return where a process was that wrote the places of its threads when it crashed (`faulthandler`); "" if it did not.

    The thread is the one that ran; the frames are listed innermost first.
    """
    _, _, ran = text.partition("Current thread ")
    frames = _FRAME.findall((ran or text).partition("\n\n")[0])
    if not frames:
        return ""
    file, line, name = next((one for one in frames if _is_the_authors(one[0])), frames[0])
    return words(f"{_short(file)}:{line} in {name}")


def giving(given: Any, process: Callable[..., Any]) -> str:
    """Return where an item was given: the current line of a generator, or the first line of the function that returned it.

    given: what `process` returned.
    """
    frames: list[tuple[CodeType, int]] = []
    while isinstance(given, GeneratorType) and given.gi_frame is not None:
        frames.append((given.gi_code, given.gi_frame.f_lineno))
        given = given.gi_yieldfrom
    if frames:
        return _innermost(frames)
    code = getattr(unwrap(process), "__code__", None)
    return _innermost([(code, code.co_firstlineno)]) if code is not None else ""


def trace(error: BaseException) -> str:
    """Return the traceback of an exception, cut to `TRACE_LENGTH` characters, without our own frames that led there."""
    from traceback import TracebackException  # here, because only failures need it

    try:
        found = TracebackException.from_exception(error, limit=-FRAMES)
        while len(found.stack) > 1 and _is_ours(found.stack[0].filename) and _has_others(found.stack):
            del found.stack[0]
        lines = [words(line) for chunk in found.format() for line in chunk.splitlines()]
    except Exception:  # noqa: BLE001  the exception's own attributes raise
        lines = [said(error)]
    text = "\n".join(lines)
    return text if len(text) <= TRACE_LENGTH else f"…{text[1 - TRACE_LENGTH :]}"


def _chain(traceback: TracebackType | None) -> Iterable[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _innermost(frames: Iterable[tuple[CodeType, int]]) -> str:
    """Return the place of the innermost frame of the author's code, or of the last frame. frames: outermost first."""
    found = list(frames)
    if not found:
        return ""
    code, line = next((one for one in reversed(found) if _is_the_authors(one[0].co_filename)), found[-1])
    name = next((part for part in reversed(code.co_qualname.split(".")) if not part.startswith("<")), "")
    return words(f"{_short(code.co_filename)}:{line}{f' in {name}' if name else ''}")


@lru_cache(maxsize=1024)
def _is_the_authors(file: str) -> bool:
    return not (file.startswith(("<", _LIBRARY)) or _is_ours(file) or any(part in file for part in _PACKAGES))


def _is_ours(file: str) -> bool:
    return file.startswith(_OURS)


def _has_others(stack: Iterable[FrameSummary]) -> bool:
    return not all(_is_ours(frame.filename) for frame in stack)


def _short(file: str) -> str:
    """Return a short name of a file: relative to the working directory or its package's folder, or its name alone."""
    for folder in (_here(), f"{_ROOT}{os.sep}"):
        if folder and file.startswith(folder):
            return file.removeprefix(folder)
    for folder in _PACKAGES:
        if folder in file:
            return file.rpartition(folder)[2]
    return os.path.basename(file)


def _here() -> str:
    try:
        return os.path.join(os.getcwd(), "")
    except OSError:  # it was removed
        return ""
