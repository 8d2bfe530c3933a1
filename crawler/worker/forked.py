"""End a copy of a worker that a stage has made with `os.fork()` and that returns from the stage.

    process() ──os.fork()──▶ the worker, which goes on
                         └─▶ a copy of it: ended when it comes back from process()

Such a copy has no thread of the worker but the one that forked, holds no task, and would wait for ever. Copies that end by
themselves (`os._exit`, `multiprocessing`, `subprocess`) never come back.
"""

from __future__ import annotations

import logging
import os

log = logging.getLogger(__name__)

CODE = 1  # exit code of such a copy
TOLD = 3  # copies of one worker that are logged; a stage that forks for each item would fill the log


class _Process:
    """The process that this module was imported in."""

    is_copy = False
    is_watched = False
    forks = 0  # made by this process, or by the one that this is a copy of


def watch() -> None:
    """Take this process for a worker: from now on its forks are copies."""
    _Process.is_copy, _Process.forks = False, 0
    if not _Process.is_watched:
        _Process.is_watched = True
        os.register_at_fork(before=_before, after_in_child=_in_child)


def end_if_copy(stage: str) -> None:
    """End this process, without cleaning up, if it is a copy of a worker. stage: the one that has returned."""
    if not _Process.is_copy:
        return
    if _Process.forks <= TOLD:
        log.error("%s has returned in a process that it made with os.fork(); that process is ended: end it with os._exit(0), "
                  "or use subprocess or multiprocessing", stage)  # fmt: skip
    os._exit(CODE)


def _before() -> None:
    _Process.forks += 1


def _in_child() -> None:
    _Process.is_copy = True
