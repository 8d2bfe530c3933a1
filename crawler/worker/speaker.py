"""The stage that runs in a thread, when several share a process: its prints are shown under its name."""

from __future__ import annotations

import threading


class _Speaker(threading.local):
    stage = ""  # "" in a thread that is not in a chain's `process`


speaker = _Speaker()
