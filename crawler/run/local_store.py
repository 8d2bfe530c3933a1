"""The store of a data directory, opened directly while no hub runs.

    dead · why · status · host · put · take ──▶ SqliteBroker ──▶ <data>/hub.sqlite3

Opening it changes no task. Leases stay as they are, and queues that the pipeline does not name keep their tasks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import structs

from crawler.broker.contract import Politeness, QueueSpec
from crawler.broker.sqlite.place import store_path
from crawler.errors import UsageError
from crawler.machine import private

if TYPE_CHECKING:
    from crawler.broker.sqlite.broker import SqliteBroker


def check_directory(data: Path, *, is_made: bool = True) -> None:
    """Raise UsageError if `data` exists and cannot be used: it is not a directory, or we may not read and write it.

    is_made: it will be made if it is not there, so its parent must be writable.
    """
    try:
        is_there = data.exists()
    except OSError as error:
        raise UsageError(f"the data directory {data} cannot be read: {error.strerror}; choose another with --data") from error
    if not is_there:
        _check_parents(data, is_made=is_made)
        return
    if not data.is_dir():
        raise UsageError(f"the data directory {data} is a file; choose another with --data, or move the file away")
    wanted = {"read": os.R_OK | os.X_OK, "written": os.W_OK}
    for word, mode in wanted.items():
        if not os.access(data, mode, effective_ids=os.access in os.supports_effective_ids):
            raise UsageError(
                f"the data directory {data} cannot be {word} by this user; choose another with --data, or change who may use it"
            )
    private.check_directory(data, "the data directory", "choose another with --data")


def make_directory(data: Path) -> None:
    """Make the data directory, readable only by the user: it holds the key and all pages. Raises UsageError."""
    check_directory(data)
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the data directory {data} cannot be made: {error.strerror}; choose another with --data") from error


def _check_parents(data: Path, *, is_made: bool) -> None:
    """Raise UsageError if one of the parent directories is a file or, if `data` is to be made, may not be written to."""
    for parent in data.absolute().parents:
        if parent.is_dir():
            if is_made and not os.access(parent, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
                raise UsageError(
                    f"the data directory {data} cannot be made in {parent}, which this user may not write to; "
                    "choose another with --data"
                )
            return
        if parent.exists():
            raise UsageError(f"the data directory {data} cannot be made: {parent} is a file; choose another with --data")


def has_store(data: Path) -> bool:
    """Tell whether a hub has stored something there. Raises UsageError if the directory cannot be used."""
    check_directory(data, is_made=False)
    return store_path(data).exists()


def open_store(
    data: Path, specs: Iterable[QueueSpec], politeness: Politeness, durability: Literal["normal", "full"] = "normal"
) -> SqliteBroker:
    """Open the store in `data`. Raises UsageError while a hub or another command uses it, StorageError if it cannot be read."""
    from crawler.broker.sqlite.broker import SqliteBroker
    from crawler.broker.sqlite.schema import stored_politeness

    path = str(store_path(data))
    stored = stored_politeness(path)
    # Keep the stored politeness: changing it would move every unfinished task of the queue to other lanes.
    queues = [structs.replace(spec, polite=stored.get(spec.name, spec.polite)) for spec in specs]
    return SqliteBroker(path, queues, politeness, durability)
