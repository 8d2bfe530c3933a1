"""Which stage is at work in a thread, where several share a process: what it prints is shown under its name."""

from __future__ import annotations

import threading


class _Speaker(threading.local):
    stage = ""         # "" in a thread that is not in a chain's `process`


speaker = _Speaker()
