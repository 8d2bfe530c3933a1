"""A terminal without a person: a pseudo-terminal of a given size, what a command shows on it, and what is typed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path

TIME = 60.0  # s after which a test that waits has failed


class Terminal:
    """Runs one command. `shown` has all it has written so far, without what moves the cursor and colours the text."""

    def __init__(self, command: Sequence[str], directory: Path, environment: dict[str, str], columns: int = 100) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(columns)
        self.process = subprocess.Popen(
            command, cwd=directory, env={**environment, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self.raw = ""

    @property
    def shown(self) -> str:
        lines = self.raw.replace("\x1b[2K", "\n")  # what was erased stays, on lines of its own
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", lines).replace("\r", "")

    def resize(self, columns: int, lines: int = 40) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def read_until(self, text: str) -> str:
        """What is shown, once it has this text."""
        give_up = time.monotonic() + TIME
        while text not in self.shown:
            assert self._read(give_up), f"{text!r} never came: {self.shown}"
        return self.shown

    def wait(self) -> int:
        """The exit code."""
        give_up = time.monotonic() + TIME
        while self._read(give_up):
            pass
        return self.process.wait(TIME)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)

    def _read(self, give_up: float) -> bool:
        """False: nothing more will come, or not in time."""
        if not select.select([self._ours], [], [], max(give_up - time.monotonic(), 0.0))[0]:
            return False
        try:
            data = os.read(self._ours, 1 << 16)
        except OSError:  # how Linux says that the last one who had the terminal is gone
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)
