"""Open a stage, and report whatever its author's code raises in one line, with the stage and the place."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from crawler.errors import CrawlerError, StageUnusable

log = logging.getLogger("crawler.worker")


@contextmanager
def opening(stage: str) -> Iterator[None]:
    """Surround a stage's `open`. Raises StageUnusable for its exceptions; our own errors pass unchanged."""
    try:
        yield
    except CrawlerError:
        raise
    except Exception as error:
        from crawler.places import told  # here, because only failures need it

        log.debug("stage %s cannot be opened", stage, exc_info=True)
        raise StageUnusable(stage, told(error)) from error
