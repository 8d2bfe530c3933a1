"""Public sets of conformance cases. They lie in a folder of their own, are not part of the project, and are left out without it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ.get("CRAWLER_CASES", Path(__file__).parents[2] / "shared" / "cases"))


def load(name: str, what: str) -> Any:
    """The content of a JSON file of cases; without it the test is skipped. what: whose cases these are, for people."""
    file = FOLDER / name
    if not file.exists():
        pytest.skip(f"optional: set CRAWLER_CASES to a folder with {name} to run {what}")
    return json.loads(file.read_text(encoding="utf-8"))
