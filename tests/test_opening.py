"""A stage that cannot be opened is told with its name and the place."""

from __future__ import annotations

import pytest

from crawler.errors import ConfigError, StageUnusable, StorageFull
from crawler.opening import opening


def test_what_an_author_raises_is_told_with_stage_and_place() -> None:
    with pytest.raises(StageUnusable) as caught, opening("enrich"):
        raise KeyError("key")

    assert "stage enrich cannot be opened: KeyError: 'key' at " in str(caught.value)
    assert "test_opening.py:13 in test_what_an_author_raises" in str(caught.value)


@pytest.mark.parametrize("error", [ConfigError("stages.enrich.key is empty"), StorageFull("no room")])
def test_errors_of_ours_stay_as_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, opening("enrich"):
        raise error

    assert caught.value is error
