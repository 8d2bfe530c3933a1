"""Path of the embedded engine's store; apart from the engine, which takes ten times as long to import."""

from __future__ import annotations

from pathlib import Path


def store_path(data: Path) -> Path:
    """Return the path of the store in the hub's data directory."""
    return data / "hub.sqlite3"
