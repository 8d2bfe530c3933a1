"""Write paths as they can be typed in the working directory."""

from __future__ import annotations

import os
from pathlib import Path


def from_here(path: str | Path) -> str:
    """Return the relative or the absolute form of a path, whichever is shorter."""
    absolute = os.path.abspath(path)
    return min(os.path.relpath(absolute), absolute, key=len)
