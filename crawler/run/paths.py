"""Write paths as they can be typed in the working directory."""

from __future__ import annotations

import os
from pathlib import Path


def from_here(path: str | Path, here: str = "") -> str:
    """Return the relative or the absolute form of a path, whichever is shorter. here: the working directory if it is not ours."""
    here = here or os.getcwd()
    absolute = os.path.normpath(os.path.join(here, path))
    return min(os.path.relpath(absolute, here), absolute, key=len)
