"""For all tests of commands: they find no hub of somebody else at the default address of this machine."""

from __future__ import annotations

import pytest

NOBODY = "127.0.0.1:1"  # a port on which nothing listens


@pytest.fixture(autouse=True)
def _default_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler.cli.common.DEFAULT_ADDRESS", NOBODY)
