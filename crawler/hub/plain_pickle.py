"""Reader for pickles of plain data, as a client of the standard library sends them, without the machine that can run code.

A pickle is a program. This reads the instructions that build None, bool, int, float, str, bytes, list, tuple, dict and set
and refuses every other one by name: no global is resolved, nothing is called, and there is nothing to be configured. The
limits are on what a message unfolds to, since a few hundred bytes can share one list until it has more parts than atoms exist.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

from crawler.errors import WireError

MAX_DEPTH = 100  # containers in one another
MAX_PARTS = 1_000_000  # values in a message, one that is shared counted each time
MAX_SIZE = 32 << 20  # bytes of text and bytes in a message, counted in the same way

_MARK = object()
_SCALARS = (type(None), bool, int, float, str, bytes)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "MARK": _MARK}
_ARGUMENTS = frozenset(
    {
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "LONG4",
        "BINFLOAT",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
    }
)
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_STORE = frozenset({"BINPUT", "LONG_BINPUT"})
_LOAD = frozenset({"BINGET", "LONG_BINGET"})
_NOTHING = frozenset({"PROTO", "FRAME", "STOP"})


def dumps(value: Any) -> bytearray:
    """Return a frame with room for its length whose body is a pickle of the hub's own data."""
    frame = io.BytesIO(b"\0\0\0\0")
    frame.seek(4)
    pickle.dump(value, frame, protocol=4)  # 4: the default of every Python since 3.8
    return bytearray(frame.getbuffer())


def loads(data: bytes | bytearray) -> Any:
    """The plain value of a pickle. Raises WireError for anything else, having done nothing."""
    try:
        value = _Reader().run(bytes(data))
        check(value)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, UnicodeError) as error:
        raise WireError("a message is not a well-formed pickle") from error
    return value


def check(value: Any) -> None:
    """Raises WireError for a value that is not plain, nests too deeply or unfolds to too much."""
    parts = size = 0
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        inner: list[Any] = []
        for part in level:
            parts += 1
            if isinstance(part, str | bytes):
                size += len(part)
            elif isinstance(part, dict):
                inner += part.keys()
                inner += part.values()
            elif isinstance(part, list | tuple | set):
                inner += part
            if parts + len(inner) > MAX_PARTS or size > MAX_SIZE:
                raise WireError(f"a message unfolds to more than {MAX_PARTS} values or {MAX_SIZE} bytes")
        if not inner:
            return
        level = inner
    raise WireError(f"a message nests more than {MAX_DEPTH} deep")


class _Reader:
    """The stack and the memo of one pickle."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[Any, Any] = {}

    def run(self, data: bytes) -> Any:
        from pickletools import genops  # here, because few hubs have a client of the standard library

        stack = self._stack
        for count, (opcode, argument, _) in enumerate(genops(data)):
            if count > 4 * MAX_PARTS:  # a mark, a memo entry and a collecting instruction for each
                raise WireError(f"a pickle of more than {4 * MAX_PARTS} instructions")
            name = opcode.name
            if name in _ARGUMENTS:
                stack.append(argument)
            elif name in _CONSTANTS:
                stack.append(_CONSTANTS[name])
            elif name in _EMPTY:
                stack.append(_EMPTY[name]())
            elif name in _TUPLES:
                stack[-_TUPLES[name] :] = [tuple(self._top(_TUPLES[name]))]
            elif name == "MEMOIZE":
                self._memo[len(self._memo)] = stack[-1]
            elif name in _STORE:
                self._memo[argument] = stack[-1]
            elif name in _LOAD:
                stack.append(self._memo[argument])
            elif name not in _NOTHING:
                self._collect(name)
        value = stack.pop()
        if stack or value is _MARK:
            raise ValueError("something is left over")
        return value

    def _top(self, count: int) -> list[Any]:
        if len(self._stack) < count or _MARK in (top := self._stack[-count:]):
            raise IndexError("too few values")
        return top

    def _collect(self, name: str) -> None:
        """Run an instruction that moves the values above the last mark, or the last one or two values, into a container."""
        stack = self._stack
        if name == "APPEND":
            parts = [stack.pop()]
        elif name == "SETITEM":
            parts = self._top(2)
            del stack[-2:]
        elif name in ("TUPLE", "LIST", "DICT", "APPENDS", "SETITEMS", "ADDITEMS", "FROZENSET"):
            parts = []
            while (part := stack.pop()) is not _MARK:
                parts.append(part)
            parts.reverse()
        else:
            raise WireError(
                f"a pickle with {name} in it is not plain data; send None, bool, int, float, str, bytes, "
                "and list, tuple, dict or set of these"
            )
        if name == "TUPLE":
            stack.append(tuple(parts))
        elif name == "LIST":
            stack.append(parts)
        elif name in ("APPEND", "APPENDS"):
            _of(list, stack[-1]).extend(parts)
        elif name in ("FROZENSET", "ADDITEMS"):
            if name == "FROZENSET":
                stack.append(set())
            _of(set, stack[-1]).update(_keys(parts))
        else:
            if name == "DICT":
                stack.append({})
            _of(dict, stack[-1]).update(zip(_keys(parts[::2]), parts[1::2], strict=True))


def _of(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"a {kind.__name__} was expected")
    return value


def _keys(parts: list[Any]) -> list[Any]:
    """Check that keys are scalars: the hash of a tuple of tuples of … recurses in C and can end the process."""
    if not all(isinstance(part, _SCALARS) for part in parts):
        raise WireError("a key of a dict or a member of a set must be None, bool, int, float, str or bytes")
    return parts
