"""Open a stage: whatever its author's code raises there is told in one line, with the stage and the place."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from crawler.errors import CrawlerError, StageUnusable

log = logging.getLogger("crawler.worker")


@contextmanager
def opening(stage: str) -> Iterator[None]:
    """Around a stage's `open`. Raises StageUnusable for what it raises, and our own errors as they are."""
    try:
        yield
    except CrawlerError:
        raise
    except Exception as error:
        from crawler.places import told  # here, because it is for failures

        log.debug("stage %s cannot be opened", stage, exc_info=True)
        raise StageUnusable(stage, told(error)) from error
