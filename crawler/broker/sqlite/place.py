"""Where the embedded engine keeps its store; apart from the engine, which takes ten times as long to import."""

from __future__ import annotations

from pathlib import Path


def store_path(data: Path) -> Path:
    """Where the hub of this data directory keeps its store."""
    return data / "hub.sqlite3"
