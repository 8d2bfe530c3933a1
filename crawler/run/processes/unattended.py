"""Make code that would wait for a person at the keyboard fail at once in a worker process, where no person can answer.

A worker's standard input is a pipe from its parent that never carries anything: `input()` would wait for ever.
"""

from __future__ import annotations

import os
import sys
from typing import Any

STDIN = 0


def leave_stdin() -> int:
    """Replace standard input by one that is at its end. Returns a descriptor for what it was before."""
    before = os.dup(STDIN)
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, STDIN)
    os.close(empty)
    return before


def refuse_breakpoints() -> None:
    """Let `breakpoint()` raise an error that says where it works. A debugger chosen by PYTHONBREAKPOINT is left as it is."""
    if "PYTHONBREAKPOINT" not in os.environ:
        sys.breakpointhook = _no_breakpoint


def _no_breakpoint(*_: Any, **__: Any) -> None:
    raise RuntimeError("breakpoint() needs 'crawler run --debug'")
