"""A longer look takes longer: see `corpora`."""

from __future__ import annotations

import pytest
from corpora import IS_THOROUGH

LONGEST = 7_200  # s for one test of a longer look


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if IS_THOROUGH and "/fuzz/" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(LONGEST))
