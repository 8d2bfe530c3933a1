"""Refuse outputs that are no files and cannot take rows: descriptors of another process, disks, sockets, and devices that keep
nothing.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Final

from crawler import UsageError

_DESCRIPTOR: Final = re.compile(r"/(?:dev|proc/[^/]+)/fd/(\d+)")
_STANDARD: Final = {"/dev/stdin": "0", "/dev/stdout": "1", "/dev/stderr": "2"}
_WASTED: Final = frozenset({"/dev/zero", "/dev/random", "/dev/urandom", "/dev/mem", "/dev/port", "/dev/kmsg"})


def refuse(output: str) -> None:
    """Raise UsageError for an output, which is no regular file, that cannot take rows."""
    path = os.path.normpath(output)
    found = _DESCRIPTOR.fullmatch(path)
    number = _STANDARD.get(path) or (found[1] if found else "")
    if number == "1":
        raise UsageError(f'{output}: standard output is "-" here, as in -o -')
    if number in ("0", "2"):
        what = "input" if number == "0" else "error, where the messages go"
        raise UsageError(f"cannot write to {output}: it is standard {what}; name a file, or - for standard output")
    if number:
        raise UsageError(f"cannot write to {output}: rows are written by another process, which does not have this descriptor; "
                         "write to standard output: -o - | PROGRAM")  # fmt: skip
    mode = os.stat(path).st_mode if os.path.exists(path) else 0
    what = "a disk" if stat.S_ISBLK(mode) else "a socket" if stat.S_ISSOCK(mode) else ""
    if path in _WASTED and stat.S_ISCHR(mode):
        what = "a device that keeps nothing"
    if what:
        raise UsageError(f"cannot write to {output}: it is {what}; name a file, - for standard output, or /dev/null for no output")
