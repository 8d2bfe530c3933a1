"""Sign of life of a worker process, which its parent reads: a call in C may stop all threads of Python, so that none could tell.

    worker: beat each second ──memory──▶ parent: none for long ──SIGABRT──▶ worker: writes where its threads are, and ends

The signal is handled in C, so that it works while the interpreter is held up.
"""

from __future__ import annotations

import faulthandler
import threading
import time

from crawler.worker.marks import Given

BEAT = 1.0  # s between two signs of life


def start(given: Given) -> None:
    """Give a sign of life each second from now on. A crash also writes the stacks of all threads to the parent's memory."""
    faulthandler.enable(given.descriptor)
    words = given.words
    words[-1] = time.monotonic_ns()
    threading.Thread(target=_beat, args=(words,), name="pulse", daemon=True).start()


def _beat(words: memoryview) -> None:
    while True:
        time.sleep(BEAT)
        words[-1] = time.monotonic_ns()
