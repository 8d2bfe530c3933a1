"""What a power cut may undo, and what not, at the moments that a seed rarely meets."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from crawler.broker.contract import QueueSpec
from crawler.broker.sqlite import commits, disk
from crawler.broker.sqlite.broker import SqliteBroker
from crawler.items import New, Step

QUEUES = [QueueSpec("work", is_read=True)]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the log when it was put on disk; nobody does that unasked here."""
    sizes: list[int] = []
    monkeypatch.setattr(commits, "SYNC_EVERY", 3600.0)
    monkeypatch.setattr(disk.os, "fdatasync", lambda descriptor: sizes.append(os.fstat(descriptor).st_size))
    return sizes


def after_a_power_cut(path: Path, synced: int) -> Path:
    """The files as the next start finds them: of the log what was put on disk."""
    copy = path.with_name(f"{path.stem}+.sqlite3")
    shutil.copyfile(path, copy)
    Path(f"{copy}-wal").write_bytes(Path(f"{path}-wal").read_bytes()[:synced])
    return copy


@pytest.mark.slow
def test_no_token_comes_twice_when_the_power_goes_right_after_a_start(tmp_path: Path, synced: list[int]) -> None:
    tokens = []
    path = tmp_path / "hub.sqlite3"
    broker = SqliteBroker(str(path), QUEUES)
    broker.put([New("work", b"1")])
    for n in range(3):
        path = after_a_power_cut(path, synced[-1])
        broker.close()
        del synced[1:]
        broker = SqliteBroker(str(path), QUEUES)
        (lease,) = broker.step(Step(f"w{n}", 1, "work", want=1)).leases
        tokens.append(lease.token)
    broker.close()

    assert len(set(tokens)) == len(tokens)
